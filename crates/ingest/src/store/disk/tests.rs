use super::super::record::tests::appended_lines;
use super::*;

fn open_and_collect(path: &Path) -> (Opened, Vec<Record>) {
    let mut records = Vec::new();
    let opened = open(path, &mut |record| records.push(record)).unwrap();
    (opened, records)
}

fn group(from: u64, to: u64) -> Vec<Record> {
    (from..=to).map(|n| appended_lines("w", n, &[&format!("line {n}")])).collect()
}

#[test]
fn p4_what_was_committed_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opened, _) = open_and_collect(dir.path());
    opened.store.commit(&group(1, 3)).unwrap();
    opened.store.commit(&group(4, 5)).unwrap();
    drop(opened);
    let (opened, records) = open_and_collect(dir.path());
    assert_eq!(records, group(1, 5));
    let worker = WorkerId::try_from("w").unwrap();
    let blocks = opened.reader.read(&worker, Sequence::new(3), usize::MAX).unwrap();
    assert_eq!(blocks.iter().map(|block| block.first.get()).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn p4_a_tail_torn_at_any_byte_opens_with_all_that_was_committed_before() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opened, _) = open_and_collect(dir.path());
    opened.store.commit(&group(1, 2)).unwrap();
    let committed = opened.store.size();
    opened.store.commit(&group(3, 3)).unwrap();
    let whole = opened.store.size();
    drop(opened);
    let segment = dir.path().join("0000000001.log");
    let bytes = std::fs::read(&segment).unwrap();
    for length in committed..whole {
        std::fs::write(&segment, &bytes[..usize::try_from(length).unwrap()]).unwrap();
        let (mut opened, records) = open_and_collect(dir.path());
        assert_eq!(records, group(1, 2), "torn at {length}");
        assert_eq!(opened.recovery.torn_bytes, length - committed);
        opened.store.commit(&group(3, 3)).unwrap();
        drop(opened);
        assert_eq!(open_and_collect(dir.path()).1, group(1, 3), "written again after {length}");
    }
}

#[test]
fn damage_before_the_end_is_reported_and_costs_no_other_record() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opened, _) = open_and_collect(dir.path());
    opened.store.commit(&group(1, 1)).unwrap();
    let first = usize::try_from(opened.store.size()).unwrap();
    opened.store.commit(&group(2, 3)).unwrap();
    opened.store.commit(&group(4, 4)).unwrap();
    drop(opened);
    let segment = dir.path().join("0000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[first + FRAME_HEAD + 3] ^= 0x40;
    std::fs::write(&segment, bytes).unwrap();
    let (opened, records) = open_and_collect(dir.path());
    assert_eq!((opened.recovery.damaged, opened.recovery.torn_bytes), (1, 0));
    assert_eq!(records, [group(1, 1), group(3, 4)].concat());
}

/// A power cut may lose any page of what was being written, and keep those behind it.
#[test]
fn p4_a_power_cut_inside_a_commit_keeps_no_line_without_those_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opened, _) = open_and_collect(dir.path());
    opened.store.commit(&group(1, 2)).unwrap();
    let committed = usize::try_from(opened.store.size()).unwrap();
    opened.store.commit(&group(3, 6)).unwrap();
    drop(opened);
    let segment = dir.path().join("0000000001.log");
    let whole = std::fs::read(&segment).unwrap();
    for lost in committed..whole.len() {
        let mut bytes = whole.clone();
        let end = whole.len().min(lost + 16);
        bytes[lost..end].fill(0);
        if bytes == whole {
            continue;
        }
        std::fs::write(&segment, bytes).unwrap();
        let (mut opened, records) = open_and_collect(dir.path());
        assert_eq!(records, group(1, records.len() as u64), "without {lost}..{end}");
        assert!((2..6).contains(&records.len()), "without {lost}..{end}");
        assert_eq!(opened.recovery.damaged, 0);
        let next = records.len() as u64 + 1;
        opened.store.commit(&group(next, 6)).unwrap();
        drop(opened);
        assert_eq!(open_and_collect(dir.path()).1, group(1, 6), "written again without {lost}..{end}");
    }
}

/// The lines are gone, but nobody is told that all of them are there.
#[test]
fn damage_at_the_end_of_a_closed_log_is_known_from_its_closing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opened, _) = open_and_collect(dir.path());
    let worker = WorkerId::try_from("w").unwrap();
    let registered = Change::Registered(crate::worker::Registration::recovered(worker.clone()));
    opened.store.commit(&[Record { at_ns: 0, change: registered }]).unwrap();
    opened.store.commit(&group(1, 1)).unwrap();
    let damaged = usize::try_from(opened.store.size()).unwrap();
    opened.store.commit(&group(2, 2)).unwrap();
    let closing = crate::worker::Closing { exit_code: 0, signal: 0, reason: "".into() };
    let closed = Change::Closed { worker, closing, last: Sequence::new(2) };
    opened.store.commit(&[Record { at_ns: 0, change: closed }]).unwrap();
    drop(opened);
    let segment = dir.path().join("0000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[damaged + FRAME_HEAD] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let mut states = HashMap::new();
    let _opened = open(dir.path(), &mut |record| crate::replay(&mut states, &record)).unwrap();
    let state = states.into_values().next().unwrap();
    assert_eq!((state.high, state.lines, state.lost), (Sequence::new(2), 1, 1));
    assert!(!state.is_complete());
}

#[test]
fn a_second_process_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open_and_collect(dir.path());
    let error = open(dir.path(), &mut |_| ()).err().unwrap();
    assert!(format!("{error:#}").contains("in use by another log-ingest"), "{error:#}");
}

/// A job may print what it likes, the store's own files included: what stands inside of a line is never
/// taken for a record, not even where the record around it is torn.
#[test]
fn a_frame_printed_by_a_job_is_never_taken_for_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let segment = dir.path().join("0000000001.log");
    let (mut opened, _) = open_and_collect(dir.path());
    opened.store.commit(&group(1, 2)).unwrap();
    let printed = std::fs::read(&segment).unwrap();
    let builder = |text: &[u8]| {
        let mut builder = crate::line::LinesBuilder::default();
        builder.push(0, crate::line::Mark::default(), text, crate::line::Extra::default());
        crate::line::Content::Lines(builder.finish())
    };
    let worker = WorkerId::try_from("w").unwrap();
    let block = Block { first: Sequence::new(3), content: builder(&printed) };
    let change = Change::Appended { worker, numbering: crate::worker::Numbering::Client, block };
    opened.store.commit(&[Record { at_ns: 0, change }]).unwrap();
    drop(opened);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 1]).unwrap();
    let (opened, records) = open_and_collect(dir.path());
    assert_eq!(records, group(1, 2));
    assert_eq!(opened.recovery.damaged, 0);
}

#[test]
fn a_store_of_another_version_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let segment = dir.path().join("0000000001.log");
    let before = b"OTTOLOG\0\x01\0\0\0\0\0\0\0 and records of that version";
    std::fs::write(&segment, before).unwrap();
    let error = open(dir.path(), &mut |_| ()).err().unwrap();
    assert!(format!("{error:#}").contains("no segment of this version"), "{error:#}");
    assert_eq!(std::fs::read(&segment).unwrap(), before);
}

#[test]
fn a_segment_that_a_crash_left_without_its_header_is_begun_again() {
    for length in 0..HEADER {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("0000000001.log"), &Seal::random().header()[..length]).unwrap();
        let (mut opened, records) = open_and_collect(dir.path());
        assert_eq!(records, []);
        opened.store.commit(&group(1, 2)).unwrap();
        drop(opened);
        assert_eq!(open_and_collect(dir.path()).1, group(1, 2), "header torn at {length}");
    }
}
