use proptest::prelude::*;

use super::*;
use crate::line::{LinesBuilder, Source};

pub(in crate::store) fn appended_lines(worker: &str, first: u64, texts: &[&str]) -> Record {
    let mut builder = LinesBuilder::default();
    for text in texts {
        builder.push(1_700_000_000, Mark::new(Source::Stderr, 1), text.as_bytes(), Extra::default());
    }
    let worker = WorkerId::try_from(worker).unwrap();
    let change = appended(worker, false, first, Content::Lines(builder.finish()));
    Record { at_ns: 5, change }
}

fn round_trip(record: &Record) -> Record {
    let mut bytes = Vec::new();
    encode(record, &mut bytes);
    decode(bytes.into()).unwrap()
}

#[test]
fn every_kind_of_record_is_read_as_it_was_written() {
    let worker = WorkerId::try_from("w").unwrap();
    let registration = Registration {
        worker: worker.clone(),
        task: TaskId::try_from("t").unwrap(),
        attempt: 2,
        incarnation: Bytes::from_static(b"\x00\x01"),
        session_id: "s".into(),
        metadata: Arc::new(WorkerMetadata { pod_name: "p".into(), ..WorkerMetadata::default() }),
    };
    let closing = Closing { exit_code: Some(137), signal: 9, reason: "agent_gone".into() };
    let unknown = Closing { exit_code: None, signal: 0, ..closing.clone() };
    let state = WorkerState {
        numbering: Some(Numbering::Server),
        high: Sequence::new(9),
        lines: 5,
        bytes: 70,
        lost: 4,
        damaged: 1,
        trimmed: Sequence::new(3),
        closing: Some(closing.clone()),
        updated_ns: 8,
        ..WorkerState::new(registration.clone(), 7)
    };
    let gap = Content::Gap { last: Sequence::new(9), reason: "buffer_full".into() };
    for change in [
        Change::Registered(registration.clone()),
        Change::Closed { worker: worker.clone(), closing, last: Sequence::new(4) },
        Change::Closed { worker: worker.clone(), closing: unknown, last: Sequence::new(4) },
        appended(worker.clone(), true, 3, gap),
        Change::Trimmed { worker: worker.clone(), until: Sequence::new(3) },
        Change::Carried(Box::new(WorkerState::new(registration.clone(), 7))),
        Change::Carried(Box::new(state)),
        Change::Forgotten { worker },
    ] {
        let record = Record { at_ns: -7, change };
        assert_eq!(round_trip(&record), record);
    }
}

#[test]
fn places_that_no_line_can_have_are_refused() {
    let worker = WorkerId::try_from("w").unwrap();
    let gap = |first, last| {
        let content = Content::Gap { last: Sequence::new(last), reason: "buffer_full".into() };
        Record { at_ns: 0, change: appended(worker.clone(), false, first, content) }
    };
    for record in [gap(9, 3), gap(0, 3), gap(1, u64::MAX), appended_lines("w", u64::MAX, &["a", "b"])] {
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        assert!(decode(bytes.into()).is_err(), "{record:?}");
    }
}

proptest! {
    #[test]
    fn lines_are_read_as_they_were_written(
        lines in prop::collection::vec((any::<i64>(), 0_u8..3, 0_u32..4, any::<Vec<u8>>(), ".{0,5}"), 1..20),
    ) {
        let mut builder = LinesBuilder::default();
        for (time, source, flags, bytes, level) in &lines {
            let source = [Source::Stdout, Source::Stderr, Source::System][usize::from(*source)];
            let extra = Extra { level: level.clone(), ..Extra::default() };
            builder.push(*time, Mark::new(source, *flags), bytes, extra);
        }
        let worker = WorkerId::try_from("w").unwrap();
        let change = appended(worker, false, 1, Content::Lines(builder.finish()));
        let record = Record { at_ns: 0, change };
        prop_assert_eq!(round_trip(&record), record);
    }

    #[test]
    fn lines_that_are_written_from_their_columns_have_the_bytes_of_the_message(
        lines in prop::collection::vec((any::<i64>(), 0_u8..3, 0_u32..4, any::<Vec<u8>>()), 1..200),
        at_ns: i64,
        first in 1..=i64::MAX.cast_unsigned(),
        server_numbered: bool,
    ) {
        let mut builder = LinesBuilder::default();
        for (time, source, flags, bytes) in &lines {
            let source = [Source::Stdout, Source::Stderr, Source::System][usize::from(*source)];
            builder.push(*time, Mark::new(source, *flags), bytes, Extra::default());
        }
        let worker = WorkerId::try_from("w").unwrap();
        let change = appended(worker, server_numbered, first, Content::Lines(builder.finish()));
        let record = Record { at_ns, change };
        let (mut message, mut columns) = (Vec::new(), Vec::new());
        encode_message(&record, &mut message);
        encode(&record, &mut columns);
        prop_assert_eq!(message, columns);
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_read_but_never_panic(bytes: Vec<u8>) {
        let _read = decode(bytes.into());
    }
}
