//! Searches in logs: a bounded number at a time, each for a bounded time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::line::{Block, Sequence};
use crate::metrics::Metrics;
use crate::scan::{self, Look, ScanError, Scans};
use crate::search::{Query, Search};
use crate::tail::{Follow, Tails};
use crate::worker::WorkerState;

/// Those who wait for their turn: with two at a time, the last one for half a minute.
const WAITING: usize = 32;

/// How long one request looks. Then it says how far it came.
const WORK: Duration = Duration::from_secs(2);

/// See the module; cheap to clone.
#[derive(Clone, Debug)]
pub struct Searches {
    scans: Scans,
    metrics: Metrics,
}

/// What a search found, and where another goes on.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) search: Search,
    /// None where the log, as it was when the search began, was looked at to its end.
    pub(crate) next: Option<Sequence>,
}

impl Searches {
    /// None yet.
    pub fn new(metrics: Metrics) -> Self {
        Self { scans: Scans::for_machine(WAITING, metrics.searches_refused.clone()), metrics }
    }

    /// What a query finds in a log from a line on.
    pub(crate) async fn find(
        &self,
        query: Query,
        from: Sequence,
        tails: &Tails,
        states: watch::Receiver<Arc<WorkerState>>,
        stopping: &CancellationToken,
    ) -> Result<Found, ScanError> {
        let waiting = self.scans.enter()?;
        self.metrics.searches.inc();
        let running = waiting.turn().await;
        let high = states.borrow().high;
        let log = tails.tail(states, from, Follow::No)?;
        let search = Search::new(query, from.max(Sequence::new(1)).before());
        let search = scan::run(search, running, log, Instant::now() + WORK, stopping).await?;
        let has_more = search.is_full() || search.through() < high;
        let next = has_more.then(|| search.through().next());
        Ok(Found { search, next })
    }
}

impl Look for Search {
    fn read(&mut self, block: &Block, stop: &dyn Fn() -> bool) -> ControlFlow<()> {
        self.read(block, stop)
    }
}
