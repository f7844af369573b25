//! One worker's place in its task's record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::Attempt;
use crate::status::{Class, State};

/// What is on record of one worker. A worker nothing is on record of has the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The attempt that the rest is about.
    pub attempt: Attempt,
    /// How far it has come, as last notified.
    pub progress: Progress,
    /// Somebody asked for its end.
    pub cancel: bool,
}

/// How far a worker has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Waits for capacity.
    #[default]
    Queued,
    /// Made.
    Pending,
    /// Its command runs.
    Running,
    /// Nothing more happens to it.
    Ended(Outcome),
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The command's exit code; 128+n for signal n.
    pub exit_code: Option<i32>,
    /// In words, where there is something to say.
    pub reason: String,
    /// When the command started.
    pub started_at: Option<Timestamp>,
    /// When it ended, or when that was noticed.
    pub ended_at: Timestamp,
    /// The agent said that log-ingest has the whole log.
    pub log_complete: bool,
}

/// What became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exit code 0.
    Succeeded,
    /// It did not, and this is why.
    Failed(Class),
    /// Ended on request.
    Cancelled,
    /// Gone without an outcome.
    Lost,
}

impl Slot {
    /// Whether nothing more happens to it.
    pub fn is_ended(&self) -> bool {
        matches!(self.progress, Progress::Ended(_))
    }
}

impl Progress {
    /// The state that notifications name.
    pub fn state(&self) -> State {
        match self {
            Self::Queued => State::Queued,
            Self::Pending => State::Pending,
            Self::Running => State::Running,
            Self::Ended(outcome) => outcome.verdict.state(),
        }
    }
}

impl Verdict {
    /// The state that notifications name.
    pub fn state(self) -> State {
        match self {
            Self::Succeeded => State::Succeeded,
            Self::Failed(_) => State::Failed,
            Self::Cancelled => State::Cancelled,
            Self::Lost => State::Lost,
        }
    }

    /// The class that notifications name.
    pub fn class(self) -> Option<Class> {
        match self {
            Self::Succeeded => None,
            Self::Failed(class) => Some(class),
            Self::Cancelled => Some(Class::Cancelled),
            Self::Lost => Some(Class::Infra),
        }
    }
}
