//! What the services share: the queue, the catalog, the store's reading side, limits, and the word to
//! stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::parse::Limits;
use crate::queue::Queue;
use crate::tail::Tails;

/// Handles to everything that a request may need; cheap to clone.
#[derive(Clone)]
pub struct Server {
    /// To the writer.
    pub queue: Queue,
    /// What is durable.
    pub catalog: Arc<Catalog>,
    /// The lines themselves.
    pub tails: Tails,
    /// One stream for each worker.
    pub fence: Fence,
    /// Of lines.
    pub limits: Limits,
    /// Lines a second that a worker is asked to keep to; 0 for no limit.
    pub rate_limit: u32,
    /// Cancelled when the service is about to stop: streams end, clients come back later.
    pub draining: CancellationToken,
    /// What is counted.
    pub metrics: Metrics,
}
