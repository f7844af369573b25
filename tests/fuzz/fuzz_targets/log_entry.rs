//! `LogEntry`s → items: never a panic, each entry is what prost says it is, and it has one answer, whose place
//! holds the entry's own line.
//!
//! Input: delimited `LogEntry`s.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_ingest::parse::Limits;
use log_ingest::parse::entry::{Entry, Items, Place};
use log_ingest::parse::walk::with_entry;
use log_ingest::session::{Item, Offer};
use ottoscaler_fuzz::messages;
use ottoscaler_proto::v1::LogEntry;
use prost::Message;

const LIMITS: Limits = Limits { max_line: 16 };

/// When they are received.
const NOW_NS: i64 = 7;

fuzz_target!(|input: &[u8]| {
    let entries: Vec<LogEntry> = messages(input);
    let mut items = Items::default();
    for entry in &entries {
        if let Ok((worker, task)) = Entry::from(entry).identity() {
            assert_eq!(worker.as_str(), entry.worker_id);
            assert_eq!(
                task.as_str(),
                if entry.task_id.is_empty() { &entry.worker_id } else { &entry.task_id }
            );
        }
        let pushed = with_entry(&entry.encode_to_vec(), |entry| items.push(entry, LIMITS, NOW_NS));
        pushed.expect("it is one");
    }
    let (items, places) = items.finish();
    let mut answered = entries.iter();
    for place in places {
        match place {
            Place::Item(item, offsets) => {
                for offset in offsets {
                    check(answered.next().expect("an entry for each answer"), &items[item], offset);
                }
            }
            Place::Refused(..) => {
                let entry = answered.next().expect("an entry for each answer");
                assert!(entry.sequence <= 0, "a numbered entry has to take up its place");
            }
        }
    }
    assert_eq!(answered.next(), None, "an answer for each entry");
    as_prost_reads_it(input);
});

/// The bytes as one message.
fn as_prost_reads_it(encoded: &[u8]) {
    let decoded = LogEntry::decode(encoded);
    let as_decoded = |entry: &Entry<'_>| assert_eq!(Some(*entry), decoded.as_ref().ok().map(Entry::from));
    assert_eq!(with_entry(encoded, as_decoded).is_ok(), decoded.is_ok());
}

fn check(entry: &LogEntry, item: &Item, offset: u64) {
    let first = item.first.map(|first| first.plus(offset).to_wire());
    assert_eq!(first.unwrap_or(0), entry.sequence);
    match &item.offer {
        Offer::Lines(lines) => {
            let line = lines.iter().nth(usize::try_from(offset).expect("few")).expect("it is there");
            let bytes = if entry.raw.is_empty() { entry.message.as_bytes() } else { &entry.raw };
            assert_eq!(line.bytes, bytes);
            assert!(bytes.len() <= LIMITS.max_line);
            assert_eq!(line.source(), if entry.source.is_empty() { "stdout" } else { &entry.source });
        }
        Offer::Gap { last, .. } => {
            assert_eq!(entry.gap.as_ref().map(|gap| gap.last_sequence), Some(last.to_wire()))
        }
        Offer::Unstorable(_) => assert_eq!(offset, 0),
    }
}
