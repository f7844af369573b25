//! StreamLogBatches: batches in, cumulative answers out, checksums on both.

use std::time::Duration;

use futures::future::Either;
use futures::stream::{BoxStream, Stream, StreamExt};
use ottoscaler_proto::checksum::{Checked, Checks};
use ottoscaler_proto::v1::{LogBatch, LogResponse};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::wire;
use crate::fence;
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::metrics::Open;
use crate::parse::batch::{self, Batch};
use crate::queue::{Append, Refused, Submission};
use crate::reason::{DropReason, Dropped, Retry};
use crate::server::Server;
use crate::session::{Answer, Item, Refusal};
use crate::worker::WorkerState;
use crate::writer::now_ns;

/// Batches of one stream that may wait for their commit.
const IN_FLIGHT: usize = 64;

/// One client's stream.
struct BatchStream {
    server: Server,
    superseded: CancellationToken,
    owner: Option<(WorkerId, fence::Place)>,
    checks: Checks,
    /// A batch that came too soon: what is behind it waits for it.
    early: Option<Sequence>,
    _open: Open,
}

/// What became of one batch.
enum Outcome {
    Answered(Vec<Answer>),
    /// The batch that begins here did not reach the writer; the mark is what was durable then. Where a batch
    /// begins that was changed on the way, nobody knows.
    NotQueued {
        retry: Retry,
        first: Sequence,
        high: Sequence,
    },
    Refused(Dropped, i64),
    Failed(Status),
}

/// The answers to `batches`; ends as [`super::entries::responses`] does.
pub(super) fn responses(
    server: &Server,
    batches: impl Stream<Item = Result<LogBatch, Status>> + Send + 'static,
) -> BoxStream<'static, Result<LogResponse, Status>> {
    let superseded = CancellationToken::new();
    let mut stream = BatchStream {
        server: server.clone(),
        superseded: superseded.clone(),
        owner: None,
        checks: Checks::default(),
        early: None,
        _open: Open::new(&server.metrics.streams),
    };
    let mut replies = Replies::new(&server.metrics);
    batches
        .take_until(server.draining.clone().cancelled_owned())
        .map(move |batch| stream.submit(batch))
        .buffered(IN_FLIGHT)
        .flat_map(move |outcome| futures::stream::iter(replies.to(outcome)))
        .map(|response| response.map(LogResponse::sealed))
        .take_until(superseded.clone().cancelled_owned())
        .chain(super::streaming::ending(superseded, server.draining.clone()))
        .boxed()
}

impl BatchStream {
    /// Submits a batch now, and gives its outcome once it is known.
    fn submit(&mut self, batch: Result<LogBatch, Status>) -> impl Future<Output = Outcome> + use<> {
        match batch.map(|batch| self.accept(batch)) {
            Ok(Ok(answers)) => Either::Left(async move {
                let stopped = || Outcome::Failed(Status::unavailable("the server is stopping"));
                answers.await.map_or_else(|_| stopped(), Outcome::Answered)
            }),
            Ok(Err(outcome)) => Either::Right(std::future::ready(outcome)),
            Err(status) => Either::Right(std::future::ready(Outcome::Failed(status))),
        }
    }

    fn accept(&mut self, batch: LogBatch) -> Result<oneshot::Receiver<Vec<Answer>>, Outcome> {
        if !self.checks.holds(&batch) {
            return Err(self.changed());
        }
        let sequence = batch.first_sequence;
        let Batch { worker, items, bytes } = batch::parse(batch, self.server.limits, now_ns())
            .map_err(|why| Outcome::Refused(why, sequence))?;
        self.own(&worker, sequence)?;
        let (reply, answers) = oneshot::channel();
        let first = Sequence::from_wire(sequence).unwrap_or_default();
        let state = self.server.catalog.worker(&worker);
        let high = state.as_ref().map_or(Sequence::ZERO, |state| state.high);
        if let Err(retry) = self.admit(state.as_deref(), first, items.iter().map(Item::lines).sum()) {
            return Err(Outcome::NotQueued { retry, first, high });
        }
        let append = Append { worker, register_as: None, items };
        let submitted = self.server.queue.try_submit(bytes, Submission::Append(append, reply));
        submitted.map(|()| answers).map_err(|refused| {
            let retry = match refused {
                Refused::Full => Retry::QueueFull,
                Refused::Stopped => Retry::Draining,
            };
            Outcome::NotQueued { retry, first, high }
        })
    }

    /// Whether lines may come now. Those behind others that may not would only be asked for again; those directly
    /// behind the mark are behind nobody.
    fn admit(&mut self, state: Option<&WorkerState>, first: Sequence, lines: u64) -> Result<(), Retry> {
        let Some(state) = state else { return Ok(()) };
        let waits = self.early.is_some_and(|early| first > early) && first > state.high.next();
        let lines = if waits { 0 } else { lines };
        let admitted = match self.server.admit(state.names(), lines) {
            Ok(()) if waits => Err(Retry::RateLimited(Duration::ZERO)),
            admitted => admitted,
        };
        self.early = if waits { self.early } else { admitted.err().map(|_| first) };
        admitted
    }

    /// Nothing of the batch may be relied on, whose it is included.
    fn changed(&self) -> Outcome {
        let state = self.owner.as_ref().and_then(|(owner, _)| self.server.catalog.worker(owner));
        let high = state.map_or(Sequence::ZERO, |state| state.high);
        Outcome::NotQueued { retry: Retry::ChecksumMismatch, first: Sequence::ZERO, high }
    }

    /// The first batch says whose stream it is; that worker must have registered.
    fn own(&mut self, worker: &WorkerId, sequence: i64) -> Result<(), Outcome> {
        match &self.owner {
            Some((owner, _)) if owner == worker => Ok(()),
            Some(_) => Err(Outcome::Refused(DropReason::WrongWorker.into(), sequence)),
            None if self.server.catalog.worker(worker).is_none() => {
                let message = format!("worker {worker} is not registered: call RegisterWorker first");
                Err(Outcome::Failed(Status::failed_precondition(message)))
            }
            None => {
                let place = self.server.fence.take(worker, self.superseded.clone());
                self.owner = Some((worker.clone(), place));
                Ok(())
            }
        }
    }
}

/// Turns outcomes into as few responses as say the same.
struct Replies {
    /// Everything up to it is durable, as far as this stream was told.
    acked: Sequence,
    /// The client has been asked to go back; what it had sent before is passed over in silence.
    asked: Option<Sequence>,
    metrics: crate::metrics::Metrics,
}

impl Replies {
    fn new(metrics: &crate::metrics::Metrics) -> Self {
        Self { acked: Sequence::ZERO, asked: None, metrics: metrics.clone() }
    }

    fn to(&mut self, outcome: Outcome) -> Vec<Result<LogResponse, Status>> {
        match outcome {
            Outcome::Answered(answers) => self.answers(&answers),
            Outcome::NotQueued { retry, first, high } => {
                self.metrics.retry(retry);
                self.ask(retry, first, high.max(self.acked)).into_iter().collect()
            }
            Outcome::Refused(why, sequence) => {
                self.metrics.drop(why.reason());
                vec![Ok(wire::dropped(&why, sequence))]
            }
            Outcome::Failed(status) => vec![Err(status)],
        }
    }

    /// Asks to go back to `mark`; in silence where that was asked before and what came is still of the
    /// flight behind it. A client that has gone back, be it further than asked, gets an answer.
    fn ask(&mut self, retry: Retry, first: Sequence, mark: Sequence) -> Option<Result<LogResponse, Status>> {
        if self.asked == Some(mark) && first > mark.next() {
            return None;
        }
        self.asked = Some(mark);
        Some(Ok(wire::retry(retry, mark)))
    }

    fn answers(&mut self, answers: &[Answer]) -> Vec<Result<LogResponse, Status>> {
        let mut responses = Vec::with_capacity(1);
        let mut high = None;
        for answer in answers {
            high = high.max((answer.acked > Sequence::ZERO).then_some(answer.acked));
            match &answer.refusal {
                Some(Refusal::Retry(retry, mark)) => responses.extend(self.ask(*retry, answer.first, *mark)),
                Some(Refusal::Replaced(why)) => {
                    // Its gap is durable, so the mark has passed it.
                    high = high.max(Some(answer.first));
                    responses.push(Ok(wire::dropped(why, answer.first.to_wire())));
                }
                // Nothing was stored: an ACK would vouch for lines that are nowhere.
                Some(Refusal::Drop(why)) => responses.push(Ok(wire::dropped(why, answer.first.to_wire()))),
                None => {}
            }
        }
        if let Some(high) = high {
            self.acked = self.acked.max(high);
            self.asked = None;
            responses.push(Ok(wire::ack(high)));
        }
        responses
    }
}
