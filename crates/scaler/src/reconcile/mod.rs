//! From records and observed workers to actions: PURE, level-triggered, the core of the scaler.
//!
//! `reconcile` is given all that is known and says all that is to be done now. It keeps nothing: the
//! capacity in use is what is observed, what is being made and what this very pass makes (P3). Its
//! actions are idempotent and their results come back as observations, so whatever fails is decided
//! again.

mod admission;
mod log;
mod scale_down;
mod transition;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::admission::Waiting;
pub use self::admission::in_use;
use self::log::LogStep;
pub use self::transition::{rebuild, refused};
use self::worker::Step;
pub use self::worker::queued_at;
use crate::ids::{RecordId, TaskId, WorkerId, WorkerIndex};
use crate::logs::{Closing, LogAnswer};
use crate::record::{Log, Records, Slot, TaskRecord, Update, WorkerSpec};
use crate::runtime::{Observation, Observed, Phase};

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
    /// Find out whose record this worker is of: it is none that is known.
    Adopt {
        /// The worker.
        worker: WorkerId,
        /// Its record.
        record: RecordId,
    },
    /// Ask log-ingest about the logs of ended workers of a task.
    AskLogs {
        /// The task.
        task: TaskId,
        /// The workers.
        workers: Vec<WorkerId>,
    },
    /// Have log-ingest close the log of a worker that left it open, and say why in it.
    CloseLog(Box<Closing>),
    /// Remove what is left of a worker.
    Remove(WorkerId),
}

/// What the operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// So many workers may be there at once.
    pub max_workers: NonZeroUsize,
    /// What is left of an ended worker stays for so long,
    pub keep_ended: Duration,
    /// and of so many of them.
    pub keep_ended_count: usize,
    /// How long a worker may take to get to its command, where its event does not say.
    pub pending_timeout: Duration,
    /// How long an image may fail to come.
    pub image_grace: Duration,
    /// Between SIGTERM and SIGKILL for a command.
    pub grace_period: Duration,
    /// How long an ended worker's log may stay incomplete.
    pub drain_timeout: Duration,
}

/// What is being done about a worker, and not yet seen to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// It is being made.
    Creating,
    /// Anything else.
    Otherwise,
}

/// Why no worker could be made last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In the runtime's own words.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A task of which a worker could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Why.
    pub trouble: Trouble,
    /// It lets others go first. Otherwise it is its turn again.
    pub waits: bool,
}

/// All that is known.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What was asked for, and what became of it.
    pub records: &'a Records,
    /// The workers that are there.
    pub observation: &'a Observation,
    /// What log-ingest last said of ended workers.
    pub logs: &'a BTreeMap<WorkerId, LogAnswer>,
    /// What is being done just now.
    pub busy: &'a BTreeMap<WorkerId, Busy>,
    /// So many workers may be made now: the API server's pace.
    pub may_create: usize,
    /// Tasks of which the last worker could not be made.
    pub aside: &'a BTreeMap<RecordId, Aside>,
    /// The time.
    pub now: Timestamp,
}

/// Says what is to be done now.
pub fn reconcile(known: &Known<'_>, policy: &Policy) -> Vec<Action> {
    let mut pass = Pass {
        known,
        policy,
        actions: Vec::new(),
        waiting: Vec::new(),
        asks: BTreeMap::new(),
        cancelled: BTreeSet::new(),
    };
    for down in known.records.scale_downs() {
        let cancelled = scale_down::choose(down.spec(), known, &pass.cancelled);
        pass.cancelled.extend(cancelled.iter().map(|(record, index, _)| (record.clone(), *index)));
        pass.actions.push(Action::ApplyScaleDown { down: down.id().clone(), cancelled });
    }
    // Whoever is about to be cancelled must not be made in the same pass, and whatever is put down of
    // it in the same pass would go without the mark.
    for task in known.records.tasks() {
        for (index, slot) in task.workers() {
            if !pass.is_cancelled(task, index) {
                pass.step(task, index, slot);
            }
        }
    }
    pass.look_at_workers();
    let created = admission::admit(std::mem::take(&mut pass.waiting), known, policy.max_workers);
    pass.actions.extend(created.map(|spec| Action::Create(Box::new(spec))));
    let asks = std::mem::take(&mut pass.asks);
    pass.actions.extend(asks.into_iter().map(|(task, workers)| Action::AskLogs { task, workers }));
    pass.actions
}

/// The workers that wait for capacity, in the order in which they will get it.
pub fn queue(known: &Known<'_>) -> Vec<(RecordId, WorkerIndex)> {
    let mut waiting = Vec::new();
    for task in known.records.tasks() {
        for (index, slot) in task.workers().filter(|(_, slot)| !slot.is_ended()) {
            if admission::waits(task, index, slot, known) {
                waiting.push(Waiting::new(task, index, slot.attempt));
            }
        }
    }
    admission::order(waiting, known).map(|waiting| (waiting.task.id().clone(), waiting.index)).collect()
}

struct Pass<'a> {
    known: &'a Known<'a>,
    policy: &'a Policy,
    actions: Vec<Action>,
    waiting: Vec<Waiting<'a>>,
    asks: BTreeMap<TaskId, Vec<WorkerId>>,
    /// Those that this very pass marks as cancelled.
    cancelled: BTreeSet<(RecordId, WorkerIndex)>,
}

impl<'a> Pass<'a> {
    fn step(&mut self, task: &'a TaskRecord, index: WorkerIndex, slot: &Slot) {
        if !slot.is_settled() {
            for (attempt, outcome) in slot.outcomes().filter(|(_, outcome)| outcome.log == Log::Open) {
                let worker = task.worker_id(index, attempt);
                match log::step(outcome, self.known.logs.get(&worker), self.policy, self.known.now) {
                    LogStep::Wait => {}
                    LogStep::Ask | LogStep::Close if self.is_busy(&worker) => {}
                    LogStep::Ask => self.asks.entry(task.spec().task_id.clone()).or_default().push(worker),
                    LogStep::Close => {
                        let closing = Closing::new(task, worker, outcome);
                        self.actions.push(Action::CloseLog(Box::new(closing)));
                    }
                    LogStep::Settle(log) => {
                        let update = transition::log_settled(task, index, slot, attempt, log);
                        self.actions.push(Action::Record(Box::new(update)));
                        // The next one starts from this one's slot.
                        return;
                    }
                }
            }
        }
        if slot.is_ended() {
            return;
        }
        let worker_id = task.worker_id(index, slot.attempt);
        let observed = self.known.observation.get(&worker_id);
        let busy = self.known.busy.get(&worker_id);
        if busy == Some(&Busy::Creating) && observed.is_none() {
            return;
        }
        match worker::step(task.spec(), slot, observed, self.policy, self.known.now) {
            Step::Wait => {}
            Step::Admit | Step::Stop if busy.is_some() => {}
            Step::Admit => self.waiting.push(Waiting::new(task, index, slot.attempt)),
            Step::Advance(progress) => {
                self.record(transition::advance(task, index, slot, progress, self.known.now));
            }
            Step::Mark(stop) => self.record(transition::mark(task, index, slot, stop)),
            Step::End(outcome) => self.record(transition::end(task, index, slot, outcome, self.known.now)),
            Step::Stop => self.actions.push(Action::Stop(worker_id)),
        }
    }

    fn record(&mut self, update: Update) {
        self.actions.push(Action::Record(Box::new(update)));
    }

    fn is_cancelled(&self, task: &TaskRecord, index: WorkerIndex) -> bool {
        !self.cancelled.is_empty() && self.cancelled.contains(&(task.id().clone(), index))
    }

    fn is_busy(&self, worker: &WorkerId) -> bool {
        self.known.busy.contains_key(worker)
    }

    /// From the other side: workers without a record, workers that should not be, and what is left of
    /// workers of which everything is on record.
    fn look_at_workers(&mut self) {
        let mut removable = Vec::new();
        for (worker, observed) in self.known.observation {
            if self.is_busy(worker) {
                continue;
            }
            let Some(task) = self.known.records.task(&observed.record) else {
                let (worker, record) = (worker.clone(), observed.record.clone());
                self.actions.push(Action::Adopt { worker, record });
                continue;
            };
            match Place::of(task, observed) {
                Place::Current | Place::Unsettled => {}
                Place::Stray if observed.phase.takes_capacity() && !observed.stopping => {
                    self.actions.push(Action::Stop(worker.clone()));
                }
                // Nothing ran in it, or what is left says nothing of that: there is nothing to be kept.
                Place::Stray | Place::Settled if observed.phase == Phase::Unstarted => {
                    self.actions.push(Action::Remove(worker.clone()));
                }
                Place::Stray | Place::Settled => {
                    if let Some(ended_at) = observed.phase.ended_at() {
                        removable.push((ended_at, worker));
                    }
                }
            }
        }
        self.remove(removable);
    }

    /// Those that were kept long enough, and the oldest of too many.
    fn remove(&mut self, mut ended: Vec<(Timestamp, &WorkerId)>) {
        ended.sort_unstable();
        let surplus = ended.len().saturating_sub(self.policy.keep_ended_count);
        let keep = signed(self.policy.keep_ended);
        let is_due = |at: Timestamp| self.known.now.duration_since(at) >= keep;
        let due = ended.iter().enumerate().filter(|(place, (at, _))| *place < surplus || is_due(*at));
        self.actions.extend(due.map(|(_, (_, worker))| Action::Remove((*worker).clone())));
    }
}

/// What a worker that is there is to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The attempt that the record is about.
    Current,
    /// One whose end is on record, and its log is not settled.
    Unsettled,
    /// One whose end is on record, and all is known of it.
    Settled,
    /// One that should not be: its end is on record and it lives, or it was never asked for.
    Stray,
}

impl Place {
    fn of(task: &TaskRecord, observed: &Observed) -> Self {
        let identity = &observed.identity;
        if identity.index.get() >= task.spec().count.get() {
            return Self::Stray;
        }
        let slot = task.slot(identity.index);
        match slot.outcome_of(identity.attempt) {
            None if identity.attempt == slot.attempt => Self::Current,
            None => Self::Stray,
            Some(_) if observed.phase.takes_capacity() => Self::Stray,
            Some(outcome) if outcome.log.is_settled() => Self::Settled,
            Some(_) => Self::Unsettled,
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Whether so much time has passed since then.
fn passed(since: Timestamp, duration: Duration, now: Timestamp) -> bool {
    now.duration_since(since) >= signed(duration)
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
