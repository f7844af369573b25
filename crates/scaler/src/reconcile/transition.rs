//! What a step does to a worker's slot, and what is told of it: PURE.
//!
//! An attempt that failed because of its infrastructure is followed by another one, while there are
//! attempts left and nobody has cancelled the worker. It is queued only here, where the end of the
//! one before is known.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ids::{Attempt, WorkerId, WorkerIndex};
use crate::record::{Log, Outcome, Progress, Records, Slot, Stop, TaskRecord, Update, Verdict, WorkerSpec};
use crate::runtime::Observation;
use crate::status::{Class, Notification, State};

/// Why a worker whose record was lost had been stopped. Not that somebody cancelled it: it may have run for too long.
const STOPPED_BEFORE: &str = "its end was asked for, and redis lost its record and why";

pub(super) fn advance(
    task: &TaskRecord,
    index: WorkerIndex,
    slot: &Slot,
    progress: Progress,
    now: Timestamp,
) -> Update {
    let told = plain(task, index, slot.attempt, progress.state(), now);
    update(task, index, Slot { progress, ..slot.clone() }, vec![told])
}

/// Its end is wanted; that is asked for once it is on record.
pub(super) fn mark(task: &TaskRecord, index: WorkerIndex, slot: &Slot, stop: Stop) -> Update {
    update(task, index, Slot { stop: Some(stop), ..slot.clone() }, Vec::new())
}

pub(super) fn log_settled(
    task: &TaskRecord,
    index: WorkerIndex,
    slot: &Slot,
    attempt: Attempt,
    log: Log,
) -> Update {
    update(task, index, slot.clone().with_log(attempt, log), Vec::new())
}

pub(super) fn end(
    task: &TaskRecord,
    index: WorkerIndex,
    slot: &Slot,
    outcome: Outcome,
    now: Timestamp,
) -> Update {
    let max = task.spec().max_attempts.get();
    let again = outcome.verdict.class() == Some(Class::Infra)
        && slot.attempt.get() < max
        && slot.stop != Some(Stop::Cancelled);
    let mut told = vec![ended(task, index, slot.attempt, &outcome, now)];
    if !again {
        return update(task, index, Slot { progress: Progress::Ended(outcome), ..slot.clone() }, told);
    }
    let attempt = slot.attempt.next();
    told[0].reason = format!("{}; attempt {attempt} of {max} follows", outcome.reason);
    told.push(plain(task, index, attempt, State::Queued, now));
    let mut earlier = slot.earlier.clone();
    earlier.push(outcome);
    let next = Slot { attempt, progress: Progress::Queued, stop: None, queued_at: Some(now), earlier };
    update(task, index, next, told)
}

/// The outcome of a worker that its runtime will never make.
pub fn refused(spec: &WorkerSpec, records: &Records, reason: &str, now: Timestamp) -> Option<Update> {
    let record = crate::name::task_record(&spec.identity.task_id, &spec.identity.request_id);
    let task = records.task(&record)?;
    let slot = task.slot(spec.identity.index);
    if slot.attempt != spec.identity.attempt || slot.is_ended() {
        return None;
    }
    let verdict = Verdict::Failed(Class::Policy);
    Some(end(task, spec.identity.index, slot, never_made(verdict, reason, now), now))
}

/// The record of a worker whose record Redis has lost. Of those of its task that are there, the record
/// goes on; the others are lost, whether they ever ran or not: running one again could run it twice. One whose end
/// was asked for was not to be tried again, if `stops_are_ours`; what its command was through with by then stands.
pub fn rebuild(
    spec: &WorkerSpec,
    observation: &Observation,
    stops_are_ours: bool,
    now: Timestamp,
) -> (TaskRecord, Vec<Notification>) {
    let mut task = TaskRecord::new(spec.request.clone());
    let mut there: BTreeMap<WorkerIndex, (Attempt, bool)> = BTreeMap::new();
    for observed in observation.values().filter(|observed| observed.record == *task.id()) {
        let found = (observed.identity.attempt, observed.stopping && stops_are_ours);
        let last = there.entry(observed.identity.index).or_insert(found);
        *last = found.max(*last);
    }
    let mut told = Vec::new();
    for index in WorkerIndex::all(task.spec().count) {
        let slot = if let Some((attempt, is_stopped)) = there.get(&index) {
            found(*attempt, *is_stopped, now)
        } else {
            let outcome = never_made(Verdict::Lost, "redis lost its record, and it is not there", now);
            told.push(ended(&task, index, Attempt::FIRST, &outcome, now));
            Slot { progress: Progress::Ended(outcome), ..Slot::default() }
        };
        task.set_slot(index, slot);
    }
    (task, told)
}

/// Attempts before the one that is there have ended, and nothing else is known of them.
fn found(attempt: Attempt, is_stopped: bool, now: Timestamp) -> Slot {
    let before = (1..attempt.get())
        .map(|_| Outcome { log: Log::Open, ..never_made(Verdict::Lost, "redis lost its record", now) });
    let stop = is_stopped.then(|| Stop::Failed { class: Class::Policy, reason: STOPPED_BEFORE.to_owned() });
    Slot { attempt, stop, earlier: before.collect(), queued_at: Some(now), ..Slot::default() }
}

/// An outcome of a worker that left nothing behind.
pub(super) fn never_made(verdict: Verdict, reason: &str, now: Timestamp) -> Outcome {
    Outcome {
        verdict,
        exit_code: None,
        reason: reason.to_owned(),
        ran: false,
        started_at: None,
        ended_at: now,
        log: Log::None,
    }
}

fn update(task: &TaskRecord, index: WorkerIndex, slot: Slot, notifications: Vec<Notification>) -> Update {
    Update { record: task.id().clone(), index, slot, notifications }
}

fn ended(
    task: &TaskRecord,
    index: WorkerIndex,
    attempt: Attempt,
    outcome: &Outcome,
    at: Timestamp,
) -> Notification {
    Notification {
        class: outcome.verdict.class(),
        exit_code: outcome.exit_code,
        reason: outcome.reason.clone(),
        ..plain(task, index, attempt, outcome.verdict.state(), at)
    }
}

fn plain(
    task: &TaskRecord,
    index: WorkerIndex,
    attempt: Attempt,
    state: State,
    at: Timestamp,
) -> Notification {
    let worker_id: WorkerId = task.worker_id(index, attempt);
    Notification {
        task_id: task.spec().task_id.clone(),
        worker_id,
        state,
        class: None,
        exit_code: None,
        reason: String::new(),
        obstacle: None,
        at,
    }
}
