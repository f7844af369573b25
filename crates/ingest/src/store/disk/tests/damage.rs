//! Damage and full disks: they cost what stood there, and never the start.

use super::faulty::Faulty;
use super::*;

fn open_faulty(files: &Arc<Faulty>, segment_bytes: u64, damage: &Damage) -> Opened {
    let files: Arc<dyn Files> = Arc::clone(files) as Arc<dyn Files>;
    let (store, shared) = open_files(files, segment_bytes, damage.clone()).unwrap();
    shared.of(store)
}

/// Blocks of about 500 bytes, a dozen of 10 KiB segments.
fn fill_large(path: &Path) -> (Vec<Record>, u64) {
    const SEGMENT: u64 = 10 << 10;
    let files = Faulty::open(path);
    let mut opened = open_faulty(&files, SEGMENT, &Damage::default());
    let text = "x".repeat(480);
    let records: Vec<_> = (1..=250).map(|n| appended_lines("w", n, &[&format!("{n} {text}")])).collect();
    for record in &records {
        opened.store.commit(std::slice::from_ref(record)).unwrap();
    }
    (records, SEGMENT)
}

/// Those of `all` that are not there, and the rest is as it was written.
fn missing(opened: &Opened, all: &[Record]) -> Vec<u64> {
    let read = read_all(&*opened.reader, "w");
    let missing: Vec<_> = blocks(all).into_iter().filter(|block| !read.contains(block)).collect();
    missing.iter().map(|block| block.first.get()).collect()
}

#[test]
fn what_the_disk_cannot_give_back_of_a_sealed_segment_costs_its_lines_and_not_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (records, segment) = fill_large(dir.path());
    let files = Faulty::open(dir.path());
    // Without an index, so that the segment has to be read.
    files.remove_index(2).unwrap();
    files.lose(2, 4200..4300);
    let opened = open_faulty(&files, segment, &Damage::default());
    assert_eq!((opened.recovery.damaged, opened.recovery.torn_bytes), (1, 0));
    let missing = missing(&opened, &records);
    // A page, and the two blocks that reach into it.
    assert!((8..=10).contains(&missing.len()), "{missing:?}");
    assert!(missing.is_sorted_by(|a, b| a + 1 == *b), "{missing:?}");
    assert_eq!(opened.states[0].high.get(), 250);
}

#[test]
fn a_damaged_header_is_told_and_the_index_knows_what_stood_there() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let log = files(dir.path(), "log").remove(1);
    let whole = std::fs::read(&log).unwrap();
    for at in 0..HEADER {
        flip(&log, at);
        let damage = Damage::default();
        let opened = open_small(dir.path(), &damage);
        assert_eq!((opened.recovery.damaged, opened.recovery.records), (1, records.len() as u64), "{at}");
        assert_eq!(read_all(&*opened.reader, "w"), of("w", &records), "{at}");
        assert_eq!(damage.found(), 0);
        std::fs::write(&log, &whole).unwrap();
    }
    let unreadable = Faulty::open(dir.path());
    unreadable.lose(2, 0..10);
    let opened = open_faulty(&unreadable, SMALL_SEGMENT, &Damage::default());
    assert_eq!((opened.recovery.damaged, opened.recovery.records), (1, records.len() as u64));
}

/// The directory of the index is damaged as well, but not what it begins with.
#[test]
fn a_segment_with_a_damaged_header_is_read_by_the_seal_of_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let (records, before) = fill(dir.path());
    flip(&files(dir.path(), "log")[1], 9);
    let index = &files(dir.path(), "idx")[1];
    flip(index, std::fs::read(index).unwrap().len() - 1);
    let opened = open_small(dir.path(), &Damage::default());
    assert_eq!(read_all(&*opened.reader, "w"), of("w", &records));
    drop(opened);
    assert_eq!(states(dir.path()), before);
}

#[test]
fn a_segment_that_nobody_can_read_any_more_costs_its_lines_and_not_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let log = files(dir.path(), "log").remove(1);
    flip(&log, 9);
    std::fs::remove_file(&files(dir.path(), "idx")[1]).unwrap();
    let before = std::fs::read(&log).unwrap();
    for _ in 0..2 {
        let mut opened = open_small(dir.path(), &Damage::default());
        assert_eq!(opened.recovery.damaged, 1, "told at each start");
        let missing = missing(
            &opened,
            &records.iter().filter(|r| r.change.worker() == &worker("w")).cloned().collect::<Vec<_>>(),
        );
        assert!(!missing.is_empty() && missing.len() < 10, "{missing:?}");
        assert!(
            opened.store.retain().unwrap().parts().iter().any(|part| part.number == 2),
            "retention will come to it"
        );
        assert_eq!(std::fs::read(&log).unwrap(), before, "as it was");
    }
}

/// Whatever of the index is damaged behind what it begins with: that alone knows the seal.
#[test]
fn p4_a_segment_with_a_damaged_header_keeps_its_index_however_damaged() {
    let length = {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        std::fs::metadata(&files(dir.path(), "idx")[1]).unwrap().len()
    };
    for at in (56..usize::try_from(length).unwrap()).step_by(5) {
        let dir = tempfile::tempdir().unwrap();
        let (records, before) = fill(dir.path());
        // It looks like another version's.
        flip(&files(dir.path(), "log")[1], 7);
        flip(&files(dir.path(), "idx")[1], at);
        for _ in 0..3 {
            let opened = open_small(dir.path(), &Damage::default());
            assert_eq!(read_all(&*opened.reader, "w"), of("w", &records), "{at}");
        }
        assert_eq!(states(dir.path()), before, "{at}");
    }
}

/// It is the last one where those behind it are gone. The header may look like another version's.
#[test]
fn p4_a_last_segment_whose_seal_its_index_alone_knows_is_read_at_each_start() {
    let two_segments = || {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        for kind in ["log", "idx"] {
            for file in files(dir.path(), kind).iter().skip(2) {
                std::fs::remove_file(file).unwrap();
            }
        }
        dir
    };
    let whole = read_all(&*open_small(two_segments().path(), &Damage::default()).reader, "w");
    assert!(whole.len() > 6, "{whole:?}");
    for at in 0..HEADER {
        let dir = two_segments();
        flip(&files(dir.path(), "log")[1], at);
        let mut expected = whole.clone();
        for _ in 0..3 {
            let mut opened = open_small(dir.path(), &Damage::default());
            assert_eq!(read_all(&*opened.reader, "w"), expected, "{at}");
            assert_eq!(opened.recovery.damaged, 1, "{at}: told at each start");
            let record = appended_lines("w", expected.last().unwrap().last().next().get(), &["after it"]);
            opened.store.commit(std::slice::from_ref(&record)).unwrap();
            expected.extend(blocks(&[record]));
        }
    }
}

#[test]
fn p4_a_last_segment_that_nobody_can_read_costs_its_lines_and_neither_the_start_nor_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let log = files(dir.path(), "log").pop().unwrap();
    flip(&log, 9);
    let before = std::fs::read(&log).unwrap();
    let all = of("w", &records);
    let mut expected = None;
    for _ in 0..3 {
        let mut opened = open_small(dir.path(), &Damage::default());
        assert_eq!(opened.recovery.damaged, 1, "told at each start");
        let read = read_all(&*opened.reader, "w");
        let lines = expected.get_or_insert_with(|| read.clone());
        assert_eq!(read, *lines);
        let next = lines.last().unwrap().last().next().get();
        let record = appended_lines("w", next, &["after it"]);
        opened.store.commit(std::slice::from_ref(&record)).unwrap();
        lines.extend(blocks(&[record]));
        assert_eq!(read_all(&*opened.reader, "w"), *lines, "the next segment takes lines");
        assert_eq!(std::fs::read(&log).unwrap(), before, "as it was");
    }
    let kept = expected.unwrap().len() - 3;
    assert!((30..40).contains(&kept) && all.len() == 40, "{kept} lines stand in the others");
}

#[test]
fn p4_a_last_segment_of_another_version_stops_the_start_and_is_left_alone() {
    // One that holds nothing yet as well.
    for length in [HEADER, usize::MAX] {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let log = files(dir.path(), "log").pop().unwrap();
        let mut bytes = std::fs::read(&log).unwrap();
        bytes[7] += 1;
        bytes.truncate(length);
        std::fs::write(&log, &bytes).unwrap();
        let files = Arc::new(Directory::open(dir.path()).unwrap());
        let opened = open_files(files, SMALL_SEGMENT, Damage::default());
        let error = opened.err().expect("it is not to be read").to_string();
        assert!(error.contains("no segment of this version"), "{error}");
        assert_eq!(std::fs::read(&log).unwrap(), bytes);
    }
}

#[test]
fn nothing_more_is_written_to_a_segment_on_a_bad_place_of_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let files = Faulty::open(path);
    let mut opened = open_faulty(&files, SEGMENT_BYTES, &Damage::default());
    let text = "x".repeat(900);
    let record = |n: u64| appended_lines("w", n, &[&format!("{n} {text}")]);
    for n in 1..=20 {
        opened.store.commit(&[record(n)]).unwrap();
    }
    drop(opened);
    let length = std::fs::metadata(path.join("0000000001.log")).unwrap().len();
    files.lose(1, length - 10..length);
    for at in 0..2 {
        let mut opened = open_faulty(&files, SEGMENT_BYTES, &Damage::default());
        assert_eq!(opened.recovery.damaged, 1 - at, "by then it is sealed, and not read");
        let high = opened.states[0].high.get();
        assert!((14..20).contains(&high), "{high}");
        if at == 0 {
            opened.store.commit(&[record(high + 1)]).unwrap();
        }
        let read = read_all(&*opened.reader, "w");
        assert_eq!(read, blocks(&(1..=high + 1 - at).map(record).collect::<Vec<_>>()));
    }
}

#[test]
fn p6_a_full_disk_does_not_keep_a_store_without_an_index_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    let (records, before) = fill(dir.path());
    let index = files(dir.path(), "idx").remove(1);
    let whole = std::fs::read(&index).unwrap();
    std::fs::remove_file(&index).unwrap();
    let files = Faulty::open(dir.path());
    files.fill(true);
    let damage = Damage::default();
    let mut opened = open_faulty(&files, SMALL_SEGMENT, &damage);
    assert_eq!(opened.recovery.damaged, 0);
    assert!(opened.store.catch_up().is_err() && !index.exists());
    for name in ["w", "other"] {
        assert_eq!(read_all(&*opened.reader, name), of(name, &records));
    }
    files.fill(false);
    opened.store.catch_up().unwrap();
    assert_eq!(std::fs::read(&index).unwrap().len(), whole.len());
    assert_eq!(read_all(&*opened.reader, "w"), of("w", &records));
    drop(opened);
    assert_eq!((damage.found(), states(dir.path())), (0, before));
}

/// Where a block is damaged that was read by way of a rescue, its place is known still, and nothing is read again.
#[test]
fn two_damaged_indexes_are_both_looked_past_without_reading_their_segments_again() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let damage = Damage::default();
    let running = open_small(dir.path(), &damage);
    let (logs, indexes) = (files(dir.path(), "log"), files(dir.path(), "idx"));
    for index in &indexes[1..=2] {
        flip(index, 60);
    }
    assert_eq!(read_all(&*running.reader, "w"), of("w", &records));
    flip(&logs[1], HEADER);
    let read = read_all(&*running.reader, "w");
    let is_gap = |block: &&Block| matches!(block.content, Content::Gap { .. });
    assert_eq!((read.len(), read.iter().filter(is_gap).count()), (40, 1));
}

/// What a kernel makes of a disk with errors: the damaged index stays where it is.
#[test]
fn a_damaged_index_that_cannot_be_removed_fails_no_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let (files, damage) = (Faulty::open(dir.path()), Damage::default());
    let running = open_faulty(&files, SMALL_SEGMENT, &damage);
    let index = dir.path().join("0000000002.idx");
    flip(&index, 60);
    files.remount_read_only();
    // It is the page of one of the two.
    for name in ["w", "other", "w", "other"] {
        assert_eq!(read_all(&*running.reader, name), of(name, &records));
    }
    assert!(index.exists());
    assert_eq!(damage.found(), 1, "and it is told once");
}

#[test]
fn p5_a_damaged_block_is_a_gap_of_its_worker_alone_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let damage = Damage::default();
    let running = open_small(dir.path(), &damage);
    let log = files(dir.path(), "log").remove(1);
    let whole = std::fs::read(&log).unwrap();
    for at in HEADER..whole.len() {
        flip(&log, at);
        let mut gaps = 0;
        for name in ["w", "other"] {
            for (read, written) in read_all(&*running.reader, name).iter().zip(of(name, &records)) {
                if *read != written {
                    let content = Content::Gap { last: written.last(), reason: DAMAGED.into() };
                    assert_eq!(*read, Block { first: written.first, content }, "byte {at}");
                    gaps += 1;
                }
            }
        }
        assert_eq!(gaps, 1, "byte {at}");
        std::fs::write(&log, &whole).unwrap();
    }
    let blocks_of_it = damage.found();
    flip(&log, HEADER);
    read_all(&*running.reader, "w");
    read_all(&*running.reader, "other");
    assert_eq!(damage.found(), blocks_of_it, "a place is told once");
}
