//! What an agent says of its command's end, as far as a runtime needs it.
//!
//! The runtime's word on the exit code counts. The command could forge this one, and gain another attempt at most.

use jiff::Timestamp;
use serde::Deserialize;

/// Signals that are meant to end: SIGINT, SIGQUIT, SIGKILL, SIGTERM.
pub(super) const ENDING: [i32; 4] = [2, 3, 9, 15];

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
