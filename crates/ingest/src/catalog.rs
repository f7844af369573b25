//! All workers that the server knows, as of what is durable. The writer changes it, everyone reads it,
//! and whoever waits for more of a log waits here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::ids::{TaskId, WorkerId};
use crate::worker::WorkerState;

/// Shared by the writer and the readers.
#[derive(Debug)]
pub struct Catalog {
    inner: RwLock<Inner>,
    /// Grows with each change, once that is there to be seen.
    changes: AtomicU64,
    /// Counts workers, so that those who wait for one to come can.
    arrivals: watch::Sender<usize>,
    /// How often a task's workers were asked for.
    #[cfg(test)]
    looks: std::sync::atomic::AtomicUsize,
}

#[derive(Debug, Default)]
struct Inner {
    workers: BTreeMap<WorkerId, Arc<Known>>,
    tasks: BTreeMap<TaskId, Members>,
}

#[derive(Debug)]
struct Known {
    state: watch::Sender<Arc<WorkerState>>,
    /// Another run under this name was refused, and this one has not come back since.
    is_disputed: AtomicBool,
}

/// The workers of a task.
#[derive(Debug, Default)]
struct Members {
    /// In the order of their registration.
    workers: Vec<Arc<Known>>,
    /// How many others there were, which ended and are nobody any more. Since the start: who ended so long ago that it
    /// is forgotten is hardly waited for.
    forgotten: usize,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            inner: RwLock::default(),
            changes: AtomicU64::new(0),
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
            self.changed();
            return;
        }
        let mut inner = self.write();
        let task = state.registration.task.clone();
        let known = Known { state: watch::Sender::new(Arc::new(state)), is_disputed: AtomicBool::new(false) };
        let known = Arc::new(known);
        inner.tasks.entry(task).or_default().workers.push(Arc::clone(&known));
        inner.workers.insert(worker, known);
        self.changed();
        self.arrivals.send_replace(inner.workers.len());
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// A number that grows with each change: what was read since it was last as it is now is still so.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Forgets a worker. Who follows its log comes to its end.
    pub fn forget(&self, worker: &WorkerId) {
        let mut inner = self.write();
        let Some(known) = inner.workers.remove(worker) else { return };
        let task = known.state.borrow().registration.task.clone();
        if let Some(members) = inner.tasks.get_mut(&task) {
            members.workers.retain(|member| !Arc::ptr_eq(member, &known));
            members.forgotten += 1;
            if members.workers.is_empty() {
                inner.tasks.remove(&task);
            }
        }
        self.changed();
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
        self.read().workers.get(worker).is_some_and(|known| known.is_disputed.load(Ordering::Relaxed))
    }

    /// Notes whether the run that came last under the name of this worker was another, and was refused. Not durable:
    /// after a restart, all have to come again.
    pub fn dispute(&self, worker: &WorkerId, is_disputed: bool) {
        if let Some(known) = self.read().workers.get(worker) {
            known.is_disputed.store(is_disputed, Ordering::Relaxed);
        }
    }

    /// Changes with each new worker.
    pub fn arrivals(&self) -> watch::Receiver<usize> {
        self.arrivals.subscribe()
    }

    /// A task's workers in the order of their registration; none where it is unknown.
    pub fn task(&self, task: &TaskId) -> Option<Vec<Arc<WorkerState>>> {
        #[cfg(test)]
        self.looks.fetch_add(1, Ordering::Relaxed);
        let workers = self.read().tasks.get(task)?.workers.clone();
        Some(states(&workers))
    }

    /// How often a task's workers were asked for.
    #[cfg(test)]
    pub(crate) fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    /// How many workers of a task have ended and are forgotten.
    pub fn forgotten(&self, task: &TaskId) -> usize {
        self.read().tasks.get(task).map_or(0, |members| members.forgotten)
    }

    /// All tasks with their workers.
    pub fn tasks(&self) -> Vec<(TaskId, Vec<Arc<WorkerState>>)> {
        let members = |(task, members): (&TaskId, &Members)| (task.clone(), members.workers.clone());
        // Who registers waits for no more than this; how each worker stands is looked at afterwards.
        let tasks: Vec<_> = self.read().tasks.iter().map(members).collect();
        tasks.into_iter().map(|(task, workers)| (task, states(&workers))).collect()
    }
}

fn states(workers: &[Arc<Known>]) -> Vec<Arc<WorkerState>> {
    workers.iter().map(|known| Arc::clone(&known.state.borrow())).collect()
}
