//! Where records are kept: the seam between the writer and an engine.
//!
//! An engine promises that [`LogStore::commit`] is all or nothing and that what it took survives a crash
//! and a power cut; the writer promises that it is the only one to commit.

mod damage;
pub mod disk;
mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gather;
pub mod memory;
mod record;
mod segment;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::ids::WorkerId;
use crate::line::{Block, Sequence};
use crate::worker::{Change, Record, WorkerState};

pub use damage::Damage;

/// The writing side of an engine. Blocking; owned by the writer's thread.
pub trait LogStore: Send {
    /// Makes all of `records` durable, or none.
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError>;

    /// Whether what was committed is still where opening looks for it.
    fn check(&self) -> Result<(), CommitError> {
        Ok(())
    }

    /// Bytes that the store takes up.
    fn size(&self) -> u64;

    /// Does some of what a full disk kept it from, if there is room by now. Nothing is missing as long as there is
    /// not.
    fn catch_up(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// For an engine that can give old lines up.
    fn retain(&mut self) -> Option<&mut dyn Retain> {
        None
    }
}

/// Giving old lines up, part by part. Only the writer does it, and never while it commits. What fails is left as it was,
/// and may be tried again.
pub trait Retain {
    /// The parts, oldest first. The last is the one that is being written, and stays.
    fn parts(&self) -> Vec<Part>;

    /// Ends the part that is being written and begins another. Fails where the disk has no room for that.
    fn seal(&mut self) -> io::Result<()>;

    /// What has to be committed before the part of this number may go, `at_most` so many changes at a time; none once it
    /// may. Workers that ended, have no lines elsewhere, and were last heard of before `forget_before_ns` (server time,
    /// Unix nanoseconds) are forgotten, all others are carried on. Never fails: it asks nothing of the disk.
    fn farewell(&self, part: u32, forget_before_ns: i64, at_most: usize) -> Vec<Change>;

    /// Workers of whom no line is left and who are silent: those that ended before the one time, and those that never
    /// did before the other (server time, Unix nanoseconds). What makes them nobody any more, `at_most` so many changes.
    /// Never fails: it asks nothing of the disk.
    fn forget(&self, ended_before_ns: i64, open_before_ns: i64, at_most: usize) -> Vec<Change>;

    /// Removes the part of this number, to which nothing is left to say. Where its file cannot be removed it is one of the
    /// parts still, without its lines.
    fn remove(&mut self, part: u32) -> io::Result<()>;

    /// What is to be done next so that no task has more than `limit` bytes of lines. What cannot be read for now is
    /// passed over, and told in the log: it fails nothing else.
    fn excess(&mut self, limit: u64, at_most: Stint) -> Excess;

    /// What has to be committed so that all lines together take no more than `limit` bytes, where that cannot wait for its
    /// turn among parts: what memory has no room for. Asked after each commit.
    fn overflow(&self, limit: u64) -> Vec<Change> {
        let _ = limit;
        Vec::new()
    }

    /// Gives the room of the lines back that [`Retain::excess`] or [`Retain::overflow`] named last, once that was
    /// committed; where it was not, nothing happens. How many bytes were given back: none where the disk cannot, which is
    /// told in the log, and then it gets them with the whole part.
    fn give_back(&mut self) -> u64;
}

/// How much retention does to a task in one go. Each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stint {
    /// Workers that lose lines: so much is committed.
    pub workers: usize,
    /// Bytes of their lines.
    pub bytes: u64,
    /// Places that are given back: for each the disk may have to read what is around it.
    pub holes: usize,
}

/// What a task has too much.
#[derive(Debug, PartialEq)]
pub enum Excess {
    /// No task has that could lose any, or none had when it was last worth a look.
    Nothing,
    /// It is in the part that is being written: that has to be ended first.
    Unsealed,
    /// This has to be committed. There may be more.
    Lines(Vec<Change>),
}

/// A part of the store that can only go as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number; they grow.
    pub number: u32,
    /// Bytes that it takes up.
    pub bytes: u64,
    /// Lowest server time of its records, Unix nanoseconds.
    pub oldest_ns: i64,
    /// Highest server time of its records; 0 for none.
    pub newest_ns: i64,
    /// Whether there are lines in it, and not only what is known of workers.
    pub has_lines: bool,
    /// Whether there were lines in it, and none is left.
    pub is_hollow: bool,
}

/// The reading side of an engine. Blocking; shared by all readers.
pub trait LogReader: Send + Sync {
    /// Blocks of `worker` in order, the first of which holds `from` or what follows it, of about
    /// `max_bytes` together, at least one. Empty where there is nothing from there on, or no such worker.
    ///
    /// Lines that cannot be read any more come as a gap with the reason [`DAMAGED`], or are missing where not
    /// even their number is known: then the next block begins later than asked. Lines that retention takes
    /// meanwhile come as a gap of its reason, or are missing like these.
    ///
    /// # Errors
    ///
    /// Where nothing is known to be wrong with the lines, and they cannot be had for now: no file can be opened,
    /// because the process has too many or may not, or the disk fails in another way than by not giving bytes back.
    /// The same read may succeed later.
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>>;
}

/// Why lines are missing that the store had and cannot read any more.
pub const DAMAGED: &str = "store_damaged";

/// Appends `record` to `out`, in the form in which it is kept. For engines outside of this crate: `tests/engines`
/// measures some.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    record::encode(record, out);
}

/// The record that [`encode`] made these bytes of.
pub fn decode(bytes: Bytes) -> io::Result<Record> {
    record::decode(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// An open store.
pub struct Opened {
    /// For the writer.
    pub store: Box<dyn LogStore>,
    /// For everyone else.
    pub reader: Arc<dyn LogReader>,
    /// What is known of each worker, in the order of their registration.
    pub states: Vec<WorkerState>,
    /// What opening found.
    pub recovery: Recovery,
}

/// What opening a store found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whole records.
    pub records: u64,
    /// Bytes cut from the end: what was being written when the process or the power went.
    pub torn_bytes: u64,
    /// Damaged places before the end, as far as opening looked at them. Their lines are shown as gaps.
    pub damaged: u64,
}

/// Why nothing of a group was stored.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The store is as it was before, and trying again makes sense.
    #[error("the disk takes no more")]
    Full(#[source] io::Error),
    /// What was written is in a file that nobody will find: the store is as it was before, and will take no more until
    /// its files are back.
    #[error("the data directory was removed or replaced ({0}); restart log-ingest")]
    Gone(#[source] io::Error),
    /// What is on the disk is unknown: only opening the store again tells.
    #[error("writing to the store failed, and what is on the disk is unknown")]
    Broken(#[source] io::Error),
}
