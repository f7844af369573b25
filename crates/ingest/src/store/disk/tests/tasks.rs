//! Taking lines from one task alone.

use super::super::super::Excess;
use super::retention::remove_oldest;
use super::*;
use crate::retention;

const SEGMENT: u64 = 64 << 10;
const LIMIT: u64 = 200 << 10;

fn open_store(path: &Path) -> Opened {
    let files = Arc::new(Directory::open(path).unwrap());
    let (store, shared) = open_files(files, SEGMENT, Damage::default()).unwrap();
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

/// What the writer does once a second, until there is nothing to do. How often lines were taken.
fn tend(opened: &mut Opened) -> usize {
    for steps in 0.. {
        let engine = opened.store.retain().unwrap();
        match engine.excess(LIMIT, usize::MAX).unwrap() {
            Excess::Nothing => return steps,
            Excess::Unsealed => engine.seal().unwrap(),
            Excess::Lines(changes) => {
                let workers: Vec<_> = changes.iter().map(|change| change.worker().clone()).collect();
                let records: Vec<_> = changes.into_iter().map(|change| Record { at_ns: 9, change }).collect();
                opened.store.commit(&records).unwrap();
                opened.store.retain().unwrap().give_back(&workers).unwrap();
            }
        }
        assert!(steps < 1000, "it comes to an end");
    }
    unreachable!()
}

fn kept(opened: &Opened, records: &[Record]) -> u64 {
    let (mut kept, all) = (read_all(&*opened.reader, "large"), of("large", records));
    // Who begins before what is gone, as no reader does, is told of each block.
    kept.retain(
        |block| !matches!(&block.content, Content::Gap { reason, .. } if **reason == *retention::REASON),
    );
    assert!(kept == all[all.len() - kept.len()..], "the youngest, as they were written");
    assert!(read_all(&*opened.reader, "other") == of("other", records), "nobody else's");
    kept.len() as u64
}

#[test]
fn p6_a_task_that_has_too_much_loses_its_oldest_lines_and_the_disk_gets_their_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_store(dir.path());
    let mut records = write(&mut opened, 1, 150);
    assert_eq!((tend(&mut opened), kept(&opened, &records)), (0, 150), "it has not too much");
    records.extend(write(&mut opened, 151, 2000));
    let before = opened.store.size();
    assert!(tend(&mut opened) > 0);
    let left = kept(&opened, &records);
    assert!((120..=190).contains(&left), "{left} of about 1 KiB each");
    assert!(opened.store.size() < before / 2, "{} of {before}", opened.store.size());
    let blocks =
        |path: std::path::PathBuf| std::os::unix::fs::MetadataExt::blocks(&path.metadata().unwrap()) * 512;
    let on_disk: u64 = files(dir.path(), "log").into_iter().map(blocks).sum();
    assert!(on_disk < before / 2, "{on_disk} of {before}");
    assert_eq!(tend(&mut opened), 0);
    drop(opened);

    let mut opened = open_store(dir.path());
    assert_eq!((opened.recovery.damaged, kept(&opened, &records)), (0, left));
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
    tend(&mut opened);
    let left = kept(&opened, &records);
    drop(opened);
    let before = states(dir.path());
    for index in files(dir.path(), "idx") {
        std::fs::remove_file(index).unwrap();
    }
    let opened = open_store(dir.path());
    assert_eq!((opened.recovery.damaged, kept(&opened, &records)), (0, left));
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
    assert_eq!(tend(&mut opened), 0);
    // By now it would be too much, if it were looked at.
    let engine = opened.store.retain().unwrap();
    assert_eq!(engine.excess(100 << 10, 9).unwrap(), Excess::Nothing);
    drop(records);
    write(&mut opened, 151, 170);
    assert_ne!(opened.store.retain().unwrap().excess(100 << 10, 9).unwrap(), Excess::Nothing);
}
