mod scale_down;

use proptest::prelude::*;

use super::testing::{at, exit, index, outcome, pending, policy, scale_up};
use super::*;
use crate::event::{ScaleDown, ScaleUp, Selector};
use crate::ids::Attempt;
use crate::logs::LogStatus;
use crate::record::{Outcome, Progress, Record, ScaleDownRecord, Stop, Verdict};
use crate::runtime::{Cause, Exit, Phase};
use crate::status::Class;

/// All that is known, to be changed and decided on.
struct Facts {
    records: Records,
    observation: Observation,
    logs: BTreeMap<WorkerId, LogAnswer>,
    busy: BTreeMap<WorkerId, Busy>,
    aside: BTreeMap<RecordId, Aside>,
    may_create: usize,
    policy: Policy,
}

impl Facts {
    fn new(max_workers: usize, specs: Vec<ScaleUp>) -> Self {
        let mut records = Records::default();
        for spec in specs {
            records.insert(Record::Task(Box::new(TaskRecord::new(spec))));
        }
        Self {
            records,
            observation: Observation::new(),
            logs: BTreeMap::new(),
            busy: BTreeMap::new(),
            aside: BTreeMap::new(),
            may_create: usize::MAX,
            policy: policy(max_workers),
        }
    }

    fn decide(&self, second: i64) -> Vec<Action> {
        let known = Known {
            records: &self.records,
            observation: &self.observation,
            logs: &self.logs,
            busy: &self.busy,
            may_create: self.may_create,
            aside: &self.aside,
            now: at(second),
        };
        reconcile(&known, &self.policy)
    }

    /// Decides, writes what is to be written, and gives the rest.
    fn settle(&mut self, second: i64) -> Vec<Action> {
        let (writes, rest): (Vec<_>, Vec<_>) =
            self.decide(second).into_iter().partition(|action| matches!(action, Action::Record(_)));
        for write in writes {
            let Action::Record(update) = write else { unreachable!("they were told apart") };
            self.records.set_slot(&update.record, update.index, update.slot);
        }
        rest
    }

    fn task(&self, name: &str) -> &TaskRecord {
        self.records.tasks().find(|task| task.spec().task_id.as_str() == name).unwrap()
    }

    fn slot(&self, name: &str, number: u32) -> &Slot {
        self.task(name).slot(index(number))
    }

    fn see(&mut self, spec: WorkerSpec, phase: Phase) -> WorkerId {
        self.observation.insert(spec.worker_id.clone(), Observed::new(spec.identity, phase, false));
        spec.worker_id
    }

    fn observe(&mut self, name: &str, number: u32, phase: Phase) -> WorkerId {
        let spec = self.task(name).worker_spec(index(number), self.slot(name, number).attempt);
        self.see(spec, phase)
    }

    fn scale_down(&mut self, selector: Selector, entry: u64, keep: u32) {
        let spec = ScaleDown {
            entry_id: format!("{entry}-0").parse().unwrap(),
            request_id: entry.to_string().parse().unwrap(),
            selector,
            keep,
        };
        self.records.insert(Record::ScaleDown(ScaleDownRecord::new(spec)));
    }

    fn closed(&mut self, worker: &WorkerId, complete: bool) {
        let status = Ok(LogStatus::Closed { complete, reason: "cut".to_owned() });
        self.logs.insert(worker.clone(), LogAnswer::new(status, at(0)));
    }
}

fn created(actions: &[Action]) -> Vec<(String, u32)> {
    let spec = |action: &Action| match action {
        Action::Create(spec) => Some((spec.identity.task_id.to_string(), spec.identity.index.get())),
        _ => None,
    };
    actions.iter().filter_map(spec).collect()
}

fn cancelled(actions: &[Action]) -> Vec<u32> {
    let of_action = |action: &Action| match action {
        Action::ApplyScaleDown { cancelled, .. } => {
            assert!(cancelled.iter().all(|(_, _, slot)| slot.stop == Some(Stop::Cancelled)));
            cancelled.iter().map(|(_, index, _)| index.get()).collect()
        }
        _ => Vec::new(),
    };
    actions.iter().flat_map(of_action).collect()
}

fn running(second: i64) -> Phase {
    Phase::Running { started_at: Some(at(second)) }
}

#[test]
fn workers_are_made_in_the_order_in_which_they_were_asked_for() {
    let facts = Facts::new(3, vec![scale_up("b", "r", 10, 2), scale_up("a", "r", 9, 2)]);
    assert_eq!(created(&facts.decide(0)), [("a".into(), 0), ("a".into(), 1), ("b".into(), 0)]);
}

#[test]
fn a_higher_priority_goes_first_and_within_one_the_tenant_that_has_least() {
    let of = |task: &str, entry, count, tenant: &str, priority| ScaleUp {
        tenant: Some(tenant.parse().unwrap()),
        priority,
        ..scale_up(task, "r", entry, count)
    };
    let specs = vec![of("greedy", 1, 4, "g", 0), of("late", 2, 2, "l", 0), of("urgent", 3, 1, "g", 5)];
    let mut facts = Facts::new(6, specs);
    let order: Vec<_> = created(&facts.decide(0)).into_iter().map(|(task, _)| task).collect();
    assert_eq!(order, ["urgent", "late", "greedy", "late", "greedy", "greedy"]);
    facts.observe("greedy", 0, running(1));
    facts.observe("greedy", 1, running(1));
    facts.policy.max_workers = NonZeroUsize::new(5).unwrap();
    let order: Vec<_> = created(&facts.decide(0)).into_iter().map(|(task, _)| task).collect();
    assert_eq!(order, ["urgent", "late", "late"], "what runs counts for its tenant");
}

#[test]
fn p3_capacity_is_what_is_observed_and_being_made_and_workers_without_a_record_count_too() {
    let mut facts = Facts::new(4, vec![scale_up("a", "r", 1, 5)]);
    let stranger = TaskRecord::new(scale_up("x", "r", 1, 3));
    facts.see(stranger.worker_spec(index(0), Attempt::FIRST), running(1));
    facts.see(stranger.worker_spec(index(1), Attempt::FIRST), Phase::Ended(exit(0)));
    facts.observe("a", 0, pending());
    let making = facts.task("a").worker_id(index(1), Attempt::FIRST);
    facts.busy.insert(making.clone(), Busy::Creating);
    assert_eq!(created(&facts.decide(3)), [("a".into(), 2)]);
    facts.observe("a", 1, pending());
    assert_eq!(created(&facts.decide(3)), [("a".into(), 2)], "it is not counted twice");
}

#[test]
fn no_more_are_made_than_may_be_made_now() {
    let mut facts = Facts::new(9, vec![scale_up("a", "r", 1, 4)]);
    facts.may_create = 1;
    assert_eq!(created(&facts.decide(0)).len(), 1);
    facts.may_create = 0;
    assert!(facts.decide(0).is_empty());
}

#[test]
fn an_end_is_put_down_with_its_notification() {
    let mut facts = Facts::new(3, vec![scale_up("a", "r", 1, 1)]);
    let worker = facts.observe("a", 0, Phase::Ended(exit(7)));
    let actions = facts.decide(3);
    let [Action::Record(update)] = actions.as_slice() else { panic!("{actions:?}") };
    assert!(update.slot.is_ended() && !update.slot.is_settled());
    let fields = update.notifications[0].fields();
    assert_eq!(fields[0].1, format!("{worker}:failed"));
    assert_eq!((&*fields[4].1, &*fields[5].1), ("user", "7"));
}

#[test]
fn p9_what_is_left_of_a_worker_is_removed_once_its_log_is_settled_and_it_is_old() {
    let mut facts = Facts::new(3, vec![scale_up("a", "r", 1, 2)]);
    let worker = facts.observe("a", 0, Phase::Ended(exit(0)));
    facts.observe("a", 1, running(1));
    let removal = Action::Remove(worker.clone());
    facts.settle(3);
    let asks = facts.decide(4);
    assert!(matches!(&asks[..], [Action::AskLogs { workers, .. }] if *workers == [worker.clone()]));
    assert!(!facts.decide(90_000).contains(&removal), "its log is open, however old it is");
    facts.closed(&worker, true);
    facts.settle(5);
    assert_eq!(facts.slot("a", 0).outcome().unwrap().log, Log::Complete);
    assert!(!facts.decide(3_601).contains(&removal), "not old yet");
    assert!(facts.decide(3_602).contains(&removal));
    facts.policy.keep_ended_count = 0;
    assert!(facts.decide(10).contains(&removal), "or too many");
}

#[test]
fn a_place_in_which_nothing_runs_is_removed_at_once_when_its_worker_has_ended() {
    let mut facts = Facts::new(1, vec![scale_up("a", "r", 1, 1)]);
    let worker = facts.observe("a", 0, Phase::Unstarted);
    let removal = Action::Remove(worker.clone());
    assert_eq!(created(&facts.decide(2)), [("a".to_owned(), 0)], "its turn is still to come");
    facts.observe("a", 0, Phase::Ended(exit(0)));
    facts.settle(3);
    facts.observe("a", 0, Phase::Unstarted);
    assert!(!facts.settle(4).contains(&removal), "its log is not settled");
    facts.closed(&worker, true);
    facts.settle(5);
    assert_eq!(facts.settle(6), [removal]);
}

#[test]
fn a_log_that_was_left_open_is_closed_with_the_reason() {
    let mut facts = Facts::new(3, vec![scale_up("a", "r", 1, 1)]);
    let out_of_memory = Exit { cause: Cause::OutOfMemory, ended_at: at(100), ..exit(137) };
    let worker = facts.observe("a", 0, Phase::Ended(out_of_memory));
    facts.settle(100);
    facts.logs.insert(worker.clone(), LogAnswer::new(Ok(LogStatus::Open), at(110)));
    let actions = facts.decide(110);
    let [Action::CloseLog(closing)] = actions.as_slice() else { panic!("{actions:?}") };
    assert_eq!((&closing.worker, closing.exit_code), (&worker, Some(137)));
    assert!(closing.reason.contains("out of memory"), "{}", closing.reason);
}

#[test]
fn only_infrastructure_is_tried_again_and_only_after_the_old_worker_has_ended() {
    let spec = ScaleUp { max_attempts: 2.try_into().unwrap(), ..scale_up("a", "r", 1, 1) };
    let mut facts = Facts::new(3, vec![spec]);
    let evicted = |code| Exit { cause: Cause::Infrastructure("evicted".to_owned()), ..exit(code) };
    let first = facts.observe("a", 0, running(1));
    facts.settle(2);
    facts.observe("a", 0, Phase::Ended(evicted(137)));
    facts.settle(3);
    let slot = facts.slot("a", 0).clone();
    assert_eq!((slot.attempt.get(), &slot.progress, slot.earlier.len()), (2, &Progress::Queued, 1));
    let made = facts.decide(4).into_iter().find_map(|action| match action {
        Action::Create(spec) => Some(spec.worker_id),
        _ => None,
    });
    assert_eq!(made.unwrap().to_string(), format!("{first}-r2"));
    facts.observe("a", 0, Phase::Ended(evicted(137)));
    facts.settle(5);
    let slot = facts.slot("a", 0);
    assert_eq!(slot.outcome().unwrap().verdict, Verdict::Failed(Class::Infra), "its budget is used up");

    let spec = ScaleUp { max_attempts: 2.try_into().unwrap(), ..scale_up("u", "r", 1, 1) };
    let mut facts = Facts::new(3, vec![spec]);
    facts.observe("u", 0, Phase::Ended(exit(1)));
    facts.settle(3);
    assert!(facts.slot("u", 0).is_ended(), "the command's own failure is not tried again");
}

#[test]
fn a_worker_that_should_not_be_is_stopped_on_sight_and_one_without_a_record_is_adopted() {
    let mut facts = Facts::new(3, vec![scale_up("a", "r", 1, 2)]);
    let mut task = facts.task("a").clone();
    let ended = Outcome { log: Log::Complete, ..outcome(Verdict::Succeeded) };
    task.set_slot(index(0), Slot { progress: Progress::Ended(ended), ..Slot::default() });
    facts.records.replace(Record::Task(Box::new(task)));
    let stray = facts.observe("a", 0, running(1));
    let unknown = TaskRecord::new(scale_up("x", "r", 1, 1));
    let stranger = facts.see(unknown.worker_spec(index(0), Attempt::FIRST), running(1));
    let actions = facts.decide(3);
    assert!(actions.contains(&Action::Stop(stray)));
    assert!(actions.contains(&Action::Adopt { worker: stranger, record: unknown.id().clone() }));
}

#[test]
fn p2_a_record_that_was_lost_goes_on_with_the_workers_that_are_there_and_runs_none_again() {
    let task = TaskRecord::new(scale_up("a", "r", 1, 3));
    let mut facts = Facts::new(3, Vec::new());
    let there = task.worker_spec(index(1), Attempt::FIRST);
    facts.see(there.clone(), running(1));
    let (rebuilt, told) = rebuild(&there, &facts.observation, false, at(50));
    assert_eq!(told.len(), 2);
    facts.records.insert(Record::Task(Box::new(rebuilt)));
    let actions = facts.settle(51);
    assert_eq!(created(&actions), []);
    assert_eq!(facts.slot("a", 1).progress, Progress::Running);
    assert_eq!(facts.slot("a", 0).outcome().unwrap().verdict, Verdict::Lost);
}

#[test]
fn a_record_that_was_lost_does_not_run_again_what_was_stopped() {
    let task = TaskRecord::new(ScaleUp { max_attempts: 2.try_into().unwrap(), ..scale_up("a", "r", 1, 1) });
    let there = task.worker_spec(index(0), Attempt::FIRST);
    let stopped = || Exit { cause: Cause::Infrastructure("signal 15".to_owned()), ..exit(143) };
    let after = |ended: Exit, stops_are_ours| {
        let mut facts = Facts::new(3, Vec::new());
        let worker = facts.see(there.clone(), Phase::Ended(ended));
        facts.observation.get_mut(&worker).unwrap().stopping = true;
        let (rebuilt, _) = rebuild(&there, &facts.observation, stops_are_ours, at(50));
        facts.records.insert(Record::Task(Box::new(rebuilt)));
        facts.settle(51);
        facts.slot("a", 0).clone()
    };
    let ended = after(stopped(), true).outcome().unwrap().clone();
    assert_eq!(ended.verdict, Verdict::Failed(Class::Policy), "nobody may have cancelled it");
    assert!(ended.reason.contains("asked for"), "{}", ended.reason);
    let through = after(exit(0), true).outcome().unwrap().verdict;
    assert_eq!(through, Verdict::Succeeded, "it was through before");
    assert_eq!(after(stopped(), false).attempt.get(), 2, "somebody else may have deleted its Pod");
}

#[test]
fn what_the_runtime_refuses_has_failed_for_good() {
    let facts = Facts::new(3, vec![scale_up("a", "r", 1, 1)]);
    let spec = facts.task("a").worker_spec(index(0), Attempt::FIRST);
    let update = refused(&spec, &facts.records, "no such class", at(5)).unwrap();
    assert!(update.slot.is_settled());
    assert_eq!(update.notifications[0].reason, "no such class");
}

#[test]
fn a_task_that_cannot_be_made_now_lets_the_others_go_first() {
    let mut facts = Facts::new(1, vec![scale_up("a", "r", 1, 2), scale_up("b", "r", 2, 1)]);
    assert_eq!(created(&facts.decide(9)), [("a".to_owned(), 0)]);
    let task = facts.records.tasks().find(|task| task.spec().task_id.as_str() == "a").unwrap().id().clone();
    let trouble = Trouble { reason: "exceeded quota".to_owned(), at: at(8) };
    facts.aside.insert(task.clone(), Aside { trouble: trouble.clone(), waits: true });
    assert_eq!(created(&facts.decide(9)), [("b".to_owned(), 0)]);
    facts.aside.insert(task, Aside { trouble, waits: false });
    assert_eq!(created(&facts.decide(9)), [("a".to_owned(), 0)]);
}

#[test]
fn a_request_that_comes_again_after_redis_lost_it_is_driven_again() {
    let mut records = Records::default();
    let mut finished = TaskRecord::new(scale_up("a", "r", 1, 1));
    let again = finished.clone();
    let ended = Outcome { log: Log::Complete, ..outcome(Verdict::Succeeded) };
    finished.set_slot(index(0), Slot { progress: Progress::Ended(ended), ..Slot::default() });
    assert!(finished.is_finished());
    records.replace(Record::Task(Box::new(finished)));
    records.insert(Record::Task(Box::new(again)));
    assert!(records.tasks().all(|task| !task.is_finished()));
}

proptest! {
    #[test]
    fn p3_creates_never_exceed_what_is_free(
        counts in prop::collection::vec(1u32..6, 1..6),
        max in 1usize..12,
        phases in prop::collection::vec(0u8..6, 30),
    ) {
        let specs = counts.iter().enumerate().map(|(n, count)| scale_up(&format!("t{n}"), "r", n as u64, *count));
        let mut facts = Facts::new(max, specs.collect());
        let mut phases = phases.into_iter();
        for (n, count) in counts.iter().enumerate() {
            for number in 0..*count {
                let phase = match phases.next() {
                    Some(0) => Phase::Unstarted,
                    Some(1) => pending(),
                    Some(2) => running(1),
                    Some(3) => Phase::Ended(exit(0)),
                    _ => continue,
                };
                facts.observe(&format!("t{n}"), number, phase);
            }
        }
        let in_use = facts.observation.values().filter(|worker| worker.phase.takes_capacity()).count();
        let total: u32 = counts.iter().sum();
        let creates = created(&facts.decide(3)).len();
        prop_assert!(creates == 0 || creates + in_use <= max);
        let unstarted = facts.observation.values().filter(|worker| worker.phase == Phase::Unstarted).count();
        let waiting = total as usize - (facts.observation.len() - unstarted);
        prop_assert_eq!(creates, waiting.min(max.saturating_sub(in_use)), "no capacity is left unused");
    }
}
