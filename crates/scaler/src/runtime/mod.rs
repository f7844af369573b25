//! What makes workers and knows how they are: one trait, so that the same pure core decides over
//! processes, containers and Pods.
//!
//! The contract that [`crate::reconcile`] builds on:
//! - `create` is idempotent. What exists already is success, once it was found to be the same worker.
//! - After `create` returned `Ok`, the worker is in every later observation, until `remove`.
//! - `observe` is a snapshot of what the runtime knows already; it asks nobody. Before the runtime
//!   knows all that was there at its start it is [`NotSynced`], which is not the same as nothing.
//! - `stop` asks for one graceful end and returns; that it has ended shows in an observation.

pub mod process;

use std::collections::BTreeMap;
use std::future::Future;

use jiff::Timestamp;
use thiserror::Error;

use crate::ids::WorkerId;
use crate::record::{Identity, WorkerSpec};

/// Makes, stops, removes and observes workers.
pub trait Runtime: Send + Sync + 'static {
    /// Makes the worker and starts it.
    fn create(&self, spec: &WorkerSpec) -> impl Future<Output = Result<Created, RuntimeError>> + Send;

    /// Asks for one graceful end: the command gets SIGTERM, a grace period, SIGKILL. The same again
    /// does nothing. A worker that has not started its command never will.
    fn stop(&self, worker: &WorkerId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Removes what is left of a worker that has ended. One that is not there is removed already.
    fn remove(&self, worker: &WorkerId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// All workers that are there, as far as the runtime has heard.
    fn observe(&self) -> Result<Observation, NotSynced>;

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
    /// How far it has come.
    pub phase: Phase,
    /// Its end was asked for.
    pub stopping: bool,
}

/// How far a worker has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its place is there, and nothing runs in it nor ever did: `create` has to be repeated.
    Unstarted,
    /// It was started, and its command does not run yet.
    Pending,
    /// Its command runs.
    Running {
        /// Since when.
        started_at: Option<Timestamp>,
    },
    /// Its command has ended, and so has the worker.
    Ended(Exit),
    /// It is gone and left no word of how.
    Vanished {
        /// What is known all the same.
        reason: String,
        /// When that was noticed.
        noticed_at: Timestamp,
    },
}

impl Phase {
    /// Whether it takes up capacity (P3).
    pub fn takes_capacity(&self) -> bool {
        match self {
            Self::Pending | Self::Running { .. } => true,
            Self::Unstarted | Self::Ended(_) | Self::Vanished { .. } => false,
        }
    }
}

/// How a command ended, in the words of its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 128+n for signal n.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Its time had passed.
    pub timed_out: bool,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// log-ingest has the whole log, says the agent.
    pub log_complete: bool,
}

/// What a runtime could not do.
#[derive(Debug, Error)]
#[error("cannot {attempted} worker {worker}: {reason}")]
pub struct RuntimeError {
    kind: ErrorKind,
    attempted: &'static str,
    worker: WorkerId,
    reason: String,
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
        Self { kind, attempted, worker: worker.clone(), reason }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same may work later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            ErrorKind::Refused => false,
            ErrorKind::Quota | ErrorKind::Unavailable => true,
        }
    }
}
