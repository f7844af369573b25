//! The outlines of logs, kept for those who ask again: each is made once, and of a log that grows it goes on where it
//! was. Whoever asks for one that is being made waits for it.

mod kept;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

use crate::ids::WorkerId;
use crate::line::Block;
use crate::metrics::Metrics;
use crate::outline::Outline;
use crate::scan::{self, Look, ScanError, Scans};
use crate::tail::{Follow, Tails};
use crate::worker::{Registration, WorkerState};
use kept::{Kept, Limits};

/// Outlines that are kept. Most take up some KiB, the largest there can be about 4 MiB.
const KEPT: Limits = Limits { entries: 1024, bytes: 64 << 20 };

/// Those who wait for one. Each is a request of a page that somebody has open.
const WAITING: usize = 256;

/// How long one request looks: a gigabyte or more. Then it says how far it came, and the next one goes on.
const WORK: Duration = Duration::from_secs(10);

/// A worker and its session: one that was forgotten and comes again under its name has another log.
type Log = (WorkerId, Arc<str>);

/// See the module; cheap to clone.
#[derive(Clone, Debug)]
pub struct Outlines {
    kept: Arc<Mutex<Kept<Log, Arc<Turn<Outline>>>>>,
    scans: Scans,
    metrics: Metrics,
}

impl Outlines {
    /// None yet.
    pub fn new(metrics: Metrics) -> Self {
        Self::limited(KEPT, metrics)
    }

    fn limited(limits: Limits, metrics: Metrics) -> Self {
        let kept = Arc::new(Mutex::new(Kept::new(limits)));
        let scans = Scans::for_machine(WAITING, metrics.outlines_refused.clone());
        Self { kept, scans, metrics }
    }

    /// What is to be told of a log, as of now.
    pub(crate) async fn told<T: Send + 'static>(
        &self,
        tails: &Tails,
        states: watch::Receiver<Arc<WorkerState>>,
        stopping: &CancellationToken,
        tell: impl FnOnce(&Outline, &WorkerState) -> T + Send + 'static,
    ) -> Result<T, ScanError> {
        let waiting = self.scans.enter()?;
        let registration = states.borrow().registration.clone();
        let mut held = self.hold(&registration).await;
        let high = states.borrow().high;
        if held.outline.through() < high {
            let running = waiting.turn().await;
            let log = tails.tail(states.clone(), held.outline.through().next(), Follow::No)?;
            held = scan::run(held, running, log, Instant::now() + WORK, stopping).await?;
        }
        let state = Arc::clone(&states.borrow());
        let told = tokio::task::spawn_blocking(move || tell(&held.outline, &state)).await;
        told.map_err(|error| ScanError::Store(std::io::Error::other(error)))
    }

    /// The outline of a log as it is, for one at a time.
    async fn hold(&self, registration: &Registration) -> Held {
        let log = (registration.worker.clone(), Arc::clone(&registration.session_id));
        let turn = self.find(&log);
        let outline = Arc::clone(&turn).lock_owned().await;
        Held { outline, turn, log, of: self.clone() }
    }

    fn find(&self, log: &Log) -> Arc<Turn<Outline>> {
        let mut kept = self.kept();
        if let Some(turn) = kept.find(log) {
            self.metrics.outline_hits.inc();
            return turn;
        }
        self.metrics.outline_misses.inc();
        let turn = Arc::new(Turn::default());
        self.metrics.outline_evictions.inc_by(kept.insert(log.clone(), Arc::clone(&turn)));
        turn
    }

    /// Plain data: no panic can leave it half changed.
    fn kept(&self) -> MutexGuard<'_, Kept<Log, Arc<Turn<Outline>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An outline that is being made or told. However that ends, what it takes up is known afterwards.
struct Held {
    outline: OwnedMutexGuard<Outline>,
    turn: Arc<Turn<Outline>>,
    log: Log,
    of: Outlines,
}

impl Look for Held {
    fn read(&mut self, block: &Block, _stop: &dyn Fn() -> bool) -> ControlFlow<()> {
        // A block takes a moment, whatever it holds.
        self.outline.read(block);
        ControlFlow::Continue(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut kept = self.of.kept();
        let is_same = |turn: &Arc<_>| Arc::ptr_eq(turn, &self.turn);
        let evicted = kept.resize(&self.log, is_same, self.outline.bytes());
        self.of.metrics.outline_evictions.inc_by(evicted);
        self.of.metrics.outline_bytes.set(i64::try_from(kept.bytes()).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests;
