//! Ending a worker: bar its command where it has not started, else one SIGTERM to its agent.
//!
//! Grace and SIGKILL for the command are the agent's business. Only a container that runs on long after it should
//! have ended is killed. That its end was asked for is a file in the worker's volume, so that the next scaler does
//! not ask again: a second SIGTERM would cut the agent's last deliveries short.

use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use jiff::Timestamp;

use super::container::{PLACE_DIR, STOPPING};
use super::daemon::{CALL_LIMIT, WORK_LIMIT, found, within};
use super::tar::Archive;
use super::told::State;
use super::{DockerRuntime, refusal};
use crate::ids::WorkerId;
use crate::runtime::RuntimeError;

/// Past grace and drain an agent gets this much more before it is killed.
const MARGIN: Duration = Duration::from_secs(10);

/// How often those are looked for that run on.
const INTERVAL: Duration = Duration::from_secs(1);

impl DockerRuntime {
    pub(super) async fn try_stop(&self, worker: &WorkerId) -> Result<(), RuntimeError> {
        if self.workers().is_stopping(worker) {
            return Ok(());
        }
        // Whoever is about to start it sees this, or has started it once the hand is free.
        self.workers().bar(worker);
        let Some(_held) = self.hand("stop", worker).await? else { return Ok(()) };
        self.deliver(worker).await.map_err(|error| refusal::error("stop", worker, &error))?;
        self.tell_changed();
        Ok(())
    }

    async fn deliver(&self, worker: &WorkerId) -> Result<(), Error> {
        let Some(seen) = self.inspect(worker).await? else {
            self.workers().absent(worker, Timestamp::now());
            return Ok(());
        };
        match seen.state {
            State::Created => {
                let options = RemoveContainerOptionsBuilder::default().force(true).build();
                let removed = self.docker().remove_container(worker.as_str(), Some(options));
                found(within(WORK_LIMIT, removed).await)?;
                self.workers().never_started(worker, Timestamp::now());
            }
            State::Running { .. } => {
                self.signal(worker, "SIGTERM").await?;
                // After the signal: a crash in between means a second one; the other order could mean none.
                self.mark(worker).await?;
                self.workers().stopping(worker);
            }
            State::Exited { .. } => {
                self.workers().seen(seen);
            }
        }
        Ok(())
    }

    /// One that is not there, or does not run any more, needs none.
    async fn signal(&self, worker: &WorkerId, signal: &str) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match within(CALL_LIMIT, self.docker().kill_container(worker.as_str(), Some(options))).await {
            Err(error) if refusal::is_absent(&error) || refusal::is_conflict(&error) => Ok(()),
            answer => answer,
        }
    }

    async fn mark(&self, worker: &WorkerId) -> Result<(), Error> {
        let archive = Archive::default().file(STOPPING, 0o644, b"").finish();
        let options = UploadToContainerOptionsBuilder::default().path(PLACE_DIR).build();
        let body = bollard::body_full(archive.into());
        let marked = self.docker().upload_to_container(worker.as_str(), Some(options), body);
        found(within(WORK_LIMIT, marked).await).map(drop)
    }

    /// Kills those that do not heed their stop. Never ends by itself.
    pub(super) async fn end_overdue(&self) {
        let patience = self.config().grace_period + self.config().drain_timeout + MARGIN;
        loop {
            tokio::time::sleep(INTERVAL).await;
            let overdue = self.workers().overdue(patience);
            for worker in overdue {
                tracing::warn!(worker_id = %worker, ?patience, "agent did not end in time; killing its container");
                if let Err(error) = self.signal(&worker, "SIGKILL").await {
                    tracing::warn!(worker_id = %worker, why = refusal::words(&error), "cannot kill a container");
                }
            }
        }
    }
}
