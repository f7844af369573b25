//! Lifecycle notifications: what an entry of the status stream says.
//!
//! At least once: `event_id` is the same however often a change is told, so a consumer can drop
//! what it knows already.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{TaskId, WorkerId};

/// Why a worker did not succeed. Only `Infra` is worth another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The command.
    User,
    /// What it ran on.
    Infra,
    /// A limit: the deadline, a refused request.
    Policy,
    /// Somebody asked for it.
    Cancelled,
}

impl Class {
    /// The class as notifications and metrics say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Infra => "infra",
            Self::Policy => "policy",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The states of a worker, as notifications and metrics say them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Recorded, waiting for capacity.
    Queued,
    /// Made, its command not yet running.
    Pending,
    /// Its command runs.
    Running,
    /// The command exited with 0.
    Succeeded,
    /// The command exited otherwise, or was not allowed to go on.
    Failed,
    /// Stopped on request, or never started because of it.
    Cancelled,
    /// Gone without an outcome.
    Lost,
}

impl State {
    /// All states, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Pending,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
    ];

    /// Whether nothing more happens to a worker in this state.
    pub fn is_end(self) -> bool {
        match self {
            Self::Queued | Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Lost => true,
        }
    }

    /// The state as notifications and metrics say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The task.
    pub task_id: TaskId,
    /// The worker.
    pub worker_id: WorkerId,
    /// Its state from now on.
    pub state: State,
    /// Why it did not succeed.
    pub class: Option<Class>,
    /// The command's exit code, where it has one.
    pub exit_code: Option<i32>,
    /// In words, where there is something to say.
    pub reason: String,
    /// What keeps it in this state, where that is news and the state is not.
    pub obstacle: Option<&'static str>,
    /// When.
    pub at: Timestamp,
}

impl Notification {
    /// The same however often the same is told.
    fn event_id(&self) -> String {
        match self.obstacle {
            Some(obstacle) => format!("{}:{}:{obstacle}", self.worker_id, self.state),
            None => format!("{}:{}", self.worker_id, self.state),
        }
    }

    /// The entry of the status stream.
    pub fn fields(&self) -> [(&'static str, String); 8] {
        [
            ("event_id", self.event_id()),
            ("task_id", self.task_id.to_string()),
            ("worker_id", self.worker_id.to_string()),
            ("state", self.state.to_string()),
            ("class", self.class.map(Class::as_str).unwrap_or_default().to_owned()),
            ("exit_code", self.exit_code.map(|code| code.to_string()).unwrap_or_default()),
            ("reason", self.reason.clone()),
            ("timestamp", self.at.to_string()),
        ]
    }
}
