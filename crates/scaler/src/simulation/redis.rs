//! A Redis: one stream with one group, records, dead letters. Each method is one script or command of
//! `record/scripts` and `intake/stream.rs`, and does what that does.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::RawEntry;
use crate::ids::{EntryId, RecordId, WorkerIndex};
use crate::record::{Record, Slot, TaskRecord, Term, Write};

/// A later leader has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fenced;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Redis {
    pub(super) stream: BTreeMap<EntryId, RawEntry>,
    /// Delivered and not acknowledged, with how many times.
    pub(super) pending: BTreeMap<EntryId, u64>,
    last_delivered: Option<EntryId>,
    pub(super) letters: BTreeSet<EntryId>,
    records: BTreeMap<RecordId, Record>,
    /// Those not finished.
    pub(super) index: BTreeSet<RecordId>,
    highest: u64,
    /// The bug: a lower term may write.
    unfenced: bool,
    pub(super) away: bool,
}

impl Redis {
    pub(super) fn new(unfenced: bool) -> Self {
        Self { unfenced, ..Self::default() }
    }

    pub(super) fn take_term(&mut self, at_least: u64) -> Term {
        self.highest = (self.highest + 1).max(at_least);
        Term::new(self.highest)
    }

    pub(super) fn fence(&mut self, term: Term) -> Result<(), Fenced> {
        if term.get() < self.highest && !self.unfenced {
            return Err(Fenced);
        }
        self.highest = self.highest.max(term.get());
        Ok(())
    }

    pub(super) fn add(&mut self, entry: RawEntry) {
        self.stream.insert(entry.id, entry);
    }

    pub(super) fn read(&mut self, count: usize) -> Vec<RawEntry> {
        let new = self.stream.values().filter(|entry| Some(entry.id) > self.last_delivered);
        let read: Vec<RawEntry> = new.take(count).cloned().collect();
        for entry in &read {
            self.pending.insert(entry.id, 1);
            self.last_delivered = Some(entry.id);
        }
        read
    }

    /// All that is pending is delivered once more.
    pub(super) fn claim(&mut self) -> Vec<(RawEntry, u64)> {
        let mut claimed = Vec::new();
        for (id, deliveries) in &mut self.pending {
            *deliveries += 1;
            claimed.extend(self.stream.get(id).map(|entry| (entry.clone(), *deliveries)));
        }
        claimed
    }

    pub(super) fn ack(&mut self, entry: EntryId) {
        self.pending.remove(&entry);
        self.stream.remove(&entry);
    }

    /// Writes the record of an entry; says whether it is new.
    pub(super) fn record(&mut self, record: &Record) -> bool {
        if self.records.contains_key(record.id()) {
            return false;
        }
        self.records.insert(record.id().clone(), record.clone());
        self.index.insert(record.id().clone());
        true
    }

    pub(super) fn dead_letter(&mut self, term: Term, entry: EntryId) -> Result<(), Fenced> {
        self.fence(term)?;
        if self.pending.contains_key(&entry) || self.stream.contains_key(&entry) {
            self.letters.insert(entry);
            self.ack(entry);
        }
        Ok(())
    }

    /// Says whether the record was there.
    pub(super) fn update_workers(&mut self, term: Term, write: &Write) -> Result<bool, Fenced> {
        self.fence(term)?;
        let mut was_there = false;
        for update in &write.updates {
            was_there = self.set_slot(&write.record, update.index, &update.slot);
        }
        if was_there && write.finishes {
            self.index.remove(&write.record);
        }
        Ok(was_there)
    }

    /// Says whether it was not applied before.
    pub(super) fn apply_scale_down(
        &mut self,
        term: Term,
        down: &RecordId,
        cancelled: &[(RecordId, WorkerIndex, Slot)],
    ) -> Result<bool, Fenced> {
        self.fence(term)?;
        if self.records.contains_key(down) && !self.index.contains(down) {
            return Ok(false);
        }
        for (record, index, slot) in cancelled {
            self.set_slot(record, *index, slot);
        }
        self.index.remove(down);
        Ok(true)
    }

    fn set_slot(&mut self, record: &RecordId, index: WorkerIndex, slot: &Slot) -> bool {
        let Some(Record::Task(task)) = self.records.get_mut(record) else { return false };
        task.set_slot(index, slot.clone());
        true
    }

    pub(super) fn load(&self) -> Vec<Record> {
        self.index.iter().filter_map(|id| self.records.get(id)).cloned().collect()
    }

    pub(super) fn record_of(&self, id: &RecordId) -> Option<&Record> {
        self.records.get(id)
    }

    pub(super) fn task(&self, id: &RecordId) -> Option<&TaskRecord> {
        match self.records.get(id)? {
            Record::Task(task) => Some(task),
            Record::ScaleDown(_) => None,
        }
    }
}
