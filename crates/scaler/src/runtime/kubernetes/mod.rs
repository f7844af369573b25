//! Workers as Pods of a Kubernetes cluster.
//!
//! State comes from one watch ([`Watch`]); a worker costs one create and one delete, and no read. A
//! create that may or may not have worked is repeated: the name is the worker's own, and what has the
//! name already is compared. No call is made by a replica that may no longer lead.

mod classes;
mod cleanup;
mod lease;
mod manifest;
pub(in crate::runtime) mod names;
mod obstacle;
mod phase;
mod pods;
mod refusal;
mod requests;
mod retry_after;
mod watch;
mod worker_pod;

#[cfg(test)]
pub(crate) mod testing;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::client::ClientBuilder;
use kube::{Api, Client};
use tokio::sync::Notify;
use tower::util::MapResponseLayer;

pub use self::classes::Classes;
pub use self::cleanup::{CleanupArgs, cleanup};
pub use self::lease::{LeaseConfig, LeaseElection};
pub use self::manifest::PodConfig;
use self::pods::Pods;
use self::requests::Requests;
pub use self::watch::Watch;
use self::worker_pod::WorkerPod;
use super::{Created, ErrorKind, HandedIn, NotSynced, Observation, Observed, Runtime, RuntimeError};
use crate::ids::WorkerId;
use crate::leader::Tenure;
use crate::metrics::Metrics;
use crate::record::{Identity, WorkerSpec};

/// A connection that is not made within this is not made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest silence of an answer: a watch says something, or ends, more often.
const READ_TIMEOUT: Duration = Duration::from_secs(45);

/// How Pods are made.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// What is in them.
    pub pod: PodConfig,
    /// A call that takes longer has failed. It is below what another replica waits before it leads.
    pub call_timeout: Duration,
}

/// Makes workers as Pods; cheap to clone.
#[derive(Clone, Debug)]
pub struct KubernetesRuntime(Arc<Inner>);

struct Inner {
    api: Api<WorkerPod>,
    requests: Requests,
    home: String,
    config: KubernetesConfig,
    tenure: Tenure,
    metrics: Metrics,
    pods: Mutex<Pods>,
    changed: Notify,
    refresh: Notify,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A client by kubeconfig or, in a Pod, by its service account; and the namespace that goes with it.
pub async fn connect() -> Result<(Client, String)> {
    let mut config = kube::Config::infer()
        .await
        .context("no Kubernetes here: set KUBECONFIG, run in a Pod with a service account, or choose --runtime process")?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    // Else the time that a connection lay idle counts as silence, too.
    config.reset_reader_on_write = true;
    // What to do about a failure is decided here, where it is counted.
    config.default_retry = false;
    // A proxy of the environment is for the world outside; this one is asked directly.
    config.proxy_url = None;
    let namespace = config.default_namespace.clone();
    let builder =
        ClientBuilder::try_from(config).context("cannot make a Kubernetes client of the configuration")?;
    let client = builder.with_layer(&MapResponseLayer::new(retry_after::in_body)).build();
    Ok((client, namespace))
}

/// Reads the operator's classes, if there is a file.
pub fn classes(path: Option<&PathBuf>) -> Result<Classes> {
    path.map_or_else(|| Ok(Classes::default()), |path| Classes::read(path))
}

impl KubernetesRuntime {
    /// Makes Pods while `tenure` holds; nothing is asked of the API server yet.
    pub fn new(client: Client, config: KubernetesConfig, tenure: Tenure, metrics: Metrics) -> (Self, Watch) {
        let api: Api<WorkerPod> = Api::namespaced(client.clone(), &config.pod.namespace);
        let requests = Requests::new(client, &config.pod.namespace);
        let home =
            format!("kubernetes: namespace {}, instance {}", config.pod.namespace, config.pod.instance);
        let inner = Inner {
            api: api.clone(),
            requests,
            home,
            config,
            tenure,
            metrics,
            pods: Mutex::new(Pods::default()),
            changed: Notify::new(),
            refresh: Notify::new(),
        };
        let runtime = Self(Arc::new(inner));
        (runtime.clone(), Watch::new(runtime, api))
    }

    fn config(&self) -> &KubernetesConfig {
        &self.0.config
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Plain data that no panic can leave half changed; never held across an await.
    fn pods(&self) -> MutexGuard<'_, Pods> {
        self.0.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this replica may act.
    fn leads(&self) -> bool {
        self.0.tenure.holds()
    }

    /// Waits until the watch is to begin anew. Cancel safe; for the one watch.
    async fn refresh_wanted(&self) {
        self.0.refresh.notified().await;
    }

    fn tell_changed(&self) {
        self.0.changed.notify_one();
    }

    /// Carries out a call within the time limit, and only while this replica may act.
    async fn call<T>(
        &self,
        attempted: &'static str,
        worker: &WorkerId,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, CallError> {
        if !self.0.tenure.holds() {
            let reason = "this replica no longer leads".to_owned();
            return Err(RuntimeError::new(ErrorKind::Unavailable, attempted, worker, reason).into());
        }
        let limit = self.0.config.call_timeout;
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) if refusal::is_absent(&status) && attempted != "create" => {
                Err(CallError::Absent)
            }
            Ok(Err(kube::Error::Api(status))) if refusal::is_conflict(&status) => Err(CallError::Conflict),
            Ok(Err(error)) => Err(refusal::error(attempted, worker, &error).into()),
            Err(_) => {
                let reason = format!("the API server did not answer within {limit:?}");
                Err(RuntimeError::new(ErrorKind::Unavailable, attempted, worker, reason).into())
            }
        }
    }

    /// The name is taken: by this worker, or by something else.
    async fn compare(&self, spec: &WorkerSpec) -> Result<Created, RuntimeError> {
        let known = self.pods().worker(&spec.worker_id).cloned();
        let found = match known {
            Some(observed) => Some(observed),
            None => self.look_up(&spec.worker_id).await?,
        };
        let refuse =
            |kind, reason: &str| RuntimeError::new(kind, "create", &spec.worker_id, reason.to_owned());
        match found {
            None => Err(refuse(
                ErrorKind::Unavailable,
                "its name is taken by a Pod that is just going, or is no worker of this installation",
            )),
            Some(observed) if !observed.identity.is_same_worker(&spec.identity) => {
                let Identity { task_id, request_id, .. } = &observed.identity;
                let reason = format!("its name is taken by a worker of task {task_id}, request {request_id}");
                Err(refuse(ErrorKind::Refused, &reason))
            }
            Some(observed) if observed.stopping => {
                Err(refuse(ErrorKind::Unavailable, "its Pod is being deleted"))
            }
            Some(_) => Ok(Created::AlreadyThere),
        }
    }

    /// A Pod that the watch has not told of yet.
    async fn look_up(&self, worker: &WorkerId) -> Result<Option<Observed>, RuntimeError> {
        let Some(pod) = self.read(worker).await? else { return Ok(None) };
        let mut pods = self.pods();
        pods.made(&pod, Timestamp::now());
        Ok(pods.worker(worker).cloned())
    }

    /// By a list of one: the right to list is needed anyway, and no other.
    async fn read(&self, worker: &WorkerId) -> Result<Option<WorkerPod>, RuntimeError> {
        // Of this installation: another one's worker may have the name, and is none of our business.
        let one = ListParams::default()
            .fields(&format!("metadata.name={worker}"))
            .labels(&names::selector(&self.config().pod.instance));
        match self.call("read", worker, self.0.api.list(&one)).await {
            Ok(list) => Ok(list.items.into_iter().next()),
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::Absent | CallError::Conflict) => Ok(None),
        }
    }

    /// Deletes the Pod that is known, and no other of its name. Says whether it was there.
    async fn delete(
        &self,
        attempted: &'static str,
        worker: &WorkerId,
        uid: String,
    ) -> Result<bool, RuntimeError> {
        let precondition = Preconditions { uid: Some(uid), ..Preconditions::default() };
        let delete = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
        match self.call(attempted, worker, self.0.requests.delete(worker, &delete)).await {
            Ok(()) => Ok(true),
            // Gone, or another Pod has its name.
            Err(CallError::Absent | CallError::Conflict) => Ok(false),
            Err(CallError::Failed(error)) => Err(error),
        }
    }
}

impl Runtime for KubernetesRuntime {
    const STOPS_ARE_OURS: bool = false;

    async fn create(&self, spec: &WorkerSpec) -> Result<Created, RuntimeError> {
        let worker = &spec.worker_id;
        let pod = manifest::pod(spec, &self.0.config.pod)
            .map_err(|reason| RuntimeError::new(ErrorKind::Refused, "create", worker, reason))?;
        match self.call("create", worker, self.0.requests.create(&pod)).await {
            Ok(pod) => {
                self.pods().made(&pod, Timestamp::now());
                self.tell_changed();
                Ok(Created::New)
            }
            Err(CallError::Conflict) => self.compare(spec).await,
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::Absent) => {
                let reason = "the API server has no such resource".to_owned();
                Err(RuntimeError::new(ErrorKind::Unavailable, "create", worker, reason))
            }
        }
    }

    async fn stop(&self, worker: &WorkerId) -> Result<(), RuntimeError> {
        let Some(uid) = self.pods().uid(worker) else { return Ok(()) };
        let was_there = self.delete("stop", worker, uid).await?;
        let mut pods = self.pods();
        if was_there {
            pods.stopping(worker);
        } else {
            pods.absent(worker, Timestamp::now());
        }
        drop(pods);
        self.tell_changed();
        Ok(())
    }

    async fn remove(&self, worker: &WorkerId) -> Result<(), RuntimeError> {
        let uid = self.pods().uid(worker);
        if let Some(uid) = uid {
            self.delete("remove", worker, uid).await?;
        }
        self.pods().remove(worker);
        Ok(())
    }

    /// The spool is in a volume of the Pod, and nothing runs there any more that could read it.
    async fn hand_in(&self, _: &WorkerId) -> Result<HandedIn, RuntimeError> {
        Ok(HandedIn::Nothing)
    }

    async fn spec(&self, worker: &WorkerId) -> Result<Option<WorkerSpec>, RuntimeError> {
        Ok(self.read(worker).await?.as_ref().and_then(names::spec))
    }

    fn home(&self) -> &str {
        &self.0.home
    }

    fn observe(&self) -> Result<Arc<Observation>, NotSynced> {
        self.pods().observe()
    }

    fn refresh(&self) {
        self.pods().forget_list();
        self.0.refresh.notify_one();
    }

    async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

/// Why a call did not work.
#[derive(Debug)]
enum CallError {
    /// There is no such Pod.
    Absent,
    /// There is another one.
    Conflict,
    /// Anything else.
    Failed(RuntimeError),
}

impl From<RuntimeError> for CallError {
    fn from(error: RuntimeError) -> Self {
        Self::Failed(error)
    }
}
