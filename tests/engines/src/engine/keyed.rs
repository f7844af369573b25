//! Records as keys and values, for engines that map the one to the other: the key is the worker and the first
//! sequence, so that a log lies together and in order; the value is the record as log-ingest encodes it.

use anyhow::Result;
use bytes::Bytes;
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::store;
use log_ingest::worker::{Change, Record};

/// The place of a record in its worker's log: its registration is before all lines, its closing behind them.
pub(super) fn place(record: &Record) -> u64 {
    match &record.change {
        Change::Registered(_) | Change::Carried(_) | Change::Trimmed { .. } | Change::Forgotten { .. } => 0,
        Change::Appended { block, .. } => block.first.get(),
        // SQLite has no larger integer.
        Change::Closed { .. } => i64::MAX.unsigned_abs(),
    }
}

/// A key that sorts by worker, then place. No name holds a zero byte.
pub(super) fn key(worker: &WorkerId, place: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(worker.as_str().len() + 9);
    key.extend_from_slice(worker.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&place.to_be_bytes());
    key
}

/// A key behind all of the worker.
pub(super) fn last_key(worker: &WorkerId) -> Vec<u8> {
    key(worker, u64::MAX)
}

/// A record as bytes.
pub(super) fn value(record: &Record) -> Vec<u8> {
    let mut value = Vec::new();
    store::encode(record, &mut value);
    value
}

/// Puts together what [`super::Engine::read`] gives, from values in the order of their keys.
pub(super) struct Reading {
    from: Sequence,
    room: usize,
    pub(super) blocks: Vec<Block>,
}

impl Reading {
    pub(super) fn new(from: Sequence, max_bytes: usize) -> Self {
        Self { from, room: max_bytes, blocks: Vec::new() }
    }

    /// Takes the next value; false once there is enough.
    pub(super) fn take(&mut self, value: &[u8]) -> Result<bool> {
        let record = store::decode(Bytes::copy_from_slice(value))?;
        if let Change::Appended { block, .. } = record.change
            && block.last() >= self.from
        {
            self.blocks.push(block);
            self.room = self.room.saturating_sub(value.len());
        }
        Ok(self.room > 0)
    }
}
