//! The fields of an encoded `LogEntry`, read where they lie: a line costs no allocation of its own.
//!
//! It reads what clients usually send. Whatever else protobuf allows, and whatever is wrong, it leaves to prost,
//! so that there is one judge of what a message is.

use ottoscaler_proto::v1::LogEntry;
use prost::{DecodeError, Message};

use super::entry::Entry;

/// Keys of fields: the number, and how the value is encoded.
mod key {
    pub(super) const WORKER_ID: u8 = text(1);
    pub(super) const TASK_ID: u8 = text(2);
    pub(super) const TIMESTAMP: u8 = text(3);
    pub(super) const LEVEL: u8 = text(4);
    pub(super) const SOURCE: u8 = text(5);
    pub(super) const MESSAGE: u8 = text(6);
    pub(super) const SEQUENCE: u8 = 8 << 3;
    pub(super) const RAW: u8 = text(9);
    pub(super) const FLAGS: u8 = 10 << 3;

    const fn text(number: u8) -> u8 {
        number << 3 | 2
    }
}

/// Gives `take` the entry that these bytes are.
pub fn with_entry<T>(encoded: &[u8], take: impl FnOnce(&Entry<'_>) -> T) -> Result<T, DecodeError> {
    if let Some(entry) = walk(encoded) {
        return Ok(take(&entry));
    }
    let decoded = LogEntry::decode(encoded)?;
    Ok(take(&Entry::from(&decoded)))
}

/// None where it is not for this to say what it is.
fn walk(encoded: &[u8]) -> Option<Entry<'_>> {
    let mut entry = Entry::default();
    let mut rest = encoded;
    while let [key, value @ ..] = rest {
        rest = value;
        match *key {
            key::WORKER_ID => entry.worker_id = text(&mut rest)?,
            key::TASK_ID => entry.task_id = text(&mut rest)?,
            key::TIMESTAMP => entry.timestamp = text(&mut rest)?,
            key::LEVEL => entry.level = text(&mut rest)?,
            key::SOURCE => entry.source = text(&mut rest)?,
            key::MESSAGE => entry.message = text(&mut rest)?,
            key::SEQUENCE => entry.sequence = varint(&mut rest)?.cast_signed(),
            key::RAW => entry.raw = bytes(&mut rest)?,
            // As prost does: what is too large for the field loses its upper bits.
            #[allow(clippy::cast_possible_truncation, reason = "see above")]
            key::FLAGS => entry.flags = varint(&mut rest)? as u32,
            _ => return None,
        }
    }
    Some(entry)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (at, byte) in rest.iter().take(10).enumerate() {
        // Of the tenth byte there is room for one bit.
        if at == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *rest = &rest[at + 1..];
            return Some(value);
        }
    }
    None
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(bytes(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use ottoscaler_proto::v1::Gap;
    use proptest::collection::{hash_map, vec};
    use proptest::prelude::*;

    use super::*;

    /// Whether the entry is to this what it is to prost.
    fn is_read_as_prost_reads_it(encoded: &[u8]) -> bool {
        let decoded = LogEntry::decode(encoded);
        let same =
            with_entry(encoded, |entry| decoded.as_ref().is_ok_and(|decoded| *entry == decoded.into()));
        same.unwrap_or(decoded.is_err())
    }

    fn gap() -> impl Strategy<Value = Option<Gap>> {
        let gap = (any::<i64>(), ".{0,5}").prop_map(|(last_sequence, reason)| Gap { last_sequence, reason });
        prop_oneof![4 => Just(None), 1 => gap.prop_map(Some)]
    }

    prop_compose! {
        fn entry()(
            texts in vec(".{0,200}", 6),
            metadata in hash_map(".{0,5}", ".{0,5}", 0..2),
            sequence: i64,
            raw in vec(any::<u8>(), 0..5),
            flags: u32,
            gap in gap(),
        ) -> LogEntry {
            let [worker_id, task_id, timestamp, level, source, message] = texts.try_into().unwrap();
            let raw = raw.into();
            LogEntry { worker_id, task_id, timestamp, level, source, message, metadata, sequence, raw, flags, gap }
        }
    }

    #[test]
    fn what_clients_usually_send_is_read_where_it_lies() {
        let entry = LogEntry {
            worker_id: "w".into(),
            task_id: "t".into(),
            timestamp: "2026-01-02T03:04:05Z".into(),
            level: "info".into(),
            source: "stderr".into(),
            message: "x".repeat(300),
            sequence: i64::MAX,
            raw: vec![0xff].into(),
            flags: 3,
            ..LogEntry::default()
        };
        let encoded = entry.encode_to_vec();
        let walked = walk(&encoded).expect("it is as usual as it can be");
        assert_eq!((walked.sequence, walked.message.len(), walked.raw), (i64::MAX, 300, &[0xff][..]));
    }

    proptest! {
        #[test]
        fn entries_are_read_as_prost_reads_them(entry in entry()) {
            let encoded = entry.encode_to_vec();
            prop_assert_eq!(LogEntry::decode(&*encoded), Ok(entry));
            prop_assert!(is_read_as_prost_reads_it(&encoded));
        }

        /// Fields twice, unknown ones, long varints, wrong wire types, what is cut off.
        #[test]
        fn what_is_wrong_or_odd_in_an_entry_is_left_to_prost(
            entry in entry(),
            at: prop::sample::Index,
            garbage in vec(any::<u8>(), 0..12),
            cut: prop::sample::Index,
        ) {
            let mut encoded = entry.encode_to_vec();
            encoded.splice(at.index(encoded.len() + 1).., garbage.iter().copied());
            prop_assert!(is_read_as_prost_reads_it(&encoded));
            let mut encoded = [garbage, entry.encode_to_vec()].concat();
            prop_assert!(is_read_as_prost_reads_it(&encoded));
            encoded.truncate(cut.index(encoded.len() + 1));
            prop_assert!(is_read_as_prost_reads_it(&encoded));
        }

        #[test]
        fn arbitrary_bytes_are_what_prost_takes_them_for(bytes: Vec<u8>) {
            prop_assert!(is_read_as_prost_reads_it(&bytes));
        }
    }
}
