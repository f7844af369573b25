//! From records and observed workers to actions: PURE, level-triggered, the core of the scaler.
//!
//! `reconcile` is given all that is known and says all that is to be done now. It keeps nothing: the
//! capacity in use is what is observed plus what this very pass creates (P3). Its actions are
//! idempotent and their results come back as observations, so whatever fails is decided again.

mod scale_down;
mod worker;

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::worker::Step;
use crate::ids::{Attempt, EntryId, RecordId, WorkerId, WorkerIndex};
use crate::record::{Outcome, Progress, Records, Slot, TaskRecord, Update, Verdict, WorkerSpec};
use crate::runtime::{Observation, Observed, Phase};
use crate::status::{Class, Notification};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a worker.
    Create(Box<WorkerSpec>),
    /// Ask for a worker's end.
    Stop(WorkerId),
    /// Write what is known of a worker, and tell it.
    Record(Box<Update>),
    /// Mark the workers that a scale-down takes away. Their ends follow once that is on record.
    ApplyScaleDown {
        /// The scale-down.
        down: RecordId,
        /// The slots as they are to be.
        cancelled: Vec<(RecordId, WorkerIndex, Slot)>,
    },
    /// Remove what is left of a worker.
    Remove(WorkerId),
}

/// What limits a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many workers may be there at once.
    pub max_workers: NonZeroUsize,
    /// Workers may be made now; not so for a while after the runtime could not.
    pub may_create: bool,
    /// What is left of an ended worker stays for so long.
    pub keep_ended: Duration,
}

/// Says what is to be done now.
pub fn reconcile(
    records: &Records,
    observation: &Observation,
    limits: Limits,
    now: Timestamp,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut waiting = Vec::new();
    for down in records.scale_downs() {
        let cancelled = scale_down::choose(down.spec(), records, observation);
        actions.push(Action::ApplyScaleDown { down: down.id().clone(), cancelled });
    }
    // Whoever is about to be cancelled must not be made in the same pass.
    let admits = limits.may_create && actions.is_empty();
    for task in records.tasks() {
        for (index, slot) in task.workers().filter(|(_, slot)| !slot.is_ended()) {
            let worker_id = task.worker_id(index, slot.attempt);
            match worker::step(&slot, observation.get(&worker_id), now) {
                Step::Wait => {}
                Step::Admit => waiting.push(Waiting::new(task, index, slot.attempt)),
                Step::Record(progress) => actions.push(record(task, index, &slot, progress, now)),
                Step::Stop => actions.push(Action::Stop(worker_id)),
            }
        }
    }
    if admits {
        actions.extend(admit(waiting, observation, limits.max_workers));
    }
    actions.extend(removals(records, observation, limits.keep_ended, now));
    actions
}

/// The outcome of a worker that its runtime will never make.
pub fn refused(spec: &WorkerSpec, records: &Records, reason: String, now: Timestamp) -> Option<Update> {
    let record = crate::name::task_record(&spec.identity.task_id, &spec.identity.request_id);
    let task = records.task(&record)?;
    let outcome = Outcome {
        verdict: Verdict::Failed(Class::Policy),
        exit_code: None,
        reason,
        started_at: None,
        ended_at: now,
        log_complete: false,
    };
    let slot = task.slot(spec.identity.index);
    Some(update(task, spec.identity.index, &slot, Progress::Ended(outcome), now))
}

/// A worker that waits for capacity, and its place in the queue.
struct Waiting<'a> {
    place: (EntryId, WorkerIndex),
    task: &'a TaskRecord,
    attempt: Attempt,
}

impl<'a> Waiting<'a> {
    fn new(task: &'a TaskRecord, index: WorkerIndex, attempt: Attempt) -> Self {
        Self { place: (task.spec().entry_id, index), task, attempt }
    }
}

/// Makes those first in the queue, as many as there is capacity for (P3).
fn admit(mut waiting: Vec<Waiting<'_>>, observation: &Observation, max: NonZeroUsize) -> Vec<Action> {
    let in_use = observation.values().filter(|observed| observed.phase.takes_capacity()).count();
    waiting.sort_by_key(|waiting| waiting.place);
    let create = |waiting: Waiting<'_>| {
        Action::Create(Box::new(waiting.task.worker_spec(waiting.place.1, waiting.attempt)))
    };
    waiting.into_iter().take(max.get().saturating_sub(in_use)).map(create).collect()
}

fn record(task: &TaskRecord, index: WorkerIndex, slot: &Slot, progress: Progress, now: Timestamp) -> Action {
    Action::Record(Box::new(update(task, index, slot, progress, now)))
}

fn update(task: &TaskRecord, index: WorkerIndex, slot: &Slot, progress: Progress, now: Timestamp) -> Update {
    let outcome = match &progress {
        Progress::Ended(outcome) => Some(outcome),
        Progress::Queued | Progress::Pending | Progress::Running => None,
    };
    let notification = Notification {
        task_id: task.spec().task_id.clone(),
        worker_id: task.worker_id(index, slot.attempt),
        state: progress.state(),
        class: outcome.and_then(|outcome| outcome.verdict.class()),
        exit_code: outcome.and_then(|outcome| outcome.exit_code),
        reason: outcome.map(|outcome| outcome.reason.clone()).unwrap_or_default(),
        at: now,
    };
    Update {
        record: task.id().clone(),
        index,
        slot: Slot { attempt: slot.attempt, progress, cancel: slot.cancel },
        notification,
    }
}

/// What is left of workers whose end is on record, or whose record is finished and gone.
fn removals<'a>(
    records: &'a Records,
    observation: &'a Observation,
    keep: Duration,
    now: Timestamp,
) -> impl Iterator<Item = Action> + 'a {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    let is_due = move |(_, observed): &(&WorkerId, &Observed)| {
        let ended_at = match &observed.phase {
            Phase::Ended(exit) => exit.ended_at,
            Phase::Vanished { noticed_at, .. } => *noticed_at,
            Phase::Unstarted | Phase::Pending | Phase::Running { .. } => return false,
        };
        now.duration_since(ended_at) >= keep
    };
    observation
        .iter()
        .filter(is_due)
        .filter(|(_, observed)| is_on_record(records, observed))
        .map(|(worker, _)| Action::Remove(worker.clone()))
}

/// Whether everything that its runtime knows of an ended worker is on record.
fn is_on_record(records: &Records, observed: &Observed) -> bool {
    let identity = &observed.identity;
    let record = crate::name::task_record(&identity.task_id, &identity.request_id);
    records.task(&record).is_none_or(|task| task.slot(identity.index).is_ended())
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod simulation;
