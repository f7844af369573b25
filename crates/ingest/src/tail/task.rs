//! The logs of a task's workers, those included that come while they are read.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;

use futures::stream::{Stream, try_unfold};
use tokio::sync::watch;

use super::{Follow, Logs, Piece};
use crate::catalog::Catalog;
use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::worker::WorkerState;

/// What comes of a task.
#[derive(Debug)]
pub(crate) enum TaskPiece {
    /// Its log is read from now on.
    Joined(Arc<WorkerState>),
    /// A piece, and whose log it is of.
    Of(Arc<WorkerState>, Piece),
}

/// Where to begin with a log.
type Start = Box<dyn Fn(&WorkerState) -> Sequence + Send>;

/// All tails of one task.
pub(crate) struct TaskTail {
    catalog: Arc<Catalog>,
    task: TaskId,
    logs: Logs,
    start: Start,
    /// End only once so many workers have ended.
    expected: usize,
    ended: usize,
    seen: HashSet<WorkerId>,
    /// Of these, those that nobody was told of yet.
    joined: VecDeque<Arc<WorkerState>>,
    arrivals: watch::Receiver<usize>,
}

impl TaskTail {
    /// Each from where `start` says, into `logs`, which holds none yet. Where it follows, it ends once all workers that
    /// have come have ended, and of these there are `expected` and at least one.
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        task: TaskId,
        logs: Logs,
        expected: usize,
        start: impl Fn(&WorkerState) -> Sequence + Send + 'static,
    ) -> Self {
        let mut arrivals = catalog.arrivals();
        arrivals.mark_changed();
        let ended = catalog.forgotten(&task);
        let (seen, joined) = (HashSet::new(), VecDeque::new());
        Self { catalog, task, logs, start: Box::new(start), expected, ended, seen, joined, arrivals }
    }

    /// All that comes.
    pub(crate) fn pieces(self) -> impl Stream<Item = io::Result<TaskPiece>> + Send {
        try_unfold(self, |mut tail| async move {
            Ok::<_, io::Error>(tail.next().await?.map(|piece| (piece, tail)))
        })
    }

    async fn next(&mut self) -> io::Result<Option<TaskPiece>> {
        loop {
            // They are looked through only where there may be a new one.
            if self.arrivals.has_changed().is_ok_and(|changed| changed) {
                self.arrivals.borrow_and_update();
                self.join_new();
            }
            if let Some(state) = self.joined.pop_front() {
                return Ok(Some(TaskPiece::Joined(state)));
            }
            if let Some((state, piece)) = self.logs.piece().await? {
                self.ended += usize::from(matches!(piece, Piece::End(_)));
                return Ok(Some(TaskPiece::Of(state, piece)));
            }
            if self.logs.is_empty() && self.is_over() {
                return Ok(None);
            }
            // Cancel safe: neither does more than wait.
            tokio::select! {
                () = self.logs.ready(), if !self.logs.is_empty() => {}
                changed = self.arrivals.changed() => match changed {
                    // It is seen with that: the loop would not look again.
                    Ok(()) => self.join_new(),
                    Err(_) => return Ok(None),
                },
            }
        }
    }

    fn join_new(&mut self) {
        for state in self.catalog.task(&self.task).unwrap_or_default() {
            let worker = &state.registration.worker;
            if !self.seen.insert(worker.clone()) {
                continue;
            }
            if let Some(states) = self.catalog.watch(worker) {
                self.logs.add(states, (self.start)(&state));
                self.joined.push_back(state);
            }
        }
    }

    fn is_over(&self) -> bool {
        let waits_for_first = self.seen.is_empty() || self.ended < self.expected;
        self.logs.follow() == Follow::No || !waits_for_first
    }
}
