//! Answers, and how they leave.

use tokio::sync::oneshot;

use crate::ids::WorkerId;
use crate::metrics::Metrics;
use crate::queue::{Completed, Registered};
use crate::session::Answer;
use crate::worker::Numbering;

/// An answer that waits for the commit.
pub(super) enum Reply {
    Register(Registered, WorkerId, oneshot::Sender<Registered>),
    Append(Appended, Vec<Answer>, oneshot::Sender<Vec<Answer>>),
    Complete(Completed, oneshot::Sender<Completed>),
}

/// Whose lines are answered.
pub(super) struct Appended {
    pub(super) worker: WorkerId,
    /// Of the first of them.
    pub(super) numbering: Numbering,
}

impl Reply {
    /// Counts what a client is refused.
    pub(super) fn count(&self, metrics: &Metrics) {
        let Self::Append(_, answers, _) = self else { return };
        for refusal in answers.iter().filter_map(|answer| answer.refusal.as_ref()) {
            metrics.refused(refusal);
        }
    }

    /// A client that went away takes no answer; it will ask again.
    pub(super) fn send(self) {
        match self {
            Self::Register(registered, _, reply) => drop(reply.send(registered)),
            Self::Append(_, answers, reply) => drop(reply.send(answers)),
            Self::Complete(completed, reply) => drop(reply.send(completed)),
        }
    }
}
