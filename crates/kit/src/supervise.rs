//! Tasks with a name, an owner and a failure policy, and the way they all end.
//!
//! A service has one [`Tasks`]. Everything that runs beside `main` is spawned through it, so that
//! nothing fails unseen: an error or a panic is logged with the task's name, and where the service
//! cannot do without the task, the service stops. [`Tasks::finish`] waits for all of them inside a
//! deadline and says which were left.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the end of a task by error or panic means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// The service cannot do without it: shut down, and exit with its error.
    StopService,
    /// Log it and go on.
    Log,
}

/// The tasks of one service; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    running: BTreeMap<u64, &'static str>,
    first_failure: Option<anyhow::Error>,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled once the service is to stop, by a signal or by a task's failure.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs `future` until it ends. It is expected to watch [`Tasks::stop_token`] itself, so that it
    /// can put its affairs in order.
    pub fn spawn<F>(&self, name: &'static str, on_failure: OnFailure, future: F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let tasks = self.clone();
        let id = tasks.enter(name);
        self.tracker.spawn(async move {
            let result = AssertUnwindSafe(future).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(anyhow!("panicked; the panic was logged before")));
            tasks.leave(id, name, on_failure, result);
        });
    }

    /// Stops the service on SIGTERM or SIGINT.
    pub fn stop_on_signals(&self) -> Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let stop = self.stop.clone();
        self.spawn("signals", OnFailure::Log, async move {
            // Each branch is cancel safe: `Signal::recv` loses no signal.
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = stop.cancelled() => return Ok(()),
            };
            tracing::info!(signal = name, "stopping");
            stop.cancel();
            Ok(())
        });
        Ok(())
    }

    /// Waits until the service is to stop, then until all tasks have ended or `deadline` has passed.
    /// Gives the failure that stopped the service, where one did.
    pub async fn finish(self, deadline: Duration) -> Result<()> {
        self.stop.cancelled().await;
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_err() {
            let left: Vec<_> = self.lock().running.values().copied().collect();
            tracing::warn!(?left, ?deadline, "shutdown deadline passed with tasks left");
        }
        match self.lock().first_failure.take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn enter(&self, name: &'static str) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.running.insert(id, name);
        id
    }

    fn leave(&self, id: u64, name: &'static str, on_failure: OnFailure, result: Result<()>) {
        let mut state = self.lock();
        state.running.remove(&id);
        let Err(error) = result else { return };
        tracing::error!(task = name, error = format!("{error:#}"), "task failed");
        if on_failure == OnFailure::StopService {
            state.first_failure.get_or_insert(error.context(name));
            self.stop.cancel();
        }
    }

    /// The state is plain data that no panic can leave half changed.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_needed_task_that_fails_stops_the_service_with_its_error() {
        let tasks = Tasks::new();
        tasks.spawn("writer", OnFailure::StopService, async { Err(anyhow!("disk gone")) });
        let error = tasks.finish(DEADLINE).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "writer: disk gone");
    }

    #[tokio::test]
    async fn a_panic_counts_as_failure() {
        let tasks = Tasks::new();
        tasks.spawn("writer", OnFailure::StopService, async { panic!("surprise") });
        assert!(tasks.finish(DEADLINE).await.is_err());
    }

    #[tokio::test]
    async fn a_task_that_is_not_needed_fails_alone() {
        let tasks = Tasks::new();
        tasks.spawn("reader", OnFailure::Log, async { Err(anyhow!("client gone")) });
        tasks.stop_token().cancel();
        assert!(tasks.finish(DEADLINE).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_wait_for_a_task_that_hangs() {
        let tasks = Tasks::new();
        tasks.spawn("stuck", OnFailure::Log, std::future::pending());
        tasks.stop_token().cancel();
        assert!(tasks.finish(DEADLINE).await.is_ok());
    }
}
