//! What an agent says of its command's end, as far as a runtime needs it.
//!
//! The runtime's word on the exit code counts. The command could forge this one, and gain another attempt at most.

use jiff::Timestamp;
use serde::Deserialize;

/// More is in it than is needed here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) exit_code: i32,
    /// The signal that ended the command; 0 for none.
    #[serde(default)]
    pub(super) signal: i32,
    #[serde(default)]
    pub(super) timed_out: bool,
    /// The signal by which somebody asked the agent to stop the command; 0 for none.
    #[serde(default)]
    stop_signal: i32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
}

impl Summary {
    /// The signal by which somebody asked the agent to stop the command.
    pub(super) fn asked(&self) -> Option<i32> {
        Some(self.stop_signal).filter(|signal| *signal != 0)
    }

    /// The signal that ended the command.
    pub(super) fn ended_by(&self) -> Option<i32> {
        Some(self.signal).filter(|signal| *signal != 0)
    }
}
