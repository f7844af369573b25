//! Giving whole segments up.

use super::*;

/// What retention does to the oldest segment, as the writer has it done.
pub(super) fn remove_oldest(store: &mut dyn LogStore, forget_before_ns: i64) -> bool {
    let engine = store.retain().unwrap();
    let [oldest, _, ..] = engine.parts()[..] else { return false };
    loop {
        // In steps of one, so that each is seen to bring the end nearer.
        let said = store.retain().unwrap().farewell(oldest.number, forget_before_ns, 1);
        if said.is_empty() {
            store.retain().unwrap().remove(oldest.number).unwrap();
            return true;
        }
        let records: Vec<_> = said.into_iter().map(|change| Record { at_ns: 100, change }).collect();
        store.commit(&records).unwrap();
    }
}

#[test]
fn p5_removed_segments_take_lines_with_them_and_nothing_of_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (records, before) = fill(dir.path());
    let damage = Damage::default();
    let mut opened = open_small(dir.path(), &damage);
    let size = opened.store.size();
    while remove_oldest(&mut *opened.store, i64::MIN) {
        for name in ["w", "other"] {
            let left = read_all(&*opened.reader, name);
            let all = of(name, &records);
            assert_eq!(left, all[all.len() - left.len()..], "{name}");
        }
        if opened.store.size() < size / 3 {
            break;
        }
    }
    let left = [read_all(&*opened.reader, "w"), read_all(&*opened.reader, "other")];
    assert!(left[0].len() < 40 && opened.store.size() < size);
    drop(opened);
    for (before, after) in before.iter().zip(states(dir.path())) {
        let name = after.registration.worker.as_str();
        let kept = &left[usize::from(name == "other")];
        assert_eq!(after.trimmed.get(), 40 - kept.len() as u64, "what is gone is known to be gone");
        assert_eq!(WorkerState { trimmed: Sequence::ZERO, ..after.clone() }, *before, "{name}");
        assert_eq!(read_all(&*open_small(dir.path(), &damage).reader, name), *kept);
    }
    assert_eq!(damage.found(), 0);
}

/// By its lowest time it is seen to be due, or it would be written for as long as that clock was ahead.
#[test]
fn a_segment_whose_first_record_was_stamped_by_a_clock_that_was_ahead_is_as_old_as_its_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_small(dir.path(), &Damage::default());
    for (line, at_ns) in [(1, 1000), (2, 7)] {
        let records = group(line, line).into_iter().map(|record| Record { at_ns, ..record });
        opened.store.commit(&records.collect::<Vec<_>>()).unwrap();
    }
    let written = |opened: &mut Opened| *opened.store.retain().unwrap().parts().last().unwrap();
    assert_eq!(written(&mut opened).oldest_ns, 7);
    drop(opened);
    let mut opened = open_small(dir.path(), &Damage::default());
    assert_eq!(written(&mut opened).oldest_ns, 7, "opening sees the same");
}

/// Readers are told only after the commit: whoever comes in between finds the lines, and not a hole.
#[test]
fn p5_lines_that_are_to_go_are_read_until_their_segment_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    let mut opened = open_small(dir.path(), &Damage::default());
    let engine = opened.store.retain().unwrap();
    let oldest = engine.parts()[0];
    let said: Vec<_> = engine.farewell(oldest.number, i64::MIN, usize::MAX);
    assert_eq!(said.len(), 2);
    let records_of_it: Vec<_> = said.into_iter().map(|change| Record { at_ns: 100, change }).collect();
    opened.store.commit(&records_of_it).unwrap();
    for name in ["w", "other"] {
        assert_eq!(read_all(&*opened.reader, name), of(name, &records));
    }
    let engine = opened.store.retain().unwrap();
    assert_eq!(engine.farewell(oldest.number, i64::MIN, usize::MAX), [], "it is said once");
    engine.remove(oldest.number).unwrap();
    for name in ["w", "other"] {
        assert!(read_all(&*opened.reader, name).len() < of(name, &records).len());
    }
}

#[test]
fn p6_an_ended_worker_without_lines_is_forgotten_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_small(dir.path(), &Damage::default());
    let closing = crate::worker::Closing { exit_code: Some(0), signal: 0, reason: "".into() };
    let closed = Change::Closed { worker: worker("w"), closing, last: Sequence::new(1) };
    opened.store.commit(&[group(1, 1), vec![Record { at_ns: 7, change: closed }]].concat()).unwrap();
    opened.store.commit(&[appended_lines("open", 1, &["x"])]).unwrap();
    for forget_before in [7, 8] {
        // Its lines go with the first removal, and it with the second.
        opened.store.retain().unwrap().seal().unwrap();
        assert!(remove_oldest(&mut *opened.store, forget_before));
        drop(opened);
        opened = open_small(dir.path(), &Damage::default());
        let names: Vec<_> = opened.states.iter().map(|state| state.registration.worker.to_string()).collect();
        assert_eq!(names.contains(&"w".to_owned()), forget_before == 7, "{names:?}");
        assert!(names.contains(&"open".to_owned()), "{names:?}");
    }
}

/// Also where nothing new ends a part, because nobody can send anything.
#[test]
fn p6_silent_workers_without_lines_are_forgotten_without_any_new_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path(), SEGMENT_BYTES, Damage::default()).unwrap();
    let closing = crate::worker::Closing { exit_code: Some(0), signal: 0, reason: "".into() };
    let closed = Change::Closed { worker: worker("w"), closing, last: Sequence::new(1) };
    let records = [group(1, 1), vec![Record { at_ns: 7, change: closed }]].concat();
    opened.store.commit(&records).unwrap();
    opened.store.commit(&[appended_lines("open", 1, &["x"])]).unwrap();
    let engine = opened.store.retain().unwrap();
    assert_eq!(engine.forget(i64::MAX, i64::MAX, 9), [], "their lines are there");
    engine.seal().unwrap();
    assert_eq!(engine.forget(i64::MAX, i64::MAX, 9), [], "still");
    assert!(remove_oldest(&mut *opened.store, i64::MIN));
    let forgotten = |name: &str| Change::Forgotten { worker: worker(name) };
    let engine = opened.store.retain().unwrap();
    assert_eq!(engine.forget(7, i64::MIN, 9), []);
    assert_eq!(engine.forget(8, i64::MIN, 9), [forgotten("w")]);
    assert_eq!(engine.forget(i64::MIN, i64::MAX, 9), [forgotten("open")]);
    assert_eq!(engine.forget(i64::MAX, i64::MAX, 1).len(), 1);
    let said = engine.forget(i64::MAX, i64::MAX, 9);
    let records: Vec<_> = said.into_iter().map(|change| Record { at_ns: 100, change }).collect();
    opened.store.commit(&records).unwrap();
    assert_eq!(opened.store.retain().unwrap().forget(i64::MAX, i64::MAX, 9), []);
    drop(opened);
    assert_eq!(states(dir.path()), []);
}
