//! What the services share: the queue, the catalog, the store's reading side, limits, and the word to
//! stop.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::fence::Fence;
use crate::ids::{TaskId, WorkerId};
use crate::metrics::Metrics;
use crate::parse::Limits;
use crate::queue::Queue;
use crate::rate::Rates;
use crate::reason::Retry;
use crate::tail::Tails;
use crate::worker::WorkerState;

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
    /// Lines a second.
    pub rates: Rates,
    /// Cancelled when the service is about to stop: streams end, clients come back later.
    pub draining: CancellationToken,
    /// What is counted.
    pub metrics: Metrics,
}

impl Server {
    /// Whether so many lines of a worker may come now.
    pub(crate) fn admit(&self, (worker, task): (&WorkerId, &TaskId), lines: u64) -> Result<(), Retry> {
        self.rates.admit(worker, task, lines, Instant::now()).map_err(Retry::RateLimited)
    }

    /// Waits until they may.
    pub(crate) async fn admitted(&self, state: &WorkerState, lines: u64) {
        while let Err(retry) = self.admit(state.names(), lines) {
            tokio::select! {
                () = tokio::time::sleep(retry.delay()) => {}
                () = self.draining.cancelled() => return,
            }
        }
    }
}
