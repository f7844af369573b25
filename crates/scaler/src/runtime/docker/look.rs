//! What becomes of a worker's container, by a look at it: Docker's word, and the agent's in its volume.

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, InspectContainerOptions,
};
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;

use super::DockerRuntime;
use super::container::{PLACE_DIR, STOPPING, SUMMARY};
use super::daemon::{CALL_LIMIT, found, within};
use super::phase;
use super::told::{Seen, State};
use super::{events, names, refusal, tar};
use crate::ids::WorkerId;
use crate::runtime::summary::Said;

/// A summary is below 4 KiB, and an archive adds little to that. What is longer was not written by an agent.
const SUMMARY_BYTES: usize = 16 << 10;

impl DockerRuntime {
    /// Takes in how a worker's container is now.
    pub(super) async fn look(&self, worker: &WorkerId) -> Result<(), Error> {
        let is_news = match self.inspect(worker).await? {
            Some(seen) => self.workers().seen(seen),
            None => self.workers().gone(worker, Timestamp::now()),
        };
        if is_news {
            self.tell_changed();
        }
        Ok(())
    }

    /// A worker's container; nothing where there is none, or none of ours.
    pub(super) async fn inspect(&self, worker: &WorkerId) -> Result<Option<Seen>, Error> {
        let look = self.docker().inspect_container(worker.as_str(), None::<InspectContainerOptions>);
        let Some(found) = found(within(CALL_LIMIT, look).await)? else { return Ok(None) };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        let identity = names::identity(&labels).filter(|_| names::is_ours(&self.config().instance, &labels));
        let (Some(identity), Some(id), Some(state)) = (identity, found.id, found.state) else {
            return Ok(None);
        };
        let Some(state) = self.state(worker, &state).await? else { return Ok(None) };
        Ok(Some(Seen { worker: worker.clone(), identity, id, state }))
    }

    async fn state(&self, worker: &WorkerId, state: &ContainerState) -> Result<Option<State>, Error> {
        use ContainerStateStatusEnum::{
            CREATED, DEAD, EMPTY, EXITED, PAUSED, REMOVING, RESTARTING, RUNNING, STOPPING,
        };
        Ok(match state.status.unwrap_or(EMPTY) {
            CREATED => Some(State::Created),
            RUNNING | PAUSED | RESTARTING | STOPPING => {
                let started_at = names::time(state.started_at.as_deref());
                Some(State::Running { started_at, stopping: self.is_found_stopping(worker).await? })
            }
            EXITED | DEAD => {
                let said = summary(self.docker(), worker).await?;
                let killed = self.killed(worker, state.exit_code).await?;
                let exit = phase::exit(state, &said, killed, Timestamp::now());
                let stopping = match self.is_found_stopping(worker).await {
                    // An answer all the same, and how it ended must not wait for a better one.
                    Err(Error::DockerResponseServerError { .. }) => false,
                    answer => answer?,
                };
                Some(State::Exited { exit, stopping })
            }
            REMOVING | EMPTY => None,
        })
    }

    /// The signal that ended it perhaps; a command that was through needs none.
    async fn killed(&self, worker: &WorkerId, exit_code: Option<i64>) -> Result<Option<i32>, Error> {
        let heard = self.workers().signal(worker);
        if heard.is_some() || exit_code == Some(0) {
            return Ok(heard);
        }
        events::last_signal(self, worker).await
    }

    /// Whether an earlier scaler has asked for its end.
    async fn is_found_stopping(&self, worker: &WorkerId) -> Result<bool, Error> {
        if !self.workers().is_found(worker) {
            return Ok(false);
        }
        let path = format!("{PLACE_DIR}/{STOPPING}");
        let options = ContainerArchiveInfoOptionsBuilder::default().path(&path).build();
        let info = self.docker().get_container_archive_info(worker.as_str(), Some(options));
        Ok(found(within(CALL_LIMIT, info).await)?.is_some())
    }
}

/// The agent's last word; nothing where it left none that can be read.
async fn summary(docker: &Docker, worker: &WorkerId) -> Result<Said, Error> {
    let options = DownloadFromContainerOptionsBuilder::default().path(SUMMARY).build();
    let archive = docker.download_from_container(worker.as_str(), Some(options));
    match within(CALL_LIMIT, read(archive)).await {
        Ok(archive) => Ok(tar::first_file(&archive).map_or(Said::Nothing, Said::of)),
        Err(error) if refusal::is_absent(&error) => Ok(Said::Nothing),
        // An answer all the same, and it will be no other the next time.
        Err(error @ Error::DockerResponseServerError { .. }) => {
            tracing::warn!(worker_id = %worker, why = refusal::words(&error), "cannot read a worker's summary");
            Ok(Said::Nothing)
        }
        Err(error) => Err(error),
    }
}

/// As much of it as a summary takes.
async fn read<B: AsRef<[u8]>>(archive: impl Stream<Item = Result<B, Error>>) -> Result<Vec<u8>, Error> {
    let mut archive = Box::pin(archive);
    let mut bytes = Vec::new();
    while let Some(part) = archive.try_next().await? {
        let room = SUMMARY_BYTES - bytes.len();
        bytes.extend(part.as_ref().iter().take(room));
        if bytes.len() == SUMMARY_BYTES {
            break;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn p6_no_more_is_read_of_a_summary_than_an_agent_writes() {
        let endless = stream::repeat_with(|| Ok([0_u8; 1000]));
        assert_eq!(read(endless).await.unwrap().len(), SUMMARY_BYTES);
        let short = stream::iter([Ok(b"ab".to_vec()), Ok(b"c".to_vec())]);
        assert_eq!(read(short).await.unwrap(), b"abc");
    }
}
