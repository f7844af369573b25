//! Carries out what [`crate::reconcile`] decides, again and again.
//!
//! It owns the working copy of the records. A pass takes in what intake recorded, observes, decides
//! and acts; it is woken by a new record, by the runtime, or by the clock. Redis is the truth: after
//! any doubt (a failed write, a connection that intake lost) all records are read again first. While
//! Redis cannot be reached, passes go on with the copy; what could not be written is decided again.
//! Nothing is in flight between two passes, so each decides on what is so.

mod hands;
mod pause;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt;
use jiff::Timestamp;
use ottoscaler_kit::admin::Condition;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::hands::{Failure, Hands, Work};
use self::pause::Pause;
use crate::ids::{RecordId, WorkerId, WorkerIndex};
use crate::metrics::{Metrics, kind};
use crate::reconcile::{Action, Limits, reconcile, refused};
use crate::record::{Record, Records, Slot, Store, Update, Written};
use crate::runtime::{Observation, Runtime};
use crate::status::State;

/// A pass is made at least this often: time passes, and a missed wake must not matter.
const TICK: Duration = Duration::from_secs(1);

/// So many workers are made, stopped or removed at once.
const CONCURRENT_ACTIONS: usize = 16;

/// What intake tells the controller.
#[derive(Clone, Debug)]
pub enum Intake {
    /// A record was written.
    Recorded(Record),
    /// The connection to Redis was made again; what was believed before may no longer hold.
    Reconnected,
}

/// What the operator decides.
#[derive(Clone, Copy, Debug)]
pub struct ControllerConfig {
    /// So many workers may be there at once.
    pub max_workers: NonZeroUsize,
    /// What is left of an ended worker stays for so long.
    pub keep_ended: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Controller<R> {
    runtime: Arc<R>,
    store: Store,
    config: ControllerConfig,
    metrics: Metrics,
    synced: Condition,
    records: Records,
    reload: Reload,
    pause: Pause,
    strangers: BTreeSet<WorkerId>,
}

/// Whether the copy of the records can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    /// Nothing was read yet: do nothing before.
    First,
    /// There is doubt: read again, and go on with the copy meanwhile.
    Again,
    /// No doubt.
    No,
}

impl<R: Runtime> Controller<R> {
    /// Drives `runtime` by the records in `store`. `synced` is met once both are known.
    pub fn new(
        runtime: Arc<R>,
        store: Store,
        config: ControllerConfig,
        metrics: Metrics,
        synced: Condition,
    ) -> Self {
        Self {
            runtime,
            store,
            config,
            metrics,
            synced,
            records: Records::default(),
            reload: Reload::First,
            pause: Pause::default(),
            strangers: BTreeSet::new(),
        }
    }

    /// Works until `stop`, and finishes the pass that it is in. Workers are left as they are.
    pub async fn run(mut self, mut intake: mpsc::Receiver<Intake>, stop: CancellationToken) -> Result<()> {
        while !stop.is_cancelled() {
            while let Ok(message) = intake.try_recv() {
                self.hear(message);
            }
            if self.pass().await == Next::AtOnce {
                continue;
            }
            // Each branch is cancel safe: a message not received stays in its channel, a change not
            // waited for stays noted, and the next pass looks at everything anyway.
            tokio::select! {
                () = stop.cancelled() => {}
                Some(message) = intake.recv() => self.hear(message),
                () = self.runtime.changed() => {}
                () = tokio::time::sleep(TICK) => {}
                () = self.pause.over() => {}
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: Intake) {
        match message {
            Intake::Recorded(record) => self.records.insert(record),
            Intake::Reconnected if self.reload == Reload::No => self.reload = Reload::Again,
            Intake::Reconnected => {}
        }
    }

    async fn pass(&mut self) -> Next {
        self.reload_records().await;
        if self.reload == Reload::First {
            self.synced.missing("the records were not read yet");
            return Next::OnChange;
        }
        let observation = match self.runtime.observe() {
            Ok(observation) => observation,
            Err(error) => {
                self.synced.missing(error.to_string());
                return Next::OnChange;
            }
        };
        self.synced.met();
        self.measure(&observation);
        let limits = Limits {
            max_workers: self.config.max_workers,
            may_create: self.pause.may_create(),
            keep_ended: self.config.keep_ended,
        };
        let actions = reconcile(&self.records, &observation, limits, Timestamp::now());
        self.carry_out(actions).await
    }

    async fn reload_records(&mut self) {
        if self.reload == Reload::No {
            return;
        }
        match self.store.load().await {
            Ok(loaded) => {
                tracing::info!(records = loaded.records.len(), "records read");
                loaded.records.into_iter().for_each(|record| self.records.replace(record));
                for (record, error) in &loaded.unreadable {
                    tracing::error!(record, error = format!("{error:#}"), "record cannot be read");
                }
                self.metrics.unreadable_records.set(loaded.unreadable.len().try_into().unwrap_or(i64::MAX));
                self.reload = Reload::No;
            }
            Err(error) => self.redis_failed(&error, "records cannot be read"),
        }
    }

    /// Records and workers are changed side by side: no create waits for a notification. What depends
    /// on a record being written is only decided in a later pass.
    async fn carry_out(&mut self, actions: Vec<Action>) -> Next {
        let (mut writes, mut work) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Record(update) => writes.push(Write::Worker(update)),
                Action::ApplyScaleDown { down, cancelled } => writes.push(Write::ScaleDown(down, cancelled)),
                Action::Create(spec) => work.push(Work::Create(spec)),
                Action::Stop(worker) => work.push(Work::Stop(worker)),
                Action::Remove(worker) => work.push(Work::Remove(worker)),
            }
        }
        let hands = Hands { runtime: Arc::clone(&self.runtime), metrics: self.metrics.clone() };
        let working = futures::stream::iter(work)
            .map(|work| hands.do_one(work))
            .buffer_unordered(CONCURRENT_ACTIONS)
            .filter_map(async |failure| failure)
            .collect::<Vec<_>>();
        let (failures, wrote) = tokio::join!(working, self.write(writes));
        let refused = self.learn(failures);
        let wrote_refused = self.write(refused).await;
        wrote.and(wrote_refused)
    }

    /// One after another, because the last one of a task also finishes its record.
    async fn write(&mut self, writes: Vec<Write>) -> Next {
        let mut next = Next::OnChange;
        for write in writes {
            let result = match write {
                Write::Worker(update) => self.write_worker(*update).await,
                Write::ScaleDown(down, cancelled) => self.write_scale_down(&down, cancelled).await,
            };
            if let Err(error) = result {
                self.redis_failed(&error, "record cannot be written");
                // Not at once: without Redis that would be a busy loop.
                return Next::OnChange;
            }
            next = Next::AtOnce;
        }
        next
    }

    async fn write_worker(&mut self, update: Update) -> redis::RedisResult<()> {
        let finished = self.records.task(&update.record).is_some_and(|task| {
            update.slot.is_ended()
                && task.workers().all(|(index, slot)| index == update.index || slot.is_ended())
        });
        if self.store.update_worker(&update, finished).await? == Written::Nothing {
            self.metrics.lost_records.inc();
            tracing::warn!(record = %update.record, "redis no longer has the record; going on without it");
        }
        let notification = &update.notification;
        tracing::info!(
            task_id = %notification.task_id,
            worker_id = %notification.worker_id,
            state = %notification.state,
            exit_code = notification.exit_code,
            reason = notification.reason,
            "worker changed"
        );
        if update.slot.is_ended() {
            self.metrics.outcomes.get_or_create(&kind(notification.state.as_str())).inc();
        }
        self.records.set_slot(&update.record, update.index, update.slot);
        Ok(())
    }

    async fn write_scale_down(
        &mut self,
        down: &RecordId,
        cancelled: Vec<(RecordId, WorkerIndex, Slot)>,
    ) -> redis::RedisResult<()> {
        match self.store.apply_scale_down(down, &cancelled).await? {
            Written::Done => {
                tracing::info!(record = %down, workers = cancelled.len(), "scale-down applied");
                for (record, index, slot) in cancelled {
                    self.records.set_slot(&record, index, slot);
                }
            }
            // An answer was lost before: what was chosen then is in Redis.
            Written::Nothing => self.reload = Reload::Again,
        }
        self.records.remove_scale_down(down);
        Ok(())
    }

    /// What the runtime could not do: for now, then no worker is made for a while; ever, then that is
    /// the worker's outcome.
    fn learn(&mut self, failures: Vec<Failure>) -> Vec<Write> {
        let is_create = |failure: &Failure| matches!(failure.work, Work::Create(_));
        if failures.iter().any(|failure| is_create(failure) && failure.error.is_transient()) {
            self.pause.extend();
        } else {
            self.pause.reset();
        }
        let now = Timestamp::now();
        let outcomes = failures.into_iter().filter_map(|failure| match failure.work {
            Work::Create(spec) if !failure.error.is_transient() => {
                refused(&spec, &self.records, failure.error.to_string(), now)
            }
            Work::Create(_) | Work::Stop(_) | Work::Remove(_) => None,
        });
        outcomes.map(|update| Write::Worker(Box::new(update))).collect()
    }

    fn redis_failed(&mut self, error: &redis::RedisError, what: &'static str) {
        self.metrics.redis_failures.inc();
        if self.reload == Reload::No {
            self.reload = Reload::Again;
        }
        tracing::warn!(error = %error, problem = what, "redis failed; trying again");
    }

    fn measure(&mut self, observation: &Observation) {
        let mut known = BTreeSet::new();
        let mut counts = State::ALL.map(|state| (state, 0));
        for task in self.records.tasks() {
            for (index, slot) in task.workers() {
                let state = slot.progress.state();
                if let Some((_, count)) = counts.iter_mut().find(|(counted, _)| *counted == state) {
                    *count += 1;
                }
                known.insert(task.worker_id(index, slot.attempt));
            }
        }
        for (state, count) in counts {
            self.metrics.workers.get_or_create(&kind(state.as_str())).set(count);
        }
        self.notice_strangers(observation, &known);
    }

    /// Workers that run without a record: Redis has lost it. They are left alone, and said once.
    fn notice_strangers(&mut self, observation: &Observation, known: &BTreeSet<WorkerId>) {
        let strange = observation
            .iter()
            .filter(|(worker, observed)| observed.phase.takes_capacity() && !known.contains(*worker));
        let strangers: BTreeSet<_> = strange.map(|(worker, _)| worker.clone()).collect();
        for worker in strangers.difference(&self.strangers) {
            tracing::warn!(worker_id = %worker, "a worker runs and is not on record; it is left running");
        }
        self.metrics.workers_without_record.set(strangers.len().try_into().unwrap_or(i64::MAX));
        self.strangers = strangers;
    }
}

/// When the next pass is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Something was written that decides what is to be done.
    AtOnce,
    /// Once something changes.
    OnChange,
}

impl Next {
    fn and(self, other: Self) -> Self {
        if self == Self::AtOnce { self } else { other }
    }
}

/// A change of records.
#[derive(Debug)]
enum Write {
    Worker(Box<Update>),
    ScaleDown(RecordId, Vec<(RecordId, WorkerIndex, Slot)>),
}
