//! One worker's next step: PURE.
//!
//! What is on record and what is observed decide together, and nothing else does. Progress on record
//! only ever goes forward within an attempt; an end on record is final. Three clocks run one after
//! the other: waiting for capacity, getting to the command, the command.

use std::time::Duration;

use jiff::Timestamp;

use super::{Policy, passed, transition};
use crate::event::ScaleUp;
use crate::record::{Log, Outcome, Progress, Slot, Stop, Verdict};
use crate::runtime::{Cause, Exit, Observed, Obstacle, ObstacleKind, Phase};
use crate::status::Class;

/// The agent ends a command that runs too long. So much later than it should have, the scaler does.
const OVERDUE: Duration = Duration::from_mins(1);

/// What is to be done about a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing; wait for it to change.
    Wait,
    /// Make it, once there is capacity.
    Admit,
    /// Put down how far it has come, and tell it.
    Advance(Progress),
    /// Put down that its end is wanted.
    Mark(Stop),
    /// Ask for its end.
    Stop,
    /// Put down how it ended, and tell it.
    End(Outcome),
}

/// Decides the next step of a worker that has not ended on record.
pub(super) fn step(
    spec: &ScaleUp,
    slot: &Slot,
    observed: Option<&Observed>,
    policy: &Policy,
    now: Timestamp,
) -> Step {
    let Some(worker) = observed else { return absent(spec, slot, now) };
    let is_alive = worker.phase.takes_capacity();
    if slot.stop.is_some() && is_alive {
        // That it was made is on record before its end is asked for: once it is gone, nothing else says
        // that it ever was, and that it may have left a log.
        return match &worker.phase {
            Phase::Running { .. } if slot.progress == Progress::Queued => Step::Advance(Progress::Running),
            _ if slot.progress == Progress::Queued => Step::Advance(Progress::Pending),
            _ if worker.stopping => Step::Wait,
            _ => Step::Stop,
        };
    }
    match &worker.phase {
        // It has run, and never runs twice, whatever became of the marks of that.
        Phase::Unstarted if slot.progress == Progress::Running => {
            Step::End(gone(slot, "what was known of its run is gone", now))
        }
        Phase::Unstarted if slot.stop.is_some() => Step::Stop,
        Phase::Unstarted => Step::Admit,
        Phase::Pending { since, obstacle } => pending(spec, slot, *since, obstacle.as_ref(), policy, now),
        Phase::Running { started_at } => running(spec, slot, *started_at, policy, now),
        Phase::Ended(exit) => Step::End(ended(slot, exit)),
        Phase::Vanished { reason, noticed_at } => Step::End(gone(slot, reason, *noticed_at)),
    }
}

/// Contract of the runtime: what was made is observed until it is removed, and it is removed only
/// after its end was put down. So a worker that is on record as made and is absent was taken away by
/// somebody else.
fn absent(spec: &ScaleUp, slot: &Slot, now: Timestamp) -> Step {
    match (&slot.progress, &slot.stop) {
        (Progress::Ended(_), _) => Step::Wait,
        (Progress::Queued, Some(stop)) => {
            Step::End(transition::never_made(stop.verdict(), stop.reason(), now))
        }
        (Progress::Queued, None) => waiting(spec, slot, now),
        (Progress::Pending | Progress::Running, _) => {
            Step::End(gone(slot, "the worker is no longer there", now))
        }
    }
}

/// The first clock.
fn waiting(spec: &ScaleUp, slot: &Slot, now: Timestamp) -> Step {
    match spec.clocks.queue {
        Some(limit) if passed(queued_at(spec, slot), limit, now) => {
            let reason = format!("queue timeout: there was no capacity for {limit:?}");
            Step::End(transition::never_made(Verdict::Failed(Class::Policy), &reason, now))
        }
        Some(_) | None => Step::Admit,
    }
}

/// Since when a worker waits for capacity.
pub fn queued_at(spec: &ScaleUp, slot: &Slot) -> Timestamp {
    let entry = i64::try_from(spec.entry_id.unix_millis()).ok();
    let entry = entry.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    slot.queued_at.or(entry).unwrap_or(Timestamp::MIN)
}

/// The second clock.
fn pending(
    spec: &ScaleUp,
    slot: &Slot,
    since: Timestamp,
    obstacle: Option<&Obstacle>,
    policy: &Policy,
    now: Timestamp,
) -> Step {
    let failed = |class, reason: String| Step::Mark(Stop::Failed { class, reason });
    if let Some(Obstacle { kind, message, since }) = obstacle {
        let is_due = passed(*since, policy.image_grace, now);
        match kind {
            ObstacleKind::Refused => return failed(Class::Policy, message.clone()),
            ObstacleKind::Image if is_due => return failed(Class::Infra, message.clone()),
            ObstacleKind::Configuration if is_due => return failed(Class::Policy, message.clone()),
            ObstacleKind::Image | ObstacleKind::Configuration | ObstacleKind::Unschedulable => {}
        }
    }
    let limit = spec.clocks.pending.unwrap_or(policy.pending_timeout);
    if passed(since, limit, now) {
        let why = obstacle.map_or_else(String::new, |obstacle| format!(": {}", obstacle.message));
        return failed(Class::Policy, format!("pending timeout: it did not start within {limit:?}{why}"));
    }
    to(slot, Progress::Pending)
}

/// The third clock; the agent is the first to act on it.
fn running(
    spec: &ScaleUp,
    slot: &Slot,
    started_at: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> Step {
    let limit = [policy.grace_period, policy.drain_timeout, OVERDUE]
        .into_iter()
        .fold(spec.clocks.run, Duration::saturating_add);
    if started_at.is_some_and(|at| passed(at, limit, now)) {
        let reason = format!("deadline: its agent did not end it after {:?}", spec.clocks.run);
        return Step::Mark(Stop::Failed { class: Class::Policy, reason });
    }
    to(slot, Progress::Running)
}

fn to(slot: &Slot, to: Progress) -> Step {
    if slot.progress.state() < to.state() { Step::Advance(to) } else { Step::Wait }
}

fn ended(slot: &Slot, exit: &Exit) -> Outcome {
    let (verdict, reason) = match &slot.stop {
        // It was through before it was stopped for its own sake. What says 0 because of that stop has failed.
        Some(Stop::Failed { .. }) if exit.code == Some(0) && exit.cause == Cause::Command => of_exit(exit),
        Some(stop) => (stop.verdict(), stop.reason().to_owned()),
        None => of_exit(exit),
    };
    Outcome {
        verdict,
        exit_code: exit.code,
        reason,
        // A Pod that is failed from outside may never tell how its command ended.
        ran: exit.code.is_some() || exit.started_at.is_some() || slot.progress == Progress::Running,
        started_at: exit.started_at,
        ended_at: exit.ended_at,
        log: Log::Open,
    }
}

fn of_exit(exit: &Exit) -> (Verdict, String) {
    let failed = |class, reason: String| (Verdict::Failed(class), reason);
    match (&exit.cause, exit.code, exit.signal) {
        (Cause::Command, Some(0), _) => (Verdict::Succeeded, String::new()),
        (Cause::Command, _, Some(signal)) => {
            failed(Class::User, format!("the command was ended by signal {signal}"))
        }
        (Cause::Command, Some(code), None) => failed(Class::User, format!("the command exited with {code}")),
        (Cause::Command, None, None) => (Verdict::Lost, "it ended without an exit code".to_owned()),
        (Cause::Deadline, _, _) => {
            failed(Class::Policy, "deadline: the command ran longer than its timeout".to_owned())
        }
        (Cause::OutOfMemory, _, _) => {
            failed(Class::Policy, "out of memory: it used more than its memory limit".to_owned())
        }
        (Cause::Infrastructure(reason), _, _) => failed(Class::Infra, reason.clone()),
    }
}

fn gone(slot: &Slot, reason: &str, now: Timestamp) -> Outcome {
    let (verdict, reason) = match &slot.stop {
        Some(stop) => (stop.verdict(), stop.reason()),
        None => (Verdict::Lost, reason),
    };
    let ran = slot.progress == Progress::Running;
    Outcome { log: Log::Open, ran, ..transition::never_made(verdict, reason, now) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, at, policy};
    use super::*;
    use crate::runtime::Obstacle;

    fn slot(progress: Progress, stop: Option<Stop>) -> Slot {
        Slot { progress, stop, ..Slot::default() }
    }

    const CANCELLED: Option<Stop> = Some(Stop::Cancelled);

    fn spec() -> ScaleUp {
        testing::scale_up("t", "r", 1_000, 1)
    }

    fn decide(slot: &Slot, observed: Option<&Observed>, second: i64) -> Step {
        step(&spec(), slot, observed, &policy(1), at(second))
    }

    fn verdict(slot: &Slot, phase: Phase) -> Verdict {
        match decide(slot, Some(&testing::observed(phase, false)), 9) {
            Step::End(outcome) => outcome.verdict,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_pair_of_record_and_observation_has_one_step() {
        let running = || Phase::Running { started_at: None };
        let pending = testing::pending;
        let (queued, made, ran) = (Progress::Queued, Progress::Pending, Progress::Running);
        for (progress, stop, seen, expected) in [
            (queued.clone(), None, None, Step::Admit),
            (queued.clone(), None, Some((Phase::Unstarted, false)), Step::Admit),
            (queued.clone(), CANCELLED, Some((Phase::Unstarted, false)), Step::Stop),
            (queued.clone(), None, Some((pending(), false)), Step::Advance(Progress::Pending)),
            (queued.clone(), None, Some((running(), false)), Step::Advance(Progress::Running)),
            (queued.clone(), CANCELLED, Some((pending(), false)), Step::Advance(Progress::Pending)),
            (queued, CANCELLED, Some((running(), true)), Step::Advance(Progress::Running)),
            (made.clone(), CANCELLED, Some((pending(), false)), Step::Stop),
            (made.clone(), None, Some((pending(), false)), Step::Wait),
            (made.clone(), None, Some((Phase::Unstarted, false)), Step::Admit),
            (made, None, Some((running(), false)), Step::Advance(Progress::Running)),
            (ran.clone(), None, Some((running(), false)), Step::Wait),
            (ran.clone(), None, Some((pending(), false)), Step::Wait),
            (ran.clone(), CANCELLED, Some((running(), false)), Step::Stop),
            (ran, CANCELLED, Some((running(), true)), Step::Wait),
        ] {
            let seen = seen.map(|(phase, stopping)| testing::observed(phase, stopping));
            let slot = slot(progress, stop);
            assert_eq!(decide(&slot, seen.as_ref(), 9), expected, "{slot:?} {seen:?}");
        }
    }

    #[test]
    fn an_exit_is_classed_by_what_ended_it() {
        let ran = slot(Progress::Running, None);
        let exit = testing::exit;
        let caused = |cause| Phase::Ended(Exit { cause, ..exit(137) });
        for (phase, expected) in [
            (Phase::Ended(exit(0)), Verdict::Succeeded),
            (Phase::Ended(exit(7)), Verdict::Failed(Class::User)),
            (Phase::Ended(Exit { signal: Some(9), ..exit(137) }), Verdict::Failed(Class::User)),
            (caused(Cause::Deadline), Verdict::Failed(Class::Policy)),
            (caused(Cause::OutOfMemory), Verdict::Failed(Class::Policy)),
            (caused(Cause::Infrastructure("evicted".to_owned())), Verdict::Failed(Class::Infra)),
        ] {
            assert_eq!(verdict(&ran, phase), expected);
        }
        let stopped = slot(Progress::Running, CANCELLED);
        assert_eq!(verdict(&stopped, Phase::Ended(exit(0))), Verdict::Cancelled);
        let late = Stop::Failed { class: Class::Policy, reason: "late".to_owned() };
        let late = slot(Progress::Running, Some(late));
        assert_eq!(verdict(&late, Phase::Ended(exit(143))), Verdict::Failed(Class::Policy));
        assert_eq!(verdict(&late, Phase::Ended(exit(0))), Verdict::Succeeded, "it was through before");
        let cut_off = Cause::Infrastructure("its agent was sent signal 15".to_owned());
        let cut_off = || Phase::Ended(Exit { cause: cut_off.clone(), ..exit(0) });
        assert_eq!(verdict(&late, cut_off()), Verdict::Failed(Class::Policy), "and is not tried again");
        assert_eq!(verdict(&stopped, cut_off()), Verdict::Cancelled);
        assert_eq!(verdict(&ran, cut_off()), Verdict::Failed(Class::Infra));
    }

    #[test]
    fn a_worker_that_is_gone_is_lost_unless_its_end_was_asked_for() {
        let vanished = || Phase::Vanished { reason: "gone".to_owned(), noticed_at: at(5) };
        assert_eq!(verdict(&slot(Progress::Running, None), vanished()), Verdict::Lost);
        assert_eq!(verdict(&slot(Progress::Running, CANCELLED), vanished()), Verdict::Cancelled);
        for (progress, stop, expected) in [
            (Progress::Running, None, Verdict::Lost),
            (Progress::Pending, None, Verdict::Lost),
            (Progress::Queued, CANCELLED, Verdict::Cancelled),
            (Progress::Running, CANCELLED, Verdict::Cancelled),
        ] {
            let Step::End(outcome) = decide(&slot(progress, stop), None, 9) else { panic!("it has ended") };
            assert_eq!(outcome.verdict, expected);
        }
    }

    #[test]
    fn an_obstacle_is_waited_for_as_long_as_it_may_pass() {
        let made = slot(Progress::Pending, None);
        let grace = i64::try_from(policy(1).image_grace.as_secs()).unwrap();
        let seen = |kind| {
            let obstacle = Some(Obstacle { kind, message: "m".to_owned(), since: at(100) });
            testing::observed(Phase::Pending { since: at(90), obstacle }, false)
        };
        let class = |kind, second| match decide(&made, Some(&seen(kind)), second) {
            Step::Mark(Stop::Failed { class, .. }) => Some(class),
            Step::Wait => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(class(ObstacleKind::Refused, 100), Some(Class::Policy));
        assert_eq!(class(ObstacleKind::Image, 100 + grace - 1), None);
        assert_eq!(class(ObstacleKind::Image, 100 + grace), Some(Class::Infra));
        assert_eq!(class(ObstacleKind::Configuration, 100 + grace), Some(Class::Policy));
        assert_eq!(class(ObstacleKind::Unschedulable, 100 + grace), None);
    }

    #[test]
    fn each_clock_runs_out_by_itself() {
        let mut spec = spec();
        spec.entry_id = "100000-0".parse().unwrap();
        spec.clocks.queue = Some(Duration::from_secs(10));
        spec.clocks.pending = Some(Duration::from_secs(20));
        spec.clocks.run = Duration::from_secs(30);
        let policy = policy(1);
        let queued = slot(Progress::Queued, None);
        assert_eq!(step(&spec, &queued, None, &policy, at(109)), Step::Admit);
        let Step::End(outcome) = step(&spec, &queued, None, &policy, at(110)) else { panic!("it is over") };
        assert!(
            outcome.verdict == Verdict::Failed(Class::Policy) && outcome.reason.contains("queue timeout")
        );
        let again = Slot { queued_at: Some(at(105)), ..queued };
        assert_eq!(step(&spec, &again, None, &policy, at(110)), Step::Admit, "its own clock");

        let pending = testing::observed(Phase::Pending { since: at(200), obstacle: None }, false);
        let made = slot(Progress::Pending, None);
        assert_eq!(step(&spec, &made, Some(&pending), &policy, at(219)), Step::Wait);
        assert!(matches!(step(&spec, &made, Some(&pending), &policy, at(220)), Step::Mark(_)));

        let running = testing::observed(Phase::Running { started_at: Some(at(300)) }, false);
        let ran = slot(Progress::Running, None);
        let margin = policy.grace_period + policy.drain_timeout + OVERDUE;
        let over = 330 + i64::try_from(margin.as_secs()).unwrap();
        assert_eq!(step(&spec, &ran, Some(&running), &policy, at(over - 1)), Step::Wait);
        assert!(matches!(step(&spec, &ran, Some(&running), &policy, at(over)), Step::Mark(_)));
    }
}
