//! What makes workers and knows how they are: one trait, so that the same pure core decides over
//! processes, containers and Pods.
//!
//! The contract that [`crate::reconcile`] builds on:
//! - `create` is idempotent. What exists already is success, once it was found to be the same worker.
//! - After `create` returned `Ok`, the worker is in every later observation, until `remove`; one that
//!   somebody else takes away is [`Phase::Vanished`].
//! - `observe` is a snapshot of what the runtime knows already; it asks nobody. Before the runtime
//!   knows all that was there at its start it is [`NotSynced`], which is not the same as nothing.
//! - `stop` asks for one graceful end and returns; that it has ended shows in an observation.
//! - Every call ends within a time that the runtime sets.

pub mod docker;
mod environment;
pub mod kubernetes;
pub mod process;
mod security;
mod summary;
mod upload;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::ids::{RecordId, WorkerId};
use crate::record::{Identity, WorkerSpec};

/// Makes, stops, removes and observes workers.
pub trait Runtime: Send + Sync + 'static {
    /// Whether a worker's end that was asked for was asked for by `stop`, of whichever scaler. Of a Pod nobody knows
    /// who deletes it.
    const STOPS_ARE_OURS: bool;

    /// Makes the worker and starts it.
    fn create(&self, spec: &WorkerSpec) -> impl Future<Output = Result<Created, RuntimeError>> + Send;

    /// Asks for one graceful end: the command gets SIGTERM, a grace period, SIGKILL. The same again
    /// does nothing. A worker that has not started its command never will.
    fn stop(&self, worker: &WorkerId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Removes what is left of a worker that has ended. One that is not there is removed already.
    fn remove(&self, worker: &WorkerId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Hands in what an ended worker's agent could not get rid of, before its log is closed. The same again
    /// hands nothing in twice. An error where nobody can tell yet what becomes of it.
    fn hand_in(&self, worker: &WorkerId) -> impl Future<Output = Result<HandedIn, RuntimeError>> + Send;

    /// What a worker was made for, as it carries it; nothing where it is gone or does not say.
    fn spec(
        &self,
        worker: &WorkerId,
    ) -> impl Future<Output = Result<Option<WorkerSpec>, RuntimeError>> + Send;

    /// Where its workers are, in words: whoever works on the same records has to have the same.
    fn home(&self) -> &str;

    /// All workers that are there, as far as the runtime has heard.
    fn observe(&self) -> Result<Arc<Observation>, NotSynced>;

    /// What is observed is to be begun anew: [`NotSynced`] until all that is there now is known. Whoever
    /// begins to lead asks for it, since the leader before has made workers and put that down.
    fn refresh(&self);

    /// Waits until there may be something new to observe. Cancel safe; for one waiter.
    fn changed(&self) -> impl Future<Output = ()> + Send;
}

/// Whether a worker was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    New,
    /// It was there before.
    AlreadyThere,
}

/// What became of the lines that an agent left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandedIn {
    /// There are none, or nobody can get at them.
    Nothing,
    /// They are in the log.
    All,
    /// Not all of them are, and why.
    NotAll(String),
}

/// The runtime has not yet seen what was there before it started.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the runtime does not know yet which workers there are")]
pub struct NotSynced;

/// All workers that are there.
pub type Observation = BTreeMap<WorkerId, Observed>;

/// One worker that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Which worker it says it is.
    pub identity: Identity,
    /// The record that it is of.
    pub record: RecordId,
    /// How far it has come.
    pub phase: Phase,
    /// Its end was asked for.
    pub stopping: bool,
}

impl Observed {
    /// A worker that says it is `identity`.
    pub fn new(identity: Identity, phase: Phase, stopping: bool) -> Self {
        let record = crate::name::task_record(&identity.task_id, &identity.request_id);
        Self { identity, record, phase, stopping }
    }
}

/// How far a worker has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its place is there, and nothing runs in it nor ever did: `create` has to be repeated.
    Unstarted,
    /// It was made, and its command does not run yet.
    Pending {
        /// Since when.
        since: Timestamp,
        /// What keeps it from getting on.
        obstacle: Option<Obstacle>,
    },
    /// Its command runs.
    Running {
        /// Since when.
        started_at: Option<Timestamp>,
    },
    /// The worker has ended, and it is known how.
    Ended(Exit),
    /// It is gone and left no word of how.
    Vanished {
        /// What is known all the same.
        reason: String,
        /// When that was noticed.
        noticed_at: Timestamp,
    },
}

/// What keeps a worker from getting on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What kind of thing, and so what to do about it.
    pub kind: ObstacleKind,
    /// The runtime's own words.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// What kind of thing keeps a worker from getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObstacleKind {
    /// It can never work: no image can have such a name.
    Refused,
    /// The image does not come, which may pass.
    Image,
    /// Something that it refers to is not there, which may pass.
    Configuration,
    /// There is no place for it now.
    Unschedulable,
}

impl ObstacleKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Refused, Self::Image, Self::Configuration, Self::Unschedulable];

    /// The kind as notifications say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Image => "image",
            Self::Configuration => "configuration",
            Self::Unschedulable => "unschedulable",
        }
    }
}

impl Phase {
    /// Whether it takes up capacity (P3).
    pub fn takes_capacity(&self) -> bool {
        match self {
            Self::Pending { .. } | Self::Running { .. } => true,
            Self::Unstarted | Self::Ended(_) | Self::Vanished { .. } => false,
        }
    }

    /// When the worker ended, or when that was noticed.
    pub fn ended_at(&self) -> Option<Timestamp> {
        match self {
            Self::Ended(exit) => Some(exit.ended_at),
            Self::Vanished { noticed_at, .. } => Some(*noticed_at),
            Self::Unstarted | Self::Pending { .. } | Self::Running { .. } => None,
        }
    }
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The command's exit code, 128+n for signal n; none where it never got to one.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What brought the end about.
    pub cause: Cause,
    /// When the command started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// What brought a worker's end about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The command itself.
    Command,
    /// Its time had passed.
    Deadline,
    /// It needed more memory than it may have.
    OutOfMemory,
    /// What it ran on, in the runtime's own words.
    Infrastructure(String),
}

/// What a runtime could not do.
#[derive(Debug, Error)]
#[error("cannot {attempted} worker {worker}: {reason}")]
pub struct RuntimeError {
    kind: ErrorKind,
    attempted: &'static str,
    worker: WorkerId,
    reason: String,
    retry_after: Option<Duration>,
}

/// What kind of failure it is, and so what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// This worker can never be made like this.
    Refused,
    /// There is no room now; that is waiting, not failure.
    Quota,
    /// It did not work now.
    Unavailable,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Refused, Self::Quota, Self::Unavailable];

    /// The kind as metrics say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Quota => "quota",
            Self::Unavailable => "unavailable",
        }
    }
}

impl RuntimeError {
    /// `attempted` is a verb: create, stop, remove.
    pub fn new(kind: ErrorKind, attempted: &'static str, worker: &WorkerId, reason: String) -> Self {
        Self { kind, attempted, worker: worker.clone(), reason, retry_after: None }
    }

    /// The other side said when to come again.
    #[must_use]
    pub fn retry_after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Why, in words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How long the other side wants to be left alone.
    pub fn pause(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same may work later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            ErrorKind::Refused => false,
            ErrorKind::Quota | ErrorKind::Unavailable => true,
        }
    }
}
