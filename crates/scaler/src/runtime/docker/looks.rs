//! Containers that are to be looked at. Only known workers are in it, each once, and none is looked at twice at a
//! time: of two answers the older one could come last.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::ids::WorkerId;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Looks {
    state: Mutex<State>,
    added: Notify,
}

#[derive(Debug, Default)]
struct State {
    due: BTreeSet<WorkerId>,
    looking: BTreeSet<WorkerId>,
    /// Due again after a while, so that one that never answers takes no turn of another.
    failed: BTreeSet<WorkerId>,
}

impl Looks {
    /// Plain data that no panic can leave half changed; never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is to be looked at.
    pub(super) fn add(&self, worker: WorkerId) {
        self.state().due.insert(worker);
        self.added.notify_one();
    }

    /// It is to be looked at again after a while.
    pub(super) fn failed(&self, worker: WorkerId) {
        self.state().failed.insert(worker);
    }

    /// Those that failed are due.
    pub(super) fn again(&self) {
        let mut state = self.state();
        let failed = std::mem::take(&mut state.failed);
        state.due.extend(failed);
        self.added.notify_one();
    }

    /// Waits for the next one; whoever takes it says when it is [`Looks::done`]. For one waiter. Cancel safe.
    pub(super) async fn next(&self) -> WorkerId {
        loop {
            if let Some(worker) = self.state().take() {
                return worker;
            }
            self.added.notified().await;
        }
    }

    /// It was looked at.
    pub(super) fn done(&self, worker: &WorkerId, well: bool) {
        let mut state = self.state();
        state.looking.remove(worker);
        if !well {
            state.failed.insert(worker.clone());
        }
        // It may have become due meanwhile.
        self.added.notify_one();
    }
}

impl State {
    fn take(&mut self) -> Option<WorkerId> {
        let worker = self.due.difference(&self.looking).next()?.clone();
        self.due.remove(&worker);
        self.looking.insert(worker.clone());
        Some(worker)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::reconcile::testing;

    fn worker(task: &str) -> WorkerId {
        testing::worker_spec(task, "r").worker_id
    }

    #[tokio::test]
    async fn one_is_looked_at_once_at_a_time_and_again_where_it_was_heard_of_meanwhile() {
        let (looks, a) = (Looks::default(), worker("a"));
        looks.add(a.clone());
        looks.add(a.clone());
        assert_eq!(looks.next().await, a);
        assert!(looks.next().now_or_never().is_none(), "once");
        looks.add(a.clone());
        assert!(looks.next().now_or_never().is_none(), "it is just being looked at");
        looks.done(&a, true);
        assert_eq!(looks.next().await, a);
        looks.done(&a, true);
        assert!(looks.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn one_that_does_not_answer_waits_its_time_and_the_others_go_on() {
        let (looks, a, b) = (Looks::default(), worker("a"), worker("b"));
        looks.add(a.clone());
        assert_eq!(looks.next().await, a);
        looks.add(b.clone());
        assert_eq!(looks.next().await, b, "while the first is being looked at");
        looks.done(&a, false);
        looks.done(&b, true);
        assert!(looks.next().now_or_never().is_none(), "not at once");
        looks.again();
        assert_eq!(looks.next().await, a);
    }
}
