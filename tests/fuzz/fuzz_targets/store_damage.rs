//! A data directory that went bad: opening it never panics, no line is read that is not the one stored at its
//! place, and what is stored afterwards is there after the next start.
//!
//! Input: groups of records, and what the disk does to the files.

#![no_main]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Content, Extra, LinesBuilder, Mark, Sequence, Source};
use log_ingest::store::{LogReader, Opened, fuzzing};
use log_ingest::worker::{Change, Closing, Numbering, Record, Registration};
use ottoscaler_fuzz::Damage;

/// Small, so that most of a store is sealed, with an index beside it.
const SEGMENT_BYTES: u64 = 512;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    groups: Vec<Vec<Stored<'a>>>,
    damages: Vec<(u8, Damage)>,
}

/// A record of one of a few workers.
#[derive(Arbitrary, Debug)]
enum Stored<'a> {
    Registered(u8),
    Lines(u8, Vec<&'a [u8]>),
    Closed(u8),
}

/// Every line that was stored, by worker and sequence.
#[derive(Default)]
struct Oracle(HashMap<WorkerId, Vec<Vec<u8>>>);

fuzz_target!(|input: Input<'_>| {
    let directory = tempfile::tempdir().expect("it is in memory");
    let mut oracle = Oracle::default();
    let Opened { mut store, reader, .. } =
        fuzzing::open(directory.path(), SEGMENT_BYTES).expect("it is new").0;
    for group in &input.groups {
        let records: Vec<_> = group.iter().filter_map(|stored| oracle.record(stored)).collect();
        store.commit(&records).expect("it is in memory");
    }
    assert_eq!(oracle.read(&*reader), oracle.lines(), "all is there before anything went bad");
    drop((store, reader));
    damage(directory.path(), &input.damages);
    // What is no store of this version is refused, and left as it is.
    let Ok((Opened { mut store, reader, .. }, states)) = fuzzing::open(directory.path(), SEGMENT_BYTES)
    else {
        return;
    };
    let found = oracle.read(&*reader);
    assert!(!input.damages.is_empty() || found == oracle.lines());

    let worker = worker(0);
    let next = states.get(&worker).map_or(Sequence::new(1), |state| state.high.next());
    let line = [&b"after the damage"[..]];
    store.commit(&[appended(&worker, next, &line)]).expect("it is in memory");
    drop((store, reader));
    let (Opened { reader, .. }, states) =
        fuzzing::open(directory.path(), SEGMENT_BYTES).expect("it was opened before");
    let blocks = reader.read(&worker, next, usize::MAX).expect("nothing happened meanwhile");
    assert_eq!(states[&worker].high, next, "what was stored last is there");
    assert_eq!(text(&blocks[0], next).as_deref(), Some(line[0]));
});

/// To the files of the store; the lock is none.
fn damage(directory: &Path, damages: &[(u8, Damage)]) {
    let entries = std::fs::read_dir(directory).expect("it is in memory").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.is_file() && !path.ends_with("lock"));
    files.sort();
    for (file, damage) in damages {
        Damage::all(&[*damage], &files[usize::from(*file) % files.len()]);
    }
}

impl Oracle {
    /// The next record of a worker; none where it would hold nothing.
    fn record(&mut self, stored: &Stored<'_>) -> Option<Record> {
        let change = match stored {
            Stored::Registered(number) => Change::Registered(Registration::recovered(worker(*number))),
            Stored::Lines(number, lines) => {
                let worker = worker(*number);
                let known = self.0.entry(worker.clone()).or_default();
                let first = Sequence::new(known.len() as u64 + 1);
                known.extend(lines.iter().map(|line| line.to_vec()));
                return (!lines.is_empty()).then(|| appended(&worker, first, lines));
            }
            Stored::Closed(number) => {
                let worker = worker(*number);
                let last = Sequence::new(self.0.get(&worker).map_or(0, Vec::len) as u64);
                let closing = Closing { exit_code: Some(0), signal: 0, reason: "".into() };
                Change::Closed { worker, closing, last }
            }
        };
        Some(Record { at_ns: 1, change })
    }

    /// Lines in all.
    fn lines(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Reads all there is. Each line has to be the one that was stored at its place. Says how many there were.
    fn read(&self, reader: &dyn LogReader) -> usize {
        let mut found = 0;
        for (worker, lines) in &self.0 {
            // A block that has gone bad since may be refused.
            let Ok(blocks) = reader.read(worker, Sequence::new(1), usize::MAX) else { continue };
            for block in blocks {
                // What cannot be read any more is a gap. None was stored, so before the damage one is a line too few.
                let Content::Lines(read) = &block.content else { continue };
                for (line, at) in read.iter().zip(block.first.get()..) {
                    assert_eq!(
                        Some(line.bytes),
                        lines.get(at as usize - 1).map(Vec::as_slice),
                        "{worker} {at}"
                    );
                    found += 1;
                }
            }
        }
        found
    }
}

fn worker(number: u8) -> WorkerId {
    WorkerId::try_from(&*format!("worker-{}", number % 3)).expect("a name")
}

fn appended(worker: &WorkerId, first: Sequence, lines: &[&[u8]]) -> Record {
    let mut builder = LinesBuilder::default();
    for line in lines {
        builder.push(1, Mark::new(Source::Stdout, 0), line, Extra::default());
    }
    let block = Block { first, content: Content::Lines(builder.finish()) };
    let change = Change::Appended { worker: worker.clone(), numbering: Numbering::Client, block };
    Record { at_ns: 1, change }
}

/// The line at this place.
fn text(block: &Block, at: Sequence) -> Option<Vec<u8>> {
    let Content::Lines(lines) = &block.content else { return None };
    let index = usize::try_from(at.since(block.first)).ok()?;
    lines.iter().nth(index).map(|line| line.bytes.to_vec())
}
