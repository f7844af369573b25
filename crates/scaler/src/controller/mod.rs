//! Carries out what [`crate::reconcile`] decides, again and again, for as long as this replica leads.
//!
//! It owns the working copy of the records. A pass takes in what intake recorded and what work came
//! to, observes, decides, writes and starts work; it is woken by any of these or by the clock. Work on
//! the runtime and on log-ingest is never waited for: what is in flight is known to the next pass.
//! Redis is the truth: after any doubt (a failed write, a connection that intake lost) all records are
//! read again first. While Redis cannot be reached, passes go on with the copy and write nothing; what
//! could not be written is decided again.

mod aside;
mod hands;
mod pace;
mod places;
mod telling;
mod working;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::{SignedDuration, Timestamp};
use ottoscaler_kit::admin::Condition;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::aside::Asides;
use self::hands::{Done, Hands};
use self::pace::Pace;
use self::places::Places;
use self::telling::Telling;
#[cfg(test)]
pub(crate) use self::writing::finishes;
use crate::explain::{self, Question};
use crate::ids::{RecordId, WorkerId};
use crate::logs::{LogAnswer, LogIngest, Narrator};
use crate::metrics::{Metrics, kind};
use crate::reconcile::{Busy, Known, Policy, reconcile};
use crate::record::{Record, Records, Store, TaskRecord, WorkerSpec};
use crate::runtime::{NotSynced, Observation, Runtime};
use crate::status::State;

/// A pass is made at least this often: time passes, and a missed wake must not matter.
const TICK: Duration = Duration::from_secs(1);

/// A pass looks at every worker. With ten thousand it takes milliseconds, and while many come to be there
/// is always a reason for the next one: what deciding took is followed by a rest of so many times that.
const REST: u32 = 9;

/// No rest is longer: what comes meanwhile waits for it.
const REST_MAX: Duration = Duration::from_millis(30);

/// The clock's resolution. A shorter rest is none, so few workers never wait.
const REST_MIN: Duration = Duration::from_millis(1);

/// An answer about the log of a worker of which nothing else is left is remembered for so long: past
/// the longest time between two questions.
const LOG_ANSWER_KEPT: SignedDuration = SignedDuration::from_mins(2);

/// What intake tells the controller.
#[derive(Clone, Debug)]
pub enum Intake {
    /// A record was written.
    Recorded(Record),
    /// The connection to Redis was made again; what was believed before may no longer hold.
    Reconnected,
}

/// What the controller works with.
#[derive(Debug)]
pub struct Means<R> {
    /// Makes workers.
    pub runtime: Arc<R>,
    /// Keeps records.
    pub store: Store,
    /// Knows their logs.
    pub ingest: LogIngest,
    /// Takes what is told of them.
    pub narrator: Narrator,
    /// Counts.
    pub metrics: Metrics,
    /// Met once records and workers are known.
    pub synced: Condition,
}

/// What the operator decides.
#[derive(Clone, Copy, Debug)]
pub struct ControllerConfig {
    /// About workers.
    pub policy: Policy,
    /// So many are made in a second.
    pub create_rate: Option<NonZeroU32>,
}

impl<R> Means<R> {
    /// The same, with a store in a term.
    pub(crate) fn in_term(&self, store: Store) -> Self {
        Self {
            runtime: Arc::clone(&self.runtime),
            store,
            ingest: self.ingest.clone(),
            narrator: self.narrator.clone(),
            metrics: self.metrics.clone(),
            synced: self.synced.clone(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Controller<R> {
    hands: Hands<R>,
    config: ControllerConfig,
    telling: Telling,
    synced: Condition,
    records: Records,
    reload: Reload,
    pace: Pace,
    asides: Asides,
    work: JoinSet<Done>,
    /// How much of it talks to log-ingest.
    log_work: Places,
    busy: BTreeMap<WorkerId, Busy>,
    logs: BTreeMap<WorkerId, LogAnswer>,
    /// Records that are just being looked for, and workers that are nobody's.
    adopting: BTreeSet<RecordId>,
    strangers: BTreeSet<WorkerId>,
    /// Workers that can never be made, and why: to be written before anything else is decided.
    owed: Vec<(Box<WorkerSpec>, String)>,
    /// Workers with which something did not work, until the next tick.
    resting: Vec<WorkerId>,
    /// How long the last pass took to decide.
    decided_in: Duration,
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

/// When the next pass is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Something was written that decides what is to be done.
    AtOnce,
    /// Once something changes.
    OnChange,
    /// Another leader has written.
    Never,
}

/// Why a controller has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// Redis refused it: a later leader has written.
    Fenced,
}

impl<R: Runtime> Controller<R> {
    /// Drives a runtime by the records in a store.
    pub fn new(means: Means<R>, config: ControllerConfig) -> Self {
        let Means { runtime, store, ingest, narrator, metrics, synced } = means;
        Self {
            hands: Hands { runtime, store, ingest, metrics },
            config,
            telling: Telling::new(narrator),
            synced,
            records: Records::default(),
            reload: Reload::First,
            pace: Pace::new(config.create_rate),
            asides: Asides::default(),
            work: JoinSet::new(),
            log_work: Places::default(),
            busy: BTreeMap::new(),
            logs: BTreeMap::new(),
            adopting: BTreeSet::new(),
            strangers: BTreeSet::new(),
            owed: Vec::new(),
            resting: Vec::new(),
            decided_in: Duration::ZERO,
        }
    }

    /// Works until `stop`, and finishes the pass that it is in; work in flight is dropped, which any
    /// later leader makes up for. Workers are left as they are.
    pub async fn run(
        mut self,
        mut intake: mpsc::Receiver<Intake>,
        questions: &mut mpsc::Receiver<Question>,
        stop: CancellationToken,
    ) -> Result<Ended> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            // All that has come meanwhile, so that one pass is made for all of it.
            while let Ok(message) = intake.try_recv() {
                self.hear(message);
            }
            let next = self.pass().await?;
            self.rest(&stop).await;
            if next == Next::Never {
                return Ok(Ended::Fenced);
            }
            let runtime = Arc::clone(&self.hands.runtime);
            // Each branch is cancel safe: a message not received stays in its channel, work not joined
            // in its set, a change not waited for stays noted, and the next pass looks at everything.
            // What only happens here comes first: while each pass writes, the last branch is always ready.
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                _ = tick.tick() => self.look_around(),
                Some(question) = questions.recv() => self.answer(question),
                Some(message) = intake.recv() => self.hear(message),
                Some(done) = self.work.join_next() => self.learn(done)?,
                () = runtime.changed() => {}
                () = self.pace.over() => {}
                () = self.asides.over() => {}
                () = std::future::ready(()), if next == Next::AtOnce => {}
            }
        }
        Ok(Ended::Stopped)
    }

    /// So that deciding takes a tenth of a core or little more, and one pass is made for all that has come.
    async fn rest(&mut self, stop: &CancellationToken) {
        let rest = (std::mem::take(&mut self.decided_in) * REST).min(REST_MAX);
        if rest >= REST_MIN {
            let _stopped = stop.run_until_cancelled(tokio::time::sleep(rest)).await;
        }
    }

    fn hear(&mut self, message: Intake) {
        match message {
            Intake::Recorded(record) => self.records.insert(record),
            Intake::Reconnected if self.reload == Reload::No => self.reload = Reload::Again,
            Intake::Reconnected => {}
        }
    }

    async fn pass(&mut self) -> Result<Next> {
        while let Some(done) = self.work.try_join_next() {
            self.learn(done)?;
        }
        self.reload_records().await?;
        if self.reload == Reload::First {
            self.synced.missing("the records were not read yet");
            return Ok(Next::OnChange);
        }
        let observation = match self.hands.runtime.observe() {
            Ok(observation) => observation,
            Err(not_synced @ NotSynced) => {
                self.synced.missing(not_synced.to_string());
                return Ok(Next::OnChange);
            }
        };
        self.synced.met();
        if self.write_owed().await == Next::Never || self.tell().await == Next::Never {
            return Ok(Next::Never);
        }
        let began = Instant::now();
        let may_create = self.pace.may_create(self.creating());
        self.asides.now();
        let actions = reconcile(&self.known(&observation, may_create), &self.config.policy);
        self.decided_in = began.elapsed();
        let writes = self.start(actions, &observation);
        // While it is held, the runtime has to copy all of it to note a change.
        drop(observation);
        // What Redis has may be newer than the copy, where the answer to a write was lost.
        if self.reload != Reload::No {
            return Ok(Next::OnChange);
        }
        Ok(self.write(writes).await)
    }

    fn known<'a>(&'a self, observation: &'a Observation, may_create: usize) -> Known<'a> {
        Known {
            records: &self.records,
            observation,
            logs: &self.logs,
            busy: &self.busy,
            may_create,
            aside: self.asides.known(),
            now: Timestamp::now(),
        }
    }

    fn creating(&self) -> usize {
        self.busy.values().filter(|busy| **busy == Busy::Creating).count()
    }

    /// An error: the records are another scaler's, which has come while Redis had lost whose they are.
    async fn reload_records(&mut self) -> Result<()> {
        if self.reload == Reload::No {
            return Ok(());
        }
        let home = self.hands.runtime.home();
        match self.hands.store.claim(home).await {
            Ok(None) => {}
            Ok(Some(other)) => bail!("the records in Redis are now those of workers somewhere else: {other}"),
            Err(error) => {
                self.redis_failed(&error, "records cannot be claimed");
                return Ok(());
            }
        }
        let loaded = match self.hands.store.load().await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.redis_failed(&error, "records cannot be read");
                return Ok(());
            }
        };
        tracing::info!(records = loaded.records.len(), "records read");
        for (record, error) in &loaded.unreadable {
            tracing::error!(record, error = format!("{error:#}"), "record cannot be read");
        }
        let unreadable = loaded.unreadable.len().try_into().unwrap_or(i64::MAX);
        self.hands.metrics.unreadable_records.set(unreadable);
        let lost = self.records.absent_from(&loaded.records);
        loaded.records.into_iter().for_each(|record| self.records.replace(record));
        match self.write_again(&lost).await {
            Ok(()) => self.reload = Reload::No,
            Err(error) => self.redis_failed(&error, "a record that redis lost cannot be written again"),
        }
        Ok(())
    }

    /// What need not be done in every pass.
    fn look_around(&mut self) {
        for worker in self.resting.drain(..) {
            self.busy.remove(&worker);
        }
        let Ok(observation) = self.hands.runtime.observe() else { return };
        self.records.prune(&observation);
        self.asides.retain(|task| self.records.task(task).is_some_and(|task| !task.is_finished()));
        self.strangers.retain(|worker| observation.contains_key(worker));
        self.telling.obstacles(&self.records, &observation);
        let now = Timestamp::now();
        let is_fresh = |answer: &LogAnswer| now.duration_since(answer.at) < LOG_ANSWER_KEPT;
        self.logs.retain(|worker, answer| observation.contains_key(worker) || is_fresh(answer));
        self.measure();
    }

    fn measure(&self) {
        let mut counts = State::ALL.map(|state| (state, 0));
        for (_, slot) in self.records.tasks().flat_map(TaskRecord::workers) {
            let state = slot.progress.state();
            if let Some((_, count)) = counts.iter_mut().find(|(counted, _)| *counted == state) {
                *count += 1;
            }
        }
        for (state, count) in counts {
            self.hands.metrics.workers.get_or_create(&kind(state.as_str())).set(count);
        }
        let strangers = self.strangers.len().try_into().unwrap_or(i64::MAX);
        self.hands.metrics.workers_without_record.set(strangers);
    }

    fn answer(&self, question: Question) {
        let answer = match self.hands.runtime.observe() {
            Ok(observation) if self.reload != Reload::First => {
                let known = self.known(&observation, 0);
                explain::answer(&question.about, &known, &self.config.policy, self.pace.trouble())
            }
            Ok(_) | Err(NotSynced) => explain::Answer::NotYet,
        };
        let _asker_is_gone = question.reply.send(answer);
    }
}
