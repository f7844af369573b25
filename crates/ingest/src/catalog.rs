//! All workers that the server knows, as of what is durable. The writer changes it, everyone reads it,
//! and whoever waits for more of a log waits here.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::ids::{TaskId, WorkerId};
use crate::worker::WorkerState;

/// Shared by the writer and the readers.
#[derive(Debug)]
pub struct Catalog {
    inner: RwLock<Inner>,
    /// Counts workers, so that those who wait for one to come can.
    arrivals: watch::Sender<usize>,
    /// How often a task's workers were asked for.
    #[cfg(test)]
    looks: std::sync::atomic::AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    workers: BTreeMap<WorkerId, Known>,
    tasks: BTreeMap<TaskId, Members>,
}

#[derive(Debug)]
struct Known {
    state: watch::Sender<Arc<WorkerState>>,
    /// Another run under this name was refused, and this one has not come back since.
    is_disputed: bool,
}

/// The workers of a task.
#[derive(Debug, Default)]
struct Members {
    /// In the order of their registration.
    workers: Vec<WorkerId>,
    /// How many others there were, which ended and are nobody any more. Since the start: who ended so long ago that it
    /// is forgotten is hardly waited for.
    forgotten: usize,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            inner: RwLock::default(),
            arrivals: watch::Sender::new(0),
            #[cfg(test)]
            looks: 0.into(),
        }
    }
}

impl Catalog {
    /// Plain data: no panic can leave it half changed.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the state of a worker, new or known.
    pub fn publish(&self, state: WorkerState) {
        let worker = state.registration.worker.clone();
        if let Some(known) = self.read().workers.get(&worker) {
            known.state.send_replace(Arc::new(state));
            return;
        }
        let mut inner = self.write();
        let task = state.registration.task.clone();
        inner.tasks.entry(task).or_default().workers.push(worker.clone());
        inner
            .workers
            .insert(worker, Known { state: watch::Sender::new(Arc::new(state)), is_disputed: false });
        self.arrivals.send_replace(inner.workers.len());
    }

    /// Forgets a worker. Who follows its log comes to its end.
    pub fn forget(&self, worker: &WorkerId) {
        let mut inner = self.write();
        let Some(known) = inner.workers.remove(worker) else { return };
        let task = known.state.borrow().registration.task.clone();
        if let Some(members) = inner.tasks.get_mut(&task) {
            members.workers.retain(|known| known != worker);
            members.forgotten += 1;
            if members.workers.is_empty() {
                inner.tasks.remove(&task);
            }
        }
    }

    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.read().workers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A worker, where it is known.
    pub fn worker(&self, worker: &WorkerId) -> Option<Arc<WorkerState>> {
        Some(Arc::clone(&self.read().workers.get(worker)?.state.borrow()))
    }

    /// A worker and all its changes from now on.
    pub fn watch(&self, worker: &WorkerId) -> Option<watch::Receiver<Arc<WorkerState>>> {
        Some(self.read().workers.get(worker)?.state.subscribe())
    }

    /// Whether the last run that came under the name of this worker was another, and was refused.
    pub fn is_disputed(&self, worker: &WorkerId) -> bool {
        self.read().workers.get(worker).is_some_and(|known| known.is_disputed)
    }

    /// Notes whether the run that came last under the name of this worker was another, and was refused. Not durable:
    /// after a restart, all have to come again.
    pub fn dispute(&self, worker: &WorkerId, is_disputed: bool) {
        if self.is_disputed(worker) == is_disputed {
            return;
        }
        if let Some(known) = self.write().workers.get_mut(worker) {
            known.is_disputed = is_disputed;
        }
    }

    /// Changes with each new worker.
    pub fn arrivals(&self) -> watch::Receiver<usize> {
        self.arrivals.subscribe()
    }

    /// A task's workers in the order of their registration; none where it is unknown.
    pub fn task(&self, task: &TaskId) -> Option<Vec<Arc<WorkerState>>> {
        #[cfg(test)]
        self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let inner = self.read();
        Some(inner.states(&inner.tasks.get(task)?.workers))
    }

    /// How often a task's workers were asked for.
    #[cfg(test)]
    pub(crate) fn looks(&self) -> usize {
        self.looks.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How many workers of a task have ended and are forgotten.
    pub fn forgotten(&self, task: &TaskId) -> usize {
        self.read().tasks.get(task).map_or(0, |members| members.forgotten)
    }

    /// All tasks with their workers.
    pub fn tasks(&self) -> Vec<(TaskId, Vec<Arc<WorkerState>>)> {
        let inner = self.read();
        inner.tasks.iter().map(|(task, members)| (task.clone(), inner.states(&members.workers))).collect()
    }
}

impl Inner {
    fn states(&self, workers: &[WorkerId]) -> Vec<Arc<WorkerState>> {
        workers
            .iter()
            .filter_map(|worker| Some(Arc::clone(&self.workers.get(worker)?.state.borrow())))
            .collect()
    }
}
