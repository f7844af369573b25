//! The log of a worker that has ended: PURE. It is asked for until it is complete, closed with a
//! visible marker where its agent left it open, and given up at the drain deadline (P9). That counts from the first question
//! where the end is older: whoever comes up after a night of rest, maybe before log-ingest, has asked for nothing yet.

use std::time::Duration;

use jiff::Timestamp;

use super::{Policy, passed};
use crate::logs::{LogAnswer, LogStatus};
use crate::record::{Log, Outcome};

/// An agent's last words may still be on their way into the store for so long after its end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Between two questions about one log, from the first to the last.
const ASK_MIN: Duration = Duration::from_millis(500);
const ASK_MAX: Duration = Duration::from_secs(30);

/// What is to be done about a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LogStep {
    /// Nothing now.
    Wait,
    /// Ask log-ingest.
    Ask,
    /// Have it closed, behind what its agent left to be handed in: nobody else will write to it.
    Close,
    /// Put down what is known: it will not change.
    Settle(Log),
}

/// Decides about a log that is not settled.
pub(super) fn step(
    outcome: &Outcome,
    answer: Option<&LogAnswer>,
    policy: &Policy,
    now: Timestamp,
) -> LogStep {
    let ended_at = outcome.ended_at;
    let Some(answer) = answer else { return LogStep::Ask };
    let is_stale = passed(answer.at, pause(ended_at, now), now);
    match &answer.status {
        Ok(LogStatus::Closed { complete: true, .. }) => LogStep::Settle(Log::Complete),
        Ok(LogStatus::Closed { complete: false, reason }) => {
            LogStep::Settle(Log::Incomplete { reason: reason.clone() })
        }
        // As far as anybody knows it never came to its command, and so has nothing to say.
        Ok(LogStatus::Unknown) if !outcome.has_run() => {
            if passed(ended_at, LAST_WORDS, now) {
                LogStep::Settle(Log::None)
            } else {
                stale(is_stale)
            }
        }
        Ok(LogStatus::Unknown | LogStatus::Open) if passed(ended_at, LAST_WORDS, now) => LogStep::Close,
        Err(error) if passed(ended_at.max(answer.since), policy.drain_timeout, now) => {
            LogStep::Settle(Log::Incomplete {
                reason: format!("log-ingest could not be asked before the drain deadline: {error}"),
            })
        }
        Ok(LogStatus::Unknown | LogStatus::Open) | Err(_) => stale(is_stale),
    }
}

fn stale(is_stale: bool) -> LogStep {
    if is_stale { LogStep::Ask } else { LogStep::Wait }
}

/// The longer ago the end, the less often: half of the time since then.
fn pause(ended_at: Timestamp, now: Timestamp) -> Duration {
    let since = Duration::try_from(now.duration_since(ended_at)).unwrap_or_default();
    (since / 2).clamp(ASK_MIN, ASK_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, outcome, policy};
    use super::*;
    use crate::record::Verdict;

    fn answer(status: Result<LogStatus, String>, second: i64) -> LogAnswer {
        LogAnswer::new(status, at(second))
    }

    fn decide(status: Result<LogStatus, String>, asked: i64, now: i64) -> LogStep {
        let ended = Outcome { ended_at: at(100), ..outcome(Verdict::Succeeded) };
        step(&ended, Some(&answer(status, asked)), &policy(1), at(now))
    }

    #[test]
    fn p9_a_log_is_settled_by_the_word_of_log_ingest_and_by_nothing_sooner() {
        let ended = outcome(Verdict::Succeeded);
        assert_eq!(step(&ended, None, &policy(1), at(0)), LogStep::Ask);
        let closed = |complete| Ok(LogStatus::Closed { complete, reason: "2 lines".to_owned() });
        assert_eq!(decide(closed(true), 100, 100), LogStep::Settle(Log::Complete));
        let incomplete = Log::Incomplete { reason: "2 lines".to_owned() };
        assert_eq!(decide(closed(false), 100, 100), LogStep::Settle(incomplete));
        assert_eq!(decide(Ok(LogStatus::Open), 101, 101), LogStep::Wait);
        assert_eq!(decide(Ok(LogStatus::Open), 101, 103), LogStep::Ask);
        assert_eq!(decide(Ok(LogStatus::Open), 104, 106), LogStep::Close, "its agent is gone");
        assert_eq!(decide(Ok(LogStatus::Unknown), 104, 106), LogStep::Close, "it ran and never got through");
    }

    #[test]
    fn p9_while_log_ingest_is_away_it_is_asked_until_the_drain_deadline() {
        let away = || Err("away".to_owned());
        let drain = i64::try_from(policy(1).drain_timeout.as_secs()).unwrap();
        let since = |first: i64, asked: i64, now: i64| {
            let ended = Outcome { ended_at: at(100), ..outcome(Verdict::Succeeded) };
            let answer = answer(away(), asked).after(Some(&answer(away(), first)));
            step(&ended, Some(&answer), &policy(1), at(now))
        };
        assert_eq!(decide(away(), 100, 100 + drain - 1), LogStep::Ask);
        assert_eq!(since(100, 100 + drain - 2, 100 + drain - 1), LogStep::Wait);
        let LogStep::Settle(Log::Incomplete { reason }) = since(100, 100 + drain - 2, 100 + drain) else {
            panic!("it is given up")
        };
        assert!(reason.contains("drain deadline") && reason.contains("away"), "{reason}");
        let night = 100 + 10 * drain;
        assert_eq!(decide(away(), night, night + 1), LogStep::Wait, "nobody has asked while all was off");
        assert_eq!(since(night, night + drain - 31, night + drain - 1), LogStep::Ask);
        assert!(matches!(since(night, night, night + drain), LogStep::Settle(Log::Incomplete { .. })));
    }

    #[test]
    fn a_worker_that_never_came_to_its_command_has_no_log() {
        let never = Outcome {
            exit_code: None,
            started_at: None,
            ran: false,
            ended_at: at(100),
            ..outcome(Verdict::Lost)
        };
        let unknown = answer(Ok(LogStatus::Unknown), 104);
        assert_eq!(step(&never, Some(&unknown), &policy(1), at(106)), LogStep::Settle(Log::None));
        let ran = Outcome { ran: true, ..never };
        assert_eq!(
            step(&ran, Some(&unknown), &policy(1), at(106)),
            LogStep::Close,
            "its lines are lost, which the log has to say"
        );
    }
}
