//! A scaler, a Redis and a machine as models, driven by random schedules: events that repeat,
//! scale-downs, crashes between any two effects, workers ending whenever they
//! like. A failing schedule is printed and shrunk by proptest, and kept for the next run.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::testing::{at, exit, pending, policy, scale_up};
use super::*;
use crate::event::{ScaleDown, Selector};
use crate::logs::LogStatus;
use crate::record::{Record, ScaleDownRecord};
use crate::runtime::Phase;

const MAX_WORKERS: usize = 3;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The event of a request arrives, for the first time or again.
    Request(u8),
    /// A scale-down of a task arrives.
    ScaleDown { task: u8, keep: u32 },
    /// The scaler makes a pass and is killed after so many effects, or not at all.
    Pass { killed_after: Option<usize> },
    /// A made worker, by its place among all, starts its command.
    Start(usize),
    /// A running worker's command ends, or its agent is killed.
    End { worker: usize, vanishes: bool },
}

/// Redis and the machine live on; the scaler has nothing but a copy of the records.
#[derive(Default)]
struct World {
    redis: Records,
    machine: Observation,
    logs: BTreeMap<WorkerId, LogAnswer>,
    requested: BTreeMap<RecordId, TaskRecord>,
    starts: BTreeMap<WorkerId, usize>,
    told: BTreeMap<WorkerId, Vec<crate::status::State>>,
    entries: u64,
}

impl World {
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request(number) => self.request(number),
            Happening::ScaleDown { task, keep } => self.scale_down(task, keep),
            Happening::Pass { killed_after } => self.pass(killed_after),
            Happening::Start(worker) => self.start(worker),
            Happening::End { worker, vanishes } => self.end(worker, vanishes),
        }
    }

    /// As the script does: a record that is there, or was there within the dedupe period, stays.
    fn request(&mut self, number: u8) {
        self.entries += 1;
        let (task, request) = (format!("t{}", number % 3), format!("r{number}"));
        let record = TaskRecord::new(scale_up(&task, &request, self.entries, u32::from(number % 3) + 1));
        if !self.requested.contains_key(record.id()) {
            self.requested.insert(record.id().clone(), record.clone());
            self.redis.insert(Record::Task(Box::new(record)));
        }
    }

    fn scale_down(&mut self, task: u8, keep: u32) {
        self.entries += 1;
        let spec = ScaleDown {
            entry_id: format!("{}-0", self.entries).parse().unwrap(),
            request_id: self.entries.to_string().parse().unwrap(),
            selector: Selector::Task(format!("t{}", task % 3).parse().unwrap()),
            keep,
        };
        self.redis.insert(Record::ScaleDown(ScaleDownRecord::new(spec)));
    }

    /// Decides on what is in Redis, then carries out one effect after the other, until it is killed.
    fn pass(&mut self, killed_after: Option<usize>) {
        let known = Known {
            records: &self.redis,
            observation: &self.machine,
            logs: &self.logs,
            busy: &BTreeMap::new(),
            may_create: usize::MAX,
            now: at(100),
        };
        let actions = reconcile(&known, &policy(MAX_WORKERS));
        for action in actions.into_iter().take(killed_after.unwrap_or(usize::MAX)) {
            self.carry_out(action);
        }
        let in_use = self.machine.values().filter(|worker| worker.phase.takes_capacity()).count();
        assert!(in_use <= MAX_WORKERS, "P3: {in_use} workers at once");
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Create(spec) => {
                let made = Observed::new(spec.identity, pending(), false);
                self.machine.entry(spec.worker_id).or_insert(made);
            }
            Action::Stop(worker) => self.stop(&worker),
            Action::Record(update) => {
                for told in update.notifications {
                    self.told.entry(told.worker_id).or_default().push(told.state);
                }
                self.redis.set_slot(&update.record, update.index, update.slot);
            }
            Action::ApplyScaleDown { down, cancelled } => {
                for (record, index, slot) in cancelled {
                    self.redis.set_slot(&record, index, slot);
                }
                self.redis.remove_scale_down(&down);
            }
            Action::AskLogs { workers, .. } => {
                for worker in workers {
                    let status = Ok(LogStatus::Closed { complete: true, reason: String::new() });
                    self.logs.insert(worker, LogAnswer { status, at: at(100) });
                }
            }
            Action::CloseLog(closing) => panic!("every log is closed: {closing:?}"),
            Action::Adopt { worker, .. } => panic!("every worker has a record: {worker}"),
            Action::Remove(worker) => drop(self.machine.remove(&worker)),
        }
    }

    fn stop(&mut self, worker: &WorkerId) {
        let Some(worker) = self.machine.get_mut(worker) else { return };
        worker.stopping = true;
        if matches!(worker.phase, Phase::Pending { .. }) {
            worker.phase = Phase::Vanished { reason: "barred".to_owned(), noticed_at: at(90) };
        }
    }

    fn start(&mut self, number: usize) {
        let pending =
            self.machine.iter_mut().filter(|(_, worker)| matches!(worker.phase, Phase::Pending { .. }));
        if let Some((id, worker)) = pending.into_iter().nth(number) {
            worker.phase = Phase::Running { started_at: Some(at(50)) };
            *self.starts.entry(id.clone()).or_default() += 1;
        }
    }

    fn end(&mut self, number: usize, vanishes: bool) {
        let is_running = |worker: &Observed| matches!(worker.phase, Phase::Running { .. });
        let running = self.machine.values_mut().filter(|worker| is_running(worker));
        if let Some(worker) = running.into_iter().nth(number) {
            worker.phase = if vanishes {
                Phase::Vanished { reason: "killed".to_owned(), noticed_at: at(90) }
            } else {
                Phase::Ended(exit(0))
            };
        }
    }

    /// Lets everything come to its end, and looks at what became of it all.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.pass(None);
            (0..MAX_WORKERS).for_each(|_| self.start(0));
            (0..MAX_WORKERS).for_each(|_| self.end(0, false));
        }
        assert!(self.redis.tasks().all(TaskRecord::is_finished), "P1: every request comes to its end");
        for task in self.requested.values() {
            for (index, slot) in task.workers() {
                let worker = task.worker_id(index, slot.attempt);
                let told = self.told.get(&worker).expect("P1: every worker of every request was told of");
                let ends = told.iter().filter(|state| **state > crate::status::State::Running).count();
                assert_eq!(ends, 1, "one outcome: {told:?}");
                assert!(
                    self.starts.get(&worker).is_none_or(|starts| *starts == 1),
                    "P2: one run in an attempt"
                );
                let cancelled = told.contains(&crate::status::State::Cancelled);
                assert!(cancelled || self.starts.contains_key(&worker), "P1: it ran, or was cancelled");
            }
        }
        let known: usize = self.requested.values().map(|task| task.workers().count()).sum();
        assert_eq!(self.told.len(), known, "P2: no worker beyond those asked for");
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0u8..8).prop_map(Happening::Request),
        1 => (0u8..3, 0u32..3).prop_map(|(task, keep)| Happening::ScaleDown { task, keep }),
        4 => prop::option::of(0usize..4).prop_map(|killed_after| Happening::Pass { killed_after }),
        3 => (0usize..4).prop_map(Happening::Start),
        2 => (0usize..4, prop::bool::weighted(0.2))
            .prop_map(|(worker, vanishes)| Happening::End { worker, vanishes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn p1_p2_p3_hold_on_any_schedule(schedule in prop::collection::vec(happening(), 0..60)) {
        let mut world = World::default();
        for happening in schedule {
            world.happen(happening);
        }
        world.settle();
    }
}
