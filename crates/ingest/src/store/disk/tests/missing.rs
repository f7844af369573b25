//! Lines that were stored and are not there any more: whoever asks whether a log is complete relies on the answer.

use super::retention::remove_oldest;
use super::*;

/// Removes a segment as nobody but an accident does.
fn lose(path: &Path, segment: u32) {
    for ending in ["log", "idx"] {
        std::fs::remove_file(path.join(format!("{segment:010}.{ending}"))).unwrap();
    }
}

/// What is said of a worker is what its readers find.
fn check_said(opened: &Opened, written: u64) {
    for state in &opened.states {
        let read = read_all(&*opened.reader, state.registration.worker.as_str());
        assert!(read.is_sorted_by(|a, b| a.last() < b.first));
        let found = read.len() as u64;
        assert!(found > 0 && found < written, "{found}");
        let said = (state.high.get(), state.lines, state.lost, state.damaged);
        assert_eq!(said, (written, found, written - found, written - found));
        assert!(!state.is_complete());
    }
}

fn close(opened: &mut Opened) {
    let closing = crate::worker::Closing { exit_code: Some(0), signal: 0, reason: "".into() };
    let closed = |name| {
        let change =
            Change::Closed { worker: worker(name), closing: closing.clone(), last: Sequence::new(40) };
        Record { at_ns: 41, change }
    };
    opened.store.commit(&[closed("w"), closed("other")]).unwrap();
}

/// A store of two workers that ended, each with 40 lines.
fn fill_and_close(path: &Path) {
    fill(path);
    close(&mut open_small(path, &Damage::default()));
    assert!(states(path).iter().all(WorkerState::is_complete));
}

#[test]
fn p9_segments_that_are_gone_are_told_and_no_log_that_had_lines_there_is_called_complete() {
    for lost in [&[2][..], &[2, 3], &[1], &[1, 3]] {
        let dir = tempfile::tempdir().unwrap();
        fill_and_close(dir.path());
        for segment in lost {
            lose(dir.path(), *segment);
        }
        let opened = open_small(dir.path(), &Damage::default());
        let holes = lost.iter().filter(|segment| **segment > 1).count().max(1) as u64;
        assert_eq!(opened.recovery.damaged, holes, "{lost:?}");
        check_said(&opened, 40);
        drop(opened);
        // It is counted once, and known when there is no hole any more that tells it.
        let mut opened = open_small(dir.path(), &Damage::default());
        check_said(&opened, 40);
        let before = opened.states.clone();
        for _ in 0..6 {
            remove_oldest(&mut *opened.store, i64::MIN);
        }
        drop(opened);
        let after = states(dir.path());
        let said =
            |states: &[WorkerState]| states.iter().map(|state| (state.lines, state.lost)).collect::<Vec<_>>();
        assert_eq!(said(&after), said(&before));
        assert!(after.iter().all(|state| state.trimmed > Sequence::ZERO));
    }
}

#[test]
fn p9_a_sealed_segment_that_lost_its_end_is_told_and_its_logs_are_not_called_complete() {
    // Where a frame ends nothing looks damaged; and an empty file has not even a header.
    for length in (0..500).step_by(23) {
        let dir = tempfile::tempdir().unwrap();
        fill_and_close(dir.path());
        let log = files(dir.path(), "log").remove(1);
        let whole = std::fs::read(&log).unwrap();
        std::fs::write(&log, &whole[..length]).unwrap();
        let opened = open_small(dir.path(), &Damage::default());
        assert!(opened.recovery.damaged > 0, "{length}");
        let lost: u64 = opened.states.iter().map(|state| state.lost).sum();
        assert!(lost > 0, "{length}");
        for state in &opened.states {
            let found = read_all(&*opened.reader, state.registration.worker.as_str()).len() as u64;
            assert_eq!((state.high.get(), state.lost), (40, 40 - found), "{length}");
            assert_eq!(state.is_complete(), found == 40, "{length}");
        }
    }
}

/// Removed files may be back after a power cut, some of them: nothing of theirs is missed.
#[test]
fn a_segment_that_retention_removed_and_that_is_back_alone_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    fill_and_close(dir.path());
    let first = ["0000000001.log", "0000000001.idx"].map(|name| dir.path().join(name));
    let kept = first.clone().map(|path| std::fs::read(path).unwrap());
    let mut opened = open_small(dir.path(), &Damage::default());
    assert!(remove_oldest(&mut *opened.store, i64::MIN) && remove_oldest(&mut *opened.store, i64::MIN));
    drop(opened);
    let before = states(dir.path());
    for (path, bytes) in first.iter().zip(kept) {
        std::fs::write(path, bytes).unwrap();
    }
    let opened = open_small(dir.path(), &Damage::default());
    assert_eq!(opened.recovery.damaged, 0);
    drop(opened);
    assert_eq!(states(dir.path()), before);
}

/// True frames that no log-ingest writes so.
#[test]
fn lines_out_of_their_order_are_told_and_never_given_to_readers() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open_small(dir.path(), &Damage::default());
    let lines = |first: u64, count: usize| appended_lines("w", first, &vec!["x"; count]);
    let written = [lines(3, 4), lines(1, 2), lines(5, 4), lines(7, 1), lines(0, 1), lines(8, 2)];
    opened.store.commit(&written).unwrap();
    drop(opened);
    let opened = open_small(dir.path(), &Damage::default());
    assert_eq!((opened.recovery.records, opened.recovery.damaged), (3, 3));
    for from in 0..12 {
        let read = opened.reader.read(&worker("w"), Sequence::new(from), usize::MAX).unwrap();
        assert!(read.is_sorted_by(|a, b| a.last() < b.first), "{from}: {read:?}");
        assert!(read.iter().all(|block| block.last().get() >= from), "{from}: {read:?}");
    }
}

/// That the first of them was forgotten stood in what is lost.
#[test]
fn p1_lines_of_a_run_that_was_forgotten_are_not_shown_as_those_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let registered = |session: &str| {
        let registration = crate::worker::Registration {
            session_id: session.into(),
            ..crate::worker::Registration::recovered(worker("w"))
        };
        Record { at_ns: 1, change: Change::Registered(registration) }
    };
    for is_sealed in [false, true] {
        let mut opened = open_small(dir.path(), &Damage::default());
        let of_first = [registered("first"), appended_lines("w", 1, &["a", "b", "c"])];
        opened.store.commit(&of_first).unwrap();
        opened.store.retain().unwrap().seal().unwrap();
        opened
            .store
            .commit(&[Record { at_ns: 2, change: Change::Forgotten { worker: worker("w") } }])
            .unwrap();
        opened.store.retain().unwrap().seal().unwrap();
        let last = opened.store.retain().unwrap().parts().last().unwrap().number;
        let of_second = [registered("second"), appended_lines("w", 1, &["d"])];
        opened.store.commit(&of_second).unwrap();
        if is_sealed {
            opened.store.retain().unwrap().seal().unwrap();
        }
        drop(opened);
        lose(dir.path(), last - 1);
        let opened = open_small(dir.path(), &Damage::default());
        assert_eq!(read_all(&*opened.reader, "w"), blocks(&of_second));
        assert_eq!((opened.states[0].high.get(), opened.states[0].lost), (1, 0));
    }
}
