//! Work that a leader has others do, as `controller/hands.rs` and the Kubernetes runtime do it. A call
//! takes its time: it is sent, carried out, answered, and each of these may be the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bugs::PlantedBug;
use super::checks::Seen;
use super::faults::Site;
use super::replica::{CALL, Leader, Trouble};
use super::world::World;
use crate::ids::{RecordId, WorkerId};
use crate::logs::LogAnswer;
use crate::reconcile::{Action, rebuild};
use crate::record::{Record, TaskRecord, WorkerSpec};
use crate::runtime::kubernetes::testing::WorkerPod;
use crate::runtime::{ErrorKind, Observation, RuntimeError};

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) action: Action,
    /// What was there when it was decided.
    pub(super) observation: Arc<Observation>,
    pub(super) state: CallState,
}

/// How far a call is.
#[derive(Debug)]
pub(super) enum CallState {
    Unsent,
    /// On its way, about the Pod with this id, until its time is over.
    Sent {
        until: i64,
        uid: String,
    },
    /// Carried out, and the answer is lost.
    Silent {
        until: i64,
    },
    Answered(Answer),
}

/// What the API server says.
#[derive(Debug)]
pub(super) enum Answer {
    Made(Arc<WorkerPod>),
    NameTaken,
    Deleted(bool),
    No(ErrorKind),
}

/// What the controller is told in the end; as in `controller/hands.rs`.
#[derive(Debug)]
pub(super) enum Done {
    Worker(WorkerId),
    Created(WorkerId),
    NotCreated(Box<WorkerSpec>, RuntimeError),
    Failed(WorkerId),
    Logs(BTreeMap<WorkerId, LogAnswer>),
    Adopted(WorkerId, RecordId, Option<Box<TaskRecord>>),
}

impl Call {
    fn site(&self) -> Site {
        match self.action {
            Action::Create(_) => Site::Create,
            Action::Stop(_) => Site::Stop,
            Action::Remove(_) => Site::Remove,
            Action::AskLogs { .. } => Site::AskLogs,
            Action::CloseLog(_) => Site::CloseLog,
            Action::Adopt { .. } | Action::Record(_) | Action::ApplyScaleDown { .. } => Site::Adopt,
        }
    }

    /// The worker of a call to the API server.
    fn worker(&self) -> Option<&WorkerId> {
        match &self.action {
            Action::Create(spec) => Some(&spec.worker_id),
            Action::Stop(worker) | Action::Remove(worker) => Some(worker),
            _ => None,
        }
    }

    fn failed(action: Action, kind: ErrorKind) -> Done {
        match action {
            Action::Create(spec) => {
                let error = RuntimeError::new(kind, "create", &spec.worker_id, "simulated".to_owned());
                Done::NotCreated(spec, error)
            }
            Action::Stop(worker) | Action::Remove(worker) => Done::Failed(worker),
            other => panic!("{other:?} is no call to the API server"),
        }
    }
}

impl World {
    /// One step of one call.
    pub(super) fn make_call(&mut self, r: usize, leader: &mut Leader) -> Result<(), Trouble> {
        if leader.calls.is_empty() {
            return Ok(());
        }
        let place = self.rng.place(leader.calls.len());
        let mut call = leader.calls.swap_remove(place);
        match self.advance(r, leader, &mut call) {
            Ok(Some(done)) => leader.controller.done.push(done),
            Ok(None) => leader.calls.push(call),
            // What was under way when the replica was killed is left to the network.
            Err(trouble) => {
                leader.calls.push(call);
                return Err(trouble);
            }
        }
        Ok(())
    }

    fn advance(&mut self, r: usize, leader: &mut Leader, call: &mut Call) -> Result<Option<Done>, Trouble> {
        let site = call.site();
        if call.worker().is_none() {
            return self.other_work(r, leader, call).map(Some);
        }
        match &call.state {
            CallState::Unsent => match self.before(r, site) {
                Err(Trouble::Failed) => Ok(Some(Call::failed(call.action.clone(), ErrorKind::Unavailable))),
                Err(trouble) => Err(trouble),
                Ok(()) => Ok(self.send(r, call)),
            },
            CallState::Sent { until, .. } | CallState::Silent { until } if *until < self.now => {
                Ok(Some(Call::failed(call.action.clone(), ErrorKind::Unavailable)))
            }
            CallState::Silent { .. } => Ok(None),
            CallState::Sent { until, .. } => {
                let until = *until;
                let answer = self.carry_out(call);
                let lost = self.after(r, site);
                if lost == Err(Trouble::Crashed) {
                    call.state = CallState::Silent { until };
                    return Err(Trouble::Crashed);
                }
                call.state = match (answer, lost) {
                    (Some(answer), Ok(())) => CallState::Answered(answer),
                    _ => CallState::Silent { until },
                };
                Ok(None)
            }
            CallState::Answered(_) => Ok(Some(self.receive(r, call))),
        }
    }

    /// Only while this replica may act.
    fn send(&mut self, r: usize, call: &mut Call) -> Option<Done> {
        let replica = &mut self.replicas[r];
        if !replica.may_act(self.now) && self.bug != Some(PlantedBug::NoTenureCheck) {
            return Some(Call::failed(call.action.clone(), ErrorKind::Unavailable));
        }
        let worker = call.worker().expect("a call about a worker").clone();
        let is_create = matches!(call.action, Action::Create(_));
        let Some(uid) = replica.memory.uid(&worker).or_else(|| is_create.then(String::new)) else {
            if matches!(call.action, Action::Remove(_)) {
                replica.memory.remove(&worker);
            }
            return Some(Done::Worker(worker));
        };
        call.state = CallState::Sent { until: self.now + CALL, uid };
        None
    }

    /// The API server does what it was asked for. `None`: it is not reached.
    fn carry_out(&mut self, call: &Call) -> Option<Answer> {
        let CallState::Sent { uid, .. } = &call.state else { return None };
        if self.server.away {
            return None;
        }
        if !self.calm && self.rng.chance(self.fault_rate / 2) {
            return Some(Answer::No(self.rng.pick(&[ErrorKind::Unavailable, ErrorKind::Quota])));
        }
        Some(match &call.action {
            Action::Create(spec) => self.create(spec),
            Action::Remove(worker) => {
                self.note(|| format!("{worker} is removed"));
                let (now, policy) = (self.at(), &self.policy);
                let (server, redis, ingest) = (&self.server, &self.redis, &self.ingest);
                self.checks.removed(worker, &Seen { server, redis, ingest, policy, now });
                Answer::Deleted(self.server.delete(worker, uid))
            }
            Action::Stop(worker) => {
                self.note(|| format!("{worker} is stopped"));
                Answer::Deleted(self.server.delete(worker, uid))
            }
            other => panic!("{other:?} is no call to the API server"),
        })
    }

    fn create(&mut self, spec: &WorkerSpec) -> Answer {
        let worker = &spec.worker_id;
        let record = crate::name::task_record(&spec.identity.task_id, &spec.identity.request_id);
        if self.refused.contains(&record) {
            self.checks.refused.insert(worker.clone());
            return Answer::No(ErrorKind::Refused);
        }
        let now = self.at();
        let Some(pod) = self.server.create(spec, now) else { return Answer::NameTaken };
        self.note(|| format!("{worker} is made"));
        self.tally.workers += 1;
        self.checks.created(spec, &self.server);
        Answer::Made(pod)
    }

    /// The answer comes; as in `runtime/kubernetes/mod.rs`.
    fn receive(&mut self, r: usize, call: &mut Call) -> Done {
        let now = self.at();
        let CallState::Answered(answer) = &call.state else { panic!("it has no answer") };
        let memory = &mut self.replicas[r].memory;
        match (&call.action, answer) {
            (action, Answer::No(kind)) => Call::failed(action.clone(), *kind),
            (Action::Create(spec), Answer::Made(pod)) => {
                memory.made(pod, now);
                Done::Created(spec.worker_id.clone())
            }
            (Action::Create(spec), _) => self.compare(r, spec),
            (Action::Stop(worker), answer) => {
                if matches!(answer, Answer::Deleted(true)) {
                    memory.stopping(worker);
                } else {
                    memory.absent(worker, now);
                }
                Done::Worker(worker.clone())
            }
            (Action::Remove(worker), _) => {
                memory.remove(worker);
                Done::Worker(worker.clone())
            }
            (other, _) => panic!("{other:?} is no call to the API server"),
        }
    }

    fn compare(&mut self, r: usize, spec: &WorkerSpec) -> Done {
        let worker = &spec.worker_id;
        let (now, may_read) = (self.at(), self.replicas[r].may_act(self.now) && !self.server.away);
        let memory = &mut self.replicas[r].memory;
        if memory.worker(worker).is_none()
            && may_read
            && let Some(pod) = self.server.read(worker)
        {
            memory.made(&pod, now);
        }
        let found = memory.worker(worker);
        if found.is_some_and(|found| found.identity.is_same_worker(&spec.identity) && !found.stopping) {
            return Done::Created(worker.clone());
        }
        Call::failed(Action::Create(Box::new(spec.clone())), ErrorKind::Unavailable)
    }

    /// Calls to log-ingest and Redis: they need no tenure.
    fn other_work(&mut self, r: usize, leader: &Leader, call: &Call) -> Result<Done, Trouble> {
        let (site, now) = (call.site(), self.at());
        let before = self.before(r, site);
        if let Err(trouble @ (Trouble::Crashed | Trouble::Frozen)) = before {
            return Err(trouble);
        }
        let done = match &call.action {
            Action::AskLogs { workers, .. } => {
                let asked = workers.iter().map(|worker| (worker.clone(), self.ingest.ask(worker, now)));
                Done::Logs(asked.collect())
            }
            Action::CloseLog(closing) if before.is_ok() => {
                let answer = self.ingest.close(&closing.worker, now);
                Done::Logs(BTreeMap::from([(closing.worker.clone(), answer)]))
            }
            Action::CloseLog(closing) => Done::Logs(BTreeMap::from([(closing.worker.clone(), lost(now))])),
            Action::Adopt { worker, record } => {
                let task = before.ok().and_then(|()| self.adopt(leader, worker, record, &call.observation));
                Done::Adopted(worker.clone(), record.clone(), task)
            }
            other => panic!("{other:?} is no call"),
        };
        match (self.after(r, site), done) {
            (Err(Trouble::Crashed), _) => Err(Trouble::Crashed),
            (Ok(()), done) if before.is_ok() => Ok(done),
            (_, Done::Logs(answers)) => {
                Ok(Done::Logs(answers.into_keys().map(|worker| (worker, lost(now))).collect()))
            }
            (_, Done::Adopted(worker, record, _)) => Ok(Done::Adopted(worker, record, None)),
            (_, done) => Ok(done),
        }
    }

    fn adopt(
        &mut self,
        leader: &Leader,
        worker: &WorkerId,
        record: &RecordId,
        observation: &Observation,
    ) -> Option<Box<TaskRecord>> {
        if self.redis.away {
            return None;
        }
        if let Some(task) = self.redis.task(record) {
            return Some(Box::new(task.clone()));
        }
        let spec = self.server.pods.get(worker)?.spec.clone();
        let (task, _told) = rebuild(&spec, observation, false, self.at());
        self.redis.fence(leader.term()).ok()?;
        self.redis.record(&Record::Task(Box::new(task.clone())));
        Some(Box::new(task))
    }

    /// What is on its way arrives, though the one who sent it stands still.
    pub(super) fn network(&mut self, r: usize) {
        let Some(mut leader) = self.replicas[r].leader.take() else { return };
        if !leader.calls.is_empty() {
            let place = self.rng.place(leader.calls.len());
            let call = &mut leader.calls[place];
            if let CallState::Sent { until, .. } = call.state
                && until >= self.now
                && let Some(answer) = self.carry_out(call)
            {
                call.state = CallState::Answered(answer);
            }
        }
        self.replicas[r].leader = Some(leader);
    }

    /// What a killed replica had sent arrives within its time, or never.
    pub(super) fn deliver_orphan(&mut self) {
        if self.orphans.is_empty() {
            return;
        }
        let place = self.rng.place(self.orphans.len());
        let call = self.orphans.swap_remove(place);
        if let CallState::Sent { until, .. } = call.state
            && until >= self.now
            && self.rng.chance(700)
        {
            self.carry_out(&call);
        }
    }
}

fn lost(at: jiff::Timestamp) -> LogAnswer {
    LogAnswer::new(Err("the answer is lost".to_owned()), at)
}
