//! Answers to a group of which nothing was stored: whatever was decided rests on what is not there, and has to be asked
//! for again.

use std::sync::Arc;
use std::time::Instant;

use super::Writer;
use super::reply::Reply;
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::queue::{Completed, Registered};
use crate::reason::Retry;
use crate::session::Refusal;
use crate::worker::WorkerState;

impl Writer {
    /// Answers a group of which nothing was stored.
    pub(super) fn refuse(&mut self, replies: Vec<Reply>, why: Retry) {
        let now = Instant::now();
        for reply in replies {
            let refused = self.refused(reply, why);
            self.held.learn(&refused, now);
            refused.count(&self.metrics);
            refused.send();
        }
    }

    /// The reply to what was not stored.
    fn refused(&self, reply: Reply, why: Retry) -> Reply {
        match reply {
            Reply::Register(registered, worker, sender) => {
                let still =
                    if why == Retry::DiskFull { self.still_known(&registered, &worker) } else { None };
                let answer = still.map_or(Registered::NotStored(why), Registered::Known);
                Reply::Register(answer, worker, sender)
            }
            Reply::Complete(_, sender) => Reply::Complete(Completed::NotStored(why), sender),
            Reply::Append(append, mut answers, sender) => {
                let high = self.catalog.worker(&append.worker).map_or(Sequence::ZERO, |state| state.high);
                for answer in &mut answers {
                    (answer.acked, answer.stored) = (Sequence::ZERO, 0);
                    answer.refusal = Some(Refusal::Retry(why, high));
                }
                Reply::Append(append, answers, sender)
            }
        }
    }

    /// A registration that changed nothing holds without a commit. Any other may rest on what the group
    /// did not store, and a refusal is final for a client: so it is asked to come back instead.
    fn still_known(&self, registered: &Registered, worker: &WorkerId) -> Option<Arc<WorkerState>> {
        let Registered::Known(decided) = registered else { return None };
        self.catalog.worker(worker).filter(|known| known.registration == decided.registration)
    }
}
