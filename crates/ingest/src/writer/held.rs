//! Workers of whom lines without numbers were sent away. Others of them may wait in the queue by then: to store these
//! before those come again would change their order. So they are sent away as well, for as long as the first
//! ones are to wait. A client that comes again sooner gets its lines in another order.

use std::collections::HashMap;
use std::time::Instant;

use super::reply::Reply;
use crate::ids::WorkerId;
use crate::reason::Retry;
use crate::session::{Answer, Refusal};
use crate::worker::Numbering;

/// Who is held, why, and until when. It has as many names at most as came in within the longest delay, and no more than
/// it is told.
#[derive(Debug)]
pub struct Held {
    workers: HashMap<WorkerId, (Retry, Instant)>,
    most: usize,
}

impl Held {
    /// Nobody yet, and at most so many.
    pub fn new(most: usize) -> Self {
        Self { workers: HashMap::new(), most }
    }

    /// Lets go of those whose time has come.
    pub(super) fn release(&mut self, now: Instant) {
        self.workers.retain(|_, (_, until)| *until > now);
    }

    /// Why lines of this worker have to wait, if they have to.
    pub(super) fn why(&self, worker: &WorkerId) -> Option<Retry> {
        self.workers.get(worker).map(|(retry, _)| *retry)
    }

    /// Holds the worker to whom this goes, where it sends lines without numbers away. Who is held already is not held
    /// for longer by that.
    pub(super) fn learn(&mut self, reply: &Reply, now: Instant) {
        let Reply::Append(append, answers, _) = reply else { return };
        let Some((retry, until)) =
            sent_away(answers).and_then(|retry| Some((retry, now.checked_add(retry.delay())?)))
        else {
            return;
        };
        if append.numbering == Numbering::Server && self.workers.len() < self.most {
            self.workers.entry(append.worker.clone()).or_insert((retry, until));
        }
    }
}

fn sent_away(answers: &[Answer]) -> Option<Retry> {
    answers.iter().find_map(|answer| match &answer.refusal {
        Some(Refusal::Retry(retry, _)) => Some(*retry),
        Some(Refusal::Replaced(_) | Refusal::Drop(_)) | None => None,
    })
}
