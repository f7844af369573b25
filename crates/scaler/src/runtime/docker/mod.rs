//! Workers as containers of one Docker: each runs the agent, which comes in a volume, in any image.
//!
//! A worker's volume, which has the worker's name, is its place: making it is the create, its labels say what the
//! worker was made for, and what the agent leaves lies in it. Its container is made once its image is there
//! (`start`); until then the worker is pending, and a place without a container that nobody works on is made
//! again. State comes from Docker's events and from lists ([`Watch`]). What a killed agent left is handed in before
//! its log is closed (`spools`). Removing takes the containers first, then the place. A scaler that was killed at
//! any point leaves nothing that the next one cannot read.

mod agent;
mod classes;
mod container;
mod daemon;
mod events;
mod image;
mod known;
mod look;
mod looks;
mod names;
mod network;
mod phase;
mod refusal;
mod spools;
mod start;
mod stop;
mod tar;
mod told;
mod watch;
mod workers;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use bollard::Docker;
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{RemoveContainerOptionsBuilder, RemoveVolumeOptions};
use jiff::Timestamp;
use ottoscaler_kit::admin::Condition;
use tokio::sync::{Notify, Semaphore, mpsc};

use self::agent::Agent;
pub use self::agent::{AgentBinary, AgentSource};
pub use self::classes::Classes;
pub use self::container::ContainerConfig;
pub use self::daemon::Daemon;
use self::daemon::{CALL_LIMIT, WORK_LIMIT, found, within};
use self::image::Images;
pub use self::network::Network;
use self::start::Start;
pub use self::watch::Watch;
use self::workers::{Begun, Workers};
use super::{Created, ErrorKind, HandedIn, NotSynced, Observation, Runtime, RuntimeError};
use crate::ids::WorkerId;
use crate::metrics::Metrics;
use crate::record::WorkerSpec;

/// Workers to be started that the watch has not yet taken in; it does so at once, so this is room for the creates
/// in flight (64).
const STARTS: usize = 64;

/// What limits it.
const MEMORY_HINT: &str = "set docker.memory in the file of --worker-config (OTTO_WORKER_CONFIG)";

/// So many containers are made and started at a time: Docker is no quicker with more.
const AT_ONCE: usize = 8;

/// Reads the operator's classes, if there is a file, and says whom nothing limits: the machine's memory is Redis's and
/// log-ingest's, too, and a limit that nobody has asked for would break what is larger.
pub fn classes(path: Option<&PathBuf>) -> Result<Classes> {
    let classes = path.map_or_else(|| Ok(Classes::default()), |path| Classes::read(path))?;
    let unlimited = classes.without_memory_limit();
    if !unlimited.is_empty() {
        let classes = unlimited.join(", ");
        tracing::warn!(classes, "workers of these classes may use all memory of this machine: {MEMORY_HINT}");
    }
    Ok(classes)
}

/// Makes workers as containers; cheap to clone.
#[derive(Clone)]
pub struct DockerRuntime(Arc<Inner>);

struct Inner {
    docker: Docker,
    home: String,
    config: ContainerConfig,
    images: Images,
    agent: Agent,
    metrics: Metrics,
    workers: Mutex<Workers>,
    changed: Notify,
    refresh: Notify,
    starts: mpsc::Sender<Start>,
    at_once: Semaphore,
}

impl std::fmt::Debug for DockerRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerRuntime").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl DockerRuntime {
    /// Makes the network of the workers where it is missing; `answers` is whether Docker does.
    pub async fn new(
        daemon: Daemon,
        config: ContainerConfig,
        agent: AgentSource,
        metrics: Metrics,
        answers: Condition,
    ) -> Result<(Self, Watch)> {
        let Daemon { docker, id } = daemon;
        network::provide(&docker, &config.network, &config.instance).await?;
        let (starts, receiver) = mpsc::channel(STARTS);
        let inner = Inner {
            home: format!("docker: engine {id}, instance {}", config.instance),
            images: Images::new(docker.clone(), metrics.clone()),
            agent: Agent::new(docker.clone(), agent, config.instance.clone()),
            docker,
            config,
            metrics,
            workers: Mutex::default(),
            changed: Notify::new(),
            refresh: Notify::new(),
            starts,
            at_once: Semaphore::new(AT_ONCE),
        };
        let runtime = Self(Arc::new(inner));
        Ok((runtime.clone(), Watch::new(runtime, receiver, answers)))
    }

    fn docker(&self) -> &Docker {
        &self.0.docker
    }

    fn config(&self) -> &ContainerConfig {
        &self.0.config
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Plain data that no panic can leave half changed; never held across an await.
    fn workers(&self) -> MutexGuard<'_, Workers> {
        self.0.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_changed(&self) {
        self.0.changed.notify_one();
    }

    /// What keeps others from touching a worker's container; nothing where there is no such worker.
    async fn hand(
        &self,
        attempted: &'static str,
        worker: &WorkerId,
    ) -> Result<Option<tokio::sync::OwnedMutexGuard<()>>, RuntimeError> {
        let Some(hand) = self.workers().hand(worker) else { return Ok(None) };
        let busy = |_| {
            let reason = "its container is being made or removed".to_owned();
            RuntimeError::new(ErrorKind::Unavailable, attempted, worker, reason)
        };
        tokio::time::timeout(CALL_LIMIT, hand.lock_owned()).await.map(Some).map_err(busy)
    }

    /// Makes the worker's place, or finds it, and gives since when it is there.
    async fn place(&self, spec: &WorkerSpec) -> Result<Timestamp, RuntimeError> {
        let worker = &spec.worker_id;
        let request = VolumeCreateRequest {
            name: Some(worker.to_string()),
            labels: Some(names::place_labels(&self.config().instance, spec)),
            ..VolumeCreateRequest::default()
        };
        let volume = within(CALL_LIMIT, self.docker().create_volume(request))
            .await
            .map_err(|error| refusal::error("create", worker, &error))?;
        let taken = |by: String| {
            let reason = format!("its name is taken by {by}");
            RuntimeError::new(ErrorKind::Refused, "create", worker, reason)
        };
        match names::identity(&volume.labels) {
            Some(found) if !found.is_same_worker(&spec.identity) => {
                Err(taken(format!("a worker of task {}, request {}", found.task_id, found.request_id)))
            }
            Some(_) if names::is_ours(&self.config().instance, &volume.labels) => {
                Ok(names::time(volume.created_at.as_deref()).unwrap_or_else(Timestamp::now))
            }
            Some(_) => Err(taken("a worker of another installation".to_owned())),
            None => Err(taken("a volume that is no worker's".to_owned())),
        }
    }

    async fn try_remove(&self, worker: &WorkerId) -> Result<(), bollard::errors::Error> {
        // A scaler that was killed may have left one, and it uses the volume.
        self.remove_hand_in(worker).await?;
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let container = self.docker().remove_container(worker.as_str(), Some(options));
        found(within(WORK_LIMIT, container).await)?;
        // Last of all: while it is there the worker is known.
        let place = self.docker().remove_volume(worker.as_str(), None::<RemoveVolumeOptions>);
        found(within(WORK_LIMIT, place).await).map(drop)
    }
}

impl Runtime for DockerRuntime {
    const STOPS_ARE_OURS: bool = true;

    async fn create(&self, spec: &WorkerSpec) -> Result<Created, RuntimeError> {
        // What can never be made is refused before anything is.
        container::body(spec, "", self.config())
            .map_err(|reason| RuntimeError::new(ErrorKind::Refused, "create", &spec.worker_id, reason))?;
        let since = self.place(spec).await?;
        let begun = self.workers().begin(&spec.worker_id, &spec.identity, since);
        let Begun::Start(token) = begun else { return Ok(Created::AlreadyThere) };
        self.tell_changed();
        // Without a watch the service is stopping, and the next one finds the place.
        let _no_watch = self.0.starts.send(Start { spec: spec.clone(), token }).await;
        Ok(Created::New)
    }

    async fn stop(&self, worker: &WorkerId) -> Result<(), RuntimeError> {
        self.try_stop(worker).await
    }

    async fn remove(&self, worker: &WorkerId) -> Result<(), RuntimeError> {
        let _held = self.hand("remove", worker).await?;
        self.try_remove(worker).await.map_err(|error| refusal::error("remove", worker, &error))?;
        self.workers().remove(worker);
        Ok(())
    }

    async fn hand_in(&self, worker: &WorkerId) -> Result<HandedIn, RuntimeError> {
        let error =
            |reason| RuntimeError::new(ErrorKind::Unavailable, "hand in the lines of", worker, reason);
        self.try_hand_in(worker).await.map_err(error)
    }

    async fn spec(&self, worker: &WorkerId) -> Result<Option<WorkerSpec>, RuntimeError> {
        let volume = found(within(CALL_LIMIT, self.docker().inspect_volume(worker.as_str())).await)
            .map_err(|error| refusal::error("read", worker, &error))?;
        Ok(volume.as_ref().and_then(|volume| names::spec(&volume.labels)))
    }

    fn home(&self) -> &str {
        &self.0.home
    }

    fn observe(&self) -> Result<Arc<Observation>, NotSynced> {
        self.workers().observe()
    }

    fn refresh(&self) {
        self.workers().forget_list();
        self.0.refresh.notify_one();
    }

    async fn changed(&self) {
        self.0.changed.notified().await;
    }
}
