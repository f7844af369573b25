//! What a model of an API server needs of this runtime: Pods as the kubelet tells them, and the
//! product's own memory of them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::json;

use super::names::{self, WORKER};
use super::pods::Pods;
pub(crate) use super::worker_pod::WorkerPod;
use crate::ids::WorkerId;
use crate::record::WorkerSpec;
use crate::runtime::{NotSynced, Observation, Observed};

/// How far a Pod has come, in the kubelet's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Its worker's container does not run; the kubelet may say why.
    Pending(Option<&'static str>),
    /// The command runs.
    Running { since: Timestamp },
    /// The container has ended, or never will run.
    Ended(End),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: i32,
    pub(crate) out_of_memory: bool,
    pub(crate) evicted: bool,
    /// Its agent was asked to stop it.
    pub(crate) stopped: bool,
    pub(crate) started_at: Timestamp,
    pub(crate) at: Timestamp,
}

impl Life {
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self, Self::Ended(_))
    }
}

/// A Pod without what only the kubelet reads of it.
pub(crate) fn pod(
    spec: &WorkerSpec,
    uid: &str,
    created: Timestamp,
    stopping: bool,
    life: &Life,
) -> WorkerPod {
    let mut annotations = names::annotations(spec);
    annotations.remove(names::SPEC);
    let metadata = ObjectMeta {
        name: Some(spec.worker_id.to_string()),
        uid: Some(uid.to_owned()),
        annotations: Some(annotations),
        creation_timestamp: Some(Time(created)),
        deletion_timestamp: stopping.then_some(Time(created)),
        ..ObjectMeta::default()
    };
    WorkerPod { metadata, status: Some(status(life)) }
}

fn status(life: &Life) -> PodStatus {
    let mut status = PodStatus { phase: Some("Pending".to_owned()), ..PodStatus::default() };
    let state = match life {
        Life::Pending(None) => return status,
        Life::Pending(Some(reason)) => {
            let reason = Some((*reason).to_owned());
            let waiting = ContainerStateWaiting { reason, message: None };
            ContainerState { waiting: Some(waiting), ..ContainerState::default() }
        }
        Life::Running { since } => {
            let running = ContainerStateRunning { started_at: Some(Time(*since)) };
            ContainerState { running: Some(running), ..ContainerState::default() }
        }
        Life::Ended(end) => {
            status.phase = Some("Failed".to_owned());
            status.reason = end.evicted.then(|| "Evicted".to_owned());
            let summary =
                json!({ "exit_code": end.code, "stop_signal": if end.stopped { 15 } else { 0 } }).to_string();
            let terminated = ContainerStateTerminated {
                exit_code: end.code,
                message: Some(summary).filter(|_| !end.out_of_memory && !end.evicted),
                reason: end.out_of_memory.then(|| "OOMKilled".to_owned()),
                started_at: Some(Time(end.started_at)),
                finished_at: Some(Time(end.at)),
                ..ContainerStateTerminated::default()
            };
            ContainerState { terminated: Some(terminated), ..ContainerState::default() }
        }
    };
    let name = WORKER.to_owned();
    status.container_statuses =
        Some(vec![ContainerStatus { name, state: Some(state), ..ContainerStatus::default() }]);
    status
}

/// [`Pods`], for those outside of this module.
#[derive(Debug, Default)]
pub(crate) struct PodMemory(Pods);

impl PodMemory {
    pub(crate) fn observe(&self) -> Result<std::sync::Arc<Observation>, NotSynced> {
        self.0.observe()
    }

    pub(crate) fn uid(&self, worker: &WorkerId) -> Option<String> {
        self.0.uid(worker)
    }

    pub(crate) fn worker(&self, worker: &WorkerId) -> Option<&Observed> {
        self.0.worker(worker)
    }

    pub(crate) fn forget_list(&mut self) {
        self.0.forget_list();
    }

    pub(crate) fn list_begins(&mut self) {
        self.0.list_begins();
    }

    pub(crate) fn list_ends(&mut self, now: Timestamp) {
        self.0.list_ends(now);
    }

    pub(crate) fn seen(&mut self, pod: &WorkerPod, now: Timestamp) {
        self.0.seen(pod, now);
    }

    pub(crate) fn made(&mut self, pod: &WorkerPod, now: Timestamp) {
        self.0.made(pod, now);
    }

    pub(crate) fn deleted(&mut self, pod: &WorkerPod, now: Timestamp) {
        self.0.deleted(pod, now);
    }

    pub(crate) fn stopping(&mut self, worker: &WorkerId) {
        self.0.stopping(worker);
    }

    pub(crate) fn absent(&mut self, worker: &WorkerId, now: Timestamp) {
        self.0.absent(worker, now);
    }

    pub(crate) fn remove(&mut self, worker: &WorkerId) {
        self.0.remove(worker);
    }
}
