//! Who ships, and where to, as the server is told with each registration.

use bytes::Bytes;
use ottoscaler_proto::v1::WorkerRegistration;

use crate::config::Compression;
use crate::ids::{Incarnation, TaskId, WorkerId};

/// Who ships, and where to.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The server.
    pub ingest_url: String,
    /// Of batches.
    pub compression: Compression,
    /// The worker.
    pub worker_id: WorkerId,
    /// Its task.
    pub task_id: TaskId,
    /// Which attempt it is.
    pub attempt: i32,
    /// Made once by each agent process.
    pub incarnation: Incarnation,
}

impl Identity {
    /// As the server is told.
    pub fn registration(&self) -> WorkerRegistration {
        WorkerRegistration {
            worker_id: self.worker_id.to_string(),
            task_id: self.task_id.to_string(),
            attempt: self.attempt,
            incarnation: Bytes::copy_from_slice(self.incarnation.as_bytes()),
            server_endpoint: self.ingest_url.clone(),
            ..WorkerRegistration::default()
        }
    }
}
