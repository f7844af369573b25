//! Where records are kept: the seam between the writer and an engine.
//!
//! An engine promises that [`LogStore::commit`] is all or nothing and that what it took survives a crash
//! and a power cut; the writer promises that it is the only one to commit.

pub mod disk;
mod files;
pub mod memory;
mod record;
mod segment;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::ids::WorkerId;
use crate::line::{Block, Sequence};
use crate::worker::Record;

/// The writing side of an engine. Blocking; owned by the writer's thread.
pub trait LogStore: Send {
    /// Makes all of `records` durable, or none.
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError>;

    /// Bytes that the store takes up.
    fn size(&self) -> u64;
}

/// The reading side of an engine. Blocking; shared by all readers.
pub trait LogReader: Send + Sync {
    /// Blocks of `worker` in order, the first of which holds `from` or what follows it, of about
    /// `max_bytes` together, at least one. Empty where there is nothing from there on.
    ///
    /// Lines that a damaged record held are missing: the next block begins later than asked.
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>>;
}

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
    /// Damaged places before the end. Their lines are shown as gaps.
    pub damaged: u64,
}

/// Why nothing of a group was stored.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The store is as it was before, and trying again makes sense.
    #[error("the disk takes no more")]
    Full(#[source] io::Error),
    /// What is on the disk is unknown: only opening the store again tells.
    #[error("writing to the store failed, and what is on the disk is unknown")]
    Broken(#[source] io::Error),
}
