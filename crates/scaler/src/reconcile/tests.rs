use proptest::prelude::*;

use super::testing::{at, exit, index, scale_up};
use super::*;
use crate::event::{ScaleDown, Selector};
use crate::record::{Record, ScaleDownRecord};

fn limits(max_workers: usize) -> Limits {
    Limits {
        max_workers: NonZeroUsize::new(max_workers).unwrap(),
        may_create: true,
        keep_ended: Duration::from_hours(1),
    }
}

fn records(specs: Vec<crate::event::ScaleUp>) -> Records {
    let mut records = Records::default();
    for spec in specs {
        records.insert(Record::Task(Box::new(TaskRecord::new(spec))));
    }
    records
}

fn task<'a>(records: &'a Records, name: &str) -> &'a TaskRecord {
    records.tasks().find(|task| task.spec().task_id.as_str() == name).unwrap()
}

fn observe(observation: &mut Observation, task: &TaskRecord, number: u32, phase: Phase) -> WorkerId {
    let spec = task.worker_spec(index(number), Attempt::FIRST);
    let observed = Observed { identity: spec.identity, phase, stopping: false };
    observation.insert(spec.worker_id.clone(), observed);
    spec.worker_id
}

fn created(actions: &[Action]) -> Vec<(String, u32)> {
    let spec = |action: &Action| match action {
        Action::Create(spec) => Some((spec.identity.task_id.to_string(), spec.identity.index.get())),
        _ => None,
    };
    actions.iter().filter_map(spec).collect()
}

fn scale_down(records: &mut Records, selector: Selector, entry: u64, keep: u32) {
    let spec = ScaleDown {
        entry_id: format!("{entry}-0").parse().unwrap(),
        request_id: entry.to_string().parse().unwrap(),
        selector,
        keep,
    };
    records.insert(Record::ScaleDown(ScaleDownRecord::new(spec)));
}

fn cancelled(actions: &[Action]) -> Vec<u32> {
    let of_action = |action: &Action| match action {
        Action::ApplyScaleDown { cancelled, .. } => {
            assert!(cancelled.iter().all(|(_, _, slot)| slot.cancel));
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
    let records = records(vec![scale_up("b", "r", 10, 2), scale_up("a", "r", 9, 2)]);
    let actions = reconcile(&records, &Observation::new(), limits(3), at(0));
    assert_eq!(created(&actions), [("a".into(), 0), ("a".into(), 1), ("b".into(), 0)]);
}

#[test]
fn p3_capacity_is_what_is_observed_and_workers_without_a_record_count_too() {
    let records = records(vec![scale_up("a", "r", 1, 4)]);
    let stranger = TaskRecord::new(scale_up("x", "r", 1, 3));
    let mut observation = Observation::new();
    observe(&mut observation, &stranger, 0, running(1));
    observe(&mut observation, &stranger, 1, Phase::Ended(exit(0)));
    observe(&mut observation, task(&records, "a"), 0, Phase::Pending);
    let actions = reconcile(&records, &observation, limits(3), at(3));
    assert_eq!(created(&actions), [("a".into(), 1)]);
}

#[test]
fn nothing_is_made_while_the_runtime_is_given_a_rest() {
    let records = records(vec![scale_up("a", "r", 1, 4)]);
    let resting = Limits { may_create: false, ..limits(3) };
    assert!(reconcile(&records, &Observation::new(), resting, at(0)).is_empty());
}

#[test]
fn an_end_is_put_down_with_its_notification() {
    let records = records(vec![scale_up("a", "r", 1, 1)]);
    let mut observation = Observation::new();
    let worker = observe(&mut observation, task(&records, "a"), 0, Phase::Ended(exit(7)));
    let actions = reconcile(&records, &observation, limits(3), at(3));
    let [Action::Record(update)] = actions.as_slice() else { panic!("{actions:?}") };
    assert!(update.slot.is_ended());
    let fields = update.notification.fields();
    assert_eq!(fields[0].1, format!("{worker}:failed"));
    assert_eq!((&*fields[4].1, &*fields[5].1), ("user", "7"));
}

#[test]
fn what_is_left_of_a_worker_is_removed_once_its_end_is_on_record_and_old() {
    let mut records = records(vec![scale_up("a", "r", 1, 2)]);
    let mut observation = Observation::new();
    let worker = observe(&mut observation, task(&records, "a"), 0, Phase::Ended(exit(0)));
    observe(&mut observation, task(&records, "a"), 1, running(1));
    let removes = |records: &Records, now| {
        let actions = reconcile(records, &observation, limits(3), at(now));
        actions.contains(&Action::Remove(worker.clone()))
    };
    assert!(!removes(&records, 4000), "not on record yet");
    let Some(Action::Record(update)) = reconcile(&records, &observation, limits(3), at(3)).into_iter().next()
    else {
        panic!("the end is recorded first")
    };
    records.set_slot(&update.record, update.index, update.slot);
    assert!(!removes(&records, 3601), "not old yet");
    assert!(removes(&records, 3602));
    assert!(removes(&Records::default(), 3602), "its record is finished and gone");
}

#[test]
fn a_scale_down_takes_what_waits_then_what_is_pending_then_the_youngest() {
    let task_a = || Selector::Task("a".parse().unwrap());
    for (keep, expected) in
        [(5, vec![]), (4, vec![4]), (3, vec![4, 0]), (2, vec![4, 0, 2]), (0, vec![4, 0, 2, 3, 1])]
    {
        let mut records = records(vec![scale_up("a", "r", 1, 5), scale_up("b", "r", 2, 1)]);
        let mut observation = Observation::new();
        let phases = [(0, Phase::Pending), (1, running(1)), (2, running(3)), (3, running(2))];
        for (number, phase) in phases {
            observe(&mut observation, task(&records, "a"), number, phase);
        }
        scale_down(&mut records, task_a(), 5, keep);
        let actions = reconcile(&records, &observation, limits(9), at(9));
        assert_eq!(cancelled(&actions), expected, "keep {keep}");
        assert_eq!(created(&actions), [], "what may be cancelled is not made in the same pass");
    }
}

#[test]
fn a_scale_down_means_its_task_or_group_and_only_what_came_before() {
    let mut in_group = scale_up("a", "r", 1, 1);
    in_group.group = Some("g".parse().unwrap());
    let late = crate::event::ScaleUp { entry_id: "9-0".parse().unwrap(), ..in_group.clone() };
    let late = crate::event::ScaleUp { request_id: "late".parse().unwrap(), ..late };
    for (selector, count) in [
        (Selector::Group("g".parse().unwrap()), 1),
        (Selector::Task("a".parse().unwrap()), 1),
        (Selector::Group("a".parse().unwrap()), 0),
        (Selector::Task("g".parse().unwrap()), 0),
    ] {
        let mut records = records(vec![in_group.clone(), late.clone()]);
        scale_down(&mut records, selector.clone(), 5, 0);
        let actions = reconcile(&records, &Observation::new(), limits(9), at(9));
        assert_eq!(cancelled(&actions).len(), count, "{selector:?}");
    }
}

proptest! {
    #[test]
    fn p3_creates_never_exceed_what_is_free(
        counts in prop::collection::vec(1u32..6, 1..6),
        max in 1usize..12,
        phases in prop::collection::vec(0u8..6, 30),
    ) {
        let specs = counts.iter().enumerate().map(|(n, count)| scale_up(&format!("t{n}"), "r", n as u64, *count));
        let records = records(specs.collect());
        let mut observation = Observation::new();
        let mut phases = phases.into_iter();
        for task in records.tasks() {
            for (at_index, _) in task.workers() {
                let phase = match phases.next() {
                    Some(0) => Phase::Unstarted,
                    Some(1) => Phase::Pending,
                    Some(2) => running(1),
                    Some(3) => Phase::Ended(exit(0)),
                    _ => continue,
                };
                observe(&mut observation, task, at_index.get(), phase);
            }
        }
        let in_use = observation.values().filter(|worker| worker.phase.takes_capacity()).count();
        let total: u32 = counts.iter().sum();
        let actions = reconcile(&records, &observation, limits(max), at(3));
        let creates = created(&actions).len();
        prop_assert!(creates == 0 || creates + in_use <= max);
        let unstarted = observation.values().filter(|worker| worker.phase == Phase::Unstarted).count();
        let waiting = total as usize - (observation.len() - unstarted);
        prop_assert_eq!(creates, waiting.min(max.saturating_sub(in_use)), "no capacity is left unused");
    }
}
