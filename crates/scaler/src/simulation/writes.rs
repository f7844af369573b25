//! What a pass writes, one script after the other, as `controller/writing.rs` does: scale-downs first,
//! then the steps of each record in order. What came of them is learned when all are through.

use std::collections::{BTreeMap, VecDeque};

use super::checks::Seen;
use super::controller::{Controller, Reload};
use super::faults::Site;
use super::redis::Fenced;
use super::replica::{Leader, Trouble};
use super::world::World;
use crate::controller::finishes;
use crate::ids::{RecordId, WorkerIndex};
use crate::record::{Records, Slot, Term, Update, Write};

/// A scale-down and whom it takes away.
pub(super) type Down = (RecordId, Vec<(RecordId, WorkerIndex, Slot)>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Writes {
    downs: VecDeque<Down>,
    updates: BTreeMap<RecordId, Vec<Update>>,
    batches: Vec<Batch>,
    wrote: Vec<Batch>,
}

/// Updates of one record.
#[derive(Debug, Default)]
struct Batch {
    left: VecDeque<Write>,
    /// With whether the record was there.
    done: Vec<(Write, bool)>,
    has_failed: bool,
}

impl Writes {
    pub(super) fn new(updates: Vec<Update>, downs: VecDeque<Down>) -> Self {
        let mut by_record: BTreeMap<RecordId, Vec<Update>> = BTreeMap::new();
        for update in updates {
            by_record.entry(update.record.clone()).or_default().push(update);
        }
        Self { downs, updates: by_record, ..Self::default() }
    }

    fn plan(&mut self, records: &Records) {
        for (record, updates) in std::mem::take(&mut self.updates) {
            let finishes = finishes(records.task(&record), &updates);
            let left = Write::steps(&record, &updates, finishes).into();
            self.batches.push(Batch { left, ..Batch::default() });
        }
    }
}

impl World {
    /// Writes one thing. Says whether something is left.
    pub(super) fn write_one(
        &mut self,
        r: usize,
        leader: &mut Leader,
        writes: &mut Writes,
    ) -> Result<bool, Trouble> {
        if let Some(down) = writes.downs.front().cloned() {
            return match self.write_down(r, leader, &down) {
                Ok(()) => {
                    writes.downs.pop_front();
                    Ok(true)
                }
                Err(Trouble::Failed) => {
                    leader.controller.doubts();
                    Ok(false)
                }
                Err(trouble) => Err(trouble),
            };
        }
        writes.plan(&leader.controller.records);
        if writes.batches.is_empty() {
            learn_written(leader, std::mem::take(&mut writes.wrote));
            return Ok(false);
        }
        let place = self.rng.place(writes.batches.len());
        let batch = &mut writes.batches[place];
        let Some(write) = batch.left.front().cloned() else {
            let batch = writes.batches.swap_remove(place);
            writes.wrote.push(batch);
            return Ok(true);
        };
        let (term, away) = (leader.term(), self.redis.away);
        match self.remote(r, Site::UpdateWorkers, away, |world| world.write(term, &write)) {
            Ok(was_there) => {
                batch.left.pop_front();
                batch.done.push((write, was_there));
            }
            Err(Trouble::Failed) => {
                batch.left.clear();
                batch.has_failed = true;
            }
            Err(trouble) => return Err(trouble),
        }
        Ok(true)
    }

    fn write_down(&mut self, r: usize, leader: &mut Leader, down: &Down) -> Result<(), Trouble> {
        let (term, away) = (leader.term(), self.redis.away);
        let apply = |world: &mut Self| world.apply_scale_down(term, down);
        let is_new = self.remote(r, Site::ScaleDown, away, apply)?;
        let controller = &mut leader.controller;
        if is_new {
            for (record, index, slot) in &down.1 {
                controller.records.set_slot(record, *index, slot.clone());
            }
        } else {
            controller.reload = Reload::Again;
        }
        controller.records.remove_scale_down(&down.0);
        Ok(())
    }

    fn write(&mut self, term: Term, write: &Write) -> Result<bool, Fenced> {
        self.redis.fence(term)?;
        for update in &write.updates {
            self.check_slot(&update.record, update.index, &update.slot);
        }
        self.redis.update_workers(term, write)
    }

    fn apply_scale_down(&mut self, term: Term, down: &Down) -> Result<bool, Fenced> {
        self.redis.fence(term)?;
        if self.redis.index.contains(&down.0) {
            for (record, index, slot) in &down.1 {
                self.check_slot(record, *index, slot);
            }
        }
        self.redis.apply_scale_down(term, &down.0, &down.1)
    }

    fn check_slot(&mut self, record: &RecordId, index: WorkerIndex, slot: &Slot) {
        let (now, policy) = (self.at(), &self.policy);
        let (server, redis, ingest) = (&self.server, &self.redis, &self.ingest);
        if let Some(task) = redis.task(record) {
            self.checks.slot(task, index, slot, &Seen { server, redis, ingest, policy, now });
        }
    }
}

fn learn_written(leader: &mut Leader, wrote: Vec<Batch>) {
    let controller = &mut leader.controller;
    for batch in wrote {
        for (write, was_there) in batch.done {
            if !was_there {
                controller.doubts();
            }
            learn_updates(controller, write.updates);
        }
        if batch.has_failed {
            return controller.doubts();
        }
    }
}

fn learn_updates(controller: &mut Controller, updates: Vec<Update>) {
    for update in updates {
        if update.notifications.iter().any(|told| told.state.is_end()) {
            controller.counted = controller.counted.saturating_sub(1);
        }
        controller.records.set_slot(&update.record, update.index, update.slot);
    }
}
