//! What a killed agent left in its worker's volume: a container of that volume runs `otto-agent upload` before the
//! log is closed, and goes.
//!
//! Its name is made from the worker's, so there is one at a time. A scaler that is killed leaves it running; its
//! successor waits for the same one, or has it run again, which doubles nothing; one that was made otherwise, by
//! another configuration, as its label says, it makes anew. Whatever keeps it from being made
//! is tried again within the time that an agent would have had to deliver its lines; then the log says that they
//! are lost, and why. Removing the worker takes it away, too.

use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, WaitContainerOptions,
};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio::time::timeout_at;

use super::container::{self, SPOOL_DIR};
use super::daemon::{CALL_LIMIT, WORK_LIMIT, found, within};
use super::refusal::words;
use super::{DockerRuntime, names, network, refusal};
use crate::ids::WorkerId;
use crate::record::WorkerSpec;
use crate::runtime::HandedIn;
use crate::runtime::upload::{HELD, MARGIN, SAID_BYTES, messages};

/// Of a log so many lines are asked for: an upload says little, and its last words count.
const SAID_LINES: &str = "50";

/// What a container was asked to be, as a hash: Docker leaves out what its kernel cannot do, and shows the rest otherwise.
const ASKED: &str = "ottoscaler.dev/asked-for";

/// What an upload says that has handed in something.
const HANDED_IN: &str = "handed in";

impl DockerRuntime {
    /// An error is why nobody can tell yet.
    pub(super) async fn try_hand_in(&self, worker: &WorkerId) -> Result<HandedIn, String> {
        let begun = self.workers().hands_in(worker);
        let limit = self.config().drain_timeout + MARGIN;
        match timeout_at(begun + limit, self.upload(worker)).await {
            Ok(Err(why)) if begun.elapsed() < limit => Err(why),
            Ok(Err(why)) => Ok(HandedIn::NotAll(why)),
            Ok(Ok(handed_in)) => Ok(handed_in),
            Err(_) => {
                if let Err(error) = self.remove_hand_in(worker).await {
                    // It goes with its worker.
                    tracing::warn!(worker_id = %worker, why = words(&error), "cannot end an upload");
                }
                Ok(HandedIn::NotAll(format!("the upload did not end within {limit:?}")))
            }
        }
    }

    async fn upload(&self, worker: &WorkerId) -> Result<HandedIn, String> {
        let told = |error: Error| words(&error);
        let volume = within(CALL_LIMIT, self.docker().inspect_volume(worker.as_str())).await;
        // Docker would make one where there is none.
        let Some(volume) = found(volume).map_err(told)? else { return Ok(HandedIn::Nothing) };
        let Some(spec) = names::spec(&volume.labels) else {
            return Ok(HandedIn::NotAll("what its worker was made for cannot be read".to_owned()));
        };
        self.start_hand_in(&spec).await?;
        let code = self.wait_for_hand_in(worker).await.map_err(told)?;
        let said = self.said(worker).await.map_err(told)?;
        self.remove_hand_in(worker).await.map_err(told)?;
        understand(code, &said)
    }

    /// One that runs is left alone, and one that has ended runs again, where they are as they would be made now.
    async fn start_hand_in(&self, spec: &WorkerSpec) -> Result<(), String> {
        let told = |error: Error| words(&error);
        let image = self.image_of(spec).await?;
        let volume = self.0.agent.ensure(&self.0.images, &image).await.map_err(|trouble| trouble.message)?;
        let body = labelled(container::hand_in(spec, &image, &volume, self.config())?);
        let name = names::hand_in(&spec.worker_id);
        let _at_once = self.0.at_once.acquire().await;
        let look = self.docker().inspect_container(&name, None::<InspectContainerOptions>);
        let known = found(within(CALL_LIMIT, look).await).map_err(told)?;
        if known.is_some_and(|known| !is_made_so(&known, &body)) {
            self.remove_hand_in(&spec.worker_id).await.map_err(told)?;
        }
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        match within(WORK_LIMIT, self.docker().create_container(Some(options), body)).await {
            Err(error) if !refusal::is_conflict(&error) => return Err(words(&error)),
            Ok(_) | Err(_) => {}
        }
        let started = self.docker().start_container(&name, None::<StartContainerOptions>);
        if let Err(error) = within(WORK_LIMIT, started).await {
            // What it needs may have been taken away since it was made: made anew, it has it.
            self.remove_hand_in(&spec.worker_id).await.map_err(told)?;
            self.0.agent.doubt().await;
            let config = self.config();
            network::ensure(self.docker(), &config.network, &config.instance).await.map_err(told)?;
            return Err(words(&error));
        }
        Ok(())
    }

    /// The very image that the worker's container has, whose user has written the spool; where somebody took the
    /// container away, what now has that name.
    async fn image_of(&self, spec: &WorkerSpec) -> Result<String, String> {
        let look = self.docker().inspect_container(spec.worker_id.as_str(), None::<InspectContainerOptions>);
        let container = found(within(CALL_LIMIT, look).await).map_err(|error| words(&error))?;
        if let Some(image) = container.and_then(|container| container.image) {
            return Ok(image);
        }
        let image = container::image(spec)?;
        self.0.images.ensure(image).await.map_err(|trouble| trouble.message)
    }

    /// Gives its exit code. How long that may take is for whoever waits.
    async fn wait_for_hand_in(&self, worker: &WorkerId) -> Result<i64, Error> {
        let name = names::hand_in(worker);
        let mut ends = Box::pin(self.docker().wait_container(&name, None::<WaitContainerOptions>));
        match ends.try_next().await {
            Ok(Some(ended)) => Ok(ended.status_code),
            Ok(None) => Err(Error::RequestTimeoutError),
            Err(Error::DockerContainerWaitError { code, .. }) => Ok(code),
            Err(error) => Err(error),
        }
    }

    async fn said(&self, worker: &WorkerId) -> Result<Vec<u8>, Error> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(SAID_LINES).build();
        let mut parts = Box::pin(self.docker().logs(&names::hand_in(worker), Some(options)));
        let read = async {
            let mut said = Vec::new();
            while let Some(part) = parts.try_next().await? {
                said.extend_from_slice(&part.into_bytes());
            }
            said.drain(..said.len().saturating_sub(SAID_BYTES));
            Ok(said)
        };
        within(CALL_LIMIT, read).await
    }

    pub(super) async fn remove_hand_in(&self, worker: &WorkerId) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let name = names::hand_in(worker);
        let removed = self.docker().remove_container(&name, Some(options));
        found(within(WORK_LIMIT, removed).await).map(drop)
    }
}

/// The same with a label that says what it runs, what it reaches, and how much it may use.
fn labelled(mut body: ContainerCreateBody) -> ContainerCreateBody {
    let host = body.host_config.as_ref();
    let mounts = host.and_then(|host| host.mounts.as_ref()).into_iter().flatten();
    let sources: Vec<_> = mounts.map(|mount| &mount.source).collect();
    let reaches = host.map(|host| (&host.network_mode, host.memory, sources));
    let asked = Sha256::digest(format!("{:?}", (&body.entrypoint, reaches)));
    body.labels.get_or_insert_default().insert(ASKED.to_owned(), hex::encode(asked));
    body
}

/// Whether a container was made of what one would be made of now.
fn is_made_so(known: &ContainerInspectResponse, body: &ContainerCreateBody) -> bool {
    let labels = known.config.as_ref().and_then(|config| config.labels.as_ref());
    let (was, is) = (
        labels.and_then(|labels| labels.get(ASKED)),
        body.labels.as_ref().and_then(|labels| labels.get(ASKED)),
    );
    was.is_some() && was == is
}

/// What an upload's end means. An error where another one is at it.
fn understand(code: i64, said: &[u8]) -> Result<HandedIn, String> {
    match code {
        0 if messages(said).any(|message| message == HANDED_IN) => Ok(HandedIn::All),
        0 => Ok(HandedIn::Nothing),
        code if code == i64::from(HELD) => Err("another upload holds its spool".to_owned()),
        code => {
            let last = messages(said).next().map(|message| without_paths(&message));
            Ok(HandedIn::NotAll(last.unwrap_or_else(|| format!("the upload ended with {code}"))))
        }
    }
}

/// Where a spool lies is nothing to those who read the log.
fn without_paths(message: &str) -> String {
    let word = |word: &str| match word.strip_prefix(SPOOL_DIR) {
        Some(rest) if rest.ends_with(':') => "it:".to_owned(),
        Some(_) => "it".to_owned(),
        None => word.to_owned(),
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerConfig, HostConfig};

    use super::*;
    use crate::reconcile::testing;

    /// As Docker shows a container that was made of this, where it can limit no memory and mounts are told elsewhere.
    fn shown(body: ContainerCreateBody) -> ContainerInspectResponse {
        ContainerInspectResponse {
            config: Some(ContainerConfig { labels: body.labels, ..ContainerConfig::default() }),
            host_config: body.host_config.map(|host| HostConfig { memory: Some(0), mounts: None, ..host }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn p9_an_upload_that_another_configuration_made_is_not_waited_for() {
        let made = |ingest_url: &str, network: &str, agent: &str, memory: i64| {
            let mut config = container::tests::config();
            config.ingest_url = ingest_url.to_owned();
            config.network.name = network.to_owned();
            let spec = testing::worker_spec("t", "r");
            let mut body = container::hand_in(&spec, "sha256:1", agent, &config).unwrap();
            body.host_config.as_mut().unwrap().memory = Some(memory);
            labelled(body)
        };
        let now = made("http://log-ingest:50051", "otto", "v1", 1);
        assert!(is_made_so(&shown(now.clone()), &now), "the same, whatever Docker kept of it");
        for other in [
            made("http://elsewhere:50051", "otto", "v1", 1),
            made("http://log-ingest:50051", "another", "v1", 1),
            made("http://log-ingest:50051", "otto", "v2", 1),
            made("http://log-ingest:50051", "otto", "v1", 2),
        ] {
            assert!(!is_made_so(&shown(other), &now));
        }
        let older = ContainerCreateBody { labels: None, ..now.clone() };
        assert!(!is_made_so(&shown(older), &now), "an older scaler's, of which nothing is known");
    }

    #[test]
    fn p9_how_an_upload_ended_says_whether_all_that_was_left_is_in_the_log() {
        let said = |message: &str| format!("{{\"level\":\"INFO\",\"message\":\"{message}\"}}\n").into_bytes();
        let handed_in = [said("handed in"), said("the agent was killed, so the log stays open")].concat();
        assert_eq!(understand(0, &handed_in), Ok(HandedIn::All));
        let nothing = said("no spool is there: nothing was left to hand in");
        assert_eq!(understand(0, &nothing), Ok(HandedIn::Nothing));
        assert!(understand(75, &said("nothing was handed in")).unwrap_err().contains("another upload"));
        let damaged = said("cannot read /run/otto/spool/w-1.spool: damaged: the head");
        let reason = "cannot read it: damaged: the head".to_owned();
        assert_eq!(understand(70, &damaged), Ok(HandedIn::NotAll(reason)));
        let silent = HandedIn::NotAll("the upload ended with 137".to_owned());
        assert_eq!(understand(137, b""), Ok(silent), "out of memory, say");
    }
}
