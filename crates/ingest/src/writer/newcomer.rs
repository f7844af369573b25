//! Workers that are new, and lines of those that are not known.

use std::sync::Arc;

use ottoscaler_proto::v1::WorkerMetadata;
use rand::Rng;

use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::queue::Introduction;
use crate::reason::{DropReason, Dropped, Retry};
use crate::session::{Answer, Item, Refusal};
use crate::worker::Registration;

/// As it is kept, with a session of its own.
pub(super) fn registration(introduction: Introduction) -> Registration {
    let session: [u8; 16] = rand::rng().random();
    let own = || TaskId::from(&introduction.worker);
    Registration {
        task: introduction.task.unwrap_or_else(own),
        worker: introduction.worker,
        attempt: introduction.attempt,
        incarnation: introduction.incarnation,
        session_id: hex::encode(session).into(),
        metadata: Arc::new(introduction.metadata),
    }
}

/// A worker of which nothing is told but its lines.
pub(super) fn unannounced(worker: &WorkerId, task: TaskId) -> Introduction {
    Introduction {
        worker: worker.clone(),
        task: Some(task),
        attempt: 0,
        incarnation: bytes::Bytes::new(),
        metadata: WorkerMetadata::default(),
    }
}

/// Whose log it was is forgotten. No mark of it is left: a client that had one finds that out, and registers again.
pub(super) fn nobodys(item: &Item) -> Answer {
    let refusal = Some(Refusal::Retry(Retry::Gap, Sequence::ZERO));
    Answer { first: item.first.unwrap_or_default(), acked: Sequence::ZERO, stored: 0, refusal }
}

/// There is no room for whose lines they are.
pub(super) fn server_full(item: &Item) -> Answer {
    let drop = Dropped::new(DropReason::ServerFull, "this server takes no more workers");
    Answer {
        first: item.first.unwrap_or_default(),
        acked: Sequence::ZERO,
        stored: 0,
        refusal: Some(Refusal::Drop(drop)),
    }
}
