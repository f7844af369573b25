//! A spool that its agent left behind: reading it never panics and comes to an end, and what went bad is an
//! error or missing, and never read as something else.
//!
//! Input: a spool as an agent writes it, and what the disk does to it; or one that is made up.

#![no_main]

use std::path::Path;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use otto_agent::batch::{Builder, Sealed, Source};
use otto_agent::line::Ending;
use otto_agent::spool::Spool;
use otto_agent::spool::fuzzing::{Part, file};
use otto_agent::spool::leftover::{Entry, Leftover};
use ottoscaler_fuzz::Damage;
use ottoscaler_proto::v1::{WorkerCompletion, WorkerRegistration};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Written { pieces: Vec<Piece<'a>>, exit_code: Option<i32>, damages: Vec<Damage> },
    MadeUp { begin: u64, parts: Vec<MadeUp<'a>> },
}

/// Lines that were spooled, and what became of them.
#[derive(Arbitrary, Debug)]
struct Piece<'a> {
    lines: Vec<&'a [u8]>,
    is_dropped: bool,
}

#[derive(Arbitrary, Debug)]
enum MadeUp<'a> {
    Lines { first: u64, last: u64, payload: &'a [u8] },
    End(&'a [u8]),
    Dropped(u64),
    Short(u8),
    Raw(&'a [u8]),
}

fuzz_target!(|input: Input<'_>| {
    let directory = tempfile::tempdir().expect("it is in memory");
    match input {
        Input::Written { pieces, exit_code, damages } => {
            written(directory.path(), &pieces, exit_code, &damages);
        }
        Input::MadeUp { begin, parts } => made_up(&directory.path().join("spool"), begin, &parts),
    }
});

/// Nothing is read but what was written, in order.
fn written(directory: &Path, pieces: &[Piece<'_>], exit_code: Option<i32>, damages: &[Damage]) {
    let run = WorkerRegistration { worker_id: "w".into(), ..WorkerRegistration::default() };
    let mut spool = Spool::new(directory, 1 << 20, run.clone());
    let (mut kept, mut next) = (Vec::new(), 1);
    for piece in pieces.iter().filter(|piece| !piece.lines.is_empty()) {
        let sealed = seal(&piece.lines, next);
        next = sealed.last + 1;
        let place = spool.append(&sealed).expect("there is room");
        let read = spool.read(place, sealed.first, sealed.last).expect("it was just written");
        assert!(read.lines().eq(sealed.lines()));
        if piece.is_dropped {
            spool.drop_piece(place);
        } else {
            kept.push(Entry::Lines(sealed.to_wire("w"), sealed.last));
        }
    }
    let Some(path) = spool.path().map(Path::to_path_buf) else { return };
    if let Some(exit_code) = exit_code {
        let end = WorkerCompletion { exit_code, ..WorkerCompletion::default() };
        spool.finish(&end).expect("it is in memory");
        kept.push(Entry::End(end));
    }
    drop(spool);
    // Frames do not know their places: a disk that puts one elsewhere would not be noticed.
    let damages: Vec<_> =
        damages.iter().copied().filter(|damage| !matches!(damage, Damage::Copy { .. })).collect();
    Damage::all(&damages, &path);
    let Some((left, found, error)) = read(&path) else {
        assert!(!damages.is_empty());
        return;
    };
    if damages.is_empty() {
        assert!(left == run && error.is_none() && found == kept);
    }
    let mut kept = kept.into_iter();
    assert!(found.iter().all(|entry| kept.any(|other| other == *entry)), "{found:?}");
}

/// It comes to an end, whatever it says of itself.
fn made_up(path: &Path, begin: u64, parts: &[MadeUp<'_>]) {
    let parts: Vec<_> = parts.iter().map(MadeUp::part).collect();
    let bytes = file(&WorkerRegistration::default(), begin, &parts).expect("the names are short");
    std::fs::write(path, &bytes).expect("it is in memory");
    let Some((_, found, _)) = read(path) else { return };
    for entry in found {
        if let Entry::Lines(batch, last) = entry
            && let Some(sealed) = Sealed::from_wire(batch, last)
        {
            assert_eq!(sealed.lines().count() as u64, sealed.last - sealed.first + 1);
        }
    }
}

/// Whose it is, what is in it, and why there is no more.
fn read(path: &Path) -> Option<(WorkerRegistration, Vec<Entry>, Option<std::io::Error>)> {
    let most = std::fs::metadata(path).ok()?.len() / 32;
    let mut leftover = Leftover::open(path).ok()?;
    let mut found = Vec::new();
    let error = loop {
        match leftover.read() {
            Ok(Some(entry)) => found.push(entry),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        assert!(found.len() as u64 <= most, "more frames than the file can hold");
    };
    Some((leftover.run().clone(), found, error))
}

impl MadeUp<'_> {
    fn part(&self) -> Part<'_> {
        match *self {
            Self::Lines { first, last, payload } => Part::Lines { first, last, payload },
            Self::End(payload) => Part::End(payload),
            Self::Dropped(length) => Part::Dropped(length),
            Self::Short(length) => Part::Dropped(length.into()),
            Self::Raw(bytes) => Part::Raw(bytes),
        }
    }
}

fn seal(lines: &[&[u8]], first: u64) -> Sealed {
    let mut builder = Builder::default();
    for (line, at) in lines.iter().zip(0..) {
        builder.push(at, Source::Stdout, line, Ending::Newline);
    }
    builder.seal(first)
}
