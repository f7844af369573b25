//! UploadLogs: batches of one worker in, and one summary out once all of them are durable.
//!
//! An upload has no place of its own in the fence: it goes on beside a stream of the run that it is of. Where it does
//! not show that it is of that run, it ends as soon as there is such a stream: lines that took the numbers of the
//! stream's own would have those pass for repeats.

use std::time::Duration;

use ottoscaler_proto::checksum::Checks;
use ottoscaler_proto::v1::{LogBatch, UploadSummary};
use tokio::sync::oneshot;
use tonic::Status;

use super::session::{self, Session};
use super::streaming::changed;
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::parse::batch::{self, Batch};
use crate::queue::{Append, Claim, Submission};
use crate::reason::{DropReason, Dropped, Retry};
use crate::server::Server;
use crate::session::{Answer, Refusal};
use crate::writer::now_ns;

/// How long an upload waits before it offers again what the store did not take.
const PAUSE: Duration = Duration::from_secs(1);

/// One client's upload.
pub(super) struct Upload {
    server: Server,
    session: Session,
    /// Once its first batch has named it; it is of that run to its end.
    owner: Option<(WorkerId, Claim)>,
    summary: UploadSummary,
}

fn stopping() -> Status {
    Status::unavailable(Retry::Draining.message())
}

impl Upload {
    pub(super) fn new(server: &Server, session: Session) -> Self {
        Self { server: server.clone(), session, owner: None, summary: UploadSummary::default() }
    }

    /// Stores all that comes, however long that takes: the client is held back meanwhile.
    pub(super) async fn all(
        mut self,
        mut batches: tonic::Streaming<LogBatch>,
    ) -> Result<UploadSummary, Status> {
        let mut checks = Checks::default();
        while let Some(batch) = self.next(&mut batches).await? {
            if !checks.holds(&batch) {
                return Err(changed(&self.server));
            }
            self.batch(batch).await?;
        }
        Ok(self.summary)
    }

    /// The next batch. A client that sends none does not hold up the end of the server. Not cancel safe, and never
    /// cancelled but with the whole call.
    async fn next(&self, batches: &mut tonic::Streaming<LogBatch>) -> Result<Option<LogBatch>, Status> {
        tokio::select! {
            batch = batches.message() => batch,
            () = self.server.draining.cancelled() => Err(stopping()),
        }
    }

    async fn batch(&mut self, batch: LogBatch) -> Result<(), Status> {
        let batch = batch::parse(batch, self.server.limits, now_ns())
            .map_err(|why| Status::invalid_argument(why.message()))?;
        let claim = self.own(&batch.worker)?;
        let before = self.server.catalog.worker(&batch.worker);
        let before = before.filter(|state| session::holds(&claim, Some(state)));
        let before = before.ok_or_else(|| session::unknown(&batch.worker))?;
        let new = batch.items.iter().map(|item| item.lines_after(before.high)).sum();
        let charge = self.server.admitted(&before, new).await;
        let mut stored = 0;
        let result = self.store(batch, &claim, before.high, &mut stored).await;
        charge.settle(stored);
        result
    }

    /// Whose log a batch is for: that of the first one.
    fn own(&mut self, worker: &WorkerId) -> Result<Claim, Status> {
        match &self.owner {
            Some((owner, claim)) if owner == worker => Ok(claim.clone()),
            Some(_) => {
                let why = Dropped::from(DropReason::WrongWorker);
                self.server.metrics.drop(why.reason());
                Err(Status::failed_precondition(why.message()))
            }
            None => {
                let claim = self.session.claim(&self.server, worker, None)?;
                self.owner = Some((worker.clone(), claim.clone()));
                Ok(claim)
            }
        }
    }

    async fn store(
        &mut self,
        batch: Batch,
        claim: &Claim,
        mut high: Sequence,
        stored: &mut u64,
    ) -> Result<(), Status> {
        for item in batch.items {
            let lines = item.lines();
            let answer = loop {
                let append =
                    Append { worker: batch.worker.clone(), claim: claim.clone(), items: vec![item.clone()] };
                let answer = self.append(append, batch.bytes).await?;
                match answer.refusal {
                    Some(Refusal::Retry(Retry::DiskFull | Retry::StoreGone, _)) => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    _ => break answer,
                }
            };
            *stored += answer.stored;
            tally(&mut self.summary, &answer, lines, high)?;
            high = high.max(answer.acked);
        }
        Ok(())
    }

    /// Offers one item to the writer, and waits for what it says.
    async fn append(&self, append: Append, bytes: usize) -> Result<Answer, Status> {
        if self.server.draining.is_cancelled() {
            return Err(stopping());
        }
        // Each time: a stream may have come since, and it may have been long.
        self.session.passes(&self.server, &append.worker)?;
        let (reply, answers) = oneshot::channel();
        let queued = self.server.queue.submit(bytes, Submission::Append(append, reply)).await;
        queued.map_err(|_| stopping())?;
        let mut answers: Vec<Answer> = answers.await.map_err(|_| stopping())?;
        answers.pop().ok_or_else(stopping)
    }
}

/// Adds the answer to an item of `lines` lines to the summary; `high` was the mark before it.
fn tally(summary: &mut UploadSummary, answer: &Answer, lines: u64, high: Sequence) -> Result<(), Status> {
    match &answer.refusal {
        Some(Refusal::Retry(retry, mark)) => {
            let message = format!("{}; the next sequence has to be {}", retry.message(), mark.next());
            return Err(Status::failed_precondition(message));
        }
        Some(Refusal::Replaced(_)) => {
            summary.dropped += 1;
            summary.last_sequence = summary.last_sequence.max(answer.first.to_wire());
        }
        // Nothing was stored, and nothing of what follows would be.
        Some(Refusal::Drop(why)) => return Err(Status::failed_precondition(why.message())),
        None => {
            let new = answer.acked.since(high).min(lines);
            summary.lines += i64::try_from(new).unwrap_or(i64::MAX);
            summary.duplicates += i64::try_from(lines - new).unwrap_or(i64::MAX);
        }
    }
    summary.last_sequence = summary.last_sequence.max(answer.acked.to_wire());
    Ok(())
}
