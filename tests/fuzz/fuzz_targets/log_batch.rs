//! `LogBatch` → items: never a panic, and what is accepted is the batch's lines, each at its place, cut nowhere,
//! stored and read back the same.
//!
//! Input: a `LogBatch`.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use log_ingest::ids::{TaskId, WorkerId};
use log_ingest::line::{Block, Content, Line, Sequence};
use log_ingest::parse::{Limits, batch};
use log_ingest::session::{Offer, decide};
use log_ingest::store::fuzzing::stored;
use log_ingest::worker::{Change, Numbering, Record, Registration, WorkerState};
use ottoscaler_proto::v1::LogBatch;
use prost::Message;

const LIMITS: Limits = Limits { max_line: 16 };

/// When it is received.
const NOW_NS: i64 = 7;

fuzz_target!(|input: &[u8]| {
    let Ok(batch) = LogBatch::decode(Bytes::copy_from_slice(input)) else { return };
    assert_eq!(LogBatch::decode(&*batch.encode_to_vec()).as_ref(), Ok(&batch));
    let parsed = match batch::parse(batch.clone(), LIMITS, NOW_NS) {
        Ok(parsed) => parsed,
        Err(refused) => {
            assert!(refused.message().starts_with("reason="), "{refused:?}");
            return;
        }
    };
    assert_eq!(parsed.worker.as_str(), batch.worker_id);
    let mut state = WorkerState::new(registration(&parsed.worker), 0);
    // The worker has what comes before the batch.
    state.high = Sequence::from_wire(batch.first_sequence - 1).expect("it was accepted");
    let mut at = 0;
    for item in parsed.items {
        assert_eq!(item.first, Some(state.high.next()), "items follow one another");
        match &item.offer {
            Offer::Lines(lines) => {
                assert!(!lines.is_empty());
                for line in lines.iter() {
                    check(&batch, at, line);
                    at += 1;
                }
            }
            Offer::Unstorable(_) => {
                assert!(batch.lengths[at] as usize > LIMITS.max_line);
                at += 1;
            }
            Offer::Gap { last, .. } => {
                assert_eq!(batch.gap.as_ref().map(|gap| gap.last_sequence), Some(last.to_wire()))
            }
        }
        let block = decide(&state, item).store.expect("it is new, and directly behind the mark");
        store(&mut state, &parsed.worker, block);
    }
    assert_eq!(at, batch.lengths.len(), "each line is in one item");
});

/// The line is what the columns say of it.
fn check(batch: &LogBatch, at: usize, line: Line<'_>) {
    let start: usize = batch.lengths[..at].iter().map(|length| *length as usize).sum();
    let length = batch.lengths[at] as usize;
    assert!(length <= LIMITS.max_line);
    assert_eq!(line.bytes, &batch.data[start..start + length]);
    let deltas = batch.time_deltas_ns.iter().take(at + 1);
    let time_ns = deltas.fold(batch.base_time_ns, |time, delta| time.wrapping_add(*delta));
    assert_eq!(line.time_ns, if batch.base_time_ns == 0 { NOW_NS } else { time_ns });
    let flags = batch.flags.get(at).or(batch.flags.first()).copied().unwrap_or_default();
    assert_eq!(line.mark.flags(), flags & 0b11);
}

/// Stores the block and reads it back.
fn store(state: &mut WorkerState, worker: &WorkerId, block: Block) {
    if let Content::Gap { last, .. } = &block.content {
        assert!(block.first <= *last);
    }
    let change = Change::Appended { worker: worker.clone(), numbering: Numbering::Client, block };
    let record = Record { at_ns: NOW_NS, change };
    assert_eq!(stored(&record).as_ref(), Some(&record));
    state.apply(&record);
}

fn registration(worker: &WorkerId) -> Registration {
    let metadata = std::sync::Arc::default();
    let (task, session_id) = (TaskId::from(worker), "session".into());
    Registration { worker: worker.clone(), task, attempt: 0, incarnation: Bytes::new(), session_id, metadata }
}
