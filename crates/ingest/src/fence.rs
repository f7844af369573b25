//! At most one stream for each worker: a newer one ends the older, which is a half-open connection that
//! its client has given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::ids::WorkerId;
use crate::metrics::Metrics;

/// The streams that are open.
#[derive(Clone, Debug)]
pub struct Fence {
    streams: Arc<Mutex<HashMap<WorkerId, Holder>>>,
    metrics: Metrics,
}

#[derive(Debug)]
struct Holder {
    superseded: CancellationToken,
    shown: Shown,
}

/// Whether a client shows with its stream that the worker's session is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It does.
    Session,
    /// It knows nothing of that, or of its session.
    Nothing,
}

/// Who shows no session neither ends a stream that does, nor writes beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held;

/// A stream's place. Dropping it gives the place up.
#[derive(Debug)]
pub struct Place {
    fence: Fence,
    worker: WorkerId,
    superseded: CancellationToken,
}

impl Fence {
    /// No streams yet.
    pub fn new(metrics: Metrics) -> Self {
        Self { streams: Arc::default(), metrics }
    }

    /// Takes the worker's place, from the stream that had it before. `superseded` is cancelled once a
    /// newer stream takes it in turn.
    pub fn take(
        &self,
        worker: &WorkerId,
        shown: Shown,
        superseded: CancellationToken,
    ) -> Result<Place, Held> {
        let mut streams = self.lock();
        may_come(&streams, worker, shown)?;
        let holder = Holder { superseded: superseded.clone(), shown };
        if let Some(older) = streams.insert(worker.clone(), holder) {
            self.metrics.superseded.inc();
            older.superseded.cancel();
        }
        Ok(Place { fence: self.clone(), worker: worker.clone(), superseded })
    }

    /// Whether one may write beside the streams that are open, without a place of its own.
    pub fn passes(&self, worker: &WorkerId, shown: Shown) -> Result<(), Held> {
        may_come(&self.lock(), worker, shown)
    }

    /// Plain data: no panic can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, Holder>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn may_come(streams: &HashMap<WorkerId, Holder>, worker: &WorkerId, shown: Shown) -> Result<(), Held> {
    let is_held = streams.get(worker).is_some_and(|holder| holder.shown == Shown::Session);
    if is_held && shown == Shown::Nothing { Err(Held) } else { Ok(()) }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Cancelled: the place is another stream's by now.
        let mut streams = self.fence.lock();
        if !self.superseded.is_cancelled() {
            streams.remove(&self.worker);
        }
    }
}
