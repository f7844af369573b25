mod damage;
mod faulty;
mod indexes;
mod missing;
mod opening;
mod retention;
mod tasks;

use super::super::record::tests::appended_lines;
use super::super::segment::FRAME_HEAD;
use super::super::{DAMAGED, LogReader};
use super::*;
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::worker::{Change, WorkerState};

/// Small, so that a few lines fill several.
const SMALL_SEGMENT: u64 = 512;

fn worker(name: &str) -> WorkerId {
    WorkerId::try_from(name).unwrap()
}

/// The log of a worker, read piece by piece.
fn read_all(reader: &dyn LogReader, name: &str) -> Vec<Block> {
    read_from(reader, name, Sequence::new(1))
}

/// The same from a line on.
fn read_from(reader: &dyn LogReader, name: &str, first: Sequence) -> Vec<Block> {
    let (mut blocks, mut next) = (Vec::new(), first);
    loop {
        let read = reader.read(&worker(name), next, 100).unwrap();
        let Some(last) = read.last() else { return blocks };
        next = last.last().next();
        blocks.extend(read);
    }
}

/// What a store holds of the worker `w`.
fn open_and_collect(path: &Path) -> (Opened, Vec<Block>) {
    let opened = open(path, SEGMENT_BYTES, Damage::default()).unwrap();
    let blocks = read_all(&*opened.reader, "w");
    (opened, blocks)
}

/// The same with segments of which a few records fill one.
fn open_small(path: &Path, damage: &Damage) -> Opened {
    let files = Arc::new(Directory::open(path).unwrap());
    let (store, shared) = open_files(files, SMALL_SEGMENT, damage.clone()).unwrap();
    shared.of(store)
}

fn blocks(records: &[Record]) -> Vec<Block> {
    let block = |record: &Record| match &record.change {
        Change::Appended { block, .. } => Some(block.clone()),
        _ => None,
    };
    records.iter().filter_map(block).collect()
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
    assert_eq!(records, blocks(&group(1, 5)));
    let read = opened.reader.read(&worker("w"), Sequence::new(3), usize::MAX).unwrap();
    assert_eq!(read.iter().map(|block| block.first.get()).collect::<Vec<_>>(), [3, 4, 5]);
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
        assert_eq!(records, blocks(&group(1, 2)), "torn at {length}");
        assert_eq!(opened.recovery.torn_bytes, length - committed);
        opened.store.commit(&group(3, 3)).unwrap();
        drop(opened);
        assert_eq!(open_and_collect(dir.path()).1, blocks(&group(1, 3)), "written again after {length}");
    }
}

#[test]
fn p4_nothing_is_committed_to_a_file_that_was_removed_or_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (data, away) = (dir.path().join("data"), dir.path().join("away"));
    let (mut opened, _) = open_and_collect(&data);
    opened.store.commit(&group(1, 2)).unwrap();
    std::fs::rename(&data, &away).unwrap();
    for is_replaced in [false, true] {
        if is_replaced {
            std::fs::create_dir(&data).unwrap();
            std::fs::copy(away.join("0000000001.log"), data.join("0000000001.log")).unwrap();
        }
        assert!(matches!(opened.store.check(), Err(CommitError::Gone(_))), "{is_replaced}");
        let refused = opened.store.commit(&group(3, 3));
        assert!(matches!(refused, Err(CommitError::Gone(_))), "{is_replaced}: {refused:?}");
    }
    // What was put aside and comes back is the same file, and goes on.
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&away, &data).unwrap();
    opened.store.commit(&group(3, 3)).unwrap();
    drop(opened);
    assert_eq!(open_and_collect(&data).1, blocks(&group(1, 3)));
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
    assert_eq!(records, blocks(&[group(1, 1), group(3, 4)].concat()));
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
        assert_eq!(records, blocks(&group(1, records.len() as u64)), "without {lost}..{end}");
        assert!((2..6).contains(&records.len()), "without {lost}..{end}");
        assert_eq!(opened.recovery.damaged, 0);
        let next = records.len() as u64 + 1;
        opened.store.commit(&group(next, 6)).unwrap();
        drop(opened);
        assert_eq!(
            open_and_collect(dir.path()).1,
            blocks(&group(1, 6)),
            "written again without {lost}..{end}"
        );
    }
}

/// The lines are gone, but nobody is told that all of them are there.
#[test]
fn damage_at_the_end_of_a_closed_log_is_known_from_its_closing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opened, _) = open_and_collect(dir.path());
    let worker = worker("w");
    let registered = Change::Registered(crate::worker::Registration::recovered(worker.clone()));
    opened.store.commit(&[Record { at_ns: 0, change: registered }]).unwrap();
    opened.store.commit(&group(1, 1)).unwrap();
    let damaged = usize::try_from(opened.store.size()).unwrap();
    opened.store.commit(&group(2, 2)).unwrap();
    let closing = crate::worker::Closing { exit_code: Some(0), signal: 0, reason: "".into() };
    let closed = Change::Closed { worker, closing, last: Sequence::new(2) };
    opened.store.commit(&[Record { at_ns: 0, change: closed }]).unwrap();
    drop(opened);
    let segment = dir.path().join("0000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[damaged + FRAME_HEAD] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let state = open_and_collect(dir.path()).0.states.remove(0);
    assert_eq!((state.high, state.lines, state.lost), (Sequence::new(2), 1, 1));
    assert!(!state.is_complete());
}

#[test]
fn a_second_process_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open_and_collect(dir.path());
    let error = open(dir.path(), SEGMENT_BYTES, Damage::default()).err().unwrap();
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
    let worker = worker("w");
    let block = Block { first: Sequence::new(3), content: builder(&printed) };
    let change = Change::Appended { worker, numbering: crate::worker::Numbering::Client, block };
    opened.store.commit(&[Record { at_ns: 0, change }]).unwrap();
    drop(opened);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 1]).unwrap();
    let (opened, records) = open_and_collect(dir.path());
    assert_eq!(records, blocks(&group(1, 2)));
    assert_eq!(opened.recovery.damaged, 0);
}

#[test]
fn a_store_of_another_version_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let segment = dir.path().join("0000000001.log");
    let before = b"OTTOLOG\0\x01\0\0\0\0\0\0\0 and records of that version";
    std::fs::write(&segment, before).unwrap();
    let error = open(dir.path(), SEGMENT_BYTES, Damage::default()).err().unwrap();
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
        assert_eq!(open_and_collect(dir.path()).1, blocks(&group(1, 2)), "header torn at {length}");
    }
}

/// Records of two workers in several segments, and what is known of them in the end.
fn fill(path: &Path) -> (Vec<Record>, Vec<WorkerState>) {
    let mut opened = open_small(path, &Damage::default());
    let mut records = Vec::new();
    for n in 1..=40 {
        let group = vec![
            appended_lines("w", n, &[&format!("line {n}")]),
            appended_lines("other", n, &[&format!("other {n}")]),
        ];
        opened.store.commit(&group).unwrap();
        records.extend(group);
    }
    (records, states(path))
}

/// By name, so that they can be compared.
fn states(path: &Path) -> Vec<WorkerState> {
    let mut states = open_small(path, &Damage::default()).states;
    states.sort_by(|a, b| a.registration.worker.cmp(&b.registration.worker));
    states
}

fn of(name: &str, records: &[Record]) -> Vec<Block> {
    let records: Vec<_> =
        records.iter().filter(|record| record.change.worker() == &worker(name)).cloned().collect();
    blocks(&records)
}

fn files(path: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort();
    files
}

fn flip(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn a_read_begins_at_any_line_and_ends_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let opened = open_small(dir.path(), &Damage::default());
    let all = of("w", &records);
    for from in 0..=41 {
        for limit in [1, 200, usize::MAX] {
            let read = opened.reader.read(&worker("w"), Sequence::new(from), limit).unwrap();
            let start = usize::try_from(from.max(1)).unwrap() - 1;
            assert_eq!(read, all[start..start + read.len()], "from {from}");
            let expected = if limit == 1 { usize::from(from < 41) } else { read.len() };
            assert_eq!(read.len(), expected, "from {from}");
            assert!(limit < usize::MAX || start + read.len() == 40, "from {from}");
        }
    }
}

#[test]
fn a_store_of_format_3_that_has_no_indexes_opens_and_reads_line_for_line() {
    let dir = tempfile::tempdir().unwrap();
    for file in files(&fixture::path(), "log") {
        std::fs::copy(&file, dir.path().join(file.file_name().unwrap())).unwrap();
    }
    let mut expected = std::collections::HashMap::new();
    let records: Vec<_> = fixture::groups().concat();
    for record in &records {
        let known = expected.entry(record.change.worker().clone());
        known
            .and_modify(|state: &mut WorkerState| state.apply(record))
            .or_insert_with(|| WorkerState::first(record));
    }
    // The second time by the indexes that the first made.
    for _ in 0..2 {
        let opened = open(dir.path(), SEGMENT_BYTES, Damage::default()).unwrap();
        assert_eq!((opened.recovery.damaged, opened.recovery.torn_bytes), (0, 0));
        assert_eq!(opened.recovery.records, records.len() as u64);
        assert_eq!(opened.states.len(), expected.len());
        for state in &opened.states {
            let name = state.registration.worker.as_str();
            assert_eq!(*state, expected[&state.registration.worker]);
            assert_eq!(read_all(&*opened.reader, name), of(name, &records));
        }
        drop(opened);
        assert_eq!(files(dir.path(), "idx").len(), 2);
    }
}
