//! A task in a line, derived from its workers.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::ids::TaskId;
use crate::worker::WorkerState;

/// A task in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The task.
    pub task: TaskId,
    /// Its workers.
    pub workers: usize,
    /// Of these, with a log that is open.
    pub open: usize,
    /// Of these, with an exit code other than 0.
    pub failed: usize,
    /// In all.
    pub lines: u64,
    /// When its first worker registered, Unix nanoseconds.
    pub created_ns: i64,
    /// When something last came in.
    pub updated_ns: i64,
}

/// How a task stands, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A worker of it has failed, whether or not others still run.
    Failed,
    /// A log of it is open, and nothing has failed.
    Running,
    /// All is over, and nothing has failed.
    Done,
}

impl Summary {
    /// Of a task's workers, at least one.
    pub fn new(task: TaskId, workers: &[Arc<WorkerState>]) -> Self {
        // What nobody knows the end of has not passed.
        let failed =
            |state: &&Arc<WorkerState>| state.closing.as_ref().is_some_and(|c| c.exit_code != Some(0));
        Self {
            task,
            workers: workers.len(),
            open: workers.iter().filter(|state| state.closing.is_none()).count(),
            failed: workers.iter().filter(failed).count(),
            lines: workers.iter().map(|state| state.lines).sum(),
            created_ns: workers.iter().map(|state| state.created_ns).min().unwrap_or_default(),
            updated_ns: workers.iter().map(|state| state.updated_ns).max().unwrap_or_default(),
        }
    }

    /// How it stands.
    pub const fn standing(&self) -> Standing {
        match (self.failed, self.open) {
            (0, 0) => Standing::Done,
            (0, _) => Standing::Running,
            _ => Standing::Failed,
        }
    }

    /// All tasks, the latest activity first.
    pub fn all(catalog: &Catalog) -> Vec<Self> {
        let tasks = catalog.tasks().into_iter();
        let mut all: Vec<_> = tasks.map(|(task, workers)| Self::new(task, &workers)).collect();
        all.sort_by(Self::by_latest);
        all
    }

    /// The latest activity first.
    pub fn by_latest(&self, other: &Self) -> Ordering {
        other.updated_ns.cmp(&self.updated_ns).then_with(|| self.task.cmp(&other.task))
    }
}
