//! Taking lines from one task alone.

use super::super::super::{Excess, Stint};
use super::faulty::Faulty;
use super::retention::remove_oldest;
use super::*;
use crate::retention;

const SEGMENT: u64 = 64 << 10;
const LIMIT: u64 = 200 << 10;

/// As much as there is.
const ALL: Stint = Stint { workers: usize::MAX, bytes: u64::MAX, holes: usize::MAX };

fn open_store(path: &Path) -> Opened {
    open_on(&Faulty::open(path), &Damage::default())
}

fn open_on(files: &Arc<Faulty>, damage: &Damage) -> Opened {
    let files: Arc<dyn Files> = Arc::clone(files) as Arc<dyn Files>;
    let (store, shared) = open_files(files, SEGMENT, damage.clone()).unwrap();
    shared.of(store)
}

/// Lines of `large`, and now and then one of `other`.
fn write(opened: &mut Opened, from: u64, to: u64) -> Vec<Record> {
    let text = "x".repeat(1000);
    let mut records = Vec::new();
    for n in from..=to {
        let mut group = vec![appended_lines("large", n, &[&format!("{n} {text}")])];
        if n % 20 == 0 {
            group.push(appended_lines("other", n / 20, &[&format!("other {n}")]));
        }
        opened.store.commit(&group).unwrap();
        records.extend(group);
    }
    records
}

/// What the writer does once a second, until there is nothing to do. What was said of lines that were taken.
fn tend(opened: &mut Opened) -> Vec<Record> {
    tend_in(opened, ALL)
}

/// The same in such steps.
fn tend_in(opened: &mut Opened, at_most: Stint) -> Vec<Record> {
    let mut said = Vec::new();
    for _ in 0..1000 {
        match opened.store.retain().unwrap().excess(LIMIT, at_most) {
            Excess::Nothing => return said,
            Excess::Unsealed => opened.store.retain().unwrap().seal().unwrap(),
            Excess::Lines(changes) => said.extend(take(opened, changes)),
        }
    }
    panic!("it comes to no end")
}

/// Carries a step out.
fn take(opened: &mut Opened, changes: Vec<Change>) -> Vec<Record> {
    let said: Vec<_> = changes.into_iter().map(|change| Record { at_ns: 9, change }).collect();
    opened.store.commit(&said).unwrap();
    opened.store.retain().unwrap().give_back();
    said
}

/// Up to where the lines of a worker are gone, by the last of these that says so.
fn trimmed(name: &str, records: &[Record]) -> Option<u64> {
    let until = |record: &Record| match &record.change {
        Change::Trimmed { until, .. } => Some(until.get()),
        Change::Carried(state) => Some(state.trimmed.get()),
        _ => None,
    };
    let mut of_it = records.iter().rev().filter(|record| record.change.worker() == &worker(name));
    of_it.find_map(until)
}

/// How many lines of a worker are left, each a block, after this was said of it.
fn left(opened: &Opened, name: &str, records: &[Record], said: &[Record]) -> u64 {
    let first = Sequence::new(trimmed(name, said).unwrap_or(0) + 1);
    let (kept, all) = (read_from(&*opened.reader, name, first), of(name, records));
    assert!(kept == all[all.len() - kept.len()..], "{name}: the youngest, as they were written");
    assert_eq!(kept.first().map(|block| block.first), Some(first), "{name}: all that is not said to be gone");
    kept.len() as u64
}

/// The same of `large`, and nothing of anybody else is gone.
fn kept(opened: &Opened, records: &[Record], said: &[Record]) -> u64 {
    assert!(read_all(&*opened.reader, "other") == of("other", records), "nobody else's");
    left(opened, "large", records, said)
}

#[test]
fn p6_a_task_that_has_too_much_loses_its_oldest_lines_and_the_disk_gets_their_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_store(dir.path());
    let mut records = write(&mut opened, 1, 150);
    assert_eq!(tend(&mut opened), [], "it has not too much");
    assert_eq!(kept(&opened, &records, &[]), 150);
    records.extend(write(&mut opened, 151, 2000));
    let before = opened.store.size();
    let said = tend(&mut opened);
    let left = kept(&opened, &records, &said);
    assert!((120..=190).contains(&left), "{left} of about 1 KiB each");
    assert!(opened.store.size() < before / 2, "{} of {before}", opened.store.size());
    let blocks =
        |path: std::path::PathBuf| std::os::unix::fs::MetadataExt::blocks(&path.metadata().unwrap()) * 512;
    let on_disk: u64 = files(dir.path(), "log").into_iter().map(blocks).sum();
    assert!(on_disk < before / 2, "{on_disk} of {before}");
    assert_eq!(tend(&mut opened), []);
    drop(opened);

    let mut opened = open_store(dir.path());
    assert_eq!((opened.recovery.damaged, kept(&opened, &records, &said)), (0, left));
    let state = opened.states.iter().find(|state| state.registration.worker == worker("large")).unwrap();
    assert_eq!((state.high.get(), state.lines, state.lost), (2000, 2000, 0), "what is known of it stays");
    assert_eq!(state.trimmed.get(), 2000 - left);
    // Those in front have no lines left but what `other` has; nothing else is taken from them.
    assert!(opened.store.retain().unwrap().parts().iter().all(|part| !part.is_hollow));
}

#[test]
fn a_hole_is_no_damage_to_an_index_that_is_made_anew_and_hides_nothing_of_a_state() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_store(dir.path());
    let records = write(&mut opened, 1, 1000);
    let said = tend(&mut opened);
    let left = kept(&opened, &records, &said);
    drop(opened);
    let before = states(dir.path());
    for index in files(dir.path(), "idx") {
        std::fs::remove_file(index).unwrap();
    }
    let opened = open_store(dir.path());
    assert_eq!((opened.recovery.damaged, kept(&opened, &records, &said)), (0, left));
    drop(opened);
    assert_eq!(states(dir.path()), before);
}

#[test]
fn a_segment_that_one_task_had_alone_goes_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_store(dir.path());
    let text = "x".repeat(1000);
    for n in 1..=1000 {
        opened.store.commit(&[appended_lines("large", n, &[&text])]).unwrap();
    }
    tend(&mut opened);
    let limits = retention::Limits { task_bytes: Some(LIMIT), ..retention::Limits::default() };
    let mut removed = 0;
    loop {
        let parts = opened.store.retain().unwrap().parts();
        match retention::decide(&parts, &limits, 0) {
            Some(retention::Step::Remove(part, retention::Why::Task)) => {
                assert!(remove_oldest(&mut *opened.store, i64::MIN), "{part:?}");
                removed += 1;
            }
            step => break assert_eq!(step, None),
        }
    }
    assert!(removed > 8, "{removed}");
    assert!(files(dir.path(), "log").len() < 8);
    let state = &open_store(dir.path()).states[0];
    assert_eq!((state.high.get(), state.lines, state.lost), (1000, 1000, 0));
}

#[test]
fn p6_the_store_is_not_looked_through_before_it_has_grown() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_store(dir.path());
    let records = write(&mut opened, 1, 150);
    assert_eq!(tend(&mut opened), []);
    // By now it would be too much, if it were looked at.
    let engine = opened.store.retain().unwrap();
    assert_eq!(engine.excess(100 << 10, ALL), Excess::Nothing);
    drop(records);
    write(&mut opened, 151, 170);
    assert_ne!(opened.store.retain().unwrap().excess(100 << 10, ALL), Excess::Nothing);
}

/// A group goes to one segment, however large it is.
#[test]
fn p6_a_segment_that_a_large_group_has_made_longer_counts_as_long_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_store(dir.path());
    write(&mut opened, 1, 60);
    assert_eq!(tend(&mut opened), []);
    let text = "x".repeat(1000);
    let group: Vec<_> = (61..=400).map(|n| appended_lines("large", n, &[&text])).collect();
    opened.store.commit(&group).unwrap();
    // The next segment is begun, and is no longer than the one that was looked at.
    opened.store.commit(&[appended_lines("large", 401, &[&text])]).unwrap();
    assert_ne!(tend(&mut opened), [], "it has twice what it may");
}

/// Whoever sends lines waits for no longer, however much a task has too much.
#[test]
fn p6_a_step_takes_no_more_of_a_task_than_it_may_and_the_next_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::open(dir.path());
    let mut opened = open_on(&disk, &Damage::default());
    let records = write(&mut opened, 1, 1000);
    // What bounds a step, and how many lines and holes it is about then.
    let table = [
        ("bytes", Stint { bytes: 10 << 10, ..ALL }, 11, 2),
        ("holes", Stint { holes: 1, ..ALL }, 21, 1),
        ("a segment", ALL, 70, 4),
    ];
    let mut before = 0;
    for (what, at_most, most_lines, most_holes) in table {
        for _ in 0..5 {
            disk.asked().take();
            let Excess::Lines(changes) = opened.store.retain().unwrap().excess(LIMIT, at_most) else {
                panic!("{what}: there is more to be done")
            };
            let until = trimmed("large", &take(&mut opened, changes)).unwrap();
            let ((read, holes, punched), lines) = (disk.asked().take(), until - before);
            assert!((1..=most_lines).contains(&lines), "{what}: {lines} lines in one step");
            assert!(holes <= most_holes && punched <= lines * 1100, "{what}: {holes} holes, {punched} bytes");
            assert!(read <= SEGMENT, "{what}: {read} bytes read");
            before = until;
        }
    }
    let said = tend_in(&mut opened, Stint { bytes: 10 << 10, ..ALL });
    // Down to what a task is brought to, and not only to the limit.
    let left = kept(&opened, &records, &said);
    assert!((150..=190).contains(&left), "{left} of about 1 KiB each");
}

/// Lines of two tasks, in turn.
fn write_two(opened: &mut Opened) -> Vec<Record> {
    let text = "x".repeat(1000);
    let lines =
        |name: &str, from: u64| (from..from + 10).map(|n| appended_lines(name, n, &[&text])).collect();
    let mut records = Vec::new();
    for from in (1..=600).step_by(10) {
        let of_a: Vec<_> = lines("a", from);
        // Of this one there is less.
        let of_b = if from > 500 { Vec::new() } else { lines("b", from) };
        let group = [of_a, of_b].concat();
        opened.store.commit(&group).unwrap();
        records.extend(group);
    }
    records
}

#[test]
fn p6_damaged_indexes_keep_no_task_above_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, damage) = (Faulty::open(dir.path()), Damage::default());
    let mut opened = open_on(&disk, &damage);
    let records = write_two(&mut opened);
    let indexes = files(dir.path(), "idx");
    // The first page of one, and nothing at all is left of another.
    flip(&indexes[0], 60);
    std::fs::remove_file(&indexes[2]).unwrap();
    disk.asked().take();
    let said = tend(&mut opened);
    let (.., punched) = disk.asked().take();
    for name in ["a", "b"] {
        let left = left(&opened, name, &records, &said);
        assert!((150..=190).contains(&left), "{name}: {left} of about 1 KiB each");
    }
    assert_eq!(damage.found(), 2);
    assert!(punched > 600 << 10, "{punched}: the room of those is given back, too");
    assert_eq!(tend(&mut opened), []);
}

/// Its file system is damaged, and no line is known to be lost: somebody may mend it.
#[test]
fn p6_a_segment_that_nobody_can_open_goes_with_what_comes_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::open(dir.path());
    let mut opened = open_on(&disk, &Damage::default());
    let records = write_two(&mut opened);
    disk.close(1);
    let said = tend(&mut opened);
    for name in ["a", "b"] {
        let left = left(&opened, name, &records, &said);
        assert!((150..=190).contains(&left), "{name}: {left} of about 1 KiB each");
    }
    assert!(opened.store.retain().unwrap().parts()[0].is_hollow, "as a whole");
    assert_eq!(tend(&mut opened), []);
}

#[test]
fn p6_a_task_of_which_nothing_can_be_taken_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::open(dir.path());
    let mut opened = open_on(&disk, &Damage::default());
    let text = "x".repeat(1000);
    let group: Vec<_> = (1..=500).map(|n| appended_lines("a", n, &[&text])).collect();
    opened.store.commit(&group).unwrap();
    let records: Vec<_> = (1..=300).map(|n| appended_lines("b", n, &[&text])).collect();
    for record in &records {
        opened.store.commit(std::slice::from_ref(record)).unwrap();
    }
    disk.close(1);
    let said = tend(&mut opened);
    assert_eq!(trimmed("a", &said), None, "all that it has is in the first");
    let left = left(&opened, "b", &records, &said);
    assert!((150..=190).contains(&left), "{left} of about 1 KiB each");
    assert_eq!(tend(&mut opened), [], "it is not tried again before the store has grown");
}

/// Small blocks among those of others: what would be written over for nothing stays.
#[test]
fn p6_no_hole_is_made_that_gives_no_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Faulty::open(dir.path());
    let mut opened = open_on(&disk, &Damage::default());
    let text = "x".repeat(1000);
    let mut records = Vec::new();
    for n in 1..=400 {
        let group = [appended_lines("b", n, &[&text]), appended_lines("other", n, &["x"])];
        opened.store.commit(&group).unwrap();
        records.extend(group);
    }
    disk.asked().take();
    let said = tend(&mut opened);
    let (_, holes, _) = disk.asked().take();
    assert_eq!(holes, 0, "a page is larger than each of them");
    let of_b = left(&opened, "b", &records, &said);
    assert!((150..=190).contains(&of_b), "{of_b} of about 1 KiB each");
    drop(opened);
    for index in files(dir.path(), "idx") {
        std::fs::remove_file(index).unwrap();
    }
    let opened = open_store(dir.path());
    assert_eq!((opened.recovery.damaged, left(&opened, "b", &records, &said)), (0, of_b));
    assert_eq!(read_all(&*opened.reader, "other"), of("other", &records));
}
