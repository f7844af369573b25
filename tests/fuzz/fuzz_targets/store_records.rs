//! A data directory whose frames are whole and hold anything: opening and reading it never panics, and what is
//! read are lines in order.
//!
//! Input: delimited payloads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use log_ingest::line::{Content, Sequence};
use log_ingest::store::fuzzing;
use ottoscaler_fuzz::delimited;

/// What was written stays one segment, as no index is made of what nobody has read.
const SEGMENT_BYTES: u64 = 64 << 20;

fuzz_target!(|input: &[u8]| {
    let directory = tempfile::tempdir().expect("it is in memory");
    fuzzing::write_segment(directory.path(), delimited(input)).expect("it is in memory");
    let (opened, states) = fuzzing::open(directory.path(), SEGMENT_BYTES)
        .expect("frames that are whole are no reason to refuse");
    let payloads = delimited(input).filter(|payload| !payload.is_empty()).count() as u64;
    assert_eq!(opened.recovery.records + opened.recovery.damaged, payloads);
    for (worker, state) in &states {
        for from in [Sequence::ZERO, Sequence::new(1), Sequence::new(2), state.high] {
            for block in opened.reader.read(worker, from, usize::MAX).expect("it was just opened") {
                assert!(block.last() >= from.max(block.first));
                if let Content::Lines(lines) = &block.content {
                    let bytes: usize = lines.iter().map(|line| line.bytes.len()).sum();
                    assert_eq!(bytes, lines.bytes());
                }
                // As every reader takes it apart.
                let _ = block.starting_at(from).ending_at(state.high.max(from)).split_first(1, 1);
            }
        }
    }
});
