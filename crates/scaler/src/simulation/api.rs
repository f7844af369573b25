//! An API server with its kubelets: Pods by name, everything that a watch is told of them, and the
//! Lease. What is in here is what is really so.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::ids::WorkerId;
use crate::record::WorkerSpec;
use crate::runtime::kubernetes::testing::{Life, WorkerPod, pod};

/// What a watch is told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Is(Arc<WorkerPod>),
    IsGone(Arc<WorkerPod>),
}

/// A Pod that is there.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    uid: String,
    pub(super) spec: WorkerSpec,
    created: Timestamp,
    pub(super) life: Life,
    pub(super) deleting: bool,
}

impl Truth {
    fn pod(&self) -> Arc<WorkerPod> {
        Arc::new(pod(&self.spec, &self.uid, self.created, self.deleting, &self.life))
    }
}

/// Who leads, as everybody can read.
#[derive(Clone, Debug, Default)]
pub(super) struct Lease {
    pub(super) holder: Option<u64>,
    pub(super) transitions: u64,
    /// Changes with every write.
    pub(super) version: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) pods: BTreeMap<WorkerId, Truth>,
    pub(super) told: Vec<Told>,
    pub(super) lease: Lease,
    pub(super) away: bool,
    uids: u64,
}

impl Server {
    /// `None`: there is one of this name.
    pub(super) fn create(&mut self, spec: &WorkerSpec, now: Timestamp) -> Option<Arc<WorkerPod>> {
        if self.pods.contains_key(&spec.worker_id) {
            return None;
        }
        self.uids += 1;
        let uid = self.uids.to_string();
        let life = Life::Pending(None);
        let truth = Truth { uid, spec: spec.clone(), created: now, life, deleting: false };
        self.pods.insert(spec.worker_id.clone(), truth);
        self.tell(&spec.worker_id);
        self.read(&spec.worker_id)
    }

    pub(super) fn read(&self, worker: &WorkerId) -> Option<Arc<WorkerPod>> {
        self.pods.get(worker).map(Truth::pod)
    }

    /// Asks for the end of the Pod with this id. `false`: there is none.
    pub(super) fn delete(&mut self, worker: &WorkerId, uid: &str) -> bool {
        let Some(truth) = self.pods.get_mut(worker).filter(|truth| truth.uid == uid) else { return false };
        if !truth.deleting {
            truth.deleting = true;
            self.tell(worker);
        }
        true
    }

    /// The kubelet says how far it is.
    pub(super) fn becomes(&mut self, worker: &WorkerId, life: Life) {
        if let Some(truth) = self.pods.get_mut(worker) {
            truth.life = life;
            self.tell(worker);
        }
    }

    /// It is gone: its kubelet let it go, or its node went.
    pub(super) fn goes(&mut self, worker: &WorkerId) {
        if let Some(truth) = self.pods.remove(worker) {
            self.told.push(Told::IsGone(truth.pod()));
        }
    }

    fn tell(&mut self, worker: &WorkerId) {
        let pod = self.read(worker);
        self.told.extend(pod.map(Told::Is));
    }

    pub(super) fn alive(&self) -> usize {
        self.pods.values().filter(|truth| truth.life.is_alive()).count()
    }
}
