//! What an agent says of its command's end, as far as a runtime needs it.
//!
//! The runtime's word on the exit code counts. The command could forge this one, and gain another attempt at most.

use jiff::Timestamp;
use serde::Deserialize;

/// Signals that are meant to end: SIGINT, SIGQUIT, SIGKILL, SIGTERM.
pub(super) const ENDING: [i32; 4] = [2, 3, 9, 15];

/// What an agent exits with that failed itself, and has no word of its command.
const AGENT_FAILED: i32 = 70;

/// What is where an agent leaves its summary.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// Nothing, or no more than the room for it.
    Nothing,
    /// Something else than a whole summary.
    Damaged,
    /// What it had to say.
    Whole(Summary),
}

impl Said {
    pub(super) fn of(text: &[u8]) -> Self {
        match serde_json::from_slice(text) {
            Ok(summary) => Self::Whole(summary),
            Err(_) if text.trim_ascii().is_empty() => Self::Nothing,
            Err(_) => Self::Damaged,
        }
    }

    /// The summary, where it is of the end with this code. One of another end was written before the agent was killed, or
    /// by the command.
    pub(super) fn of_end(&self, code: i32) -> Option<&Summary> {
        match self {
            Self::Whole(summary) => Some(summary).filter(|summary| summary.exit_code == code),
            Self::Nothing | Self::Damaged => None,
        }
    }

    /// Why nothing is known of how the command did in a container that ended with `code` on a `machine` of this kind.
    pub(super) fn why_unknown(&self, code: i32, machine: &str) -> String {
        match self {
            _ if code == AGENT_FAILED => format!(
                "its container ended with {code}, and its agent did not say how the command did: the agent itself failed, \
                 and its container's log says why"
            ),
            Self::Damaged => format!(
                "its container ended with {code}, and what its agent said of how the command did is damaged"
            ),
            Self::Nothing | Self::Whole(_) => format!(
                "its container ended with {code}, and its agent did not say how the command did: it was killed, or the \
                 {machine} went down"
            ),
        }
    }
}

/// More is in it than is needed here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) exit_code: i32,
    /// The signal that ended the command; 0 for none.
    #[serde(default)]
    pub(super) signal: i32,
    #[serde(default)]
    pub(super) timed_out: bool,
    /// The signal by which somebody asked the agent to stop the command while that ran; 0 for none. Older agents do
    /// not say.
    stop_signal: Option<i32>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
}

impl Summary {
    /// The signal by which somebody asked the agent to stop the command while that ran.
    pub(super) fn asked(&self) -> Option<i32> {
        self.stop_signal.filter(|signal| *signal != 0)
    }

    /// Whether the command, or its time, came to an end that nobody had asked for until then: whatever befell
    /// the worker later, while its agent delivered, has no part in it. An end by a signal may be others' doing of which
    /// the agent knows nothing.
    pub(super) fn is_its_own_end(&self) -> bool {
        let is_by_signal = ENDING.iter().any(|signal| self.exit_code == 128 + signal);
        self.stop_signal == Some(0) && (self.timed_out || !is_by_signal)
    }

    /// The signal that ended the command.
    pub(super) fn ended_by(&self) -> Option<i32> {
        Some(self.signal).filter(|signal| *signal != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_summary_is_told_from_none() {
        let why = |text: &[u8], code| Said::of(text).why_unknown(code, "node");
        for nothing in ["", "  \n ", r#"{"exit_code":0}"#] {
            assert!(why(nothing.as_bytes(), 137).contains("killed, or the node went down"), "{nothing}");
        }
        for damaged in [&br#"{"exit_code":1,"sig"#[..], b"no json", b"\xff"] {
            assert!(
                why(damaged, 1).contains("ended with 1, and what its agent said")
                    && Said::of(damaged).of_end(1).is_none()
            );
        }
        for text in ["", "no json"] {
            assert!(why(text.as_bytes(), 70).contains("agent itself failed"));
        }
        assert!(Said::of(br#"{"exit_code":70}"#).of_end(70).is_some(), "a command may end so, too");
    }

    #[test]
    fn an_end_is_the_commands_own_only_where_the_agent_says_that_nobody_asked_for_it() {
        let is_own = |text: &str| serde_json::from_str::<Summary>(text).unwrap().is_its_own_end();
        for (text, expected) in [
            (r#"{"exit_code":7,"stop_signal":0}"#, true),
            (r#"{"exit_code":0,"stop_signal":0}"#, true),
            (r#"{"exit_code":139,"signal":11,"stop_signal":0}"#, true),
            (r#"{"exit_code":143,"signal":15,"stop_signal":0}"#, false),
            (r#"{"exit_code":143,"signal":15,"timed_out":true,"stop_signal":0}"#, true),
            (r#"{"exit_code":7,"stop_signal":15}"#, false),
            (r#"{"exit_code":7}"#, false),
        ] {
            assert_eq!(is_own(text), expected, "{text}");
        }
    }
}
