//! Ending a worker: bar its command where it has not started, else one SIGTERM to its agent.
//!
//! Grace and SIGKILL for the command are the agent's business. Only an agent that has not ended long
//! after it should have is killed itself.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

use super::dir::WorkerDir;
use super::{ProcessRuntime, Worker, blocking};
use crate::ids::WorkerId;
use crate::runtime::Phase;

/// Past grace and drain an agent gets this much more before it is killed.
const MARGIN: Duration = Duration::from_secs(10);

/// A stop that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    since: Instant,
    delivered: bool,
}

/// What became of an attempt to deliver a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// Nothing more to do: the command is barred, or the agent knows.
    Done,
    /// The agent is just starting its command; try again.
    NotYet,
}

impl Stop {
    /// One that an earlier scaler delivered.
    pub(super) fn adopted() -> Self {
        Self { since: Instant::now(), delivered: true }
    }

    fn asked() -> Self {
        Self { since: Instant::now(), delivered: false }
    }
}

impl ProcessRuntime {
    pub(super) async fn try_stop(&self, id: &WorkerId) -> io::Result<()> {
        match self.workers().get_mut(id) {
            Some(worker) if worker.stop.is_none() => worker.stop = Some(Stop::asked()),
            Some(_) | None => return Ok(()),
        }
        self.pursue_stop(id).await
    }

    /// Delivers a stop that is not delivered, and ends an agent that takes far too long.
    pub(super) async fn pursue_stop(&self, id: &WorkerId) -> io::Result<()> {
        let Some(Worker { stop: Some(stop), phase, .. }) = self.worker(id) else { return Ok(()) };
        if matches!(phase, Phase::Ended(_) | Phase::Vanished { .. }) {
            return Ok(());
        }
        let dir = self.dir(id);
        if !stop.delivered && blocking(move || deliver(&dir)).await? == Delivery::Done {
            if let Some(stop) = self.workers().get_mut(id).and_then(|worker| worker.stop.as_mut()) {
                stop.delivered = true;
            }
            return self.refresh(id).await;
        }
        let patience = self.0.agent.grace_period + self.0.agent.drain_timeout + MARGIN;
        if stop.delivered && stop.since.elapsed() > patience {
            let dir = self.dir(id);
            tracing::warn!(worker_id = %id, ?patience, "agent did not end in time; killing it");
            blocking(move || signal_agent(&dir, Signal::SIGKILL).map(drop)).await?;
        }
        Ok(())
    }
}

fn deliver(dir: &WorkerDir) -> io::Result<Delivery> {
    if dir.bar("stopped before its command started")? {
        dir.mark_stopping()?;
        return Ok(Delivery::Done);
    }
    let delivery = signal_agent(dir, Signal::SIGTERM)?;
    if delivery == Delivery::Done {
        // After the signal: a crash in between means a second one, which does no harm; the other
        // order could mean none.
        dir.mark_stopping()?;
    }
    Ok(delivery)
}

/// The agent's number may be another process's by now, so it counts only while its lock is held.
fn signal_agent(dir: &WorkerDir, signal: Signal) -> io::Result<Delivery> {
    let Some(started) = dir.started()? else { return Ok(Delivery::NotYet) };
    if started.pid <= 1 || !dir.is_locked()? {
        return Ok(Delivery::Done);
    }
    match kill(Pid::from_raw(started.pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(Delivery::Done),
        Err(errno) => Err(errno.into()),
    }
}
