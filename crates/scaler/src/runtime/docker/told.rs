//! What Docker tells of a worker: a list how far its container has come, a look how it fares.

use jiff::Timestamp;

use crate::ids::WorkerId;
use crate::record::Identity;
use crate::runtime::Exit;

/// A container that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) life: Life,
}

/// How far a container has come, in Docker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Created,
    Running,
    Exited,
}

/// A volume or a container of a worker in a list.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) worker: WorkerId,
    pub(super) identity: Identity,
    /// None for a volume.
    pub(super) container: Option<Container>,
}

/// What a look at a container found.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) worker: WorkerId,
    pub(super) identity: Identity,
    pub(super) id: String,
    pub(super) state: State,
}

/// How it fares.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// It was never started.
    Created,
    Running {
        started_at: Option<Timestamp>,
        /// Its end was asked for, by an earlier scaler perhaps.
        stopping: bool,
    },
    Exited {
        exit: Exit,
        /// As above.
        stopping: bool,
    },
}

impl State {
    pub(super) fn life(&self) -> Life {
        match self {
            Self::Created => Life::Created,
            Self::Running { .. } => Life::Running,
            Self::Exited { .. } => Life::Exited,
        }
    }
}
