//! The durable intent: what was asked for, and what became of it.
//!
//! A record is written before its event is acknowledged (P1), and from then on it drives. Its spec
//! never changes; each worker has a [`Slot`]. [`Store`] keeps records in Redis; [`Records`] is the
//! controller's copy of those that still matter.

mod letter;
mod slot;
mod store;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use self::letter::{DeadLetter, Letter};
pub use self::slot::{Log, Outcome, Progress, Slot, Stop, Verdict};
pub use self::store::{Loaded, Recorded, Store, StoreConfig, Term, Written, is_fenced};
pub use self::write::{Update, Write};
use crate::event::{Event, ScaleDown, ScaleUp};
use crate::ids::{Attempt, EntryId, RecordId, RequestId, TaskId, WorkerId, WorkerIndex};
use crate::name;
use crate::runtime::Observation;

/// A request for workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    id: RecordId,
    spec: ScaleUp,
    slots: BTreeMap<WorkerIndex, Slot>,
    /// Names of the first attempts, by index: they are looked up in every pass.
    first_attempts: Vec<WorkerId>,
}

/// A request to take workers away, not applied yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleDownRecord {
    id: RecordId,
    spec: ScaleDown,
}

/// Either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Workers to add.
    Task(Box<TaskRecord>),
    /// Workers to take away.
    ScaleDown(ScaleDownRecord),
}

/// The immutable part of a record, as Redis keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Spec {
    ScaleUp(Box<ScaleUp>),
    ScaleDown(ScaleDown),
}

impl From<Event> for Record {
    fn from(event: Event) -> Self {
        match event {
            Event::ScaleUp(spec) => Self::Task(Box::new(TaskRecord::new(*spec))),
            Event::ScaleDown(spec) => Self::ScaleDown(ScaleDownRecord::new(spec)),
        }
    }
}

impl Record {
    /// Its name, and the end of its key in Redis.
    pub fn id(&self) -> &RecordId {
        match self {
            Self::Task(task) => &task.id,
            Self::ScaleDown(down) => &down.id,
        }
    }

    /// The entry that asked for it.
    pub fn entry_id(&self) -> EntryId {
        match self {
            Self::Task(task) => task.spec.entry_id,
            Self::ScaleDown(down) => down.spec.entry_id,
        }
    }

    fn spec(&self) -> Spec {
        match self {
            Self::Task(task) => Spec::ScaleUp(Box::new(task.spec.clone())),
            Self::ScaleDown(down) => Spec::ScaleDown(down.spec.clone()),
        }
    }
}

impl TaskRecord {
    /// The record of a request, with nothing done yet.
    pub fn new(spec: ScaleUp) -> Self {
        let id = name::task_record(&spec.task_id, &spec.request_id);
        let first_attempts = WorkerIndex::all(spec.count)
            .map(|index| name::worker(&spec.task_id, &id, index, Attempt::FIRST))
            .collect();
        Self { id, spec, slots: BTreeMap::new(), first_attempts }
    }

    /// Its name.
    pub fn id(&self) -> &RecordId {
        &self.id
    }

    /// What was asked for.
    pub fn spec(&self) -> &ScaleUp {
        &self.spec
    }

    /// Each worker with what is on record of it.
    pub fn workers(&self) -> impl DoubleEndedIterator<Item = (WorkerIndex, &Slot)> {
        WorkerIndex::all(self.spec.count).map(|index| (index, self.slot(index)))
    }

    /// What is on record of a worker.
    pub fn slot(&self, index: WorkerIndex) -> &Slot {
        self.slots.get(&index).unwrap_or(&UNTOUCHED)
    }

    /// Takes over what is on record of a worker now.
    pub fn set_slot(&mut self, index: WorkerIndex, slot: Slot) {
        self.slots.insert(index, slot);
    }

    /// Whether nothing more happens to any of its workers.
    pub fn is_finished(&self) -> bool {
        self.workers().all(|(_, slot)| slot.is_settled())
    }

    /// The name of an attempt of a worker.
    pub fn worker_id(&self, index: WorkerIndex, attempt: Attempt) -> WorkerId {
        match self.first_attempts.get(index.get() as usize) {
            Some(first) if attempt == Attempt::FIRST => first.clone(),
            Some(_) | None => name::worker(&self.spec.task_id, &self.id, index, attempt),
        }
    }

    /// The names of all attempts so far.
    pub fn worker_ids(&self) -> impl Iterator<Item = WorkerId> {
        self.workers().flat_map(move |(index, slot)| {
            let attempts = std::iter::successors(Some(Attempt::FIRST), |attempt| Some(attempt.next()));
            let attempts = attempts.take_while(move |attempt| *attempt <= slot.attempt);
            attempts.map(move |attempt| self.worker_id(index, attempt))
        })
    }

    /// What a runtime has to make for an attempt of a worker.
    pub fn worker_spec(&self, index: WorkerIndex, attempt: Attempt) -> WorkerSpec {
        WorkerSpec {
            worker_id: self.worker_id(index, attempt),
            identity: Identity {
                task_id: self.spec.task_id.clone(),
                request_id: self.spec.request_id.clone(),
                entry_id: self.spec.entry_id,
                index,
                attempt,
            },
            request: self.spec.clone(),
        }
    }
}

impl ScaleDownRecord {
    /// The record of a request.
    pub fn new(spec: ScaleDown) -> Self {
        let (task, group) = match &spec.selector {
            crate::event::Selector::Task(task) => (Some(task), None),
            crate::event::Selector::Group(group) => (None, Some(group)),
        };
        Self { id: name::scale_down_record(task, group, &spec.request_id), spec }
    }

    /// Its name.
    pub fn id(&self) -> &RecordId {
        &self.id
    }

    /// What was asked for.
    pub fn spec(&self) -> &ScaleDown {
        &self.spec
    }
}

/// Which attempt of which worker of which request: what a worker carries with it, so that it can be
/// told from any other that would have its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The task.
    pub task_id: TaskId,
    /// The request.
    pub request_id: RequestId,
    /// The entry that asked first; another one after Redis lost the record.
    pub entry_id: EntryId,
    /// Which worker of the request.
    pub index: WorkerIndex,
    /// Which attempt.
    pub attempt: Attempt,
}

impl Identity {
    /// Whether both are the same attempt of the same worker of the same request.
    pub fn is_same_worker(&self, other: &Self) -> bool {
        (&self.task_id, &self.request_id, self.index, self.attempt)
            == (&other.task_id, &other.request_id, other.index, other.attempt)
    }
}

/// All that a runtime needs to make a worker; it stays with the worker, so that a lost record can be
/// told from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// Its name.
    pub worker_id: WorkerId,
    /// What the name stands for.
    pub identity: Identity,
    /// What was asked for.
    pub request: ScaleUp,
}

/// A worker nothing is on record of.
static UNTOUCHED: Slot = Slot {
    attempt: Attempt::FIRST,
    progress: Progress::Queued,
    stop: None,
    queued_at: None,
    earlier: Vec::new(),
};

/// The records that are not finished, and those of workers that are still there.
#[derive(Clone, Debug, Default)]
pub struct Records {
    tasks: BTreeMap<RecordId, TaskRecord>,
    scale_downs: BTreeMap<RecordId, ScaleDownRecord>,
}

impl Records {
    /// Takes in a record just written. One that is known already stays as it is: it may have come
    /// further since. But a finished one is not written: Redis had lost it, and was asked for it again.
    pub fn insert(&mut self, record: Record) {
        match record {
            Record::Task(task) if self.tasks.get(&task.id).is_some_and(TaskRecord::is_finished) => {
                self.tasks.insert(task.id.clone(), *task);
            }
            Record::Task(task) => drop(self.tasks.entry(task.id.clone()).or_insert(*task)),
            Record::ScaleDown(down) => drop(self.scale_downs.entry(down.id.clone()).or_insert(down)),
        }
    }

    /// Takes in a record as Redis has it, in place of the one known.
    pub fn replace(&mut self, record: Record) {
        match record {
            Record::Task(task) => drop(self.tasks.insert(task.id.clone(), *task)),
            Record::ScaleDown(down) => drop(self.scale_downs.insert(down.id.clone(), down)),
        }
    }

    /// Takes over what was written of a worker.
    pub fn set_slot(&mut self, record: &RecordId, index: WorkerIndex, slot: Slot) {
        if let Some(task) = self.tasks.get_mut(record) {
            task.set_slot(index, slot);
        }
    }

    /// Forgets finished tasks of which nothing is left to see.
    pub fn prune(&mut self, observation: &Observation) {
        let is_seen = |task: &TaskRecord| task.worker_ids().any(|worker| observation.contains_key(&worker));
        self.tasks.retain(|_, task| !task.is_finished() || is_seen(task));
    }

    /// Tasks that are not finished, and not among these.
    pub fn absent_from(&self, records: &[Record]) -> Vec<RecordId> {
        let there: BTreeSet<&RecordId> = records.iter().map(Record::id).collect();
        let unfinished = self.tasks.values().filter(|task| !task.is_finished());
        unfinished.map(TaskRecord::id).filter(|id| !there.contains(id)).cloned().collect()
    }

    /// Forgets a scale-down that was applied.
    pub fn remove_scale_down(&mut self, id: &RecordId) {
        self.scale_downs.remove(id);
    }

    /// The tasks.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.tasks.values()
    }

    /// One task.
    pub fn task(&self, id: &RecordId) -> Option<&TaskRecord> {
        self.tasks.get(id)
    }

    /// The scale-downs that are not applied, the earliest first.
    pub fn scale_downs(&self) -> Vec<&ScaleDownRecord> {
        let mut downs: Vec<&ScaleDownRecord> = self.scale_downs.values().collect();
        downs.sort_by_key(|down| down.spec.entry_id);
        downs
    }
}
