//! Searches in logs: a bounded number at a time, each for a bounded time.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::line::{Block, Sequence};
use crate::metrics::Metrics;
use crate::scan::{self, Look, ScanError, Scans};
use crate::search::{InvalidPattern, Search, Wanted};
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

/// Why nothing was looked for.
#[derive(Debug, Error)]
pub(crate) enum SearchError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
}

impl Searches {
    /// None yet.
    pub fn new(metrics: Metrics) -> Self {
        Self { scans: Scans::for_machine(WAITING, metrics.searches_refused.clone()), metrics }
    }

    /// What is found in a log from a line on.
    pub(crate) async fn find(
        &self,
        wanted: Wanted,
        from: Sequence,
        tails: &Tails,
        states: watch::Receiver<Arc<WorkerState>>,
        stopping: &CancellationToken,
    ) -> Result<Found, SearchError> {
        let running = self.scans.enter()?.turn().await;
        // As many patterns are made at a time as searches run. The making keeps its leave also where nobody waits for it
        // any more.
        let made = tokio::task::spawn_blocking(move || (wanted.query(), running)).await;
        let (query, running) = made.map_err(|error| ScanError::Store(io::Error::other(error)))?;
        let query = query?;
        self.metrics.searches.inc();
        let high = states.borrow().high;
        let log = tails.tail(states, from, Follow::No).map_err(ScanError::from)?;
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::ids::WorkerId;
    use crate::search::{Kind, Sources};
    use crate::store::memory;
    use crate::worker::Registration;

    /// What no pattern can be made of: whoever tries says so.
    fn bad() -> Wanted {
        let kind = Kind::Expression { case: true };
        Wanted { text: Some("(".to_owned()), kind, sources: Sources::ALL, limit: 1 }
    }

    #[tokio::test]
    async fn p6_no_pattern_is_made_for_who_waits_or_is_refused() {
        let metrics = Metrics::register(&mut Registry::default());
        let tails = Tails::new(memory::open().reader, 1, metrics.clone());
        let scans = Scans::new(1, 1, metrics.searches_refused.clone());
        let searches = Searches { scans: scans.clone(), metrics: metrics.clone() };
        let worker = WorkerState::new(Registration::recovered(WorkerId::try_from("w").unwrap()), 0);
        let (_sender, states) = watch::channel(Arc::new(worker));
        let stopping = CancellationToken::new();
        let find = || searches.find(bad(), Sequence::ZERO, &tails, states.clone(), &stopping);

        let first = scans.enter().unwrap().turn().await;
        let mut second = Box::pin(find());
        assert!((&mut second).now_or_never().is_none(), "it waits for its turn");
        let refused = find().now_or_never().expect("it is refused at once");
        assert!(matches!(refused, Err(SearchError::Scan(ScanError::TooMany))), "{refused:?}");
        assert_eq!(metrics.searches_refused.get(), 1);
        drop(first);
        assert!(matches!(second.await, Err(SearchError::Pattern(_))), "now it is made");
        assert_eq!(metrics.searches.get(), 0);
        assert!(scans.enter().unwrap().turn().now_or_never().is_some(), "and its leave is given back");
    }
}
