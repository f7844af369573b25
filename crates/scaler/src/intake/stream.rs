//! The consumer group's commands and what Redis answers, byte-safe (see [`crate::entries`]).

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use crate::entries::entries;
use crate::event::RawEntry;
use crate::ids::EntryId;

/// So many entries come in one answer; handled one by one, they are a fraction of a second's work.
pub(super) const BATCH: usize = 100;

/// Where the group starts and a claim begins.
const START: &str = "0-0";

/// A consumer of the group.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) stream: String,
    pub(super) group: String,
    pub(super) name: String,
}

/// Entries claimed, and where to go on.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) entries: Vec<EntryId>,
    pub(super) cursor: Option<String>,
}

impl Consumer {
    /// Makes stream and group where they are not there. Says whether the group is new.
    pub(super) async fn ensure_group(&self, redis: &mut MultiplexedConnection) -> RedisResult<bool> {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg(&self.group).arg("0").arg("MKSTREAM");
        match create.query_async::<()>(redis).await {
            Ok(()) => Ok(true),
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits up to `block` for entries that nobody has read.
    pub(super) async fn read(
        &self,
        redis: &mut MultiplexedConnection,
        block: Duration,
    ) -> RedisResult<Vec<RawEntry>> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.group).arg(&self.name).arg("COUNT").arg(BATCH);
        read.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX));
        read.arg("STREAMS").arg(&self.stream).arg(">");
        Ok(streams(read.query_async(redis).await?))
    }

    /// Takes over entries that were read and not acknowledged, by whomever. `from` is a cursor. That is no
    /// delivery yet: what is delivered and then left by a crash counts against an entry, and must not count
    /// against those behind it.
    pub(super) async fn claim(
        &self,
        redis: &mut MultiplexedConnection,
        from: Option<&str>,
    ) -> RedisResult<Claimed> {
        let mut claim = redis::cmd("XAUTOCLAIM");
        claim.arg(&self.stream).arg(&self.group).arg(&self.name).arg(0);
        claim.arg(from.unwrap_or(START)).arg("COUNT").arg(BATCH).arg("JUSTID");
        let answer: Vec<Value> = claim.query_async(redis).await?;
        let mut parts = answer.into_iter();
        let cursor = parts.next().and_then(text).filter(|cursor| cursor != START);
        let ids = parts.next().map(redis::from_redis_value::<Vec<String>>).transpose()?.unwrap_or_default();
        let entries = ids.iter().filter_map(|id| id.parse().ok()).collect();
        Ok(Claimed { entries, cursor })
    }

    /// Has one of those delivered. `None`: it is no longer on the stream.
    pub(super) async fn deliver(
        &self,
        redis: &mut MultiplexedConnection,
        entry: EntryId,
    ) -> RedisResult<Option<RawEntry>> {
        let mut claim = redis::cmd("XCLAIM");
        claim.arg(&self.stream).arg(&self.group).arg(&self.name).arg(0).arg(entry.to_string());
        Ok(entries(claim.query_async(redis).await?).into_iter().next())
    }

    /// How many times an entry was delivered, this time included; 0 where it is not pending.
    pub(super) async fn deliveries(
        &self,
        redis: &mut MultiplexedConnection,
        entry: EntryId,
    ) -> RedisResult<u64> {
        let mut pending = redis::cmd("XPENDING");
        let id = entry.to_string();
        pending.arg(&self.stream).arg(&self.group).arg(&id).arg(&id).arg(1);
        let answer: Vec<(String, String, u64, u64)> = pending.query_async(redis).await?;
        Ok(answer.first().map_or(0, |(_, _, _, times)| *times))
    }
}

/// Entries of all streams in an answer; there is only one stream.
fn streams(answer: Value) -> Vec<RawEntry> {
    match answer {
        Value::Map(streams) => streams.into_iter().flat_map(|(_, of_stream)| entries(of_stream)).collect(),
        Value::Array(streams) => streams.into_iter().filter_map(second).flat_map(entries).collect(),
        _ => Vec::new(),
    }
}

fn second(pair: Value) -> Option<Value> {
    let Value::Array(pair) = pair else { return None };
    pair.into_iter().nth(1)
}

fn text(value: Value) -> Option<String> {
    redis::from_redis_value(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    #[test]
    fn p10_a_field_name_that_is_no_text_does_not_hide_the_other_entries() {
        let entry =
            |id: &[u8], name: &[u8]| Value::Array(vec![bulk(id), Value::Array(vec![bulk(name), bulk(b"v")])]);
        let of_stream = Value::Array(vec![entry(b"1-0", &[0xff]), Value::Nil, entry(b"2-0", b"type")]);
        let read = streams(Value::Array(vec![Value::Array(vec![bulk(b"events"), of_stream])]));
        assert_eq!(read.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>(), ["1-0", "2-0"]);
        assert_eq!(read[0].fields, [(vec![0xff], b"v".to_vec())]);
    }

    #[test]
    fn an_answer_without_entries_is_none() {
        assert!(streams(Value::Nil).is_empty());
    }
}
