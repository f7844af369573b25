//! What the services share: the queue, the catalog, the store's reading side, limits, and the word to
//! stop.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::fence::Fence;
use crate::metrics::Metrics;
use crate::outlines::Outlines;
use crate::parse::Limits;
use crate::queue::Queue;
use crate::rate::{Charge, Rates};
use crate::searches::Searches;
use crate::summaries::Summaries;
use crate::tail::Tails;
use crate::worker::WorkerState;

/// Handles to everything that a request may need; cheap to clone.
#[derive(Clone)]
pub struct Server {
    /// To the writer.
    pub queue: Queue,
    /// What is durable.
    pub catalog: Arc<Catalog>,
    /// The summaries of its tasks.
    pub summaries: Summaries,
    /// The lines themselves.
    pub tails: Tails,
    /// What one look through each log told.
    pub outlines: Outlines,
    /// Looks through logs for something.
    pub searches: Searches,
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
    /// Waits until so many lines of a worker may come.
    pub(crate) async fn admitted(&self, state: &WorkerState, lines: u64) -> Charge {
        let (worker, task) = state.names();
        loop {
            match self.rates.admit(worker, task, lines, self.rates.now()) {
                Ok(charge) => return charge,
                Err(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.draining.cancelled() => return Charge::default(),
                },
            }
        }
    }
}
