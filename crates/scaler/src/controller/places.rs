//! How many pieces of work about logs run at once: PURE.
//!
//! Closing a log may wait for what a dead agent left to be handed in, which takes as long as an agent may take to
//! deliver its lines. Questions take seconds. So closes have half of the places: those that hang keep no log waiting
//! that only has to be asked for.

use crate::reconcile::Action;

/// So many talk to log-ingest at once: that it is slow keeps nobody from being stopped.
const PLACES: usize = 16;

/// So many of them may be closes.
const CLOSES: usize = PLACES / 2;

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    asks: usize,
    closes: usize,
}

impl Places {
    /// All of it.
    pub(super) fn taken(self) -> usize {
        self.asks + self.closes
    }

    /// Takes a place for work about logs; false where there is none left for it.
    pub(super) fn take(&mut self, action: &Action) -> bool {
        let is_close = matches!(action, Action::CloseLog(_));
        if self.taken() >= PLACES || (is_close && self.closes >= CLOSES) {
            return false;
        }
        *(if is_close { &mut self.closes } else { &mut self.asks }) += 1;
        true
    }

    /// A question was answered.
    pub(super) fn asked(&mut self) {
        self.asks -= 1;
    }

    /// A log was closed, or was not.
    pub(super) fn closed(&mut self) {
        self.closes -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Closing;
    use crate::reconcile::testing;

    fn close() -> Action {
        let spec = testing::worker_spec("t", "r");
        Action::CloseLog(Box::new(Closing {
            worker: spec.worker_id,
            task: spec.identity.task_id,
            exit_code: None,
            reason: String::new(),
        }))
    }

    fn ask() -> Action {
        let spec = testing::worker_spec("t", "r");
        Action::AskLogs { task: spec.identity.task_id, workers: vec![spec.worker_id] }
    }

    #[test]
    fn p9_logs_whose_close_hangs_keep_no_question_waiting() {
        let mut places = Places::default();
        let hanging = (0..100).filter(|_| places.take(&close())).count();
        assert_eq!(hanging, CLOSES);
        for _ in 0..100 {
            assert!(places.take(&ask()), "{places:?}");
            places.asked();
        }
        let asking = (0..100).filter(|_| places.take(&ask())).count();
        assert_eq!((asking, places.taken()), (PLACES - CLOSES, PLACES), "and all together are bounded");
        places.closed();
        assert!(places.take(&close()) && !places.take(&close()));
    }
}
