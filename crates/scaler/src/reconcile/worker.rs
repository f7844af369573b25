//! One worker's next step: PURE.
//!
//! What is on record and what is observed decide together, and nothing else does. Progress on record
//! only ever goes forward; an end on record is final.

use jiff::Timestamp;

use crate::record::{Outcome, Progress, Slot, Verdict};
use crate::runtime::{Exit, Observed, Phase};
use crate::status::Class;

/// What is to be done about a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing; wait for it to change.
    Wait,
    /// Make it, once there is capacity.
    Admit,
    /// Put down how far it has come, and tell it.
    Record(Progress),
    /// Ask for its end.
    Stop,
}

/// Decides the next step of a worker that has not ended on record.
pub(super) fn step(slot: &Slot, observed: Option<&Observed>, now: Timestamp) -> Step {
    let Some(worker) = observed else { return absent(slot, now) };
    match &worker.phase {
        Phase::Unstarted if slot.cancel => Step::Stop,
        Phase::Unstarted => Step::Admit,
        Phase::Pending | Phase::Running { .. } if slot.cancel && !worker.stopping => Step::Stop,
        Phase::Pending => advance(slot, Progress::Pending),
        Phase::Running { .. } => advance(slot, Progress::Running),
        Phase::Ended(exit) => Step::Record(Progress::Ended(ended(slot, exit))),
        Phase::Vanished { reason, noticed_at } => {
            Step::Record(Progress::Ended(gone(slot, reason, *noticed_at)))
        }
    }
}

/// Contract of the runtime: what was made is observed until it is removed, and it is removed only
/// after its end was put down. So a worker that is on record as made and is absent was taken away by
/// somebody else.
fn absent(slot: &Slot, now: Timestamp) -> Step {
    match (&slot.progress, slot.cancel) {
        (Progress::Ended(_), _) => Step::Wait,
        (Progress::Queued, false) => Step::Admit,
        (Progress::Queued, true) => {
            let outcome = without_exit(Verdict::Cancelled, "cancelled before it started", now);
            Step::Record(Progress::Ended(outcome))
        }
        (Progress::Pending | Progress::Running, _) => {
            Step::Record(Progress::Ended(gone(slot, "the worker is no longer there", now)))
        }
    }
}

fn advance(slot: &Slot, to: Progress) -> Step {
    if slot.progress.state() < to.state() { Step::Record(to) } else { Step::Wait }
}

fn ended(slot: &Slot, exit: &Exit) -> Outcome {
    let (verdict, reason) = if slot.cancel {
        (Verdict::Cancelled, "cancelled on request".to_owned())
    } else if exit.timed_out {
        (Verdict::Failed(Class::Policy), "deadline: the command ran longer than its timeout".to_owned())
    } else if let Some(signal) = exit.signal {
        (Verdict::Failed(Class::User), format!("the command was ended by signal {signal}"))
    } else if exit.code == 0 {
        (Verdict::Succeeded, String::new())
    } else {
        (Verdict::Failed(Class::User), format!("the command exited with {}", exit.code))
    };
    Outcome {
        verdict,
        exit_code: Some(exit.code),
        reason,
        started_at: exit.started_at,
        ended_at: exit.ended_at,
        log_complete: exit.log_complete,
    }
}

fn gone(slot: &Slot, reason: &str, now: Timestamp) -> Outcome {
    let verdict = if slot.cancel { Verdict::Cancelled } else { Verdict::Lost };
    without_exit(verdict, reason, now)
}

fn without_exit(verdict: Verdict, reason: &str, now: Timestamp) -> Outcome {
    Outcome {
        verdict,
        exit_code: None,
        reason: reason.to_owned(),
        started_at: None,
        ended_at: now,
        log_complete: false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, at};
    use super::*;
    use crate::ids::Attempt;

    fn slot(progress: Progress, cancel: bool) -> Slot {
        Slot { attempt: Attempt::FIRST, progress, cancel }
    }

    fn observed(phase: Phase, stopping: bool) -> Observed {
        Observed { identity: testing::identity(), phase, stopping }
    }

    fn verdict(slot: &Slot, phase: Phase) -> Verdict {
        match step(slot, Some(&observed(phase, false)), at(9)) {
            Step::Record(Progress::Ended(outcome)) => outcome.verdict,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_pair_of_record_and_observation_has_one_step() {
        let running = || Phase::Running { started_at: None };
        let (queued, pending, ran) = (Progress::Queued, Progress::Pending, Progress::Running);
        for (progress, cancel, seen, expected) in [
            (queued.clone(), false, None, Step::Admit),
            (queued.clone(), false, Some((Phase::Unstarted, false)), Step::Admit),
            (queued.clone(), true, Some((Phase::Unstarted, false)), Step::Stop),
            (queued.clone(), false, Some((Phase::Pending, false)), Step::Record(Progress::Pending)),
            (queued.clone(), false, Some((running(), false)), Step::Record(Progress::Running)),
            (queued, true, Some((Phase::Pending, false)), Step::Stop),
            (pending.clone(), false, Some((Phase::Pending, false)), Step::Wait),
            (pending.clone(), false, Some((Phase::Unstarted, false)), Step::Admit),
            (pending, false, Some((running(), false)), Step::Record(Progress::Running)),
            (ran.clone(), false, Some((running(), false)), Step::Wait),
            (ran.clone(), false, Some((Phase::Pending, false)), Step::Wait),
            (ran.clone(), true, Some((running(), false)), Step::Stop),
            (ran, true, Some((running(), true)), Step::Wait),
        ] {
            let seen = seen.map(|(phase, stopping)| observed(phase, stopping));
            let slot = slot(progress, cancel);
            assert_eq!(step(&slot, seen.as_ref(), at(9)), expected, "{slot:?} {seen:?}");
        }
    }

    #[test]
    fn an_exit_is_classed_by_what_ended_it() {
        let ran = slot(Progress::Running, false);
        let exit = testing::exit;
        assert_eq!(verdict(&ran, Phase::Ended(exit(0))), Verdict::Succeeded);
        assert_eq!(verdict(&ran, Phase::Ended(exit(7))), Verdict::Failed(Class::User));
        let signalled = Exit { signal: Some(9), ..exit(137) };
        assert_eq!(verdict(&ran, Phase::Ended(signalled)), Verdict::Failed(Class::User));
        let late = Exit { timed_out: true, signal: Some(15), ..exit(143) };
        assert_eq!(verdict(&ran, Phase::Ended(late)), Verdict::Failed(Class::Policy));
        let cancelled = slot(Progress::Running, true);
        assert_eq!(verdict(&cancelled, Phase::Ended(exit(0))), Verdict::Cancelled);
    }

    #[test]
    fn a_worker_that_is_gone_is_lost_unless_its_end_was_asked_for() {
        let vanished = || Phase::Vanished { reason: "gone".to_owned(), noticed_at: at(5) };
        assert_eq!(verdict(&slot(Progress::Running, false), vanished()), Verdict::Lost);
        assert_eq!(verdict(&slot(Progress::Running, true), vanished()), Verdict::Cancelled);
        for (progress, cancel, expected) in [
            (Progress::Running, false, Verdict::Lost),
            (Progress::Pending, false, Verdict::Lost),
            (Progress::Queued, true, Verdict::Cancelled),
            (Progress::Running, true, Verdict::Cancelled),
        ] {
            let Step::Record(Progress::Ended(outcome)) = step(&slot(progress, cancel), None, at(9)) else {
                panic!("it has ended")
            };
            assert_eq!(outcome.verdict, expected);
        }
    }
}
