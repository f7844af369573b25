//! Who is cancelled by a scale_down, and what else that pass does.

use super::super::*;
use super::{Facts, cancelled, created, index, pending, running, scale_up};
use crate::event::{ScaleUp, Selector};

#[test]
fn a_scale_down_takes_what_waits_then_what_is_pending_then_the_youngest() {
    let task_a = || Selector::Task("a".parse().unwrap());
    for (keep, expected) in
        [(5, vec![]), (4, vec![4]), (3, vec![4, 0]), (2, vec![4, 0, 2]), (0, vec![4, 0, 2, 3, 1])]
    {
        let mut facts = Facts::new(9, vec![scale_up("a", "r", 1, 5), scale_up("b", "r", 2, 1)]);
        for (number, phase) in [(0, pending()), (1, running(1)), (2, running(3)), (3, running(2))] {
            facts.observe("a", number, phase);
        }
        facts.scale_down(task_a(), 5, keep);
        let actions = facts.decide(9);
        assert_eq!(cancelled(&actions), expected, "keep {keep}");
        // Others are not held up by it.
        let mut made = vec![("b".to_owned(), 0)];
        if !expected.contains(&4) {
            made.push(("a".to_owned(), 4));
        }
        assert_eq!(
            BTreeSet::from_iter(created(&actions)),
            BTreeSet::from_iter(made),
            "what is cancelled is not made in the same pass"
        );
    }
}

#[test]
fn of_two_scale_downs_in_a_pass_the_later_one_sees_what_the_earlier_one_leaves() {
    let in_group = |task: &str, request: &str, entry| {
        let mut spec = scale_up(task, request, entry, 3);
        spec.group = Some("g".parse().unwrap());
        spec
    };
    // Records are kept by their hashes: several, so that either order comes up.
    for entry in 5..15 {
        let mut facts = Facts::new(9, vec![in_group("a", "r", 1), in_group("b", "r", 2)]);
        for number in 0..3 {
            facts.observe("a", number, running(i64::from(number)));
        }
        facts.scale_down(Selector::Task("a".parse().unwrap()), entry, 1);
        facts.scale_down(Selector::Group("g".parse().unwrap()), entry + 1, 2);
        let actions = facts.decide(9);
        let downs = actions.iter().filter_map(|action| match action {
            Action::ApplyScaleDown { cancelled, .. } => Some(cancelled.len()),
            _ => None,
        });
        assert_eq!(downs.collect::<Vec<_>>(), [2, 2], "two stay of the four that the first leaves");
    }
}

/// What is put down of a worker replaces its whole slot, and would take the mark away again.
#[test]
fn nothing_else_is_put_down_of_a_worker_in_the_pass_that_cancels_it() {
    let mut facts = Facts::new(9, vec![scale_up("a", "r", 1, 2)]);
    facts.observe("a", 0, running(1));
    facts.observe("a", 1, running(2));
    facts.scale_down(Selector::Task("a".parse().unwrap()), 5, 1);
    let actions = facts.decide(9);
    assert_eq!(cancelled(&actions), [1]);
    let put_down = actions.iter().filter_map(|action| match action {
        Action::Record(update) => Some(update.index),
        _ => None,
    });
    assert_eq!(put_down.collect::<Vec<_>>(), [index(0)], "and of the other one all goes on");
}

#[test]
fn a_scale_down_means_its_task_or_group_and_only_what_came_before() {
    let mut in_group = scale_up("a", "r", 1, 1);
    in_group.group = Some("g".parse().unwrap());
    let late = ScaleUp { entry_id: "9-0".parse().unwrap(), ..in_group.clone() };
    let late = ScaleUp { request_id: "late".parse().unwrap(), ..late };
    for (selector, count) in [
        (Selector::Group("g".parse().unwrap()), 1),
        (Selector::Task("a".parse().unwrap()), 1),
        (Selector::Group("a".parse().unwrap()), 0),
        (Selector::Task("g".parse().unwrap()), 0),
    ] {
        let mut facts = Facts::new(9, vec![in_group.clone(), late.clone()]);
        facts.scale_down(selector.clone(), 5, 0);
        assert_eq!(cancelled(&facts.decide(9)).len(), count, "{selector:?}");
    }
}
