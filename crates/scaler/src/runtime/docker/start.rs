//! From a worker's place to its running container: the image, the agent's volume, the container, its start.
//!
//! Whatever fails is tried again for as long as the worker is wanted, and told as an obstacle meanwhile: how long
//! that may last is decided by whoever observes it. Each step may have been done before, by this scaler or by one
//! that was killed. A container is started once: one that runs or has run is left alone, and its agent starts no
//! command whose start is noted in the volume (P2).

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptions, StartContainerOptions,
    UploadToContainerOptionsBuilder,
};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::container::{self, ContainerConfig};
use super::daemon::{WORK_LIMIT, found, within};
use super::refusal::{self, Trouble};
use super::told::{Seen, State};
use super::{DockerRuntime, network};
use crate::metrics::kind;
use crate::record::WorkerSpec;
use crate::runtime::ObstacleKind;

/// Between two tries: jittered, doubling.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A worker to be started, until its token says otherwise.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) spec: WorkerSpec,
    pub(super) token: CancellationToken,
}

/// Whose the name of a container is.
enum Name {
    /// Nobody's any more.
    Free,
    /// This worker's, which runs or has run.
    Taken,
}

impl DockerRuntime {
    /// Tries until the worker's container runs, or it is not wanted any more.
    pub(super) async fn start(&self, start: Start) {
        let Start { spec, token } = &start;
        let pauses =
            ExponentialBuilder::new().with_jitter().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
        let mut pauses = pauses.without_max_times().build();
        while let Err(trouble) = self.try_start(spec, token).await {
            let pause = pauses.next().unwrap_or(PAUSE_MAX);
            self.hindered(spec, trouble, pause).await;
            if token.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        self.workers().start_ended(&spec.worker_id);
        self.tell_changed();
    }

    async fn hindered(&self, spec: &WorkerSpec, trouble: Trouble, pause: Duration) {
        let worker = &spec.worker_id;
        self.metrics().start_failures.get_or_create(&kind(trouble.kind.as_str())).inc();
        tracing::warn!(worker_id = %worker, why = trouble.message, ?pause, "a worker does not start; trying again");
        if trouble.kind == ObstacleKind::Configuration {
            // What was made before may have been taken away.
            self.0.agent.doubt().await;
            let ContainerConfig { network, instance, .. } = self.config();
            if let Err(error) = network::ensure(self.docker(), network, instance).await {
                tracing::warn!(
                    network = network.name,
                    why = refusal::words(&error),
                    "the network of workers cannot be made"
                );
            }
        }
        self.workers().hindered(worker, trouble, Timestamp::now());
        self.tell_changed();
    }

    async fn try_start(&self, spec: &WorkerSpec, token: &CancellationToken) -> Result<(), Trouble> {
        let image = container::image(spec).map_err(Trouble::configuration)?;
        let prepared = async {
            self.0.images.ensure(image).await?;
            self.0.agent.ensure(&self.0.images, image).await
        };
        // What is left half done is seen to by the next who needs it.
        let Some(volume) = token.run_until_cancelled(prepared).await else { return Ok(()) };
        let volume = volume?;
        let _at_once = self.0.at_once.acquire().await;
        let Some(hand) = self.workers().hand(&spec.worker_id) else { return Ok(()) };
        let _held = hand.lock().await;
        if self.workers().is_barred(&spec.worker_id) {
            return Ok(());
        }
        self.run_container(spec, &volume).await?;
        let looked = self.look(&spec.worker_id).await;
        looked.map_err(|error| Trouble::unreachable(refusal::words(&error)))
    }

    async fn run_container(&self, spec: &WorkerSpec, volume: &str) -> Result<(), Trouble> {
        let name = spec.worker_id.as_str();
        if !self.make_container(spec, volume).await? {
            return Ok(());
        }
        let grant = self.config().classes.of(spec.request.run.resource_class.as_deref());
        let is_read_only = grant.is_ok_and(|grant| grant.read_only_root);
        let (path, directories) = container::directories(is_read_only);
        let options = UploadToContainerOptionsBuilder::default().path(path).build();
        let body = bollard::body_full(directories.finish().into());
        within(WORK_LIMIT, self.docker().upload_to_container(name, Some(options), body))
            .await
            .map_err(|error| Trouble::container("prepare", &error))?;
        within(WORK_LIMIT, self.docker().start_container(name, None::<StartContainerOptions>))
            .await
            .map_err(|error| Trouble::container("start", &error))
    }

    /// Says whether there is a container to be started now.
    async fn make_container(&self, spec: &WorkerSpec, volume: &str) -> Result<bool, Trouble> {
        let refused = |message| Trouble { kind: ObstacleKind::Refused, message };
        for _then_its_name_is_free in 0..2 {
            let body = container::body(spec, volume, self.config()).map_err(refused)?;
            let options = CreateContainerOptionsBuilder::default().name(spec.worker_id.as_str()).build();
            match within(WORK_LIMIT, self.docker().create_container(Some(options), body)).await {
                Ok(_) => return Ok(true),
                Err(error) if refusal::is_conflict(&error) => {}
                Err(error) => return Err(Trouble::container("create", &error)),
            }
            match self.free_name(spec).await? {
                Name::Free => {}
                Name::Taken => return Ok(false),
            }
        }
        Err(Trouble::unreachable("its name is taken by a container that is just being made".to_owned()))
    }

    /// The name is taken: by this worker, or by something else. A container that was never started may be of
    /// another configuration, or lack what could not be put into it, and is made anew.
    async fn free_name(&self, spec: &WorkerSpec) -> Result<Name, Trouble> {
        let unreachable = |error| Trouble::unreachable(refusal::words(&error));
        match self.inspect(&spec.worker_id).await.map_err(unreachable)? {
            Some(Seen { identity, .. }) if !identity.is_same_worker(&spec.identity) => {
                let (task, request) = (identity.task_id, identity.request_id);
                let message = format!("its name is taken by a worker of task {task}, request {request}");
                Err(Trouble { kind: ObstacleKind::Refused, message })
            }
            Some(Seen { state: State::Created, .. }) => {
                // Not by force: one that somebody has started since is not to be ended.
                let removed =
                    self.docker().remove_container(spec.worker_id.as_str(), None::<RemoveContainerOptions>);
                found(within(WORK_LIMIT, removed).await).map_err(unreachable)?;
                Ok(Name::Free)
            }
            Some(_) => Ok(Name::Taken),
            None => {
                // A scaler that makes it anew takes it away first: that is over in a moment, and no failure of the task.
                let message = "its name is taken by a container that is just going, or is no worker of this installation";
                Err(Trouble::unreachable(message.to_owned()))
            }
        }
    }
}
