//! Entries of a stream as Redis answers them, byte-safe.
//!
//! Not read by the redis crate's own types: those want field names to be text, and one entry with a
//! bad name would make its whole batch unreadable. What is no entry is left out.

use redis::Value;

use crate::event::RawEntry;

/// An entry that was deleted since is nil to Redis 6 and has no fields; there is nothing to handle.
pub(crate) fn entries(answer: Value) -> Vec<RawEntry> {
    let Value::Array(answers) = answer else { return Vec::new() };
    answers.into_iter().filter_map(entry).collect()
}

fn entry(answer: Value) -> Option<RawEntry> {
    let Value::Array(parts) = answer else { return None };
    let mut parts = parts.into_iter();
    let id = text(parts.next()?)?.parse().ok()?;
    let fields = match parts.next()? {
        Value::Array(flat) => {
            let mut flat = flat.into_iter().map(bytes);
            std::iter::from_fn(|| Some((flat.next()?, flat.next()?))).collect()
        }
        Value::Map(pairs) => pairs.into_iter().map(|(name, value)| (bytes(name), bytes(value))).collect(),
        _ => return None,
    };
    Some(RawEntry { id, fields })
}

fn bytes(value: Value) -> Vec<u8> {
    redis::from_redis_value(value).unwrap_or_default()
}

fn text(value: Value) -> Option<String> {
    redis::from_redis_value(value).ok()
}
