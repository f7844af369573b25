//! What is to be written of workers, in steps that are small enough for one script.

use super::Slot;
use crate::ids::{RecordId, WorkerIndex};
use crate::status::Notification;

/// So many workers of a record are written in one script: while it runs, Redis does nothing else.
const WRITE_CHUNK: usize = 100;

/// What changes of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The record.
    pub record: RecordId,
    /// Which worker of it.
    pub index: WorkerIndex,
    /// What is on record from now on.
    pub slot: Slot,
    /// What is told, in this order.
    pub notifications: Vec<Notification>,
}

/// What changes of workers of one record, in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The record.
    pub record: RecordId,
    /// Each of this record.
    pub updates: Vec<Update>,
    /// Whether nothing of the record is left to be done after it.
    pub finishes: bool,
}

impl Write {
    /// The steps, in order, that write these updates of `record`; `finishes` says what is true after the
    /// last one.
    pub fn steps(record: &RecordId, updates: &[Update], finishes: bool) -> Vec<Self> {
        let chunks = updates.chunks(WRITE_CHUNK).map(|chunk| Self {
            record: record.clone(),
            updates: chunk.to_vec(),
            finishes: false,
        });
        let mut steps: Vec<Self> = chunks.collect();
        if let Some(last) = steps.last_mut() {
            last.finishes = finishes;
        }
        steps
    }
}
