use std::fs;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;

use super::leftover::{Entry, Leftover};
use super::*;
use crate::batch::{Builder, Source};
use crate::line::Ending;

fn run() -> WorkerRegistration {
    WorkerRegistration {
        worker_id: "a/worker".into(),
        task_id: "task".into(),
        incarnation: Bytes::from_static(&[7; 16]),
        ..WorkerRegistration::default()
    }
}

/// Lines `first` to `first + lines - 1`, of `bytes` bytes each.
fn lines(first: u64, lines: usize, bytes: usize) -> Sealed {
    let mut builder = Builder::default();
    for at in 0..lines {
        let text = vec![b'a' + u8::try_from((first + at as u64) % 26).unwrap(); bytes];
        builder.push(i64::try_from(at).unwrap(), Source::Stdout, &text, Ending::Newline);
    }
    builder.seal(first)
}

/// What `upload` would find.
fn left(path: &Path) -> Vec<Entry> {
    let mut leftover = Leftover::open(path).unwrap();
    std::iter::from_fn(|| leftover.read().unwrap()).collect()
}

fn firsts(path: &Path) -> Vec<i64> {
    let of = |entry| match entry {
        Entry::Lines(batch, _) => batch.first_sequence,
        Entry::End(_) => 0,
    };
    left(path).into_iter().map(of).collect()
}

/// Blocks that the file takes of the disk, in bytes.
fn on_disk(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn what_was_written_is_read_back_and_left_behind() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 1 << 20, run());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no file before the first piece");
    let place = spool.append(&lines(1, 10, 20)).unwrap();
    spool.append(&lines(11, 5, 20)).unwrap();
    assert_eq!(spool.read(place, 1, 10).unwrap().to_wire("a/worker"), lines(1, 10, 20).to_wire("a/worker"));
    spool.finish(&WorkerCompletion { exit_code: 7, ..WorkerCompletion::default() }).unwrap();
    let path = spool.path().unwrap().to_path_buf();
    let refused = Leftover::open(&path).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy, "its agent lives");
    drop(spool);
    assert_eq!(Leftover::open(&path).unwrap().run(), &run());
    let left = left(&path);
    assert_eq!(left[0], Entry::Lines(lines(1, 10, 20).to_wire("a/worker"), 10));
    assert_eq!(left[1], Entry::Lines(lines(11, 5, 20).to_wire("a/worker"), 15));
    assert!(matches!(&left[2], Entry::End(end) if end.exit_code == 7) && left.len() == 3);
}

/// The place behind it would be one before it, and reading would go round and round.
#[test]
fn a_dropped_frame_that_is_longer_than_any_file_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("spool");
    let length = u64::MAX - frame::HEAD as u64 + 1;
    let file = [frame::file_head(&run()).unwrap(), frame::dropped(length).to_vec()].concat();
    fs::write(&path, file).unwrap();
    let refused = Leftover::open(&path).unwrap().read().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_torn_frame_was_never_written_and_a_flipped_bit_is_an_error() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 1 << 20, run());
    spool.append(&lines(1, 10, 20)).unwrap();
    let second = spool.append(&lines(11, 10, 20)).unwrap();
    let path = spool.path().unwrap().to_path_buf();
    drop(spool);
    let whole = fs::read(&path).unwrap();
    for length in second.offset..whole.len() as u64 {
        fs::write(&path, &whole[..usize::try_from(length).unwrap()]).unwrap();
        assert_eq!(firsts(&path), [1], "torn at {length}");
    }
    for at in second.offset..whole.len() as u64 {
        let mut bad = whole.clone();
        bad[usize::try_from(at).unwrap()] ^= 4;
        fs::write(&path, bad).unwrap();
        let mut leftover = Leftover::open(&path).unwrap();
        leftover.read().unwrap();
        // A length that reaches behind the file's end looks torn; nothing else may pass.
        assert!(!matches!(leftover.read(), Ok(Some(_))), "bit at {at}");
    }
}

#[test]
fn p6_room_that_is_given_back_is_the_disks_again_at_both_ends_and_in_the_midst() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 8 << 20, run());
    let piece = |at: u64| lines(1 + at * 100, 100, 1000);
    let places: Vec<_> = (0..50).map(|at| spool.append(&piece(at)).unwrap()).collect();
    let path = spool.path().unwrap().to_path_buf();
    let full = on_disk(&path);
    places[10..40].iter().for_each(|place| spool.drop_piece(*place));
    let without_the_midst = on_disk(&path);
    assert!(without_the_midst < full * 5 / 10, "{without_the_midst} of {full} bytes are left");
    places[..10].iter().for_each(|place| spool.let_go(*place));
    spool.begin_at(Some(places[45]));
    places[40..45].iter().for_each(|place| spool.let_go(*place));
    assert!(on_disk(&path) < full * 2 / 10);
    assert_eq!(spool.read(places[45], 4501, 4600).unwrap().first, 4501);
    drop(spool);
    assert_eq!(firsts(&path), [4501, 4601, 4701, 4801, 4901]);
}

#[test]
fn an_empty_spool_is_a_small_file_again() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 1 << 20, run());
    for first in 1..100 {
        let place = spool.append(&lines(first, 1, 900_000)).unwrap_or_else(|| panic!("room for {first}"));
        spool.let_go(place);
        spool.begin_at(None);
    }
    assert_eq!(fs::metadata(spool.path().unwrap()).unwrap().len(), 4096);
    let path = spool.path().unwrap().to_path_buf();
    spool.delete();
    assert!(!path.exists());
}

/// The agent may be killed between any two of the steps by which it empties its file.
#[test]
fn p5_a_file_that_is_being_emptied_is_found_empty_or_whole() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 64 << 20, run());
    let places: Vec<_> = (0..30).map(|at| spool.append(&lines(1 + at, 1, 100_000)).unwrap()).collect();
    // A part of it was given back before: there are zeros where it begins.
    places[..20].iter().for_each(|place| spool.let_go(*place));
    spool.begin_at(Some(places[20]));
    let path = spool.path().unwrap().to_path_buf();
    drop(spool);
    assert_eq!(firsts(&path), (21..=30).collect::<Vec<i64>>());
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mark = |begin| {
        std::os::unix::fs::FileExt::write_all_at(&file, &frame::begin_mark(begin), frame::BEGIN_AT).unwrap();
    };
    mark(places[29].end());
    assert_eq!(firsts(&path), [0; 0]);
    file.set_len(frame::FIRST).unwrap();
    assert_eq!(firsts(&path), [0; 0]);
    mark(frame::FIRST);
    assert_eq!(firsts(&path), [0; 0]);
}

#[test]
fn a_run_of_pieces_is_parted_one_by_one() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 1 << 20, run());
    let places: Vec<_> = (0..3).map(|at| spool.append(&lines(1 + at * 10, 10, 20)).unwrap()).collect();
    let run = places[0].join(places[1]).unwrap().join(places[2]).unwrap();
    assert_eq!(places[0].join(places[2]), None, "they do not lie side by side");
    assert_eq!(spool.first_of(run, 1, 30).unwrap(), Some((places[0], 10)));
    let rest = run.behind(places[0]).unwrap();
    assert_eq!(
        (rest.offset, spool.first_of(rest, 11, 30).unwrap()),
        (places[1].offset, Some((places[1], 20)))
    );
    assert_eq!(rest.behind(places[1]), Some(places[2]));
    assert_eq!(spool.first_of(places[2], 21, 30).unwrap(), Some((places[2], 30)));
    assert_eq!(run.behind(run), None);
    for wrong in [(2, 30), (1, 5), (1, 10)] {
        assert_eq!(spool.first_of(run, wrong.0, wrong.1).unwrap(), None, "{wrong:?}");
    }
}

#[test]
fn p7_a_file_that_is_taken_away_is_written_and_read_on_and_not_said_to_be_there() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 1 << 20, run());
    spool.append(&lines(1, 1, 10)).unwrap();
    let path = spool.path().unwrap().to_path_buf();
    fs::remove_file(&path).unwrap();
    assert_eq!(spool.path(), None);
    let place = spool.append(&lines(2, 1, 10)).unwrap();
    assert!(spool.read(place, 2, 2).is_ok());
    fs::write(&path, "of somebody else").unwrap();
    assert_eq!(spool.path(), None);
}

#[test]
fn p6_it_takes_no_more_than_its_limit() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 10_000, run());
    assert!(spool.append(&lines(1, 1, 4_000)).is_some());
    let second = spool.append(&lines(2, 1, 4_000)).unwrap();
    assert!(spool.append(&lines(3, 1, 4_000)).is_none());
    spool.drop_piece(second);
    assert!(spool.append(&lines(3, 1, 4_000)).is_some());
    assert!(Spool::none().append(&lines(1, 1, 1)).is_none());
}

#[test]
fn a_directory_that_cannot_be_is_no_reason_to_fail() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let mut spool = Spool::new(&dir.path().join("file"), 1 << 20, run());
    assert!(spool.append(&lines(1, 1, 1)).is_none());
    assert!(!spool.has_room(1), "it pauses");
}

/// Where offsets only grow, the file is full before what is wanted in it is.
#[test]
fn p6_how_the_command_ended_has_room_where_lines_have_none_left() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 20_000, run());
    let mut next = 1;
    while let Some(place) = spool.append(&lines(next, 1, 100)) {
        spool.file.as_mut().unwrap().without_holes();
        spool.let_go(place);
        next += 1;
    }
    assert!(next > 50, "{next} lines");
    let end = WorkerCompletion { worker_id: "w".repeat(256), exit_code: 7, ..WorkerCompletion::default() };
    spool.finish(&end).unwrap();
    let path = spool.path().unwrap().to_path_buf();
    drop(spool);
    assert_eq!(left(&path).last(), Some(&Entry::End(end)));
}

/// A head is written over when its frame is dropped, and a kill may end that between two pages.
#[test]
fn p5_no_head_crosses_a_page() {
    let dir = TempDir::new().unwrap();
    let mut spool = Spool::new(dir.path(), 1 << 20, run());
    for bytes in 0..500_u32 {
        let place = spool.append(&lines(1 + u64::from(bytes), 1, bytes as usize)).unwrap();
        let last = place.offset + frame::HEAD as u64 - 1;
        assert_eq!(place.offset / frame::PAGE, last / frame::PAGE, "at {}", place.offset);
    }
    let path = spool.path().unwrap().to_path_buf();
    drop(spool);
    assert_eq!(firsts(&path), (1..=500).collect::<Vec<i64>>(), "what fills them up is passed over");
}

/// Such as go on behind the last number that there is.
#[test]
fn sequences_that_do_not_fit_the_lines_are_damage() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("spool");
    let two = lines(1, 2, 5).to_wire("a/worker");
    let none = LogBatch { first_sequence: 1, ..LogBatch::default() };
    let negative = LogBatch { first_sequence: -1, ..two.clone() };
    for (batch, last) in [(&two, u64::MAX), (&two, 3), (&none, 0), (&negative, u64::MAX)] {
        let frame = frame::encode(Kind::Lines, 1, last, batch);
        fs::write(&path, [frame::file_head(&run()).unwrap(), frame].concat()).unwrap();
        let refused = Leftover::open(&path).unwrap().read().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{last}");
    }
}

proptest! {
    /// Whatever is dropped and let go in whatever order: exactly what is left is found, in order.
    #[test]
    fn what_was_not_dropped_is_found(
        fates in prop::collection::vec((0_u8..3, 1_usize..3000), 1..40),
        released in any::<prop::sample::Index>(),
    ) {
        let dir = TempDir::new().unwrap();
        let mut spool = Spool::new(dir.path(), 64 << 20, run());
        let mut places = Vec::new();
        for (at, (_, bytes)) in fates.iter().enumerate() {
            places.push(spool.append(&lines(1 + at as u64 * 60, 60, *bytes)).unwrap());
        }
        let released = released.index(fates.len());
        for (at, (fate, _)) in fates.iter().enumerate() {
            if at < released {
                spool.let_go(places[at]);
            } else if *fate == 0 {
                spool.drop_piece(places[at]);
            }
        }
        let is_live = |at: usize| at >= released && fates[at].0 > 0;
        let oldest = (0..fates.len()).find(|&at| is_live(at));
        spool.begin_at(oldest.map(|at| places[at]));
        let path = spool.path().unwrap().to_path_buf();
        for at in (0..fates.len()).filter(|&at| is_live(at)) {
            let first = 1 + at as u64 * 60;
            prop_assert!(spool.read(places[at], first, first + 59).is_ok());
        }
        drop(spool);
        let found: Vec<_> = firsts(&path).into_iter().map(|first| usize::try_from(first).unwrap() / 60).collect();
        // What was let go is found until a portion of it is given back; what was dropped never is.
        prop_assert!(found.iter().all(|&at| at < released || is_live(at)), "{found:?}");
        let live: Vec<_> = (0..fates.len()).filter(|&at| is_live(at)).collect();
        prop_assert!(found.ends_with(&live), "{found:?}, but {live:?} live");
    }
}
