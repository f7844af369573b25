//! The controller of a leader: what `controller/mod.rs` does with the decisions of `reconcile`, cut
//! into steps of at most one call each, so that something can happen between any two.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::bugs::PlantedBug;
use super::calls::{Call, CallState, Done};
use super::faults::Site;
use super::replica::{Leader, Trouble};
use super::world::World;
use super::writes::Writes;
use crate::ids::{RecordId, WorkerId};
use crate::logs::LogAnswer;
use crate::reconcile::{Action, Aside, Busy, Known, Policy, in_use, reconcile, refused};
use crate::record::{Record, Records, Update, WorkerSpec};
use crate::runtime::{Observation, Phase};

/// As in `controller/mod.rs` and `controller/pace.rs`, in milliseconds.
const TICK: i64 = 1_000;
const PAUSE: i64 = 100;

/// What intake tells.
#[derive(Debug)]
pub(super) enum Mail {
    Recorded(Record),
    Reconnected,
}

/// Whether the copy of the records can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reload {
    #[default]
    First,
    Again,
    No,
}

/// Where in a pass it is.
#[derive(Debug, Default)]
pub(super) enum Stage {
    #[default]
    Idle,
    /// These were not among the records read.
    Rebuilding(VecDeque<RecordId>),
    Owed(Writes),
    Decide,
    Writing(Writes),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Controller {
    pub(super) records: Records,
    pub(super) reload: Reload,
    busy: BTreeMap<WorkerId, Busy>,
    logs: BTreeMap<WorkerId, LogAnswer>,
    adopting: BTreeSet<RecordId>,
    owed: Vec<(Box<WorkerSpec>, String)>,
    resting: Vec<WorkerId>,
    /// None: all pause alike here.
    aside: BTreeMap<RecordId, Aside>,
    paused_until: i64,
    next_tick: i64,
    pub(super) mail: VecDeque<Mail>,
    pub(super) done: Vec<Done>,
    stage: Stage,
    /// The bug: what it believes to be in use.
    pub(super) counted: usize,
}

impl Controller {
    fn creating(&self) -> usize {
        self.busy.values().filter(|busy| **busy == Busy::Creating).count()
    }

    /// There is doubt: what is in Redis counts.
    pub(super) fn doubts(&mut self) {
        if self.reload == Reload::No {
            self.reload = Reload::Again;
        }
    }

    fn hear(&mut self) {
        for mail in std::mem::take(&mut self.mail) {
            match mail {
                Mail::Recorded(record) => self.records.insert(record),
                Mail::Reconnected => self.doubts(),
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }
}

impl World {
    pub(super) fn control(&mut self, r: usize, leader: &mut Leader) -> Result<(), Trouble> {
        match std::mem::take(&mut leader.controller.stage) {
            Stage::Idle => self.begin_pass(r, leader),
            Stage::Rebuilding(lost) => self.rebuild(r, leader, lost),
            Stage::Owed(writes) => {
                let left = self.write_on(r, leader, writes, Stage::Owed)?;
                leader.controller.stage = left.map_or(Stage::Decide, Stage::Owed);
                Ok(())
            }
            Stage::Decide => self.decide(r, leader),
            Stage::Writing(writes) => {
                let left = self.write_on(r, leader, writes, Stage::Writing)?;
                leader.controller.stage = left.map_or(Stage::Idle, Stage::Writing);
                Ok(())
            }
        }
    }

    /// One write; gives what is left. A replica that stands still has all of it left.
    fn write_on(
        &mut self,
        r: usize,
        leader: &mut Leader,
        mut writes: Writes,
        stage: fn(Writes) -> Stage,
    ) -> Result<Option<Writes>, Trouble> {
        match self.write_one(r, leader, &mut writes) {
            Ok(is_left) => Ok(is_left.then_some(writes)),
            Err(trouble) => {
                leader.controller.stage = stage(writes);
                Err(trouble)
            }
        }
    }

    fn begin_pass(&mut self, r: usize, leader: &mut Leader) -> Result<(), Trouble> {
        leader.controller.hear();
        self.learn(leader);
        self.look_around(r, leader);
        if leader.controller.reload != Reload::No {
            let away = self.redis.away;
            match self.remote(r, Site::LoadRecords, away, |world| Ok(world.redis.load())) {
                Ok(loaded) => {
                    let records = &mut leader.controller.records;
                    let lost = records.absent_from(&loaded);
                    for record in loaded {
                        records.replace(record);
                    }
                    leader.controller.stage = Stage::Rebuilding(lost.into());
                    return Ok(());
                }
                Err(Trouble::Failed) if leader.controller.reload == Reload::First => return Ok(()),
                Err(Trouble::Failed) => {
                    leader.controller.owed.clear();
                    leader.controller.stage = Stage::Decide;
                    return Ok(());
                }
                Err(trouble) => return Err(trouble),
            }
        }
        self.write_owed(leader);
        Ok(())
    }

    fn write_owed(&self, leader: &mut Leader) {
        let controller = &mut leader.controller;
        let owed = std::mem::take(&mut controller.owed).into_iter();
        let ends = owed.filter_map(|(spec, reason)| refused(&spec, &controller.records, &reason, self.at()));
        controller.stage = Stage::Owed(Writes::new(ends.collect(), VecDeque::new()));
    }

    /// No record is ever lost here: one that was not read was finished, and an answer lost.
    fn rebuild(
        &mut self,
        r: usize,
        leader: &mut Leader,
        mut lost: VecDeque<RecordId>,
    ) -> Result<(), Trouble> {
        let (Some(id), away, term) = (lost.front().cloned(), self.redis.away, leader.term()) else {
            leader.controller.reload = Reload::No;
            self.write_owed(leader);
            return Ok(());
        };
        let fetch = |world: &mut Self| {
            world.redis.fence(term)?;
            Ok(world.redis.record_of(&id).cloned())
        };
        match self.remote(r, Site::LoadRecords, away, fetch) {
            Ok(found) => {
                lost.pop_front();
                if let Some(found) = found {
                    leader.controller.records.replace(found);
                }
                leader.controller.stage = Stage::Rebuilding(lost);
                Ok(())
            }
            Err(Trouble::Frozen) => {
                leader.controller.stage = Stage::Rebuilding(lost);
                Err(Trouble::Frozen)
            }
            Err(Trouble::Failed) => {
                leader.controller.owed.clear();
                leader.controller.stage = Stage::Decide;
                Ok(())
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn decide(&mut self, r: usize, leader: &mut Leader) -> Result<(), Trouble> {
        if let Err(trouble) = self.before(r, Site::Decide) {
            leader.controller.stage = Stage::Decide;
            return Err(trouble);
        }
        let Ok(observation) = self.replicas[r].memory.observe() else { return Ok(()) };
        let observation = self.believed(observation);
        let actions = self.reconcile(leader, &observation);
        let makes = actions.iter().any(|action| matches!(action, Action::Create(_)));
        let (updates, downs) = self.start(r, leader, actions, &observation);
        // On a copy in doubt nothing is written.
        if leader.controller.reload == Reload::No {
            leader.controller.stage = Stage::Writing(Writes::new(updates, downs));
        }
        if makes {
            self.check_capacity(leader, &observation);
        }
        Ok(())
    }

    /// What is observed, or what the bug makes of it.
    fn believed(&self, observation: Arc<Observation>) -> Arc<Observation> {
        if self.bug != Some(PlantedBug::RetryBeforeEnd) {
            return observation;
        }
        let mut believed = Observation::clone(&observation);
        for worker in believed.values_mut().filter(|worker| worker.stopping && worker.phase.takes_capacity())
        {
            worker.phase = Phase::Vanished { reason: "stopped".to_owned(), noticed_at: self.at() };
        }
        Arc::new(believed)
    }

    fn reconcile(&self, leader: &Leader, observation: &Observation) -> Vec<Action> {
        let controller = &leader.controller;
        let mut may_create = 64usize.saturating_sub(controller.creating());
        if self.now < controller.paused_until {
            may_create = 0;
        }
        let mut policy = self.policy;
        if self.bug == Some(PlantedBug::CountedNotDerived) {
            may_create = may_create.min(policy.max_workers.get().saturating_sub(controller.counted));
            policy = Policy { max_workers: std::num::NonZeroUsize::MAX, ..policy };
        }
        let known = Known {
            records: &controller.records,
            observation,
            logs: &controller.logs,
            busy: &controller.busy,
            may_create,
            aside: &controller.aside,
            now: self.at(),
        };
        let mut actions = reconcile(&known, &policy);
        if self.bug == Some(PlantedBug::PodBeforeLog) {
            let is_ended = |worker: &&WorkerId| observation[*worker].phase.ended_at().is_some();
            let is_free = |worker: &&WorkerId| !controller.busy.contains_key(*worker);
            let ended = observation.keys().filter(is_ended).filter(is_free);
            actions.extend(ended.map(|worker| Action::Remove(worker.clone())));
        }
        actions
    }

    /// P3: what is in use and what is being made is never more than there may be once something is made.
    fn check_capacity(&mut self, leader: &Leader, observation: &Observation) {
        let Controller { records, logs, busy, aside, .. } = &leader.controller;
        let known = Known { records, observation, logs, busy, may_create: 0, aside, now: self.at() };
        let (in_use, max) = (in_use(&known), self.policy.max_workers.get());
        if in_use > max {
            self.checks.broken("P3", format!("{in_use} workers are in use or being made, of {max}"));
        }
    }

    fn start(
        &mut self,
        r: usize,
        leader: &mut Leader,
        actions: Vec<Action>,
        observation: &Arc<Observation>,
    ) -> (Vec<Update>, VecDeque<super::writes::Down>) {
        let (mut updates, mut downs) = (Vec::new(), VecDeque::new());
        for action in actions {
            self.note(|| format!("replica {r} decides {}", shown(&action)));
            let controller = &mut leader.controller;
            match &action {
                Action::Record(update) => {
                    updates.push(Update::clone(update));
                    continue;
                }
                Action::ApplyScaleDown { down, cancelled } => {
                    downs.push_back((down.clone(), cancelled.clone()));
                    continue;
                }
                Action::Create(spec) => {
                    controller.busy.insert(spec.worker_id.clone(), Busy::Creating);
                    controller.counted += 1;
                }
                Action::Adopt { record, .. } if !controller.adopting.insert(record.clone()) => continue,
                Action::Adopt { worker, .. } | Action::Stop(worker) | Action::Remove(worker) => {
                    controller.busy.insert(worker.clone(), Busy::Otherwise);
                }
                Action::AskLogs { workers, .. } => {
                    controller.busy.extend(workers.iter().map(|worker| (worker.clone(), Busy::Otherwise)));
                }
                Action::CloseLog(closing) => {
                    controller.busy.insert(closing.worker.clone(), Busy::Otherwise);
                }
            }
            let observation = Arc::clone(observation);
            leader.calls.push(Call { action, observation, state: CallState::Unsent });
        }
        (updates, downs)
    }

    fn learn(&mut self, leader: &mut Leader) {
        let controller = &mut leader.controller;
        for done in std::mem::take(&mut controller.done) {
            match done {
                Done::Worker(worker) | Done::Created(worker) => drop(controller.busy.remove(&worker)),
                Done::NotCreated(spec, error) => {
                    controller.busy.remove(&spec.worker_id);
                    if error.is_transient() {
                        controller.paused_until = self.now + PAUSE;
                    } else {
                        controller.owed.push((spec, error.reason().to_owned()));
                    }
                }
                Done::Failed(worker) => controller.resting.push(worker),
                Done::Logs(answers) => {
                    for (worker, answer) in answers {
                        controller.busy.remove(&worker);
                        let answer = answer.after(controller.logs.get(&worker));
                        controller.logs.insert(worker, answer);
                    }
                }
                Done::Adopted(worker, record, Some(task)) => {
                    controller.adopting.remove(&record);
                    controller.busy.remove(&worker);
                    controller.records.replace(Record::Task(task));
                }
                Done::Adopted(worker, record, None) => {
                    controller.adopting.remove(&record);
                    controller.resting.push(worker);
                }
            }
        }
    }

    fn look_around(&self, r: usize, leader: &mut Leader) {
        let controller = &mut leader.controller;
        if self.now < controller.next_tick {
            return;
        }
        controller.next_tick = self.now + TICK;
        for worker in controller.resting.drain(..) {
            controller.busy.remove(&worker);
        }
        if let Ok(observation) = self.replicas[r].memory.observe() {
            controller.records.prune(&observation);
        }
    }
}

/// An action in a few words.
fn shown(action: &Action) -> String {
    match action {
        Action::Create(spec) => format!("create {}", spec.worker_id),
        Action::Record(update) => {
            let Update { record, index, slot, .. } = &**update;
            format!("record {record} {index}: {slot:?}")
        }
        other => format!("{other:?}"),
    }
}
