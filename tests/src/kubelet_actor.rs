//! Plays scheduler and kubelet on a [`KubeApi`], which has neither: writes into Pods what those write.

use std::fmt::Debug;
use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kube_api::{ADMIN, KubeApi};
use crate::wait;

/// The container of a worker's Pod that the actor writes of.
pub const CONTAINER: &str = "worker";

/// The node that [`KubeletActor::run`] puts Pods on.
pub const NODE: &str = "node-1";

/// So many Pods are acted on at the same time.
const CONCURRENCY: usize = 16;

/// The pause after an answer that was no answer.
const RETRY: Duration = Duration::from_millis(100);

/// The API server's cache follows within milliseconds.
const CACHE_LIMIT: Duration = Duration::from_secs(30);

/// The exit code of a process that SIGTERM ended.
const TERMINATED: i32 = 143;

/// What becomes of the Pods under [`KubeletActor::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Each is started and ends at once with this exit code.
    Exit(i32),
    /// Each is started, and runs until it is deleted.
    Stay,
}

/// A loop that plays the kubelet. Dropping it stops it.
#[derive(Debug)]
#[must_use = "dropping it stops it"]
pub struct Running {
    _task: JoinSet<()>,
}

/// The scheduler and kubelet of one namespace.
#[derive(Clone)]
pub struct KubeletActor {
    pods: Api<Pod>,
}

impl Debug for KubeletActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeletActor").field("pods", &self.pods.resource_url()).finish()
    }
}

impl KubeletActor {
    /// One for a namespace.
    pub fn new(api: &KubeApi, namespace: &str) -> Self {
        Self { pods: Api::namespaced(api.client(ADMIN), namespace) }
    }

    /// The Pod is put on a node. From then on its deletion waits for [`KubeletActor::remove`].
    pub async fn bind(&self, pod: &str, node: &str) {
        self.try_bind(pod, node).await.expect("the Pod is there and on no node");
        self.is_known_to_be_bound(pod).await;
    }

    /// The API server decides from its cache whether a deletion has to wait for a node. A Pod that the cache
    /// does not yet know to be on one goes at once.
    async fn is_known_to_be_bound(&self, pod: &str) {
        wait::until("the API server's cache knows the Pod's node", CACHE_LIMIT, || async {
            let cached =
                self.pods.get_with(pod, &GetParams::any()).await.map_err(|error| error.to_string())?;
            let node = cached.spec.and_then(|spec| spec.node_name);
            node.map(drop).ok_or_else(|| "on no node".to_owned())
        })
        .await;
    }

    /// The Pod's container runs.
    pub async fn start(&self, pod: &str) {
        self.write(pod, &running()).await;
    }

    /// The Pod's container has ended; `message` is what it wrote as its last word.
    pub async fn finish(&self, pod: &str, exit_code: i32, message: &str) {
        self.write(pod, &finished(exit_code, message)).await;
    }

    /// The Pod's container cannot be started, and for now that is all: `ImagePullBackOff`, say.
    pub async fn waiting(&self, pod: &str, reason: &str, message: &str) {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        self.write(pod, &json!({"phase": "Pending", "containerStatuses": [container(&state, false)]})).await;
    }

    /// No node has room for the Pod.
    pub async fn unschedulable(&self, pod: &str, message: &str) {
        let conditions = [condition("PodScheduled", false, "Unschedulable", message)];
        self.write(pod, &json!({"phase": "Pending", "conditions": conditions})).await;
    }

    /// The node is short of something and has ended the Pod.
    pub async fn evict(&self, pod: &str) {
        let message = "The node was low on resource: memory.";
        let conditions = [condition("DisruptionTarget", true, "TerminationByKubelet", message)];
        let status =
            json!({"phase": "Failed", "reason": "Evicted", "message": message, "conditions": conditions});
        self.write(pod, &status).await;
    }

    /// The Pod has gone from its node: completes a deletion that somebody asked for, or is one.
    pub async fn remove(&self, pod: &str) {
        self.try_remove(pod).await.expect("the Pod is there");
    }

    /// Plays the whole life of every Pod of the namespace, until the handle is dropped: binds it, starts
    /// it, ends it as `behaviour` says, and completes its deletion. It sees through any failure of the API.
    pub fn run(&self, behaviour: Behaviour) -> Running {
        let actor = self.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut pause = tokio::time::interval(RETRY);
            loop {
                pause.tick().await;
                let pods = watcher(actor.pods.clone(), watcher::Config::default()).applied_objects();
                let actor = &actor;
                let act = |pod: Pod| async move { actor.act(&pod, behaviour).await };
                // A failure ends this watch. The next one lists every Pod, so nothing is left undone.
                let _failed =
                    pods.map_err(|error| error.to_string()).try_for_each_concurrent(CONCURRENCY, act).await;
            }
        });
        Running { _task: task }
    }

    /// The next step of a Pod's life. The change that it makes leads to the step after that.
    async fn act(&self, pod: &Pod, behaviour: Behaviour) -> Result<(), String> {
        let name = pod.metadata.name.as_deref().expect("every Pod has a name");
        let on_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
        let deleted = pod.metadata.deletion_timestamp.is_some();
        let done = match (deleted, phase, behaviour) {
            (true, "Running", _) => self.try_write(name, &finished(TERMINATED, "")).await,
            (true, ..) => self.try_remove(name).await,
            (false, "Pending", _) if !on_node => self.try_bind(name, NODE).await,
            (false, "Pending", _) => self.try_write(name, &running()).await,
            (false, "Running", Behaviour::Exit(code)) => self.try_write(name, &finished(code, "")).await,
            (false, ..) => Ok(()),
        };
        match done {
            // Somebody was quicker: the Pod has gone, is bound already, or has ended.
            Err(kube::Error::Api(status)) if [404, 409, 422].contains(&status.code) => Ok(()),
            done => done.map_err(|error| error.to_string()),
        }
    }

    async fn write(&self, pod: &str, status: &Value) {
        self.try_write(pod, status).await.expect("the Pod is there and has not ended");
    }

    async fn try_write(&self, pod: &str, status: &Value) -> kube::Result<()> {
        let patch = Patch::Strategic(json!({"status": status}));
        self.pods.patch_status(pod, &PatchParams::default(), &patch).await.map(drop)
    }

    async fn try_bind(&self, pod: &str, node: &str) -> kube::Result<()> {
        let target = json!({"apiVersion": "v1", "kind": "Node", "name": node});
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target,
        });
        let bound: kube::Result<Status> =
            self.pods.create_subresource("binding", pod, &PostParams::default(), &binding).await;
        bound.map(drop)
    }

    async fn try_remove(&self, pod: &str) -> kube::Result<()> {
        self.pods.delete(pod, &DeleteParams::default().grace_period(0)).await.map(drop)
    }
}

fn running() -> Value {
    let state = json!({"running": {"startedAt": now()}});
    json!({
        "phase": "Running",
        "startTime": now(),
        "containerStatuses": [container(&state, true)],
        "conditions": [condition("Ready", true, "", ""), condition("ContainersReady", true, "", "")],
    })
}

fn finished(exit_code: i32, message: &str) -> Value {
    let (phase, reason) = if exit_code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    let terminated = json!({
        "exitCode": exit_code, "reason": reason, "message": message, "startedAt": now(), "finishedAt": now(),
    });
    let state = json!({"terminated": terminated});
    json!({
        "phase": phase,
        "containerStatuses": [container(&state, false)],
        "conditions": [condition("Ready", false, "PodCompleted", "")],
    })
}

fn container(state: &Value, running: bool) -> Value {
    json!({
        "name": CONTAINER, "image": "", "imageID": "", "restartCount": 0,
        "ready": running, "started": running, "state": state,
    })
}

fn condition(kind: &str, holds: bool, reason: &str, message: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now(),
    })
}

/// As Kubernetes writes times, to the second.
fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
