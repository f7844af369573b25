//! From what Docker says of a container, and what the agent left in its volume, to how a worker ended: PURE.
//!
//! Docker's word on the exit code counts. The agent's summary only tells the command's own end from one that
//! somebody else brought about.

use bollard::models::ContainerState;
use jiff::Timestamp;

use super::names;
use crate::runtime::summary::{Said, Summary};
use crate::runtime::{Cause, Exit};

/// What an agent exits with that found the command's run directory used: nothing was run.
const NOT_RUN: i32 = 75;

/// How a container that does not run any more ended. `killed` is the last signal that somebody sent it through
/// Docker. Times that Docker does not tell are `now`.
pub(super) fn exit(state: &ContainerState, said: &Said, killed: Option<i32>, now: Timestamp) -> Exit {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
    let ended_at = names::time(state.finished_at.as_deref()).unwrap_or(now);
    // One of another end may also be an earlier container's.
    let summary = said.of_end(code);
    let Some(started_at) = names::time(state.started_at.as_deref()) else {
        let why = state.error.as_deref().filter(|error| !error.is_empty()).unwrap_or("no reason given");
        let cause = Cause::Infrastructure(format!("its container did not start: {why}"));
        return Exit { code: None, signal: None, cause, started_at: None, ended_at };
    };
    let ran = summary.is_some() || code != NOT_RUN;
    Exit {
        code: ran.then_some(code),
        signal: summary.and_then(Summary::ended_by),
        cause: cause(state, code, said, killed),
        started_at: summary.and_then(|summary| summary.started_at).or(Some(started_at)).filter(|_| ran),
        ended_at,
    }
}

fn cause(state: &ContainerState, code: i32, said: &Said, killed: Option<i32>) -> Cause {
    let summary = said.of_end(code);
    // The kernel may end a child alone, and what counts is what its command made of it.
    if state.oom_killed == Some(true) && code != 0 {
        return Cause::OutOfMemory;
    }
    // Docker forgets who was sent what when it is restarted.
    match (summary, killed.or_else(|| summary?.asked())) {
        (Some(Summary { timed_out: true, .. }), _) => Cause::Deadline,
        (Some(summary), _) if summary.is_its_own_end() => Cause::Command,
        // A command that was through before it was disturbed has had its say. One that was asked to stop while it
        // ran and says 0 was cut off all the same: nobody may take that for a success.
        (summary, _) if code == 0 && summary.and_then(Summary::asked).is_none() => Cause::Command,
        // Whoever stops a worker on purpose has put that on record before, and that counts.
        (_, Some(signal)) => Cause::Infrastructure(format!(
            "its container was sent signal {signal}, by somebody or because Docker was stopped, and ended with {code}"
        )),
        (Some(_), None) => Cause::Command,
        (None, None) if code == NOT_RUN => Cause::Infrastructure(
            "its command had been started before, in a container that is gone".to_owned(),
        ),
        (None, None) => Cause::Infrastructure(said.why_unknown(code, "machine")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing::at;

    fn state(code: i64) -> ContainerState {
        ContainerState {
            exit_code: Some(code),
            started_at: Some("1970-01-01T00:00:10Z".to_owned()),
            finished_at: Some("1970-01-01T00:00:20.5Z".to_owned()),
            ..ContainerState::default()
        }
    }

    fn summary(text: &str) -> Said {
        Said::of(text.as_bytes())
    }

    fn infrastructure(exit: &Exit) -> &str {
        match &exit.cause {
            Cause::Infrastructure(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_exit_is_dockers_and_the_summary_says_that_it_is_the_commands() {
        let said = summary(r#"{"exit_code":7,"started_at":"1970-01-01T00:00:12Z"}"#);
        let seven = exit(&state(7), &said, None, at(60));
        assert_eq!((seven.code, &seven.cause, seven.signal), (Some(7), &Cause::Command, None));
        assert_eq!((seven.started_at, seven.ended_at.as_millisecond()), (Some(at(12)), 20_500));
        let segfault = summary(r#"{"exit_code":139,"signal":11}"#);
        let segfault = exit(&state(139), &segfault, None, at(60));
        assert_eq!((segfault.signal, segfault.cause), (Some(11), Cause::Command));
        let late = summary(r#"{"exit_code":143,"signal":15,"timed_out":true}"#);
        assert_eq!(exit(&state(143), &late, None, at(60)).cause, Cause::Deadline);
        let nothing_said = exit(&state(0), &Said::Nothing, Some(15), at(60));
        assert_eq!((nothing_said.code, nothing_said.cause), (Some(0), Cause::Command));
        let through = summary(r#"{"exit_code":0,"stop_signal":0}"#);
        assert_eq!(exit(&state(0), &through, Some(15), at(60)).cause, Cause::Command);
        let cut_off = summary(r#"{"exit_code":0,"stop_signal":15}"#);
        let cut_off = exit(&state(0), &cut_off, None, at(60));
        assert!(infrastructure(&cut_off).contains("signal 15") && cut_off.code == Some(0));
    }

    #[test]
    fn an_end_that_is_not_the_commands_is_told_apart() {
        let said = summary(r#"{"exit_code":143,"signal":15}"#);
        let stopped = exit(&state(143), &said, Some(15), at(60));
        assert!(infrastructure(&stopped).contains("signal 15"), "{stopped:?}");
        assert_eq!(exit(&state(143), &said, None, at(60)).cause, Cause::Command);
        let asked = summary(r#"{"exit_code":1,"stop_signal":15}"#);
        let forgotten = exit(&state(1), &asked, None, at(60));
        assert!(infrastructure(&forgotten).contains("signal 15"), "{forgotten:?}");
        let before = summary(r#"{"exit_code":7,"stop_signal":0}"#);
        let before = exit(&state(7), &before, Some(15), at(60));
        assert_eq!(before.cause, Cause::Command, "it had failed before somebody stopped its agent");
        let killed = exit(&state(137), &Said::Nothing, Some(9), at(60));
        assert!(infrastructure(&killed).contains("signal 9"), "{killed:?}");
        assert_eq!(killed.code, Some(137));
        assert!(
            infrastructure(&exit(&state(255), &Said::Nothing, None, at(60)))
                .contains("the machine went down")
        );
        let forged = summary(r#"{"exit_code":0}"#);
        let forged = exit(&state(137), &forged, None, at(60));
        assert!(infrastructure(&forged).contains("did not say") && forged.code == Some(137));
        let cut = exit(&state(1), &summary(r#"{"exit_code":1,"sig"#), None, at(60));
        assert!(infrastructure(&cut).contains("is damaged"), "{cut:?}");
        let failed = exit(&state(70), &Said::Nothing, None, at(60));
        assert!(infrastructure(&failed).contains("the agent itself failed"), "{failed:?}");
        let memory = ContainerState { oom_killed: Some(true), ..state(137) };
        assert_eq!(exit(&memory, &Said::Nothing, None, at(60)).cause, Cause::OutOfMemory);
        let got_over_it = ContainerState { oom_killed: Some(true), ..state(0) };
        assert_eq!(exit(&got_over_it, &Said::Nothing, None, at(60)).cause, Cause::Command);
    }

    #[test]
    fn p2_a_container_that_found_its_command_started_before_has_no_exit_code_of_it() {
        let of_the_first = summary(r#"{"exit_code":0}"#);
        let second = exit(&state(75), &of_the_first, None, at(60));
        assert!(infrastructure(&second).contains("started before"));
        assert_eq!((second.code, second.started_at), (None, None));
        let own = summary(r#"{"exit_code":75}"#);
        let own = exit(&state(75), &own, None, at(60));
        assert_eq!((own.code, own.cause), (Some(75), Cause::Command));
    }

    #[test]
    fn a_container_that_never_started_has_no_exit_code() {
        let never = "0001-01-01T00:00:00Z".to_owned();
        let state = ContainerState {
            started_at: Some(never),
            error: Some("exec: no such file".to_owned()),
            ..state(127)
        };
        let exit = exit(&state, &Said::Nothing, None, at(60));
        assert_eq!((exit.code, exit.started_at), (None, None));
        assert!(infrastructure(&exit).contains("exec: no such file"));
    }
}
