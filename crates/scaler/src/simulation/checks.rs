//! The promises, checked against what is really so whenever something changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::api::Server;
use super::ingest::Ingest;
use super::redis::Redis;
use crate::ids::{EntryId, RecordId, WorkerId, WorkerIndex};
use crate::reconcile::Policy;
use crate::record::{Log, Outcome, Slot, Stop, TaskRecord, Verdict, WorkerSpec};
use crate::status::Class;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) promise: &'static str,
    pub(super) what: String,
}

/// What really ended a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Exited(i32),
    /// With this code, after it was asked to stop.
    Stopped(i32),
    Infrastructure,
    OutOfMemory,
}

/// What has to become of an event.
#[derive(Clone, Debug)]
pub(super) enum Due {
    Record(RecordId),
    Letter,
}

/// What was asked for, and what has really happened.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) due: BTreeMap<EntryId, Due>,
    pub(super) requested: BTreeMap<RecordId, TaskRecord>,
    pub(super) made: BTreeSet<WorkerId>,
    pub(super) started: BTreeSet<WorkerId>,
    pub(super) fates: BTreeMap<WorkerId, Fate>,
    /// The runtime said that these can never be.
    pub(super) refused: BTreeSet<WorkerId>,
    /// Somebody else took these away.
    pub(super) taken: BTreeSet<WorkerId>,
    pub(super) found: Option<Violation>,
}

impl Checks {
    pub(super) fn broken(&mut self, promise: &'static str, what: String) {
        self.found.get_or_insert(Violation { promise, what });
    }

    /// P1: each event is in the stream, or on record, or a dead letter.
    pub(super) fn events(&mut self, redis: &Redis) {
        let is_lost = |(entry, due): &(&EntryId, &Due)| {
            !redis.stream.contains_key(entry)
                && match due {
                    Due::Record(record) => redis.record_of(record).is_none(),
                    Due::Letter => !redis.letters.contains(entry),
                }
        };
        if let Some((entry, due)) = self.due.iter().find(is_lost) {
            let what = format!("event {entry} is off the stream, and there is no {due:?}");
            self.broken("P1", what);
        }
    }

    /// P2: a Pod is one that was asked for, not made before, and after the end of the attempt before.
    pub(super) fn created(&mut self, spec: &WorkerSpec, server: &Server) {
        let worker = &spec.worker_id;
        // One that somebody took away before its command ran may be made again: nothing ran.
        if !self.made.insert(worker.clone()) && self.started.contains(worker) {
            self.broken("P2", format!("{worker} was made again after its command had run"));
        }
        let record = crate::name::task_record(&spec.identity.task_id, &spec.identity.request_id);
        let (index, attempt) = (spec.identity.index, spec.identity.attempt);
        let Some(task) = self.requested.get(&record) else {
            return self.broken("P2", format!("{worker}: nobody asked for it"));
        };
        let asked = task.spec();
        if index.get() >= asked.count.get() || attempt.get() > asked.max_attempts.get() {
            return self.broken("P2", format!("{worker} is beyond what was asked for"));
        }
        let others = server.pods.values().filter(|pod| pod.spec.worker_id != *worker && pod.life.is_alive());
        let identity = &spec.identity;
        let is_same = |pod: &&super::api::Truth| {
            let other = &pod.spec.identity;
            (&other.task_id, &other.request_id, other.index)
                == (&identity.task_id, &identity.request_id, identity.index)
        };
        if let Some(other) = others.into_iter().find(is_same) {
            let other = &other.spec.worker_id;
            self.broken("P2", format!("{worker} was made while {other}, another attempt of it, lives"));
        }
    }

    /// P2: a command is started once in an attempt.
    pub(super) fn starts(&mut self, worker: &WorkerId) {
        if !self.started.insert(worker.clone()) {
            self.broken("P2", format!("the command of {worker} was started twice"));
        }
    }

    /// P1, P2: what is on record only goes forward, and says what is so.
    pub(super) fn slot(&mut self, task: &TaskRecord, index: WorkerIndex, next: &Slot, world: &Seen<'_>) {
        let last = task.slot(index);
        let name = task.worker_id(index, last.attempt);
        if next.attempt < last.attempt || next.attempt > last.attempt.next() {
            return self.broken("P2", format!("{name}: the record goes to attempt {}", next.attempt));
        }
        for (attempt, known) in last.outcomes() {
            match next.outcome_of(attempt) {
                Some(outcome) if outcome.verdict == known.verdict => {
                    if known.log.is_settled() && outcome.log != known.log {
                        self.broken("P9", format!("{name}: what was settled of its log is changed"));
                    }
                }
                other => {
                    let other = other.map(|outcome| outcome.verdict);
                    self.broken("P2", format!("{name}: its end {:?} becomes {other:?}", known.verdict));
                }
            }
        }
        if next.attempt == last.attempt {
            if next.progress.state() < last.progress.state() {
                let (from, to) = (last.progress.state(), next.progress.state());
                self.broken("P2", format!("{name}: the record goes back from {from} to {to}"));
            }
            if last.stop.is_some() && next.stop.is_none() {
                self.broken("P1", format!("{name}: that its end is wanted is forgotten"));
            }
        }
        for (attempt, outcome) in next.outcomes() {
            let known = last.outcome_of(attempt);
            let worker = task.worker_id(index, attempt);
            if known.is_none() {
                self.ended(&worker, last, outcome, world);
            }
            if known.is_none_or(|known| known.log != outcome.log) {
                self.log(&worker, outcome, world);
            }
        }
    }

    /// An end is put down after it has come, and as it was.
    fn ended(&mut self, worker: &WorkerId, last: &Slot, outcome: &Outcome, world: &Seen<'_>) {
        if let Some(pod) = world.server.pods.get(worker)
            && pod.life.is_alive()
        {
            let verdict = outcome.verdict;
            return self.broken("P2", format!("{worker} is on record as {verdict:?}, and it lives"));
        }
        let fate = self.fates.get(worker);
        let is_so = match outcome.verdict {
            Verdict::Succeeded => fate == Some(&Fate::Exited(0)),
            Verdict::Failed(Class::User) => matches!(fate, Some(Fate::Exited(code)) if *code != 0),
            Verdict::Failed(Class::Infra) => {
                fate == Some(&Fate::Infrastructure) || matches!(last.stop, Some(Stop::Failed { .. }))
            }
            Verdict::Failed(Class::Policy) => {
                fate == Some(&Fate::OutOfMemory)
                    || matches!(last.stop, Some(Stop::Failed { .. }))
                    || self.refused.contains(worker)
                    || outcome.reason.contains("queue timeout")
            }
            Verdict::Cancelled | Verdict::Failed(Class::Cancelled) => last.stop == Some(Stop::Cancelled),
            Verdict::Lost => self.taken.contains(worker),
        };
        if !is_so {
            let verdict = outcome.verdict;
            self.broken(
                "P1",
                format!("{worker} is on record as {verdict:?} ({}), and was {fate:?}", outcome.reason),
            );
        }
    }

    /// P9: what is on record of a log is what log-ingest said, or the deadline has passed.
    fn log(&mut self, worker: &WorkerId, outcome: &Outcome, world: &Seen<'_>) {
        let is_so = match &outcome.log {
            Log::Open => true,
            Log::Complete => world.ingest.closed(worker) == Some(true),
            Log::Incomplete { .. } => world.ingest.closed(worker).is_some() || world.is_drained(outcome),
            // That it ran is unknown where nobody saw it run and its agent never got through.
            Log::None => {
                !outcome.has_run() && (!self.started.contains(worker) || !world.ingest.knows(worker))
            }
        };
        if !is_so {
            self.broken("P9", format!("{worker}: its log is on record as {:?}, and it is not", outcome.log));
        }
    }

    /// P9: what is left of a worker is removed once its log is complete, or given up on record.
    pub(super) fn removed(&mut self, worker: &WorkerId, world: &Seen<'_>) {
        let Some(pod) = world.server.pods.get(worker) else { return };
        if pod.life.is_alive() {
            return self.broken("P9", format!("{worker} is removed, and it lives"));
        }
        let identity = &pod.spec.identity;
        let record = crate::name::task_record(&identity.task_id, &identity.request_id);
        let slot = world.redis.task(&record).map(|task| task.slot(identity.index));
        let outcome = slot.and_then(|slot| slot.outcome_of(identity.attempt));
        let is_given_up = outcome.is_some_and(|outcome| match &outcome.log {
            Log::Incomplete { .. } => world.is_drained(outcome),
            Log::Open | Log::Complete | Log::None => false,
        });
        if self.started.contains(worker) && world.ingest.closed(worker).is_none() && !is_given_up {
            self.broken("P9", format!("{worker} is removed, and its log is not complete: {outcome:?}"));
        }
    }

    /// At the end of a quiet time: everything that was asked for is done.
    pub(super) fn all_done(&mut self, redis: &Redis) {
        let mut open = Vec::new();
        for (record, asked) in &self.requested {
            let Some(task) = redis.task(record) else {
                open.push(format!("{record} is not on record"));
                continue;
            };
            for (index, slot) in task.workers().filter(|(_, slot)| !slot.is_settled()) {
                open.push(format!("{}: {slot:?}", asked.worker_id(index, slot.attempt)));
            }
            for (index, slot) in task.workers() {
                let worker = task.worker_id(index, slot.attempt);
                let is_end = |verdict| slot.outcome().is_some_and(|outcome| outcome.verdict == verdict);
                if is_end(Verdict::Succeeded) && !self.started.contains(&worker) {
                    open.push(format!("{worker} never ran"));
                }
            }
        }
        if !open.is_empty() {
            self.broken("P1", format!("it does not come to its end: {}", open.join("; ")));
        }
    }
}

/// What is really so, to compare with.
pub(super) struct Seen<'a> {
    pub(super) server: &'a Server,
    pub(super) redis: &'a Redis,
    pub(super) ingest: &'a Ingest,
    pub(super) policy: &'a Policy,
    pub(super) now: Timestamp,
}

impl Seen<'_> {
    fn is_drained(&self, outcome: &Outcome) -> bool {
        let since = self.now.duration_since(outcome.ended_at);
        since >= jiff::SignedDuration::try_from(self.policy.drain_timeout).expect("a short time")
    }
}
