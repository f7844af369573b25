//! The indexes of sealed segments: used where they are whole, looked past where they are not.

use super::*;

#[test]
fn sealed_segments_are_opened_by_their_indexes_and_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let (records, before) = fill(dir.path());
    let sealed = files(dir.path(), "idx");
    assert_eq!(sealed.len() + 1, files(dir.path(), "log").len());
    assert!(sealed.len() > 4, "{sealed:?}");
    // Damage that reading would notice, and that the index does not tell of.
    flip(&files(dir.path(), "log")[0], HEADER + FRAME_HEAD + 5);
    let damage = Damage::default();
    let opened = open_small(dir.path(), &damage);
    assert_eq!((opened.recovery.damaged, opened.recovery.records), (0, records.len() as u64));
    assert_eq!(states(dir.path()), before);
    assert_eq!(read_all(&*opened.reader, "other"), of("other", &records), "only the worker that is hit");
}

#[test]
fn an_index_that_is_damaged_anywhere_or_gone_is_made_anew_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (records, before) = fill(dir.path());
    let index = files(dir.path(), "idx").remove(1);
    let whole = std::fs::read(&index).unwrap();
    let check = |what: &str| {
        let damage = Damage::default();
        let opened = open_small(dir.path(), &damage);
        for name in ["w", "other"] {
            assert_eq!(read_all(&*opened.reader, name), of(name, &records), "{what}");
        }
        assert_eq!(opened.recovery.damaged, 0, "{what}");
        drop(opened);
        assert_eq!(states(dir.path()), before, "{what}");
        // By then it is there again, and whole.
        assert!(std::fs::read(&index).unwrap().len() == whole.len(), "{what}");
    };
    for at in 0..whole.len() {
        flip(&index, at);
        check(&format!("byte {at}"));
    }
    std::fs::write(&index, &whole[..whole.len() / 2]).unwrap();
    check("half of it");
    std::fs::copy(&files(dir.path(), "idx")[2], &index).unwrap();
    check("another segment's");
    std::fs::remove_file(&index).unwrap();
    check("gone");
}

#[test]
fn an_index_that_is_damaged_while_it_is_used_is_looked_past() {
    let dir = tempfile::tempdir().unwrap();
    let (records, _) = fill(dir.path());
    for at in [60, 90, 120] {
        let damage = Damage::default();
        let running = open_small(dir.path(), &damage);
        flip(&files(dir.path(), "idx")[1], at);
        for name in ["w", "other", "w"] {
            assert_eq!(read_all(&*running.reader, name), of(name, &records));
        }
        assert_eq!(damage.found(), 1);
    }
}
