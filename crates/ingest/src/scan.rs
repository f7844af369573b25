//! Looking through logs, a bounded number at a time, on threads that may work for long.
//!
//! A look takes up what one reader does, and reads no faster than it looks. Whoever waits for its turn holds nothing
//! but its place in the queue; where that is full, one is refused at once and comes back later. A look whose client has
//! gone ends with the part it is at.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use prometheus_client::metrics::counter::Counter;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::line::Block;
use crate::tail::{Piece, TooManyReaders};

/// Parts of a log that are looked at in one go, where so many are there: with the last of them 256 KiB were read, and
/// the next read begins.
pub(crate) const PARTS: usize = 8;

/// What looks at a log, block by block.
pub(crate) trait Look: Send + 'static {
    /// Looks at what comes next; breaks where it wants no more. Asks now and then whether it is to stop.
    fn read(&mut self, block: &Block, stop: &dyn Fn() -> bool) -> ControlFlow<()>;
}

/// Why a look has no answer, or not yet.
#[derive(Debug, Error)]
pub(crate) enum ScanError {
    #[error("as many wait as may; come back later")]
    TooMany,
    #[error(transparent)]
    TooManyReaders(#[from] TooManyReaders),
    #[error("the log cannot be read for now")]
    Store(#[source] io::Error),
    #[error("the server is stopping")]
    Stopping,
}

/// Room for looks of one kind; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Scans {
    running: Arc<Semaphore>,
    present: Arc<Semaphore>,
    refused: Counter,
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    running: Arc<Semaphore>,
    present: OwnedSemaphorePermit,
}

/// Leave to run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    _running: OwnedSemaphorePermit,
    _present: OwnedSemaphorePermit,
}

impl Scans {
    /// For so many that run, and so many that wait until one of them has ended; others are counted as refused.
    pub(crate) fn new(running: usize, waiting: usize, refused: Counter) -> Self {
        let present = Arc::new(Semaphore::new(running + waiting));
        Self { running: Arc::new(Semaphore::new(running)), present, refused }
    }

    /// As many run as the machine has cores, and at least two, so that one that is slow does not hold up all others.
    pub(crate) fn for_machine(waiting: usize, refused: Counter) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores.clamp(2, 8), waiting, refused)
    }

    /// A place in the queue, if there is one.
    pub(crate) fn enter(&self) -> Result<Waiting, ScanError> {
        let present = Arc::clone(&self.present).try_acquire_owned().map_err(|_| {
            self.refused.inc();
            ScanError::TooMany
        })?;
        Ok(Waiting { running: Arc::clone(&self.running), present })
    }
}

impl Waiting {
    /// Waits for leave to run.
    pub(crate) async fn turn(self) -> Running {
        let running = self.running.acquire_owned().await.expect("it is never closed");
        Running { _running: running, _present: self.present }
    }
}

/// Looks through a log until it ends, the look breaks, or it is late; what is left over is for another time. What was
/// looked at before an error stays so.
pub(crate) async fn run<L: Look>(
    look: L,
    running: Running,
    log: impl Stream<Item = io::Result<Piece>> + Send,
    late: Instant,
    stopping: &CancellationToken,
) -> Result<L, ScanError> {
    let mut log = Box::pin(log.ready_chunks(PARTS));
    let mut job = Job { look, late, _running: running };
    while let Some(pieces) = log.next().await {
        if stopping.is_cancelled() {
            return Err(ScanError::Stopping);
        }
        // It keeps its leave to run for as long as it does, also where nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || job.read(pieces)).await;
        let (next, flow) = done.map_err(|error| ScanError::Store(io::Error::other(error)))??;
        job = next;
        if flow.is_break() {
            break;
        }
    }
    Ok(job.look)
}

struct Job<L> {
    look: L,
    late: Instant,
    _running: Running,
}

impl<L: Look> Job<L> {
    fn read(mut self, pieces: Vec<io::Result<Piece>>) -> Result<(Self, ControlFlow<()>), ScanError> {
        let late = self.late;
        let is_late = move || Instant::now() >= late;
        for piece in pieces {
            let Piece::Part(part) = piece.map_err(ScanError::Store)? else { break };
            if self.look.read(part.block(), &is_late).is_break() || is_late() {
                return Ok((self, ControlFlow::Break(())));
            }
        }
        Ok((self, ControlFlow::Continue(())))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};

    use super::*;

    #[tokio::test]
    async fn p6_looks_beyond_those_that_run_wait_and_beyond_those_that_wait_are_refused() {
        let scans = Scans::new(1, 1, Counter::default());
        let first = scans.enter().unwrap().turn().await;
        let mut second = Box::pin(scans.enter().unwrap().turn());
        assert!((&mut second).now_or_never().is_none());
        assert!(matches!(scans.enter(), Err(ScanError::TooMany)));
        assert_eq!(scans.refused.get(), 1);
        drop(first);
        let second = second.await;
        let third = scans.enter().unwrap();
        drop((second, third));
        assert!(scans.enter().unwrap().turn().now_or_never().is_some());
    }

    struct Count(usize);

    impl Look for Count {
        fn read(&mut self, _: &Block, _: &dyn Fn() -> bool) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
    }

    #[tokio::test]
    async fn a_read_that_fails_fails_the_look_and_a_server_that_stops_ends_it() {
        let (scans, stopping) = (Scans::new(1, 0, Counter::default()), CancellationToken::new());
        let late = Instant::now() + std::time::Duration::from_mins(1);
        let broken = || stream::iter([Err(io::Error::other("broken"))]);
        let running = scans.enter().unwrap().turn().await;
        let failed = run(Count(0), running, broken(), late, &stopping).await;
        assert!(matches!(failed, Err(ScanError::Store(_))));
        stopping.cancel();
        let running = scans.enter().unwrap().turn().await;
        let stopped = run(Count(0), running, broken(), late, &stopping).await;
        assert!(matches!(stopped, Err(ScanError::Stopping)));
        assert!(scans.enter().is_ok(), "whatever ends gives its place back");
    }
}
