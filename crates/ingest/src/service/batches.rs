//! StreamLogBatches: batches in, cumulative answers out, checksums on both.

use futures::future::Either;
use futures::stream::{BoxStream, Stream, StreamExt};
use ottoscaler_proto::checksum::{Checked, Checks};
use ottoscaler_proto::v1::{LogBatch, LogResponse};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::gate::{Coming, Gate};
use super::input::Input;
use super::session::{self, Session};
use super::wire;
use crate::fence;
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::metrics::Open;
use crate::parse::batch::{self, Batch};
use crate::queue::{Append, Claim, Submission};
use crate::rate::Charge;
use crate::reason::{DropReason, Dropped, Retry};
use crate::server::Server;
use crate::session::{Answer, Refusal};
use crate::writer::now_ns;

/// Batches of one stream that may wait for their commit.
const IN_FLIGHT: usize = 64;

/// One client's stream.
struct BatchStream {
    server: Server,
    superseded: CancellationToken,
    session: Session,
    owner: Option<Owner>,
    checks: Checks,
    gate: Gate,
    _open: Open,
}

/// Whose stream it is.
struct Owner {
    worker: WorkerId,
    claim: Claim,
    _place: fence::Place,
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
    session: Session,
    batches: impl Stream<Item = Result<LogBatch, Status>> + Send + 'static,
) -> BoxStream<'static, Result<LogResponse, Status>> {
    let superseded = CancellationToken::new();
    let mut stream = BatchStream {
        server: server.clone(),
        superseded: superseded.clone(),
        session,
        owner: None,
        checks: Checks::default(),
        gate: Gate::default(),
        _open: Open::new(&server.metrics.streams),
    };
    let mut replies = Replies::new(&server.metrics);
    Input::new(Box::pin(batches))
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
            Ok(Ok((answers, charge))) => Either::Left(async move {
                let stopped = || Outcome::Failed(Status::unavailable("the server is stopping"));
                let Ok(answers) = answers.await else { return stopped() };
                charge.settle(answers.iter().map(|answer| answer.stored).sum());
                Outcome::Answered(answers)
            }),
            Ok(Err(outcome)) => Either::Right(std::future::ready(outcome)),
            Err(status) => Either::Right(std::future::ready(Outcome::Failed(status))),
        }
    }

    fn accept(&mut self, batch: LogBatch) -> Result<(oneshot::Receiver<Vec<Answer>>, Charge), Outcome> {
        if !self.checks.holds(&batch) {
            return Err(self.changed());
        }
        let sequence = batch.first_sequence;
        let Batch { worker, items, bytes } = batch::parse(batch, self.server.limits, now_ns())
            .map_err(|why| Outcome::Refused(why, sequence))?;
        let claim = self.own(&worker, sequence)?;
        let (reply, answers) = oneshot::channel();
        let first = Sequence::from_wire(sequence).unwrap_or_default();
        // It may have been forgotten since the stream began: it was silent for long, and nothing of it was left.
        let state = self.server.catalog.worker(&worker).filter(|state| session::holds(&claim, Some(state)));
        let state = state.ok_or_else(|| Outcome::Failed(session::unknown(&worker)))?;
        let not_queued = |retry| Outcome::NotQueued { retry, first, high: state.high };
        let (coming, now) = (Coming::of(&items, state.high), self.server.rates.now());
        let charge = self.gate.admit(&self.server.rates, state.names(), coming, now).map_err(not_queued)?;
        let append = Append { worker, claim, items };
        match self.server.queue.try_submit(bytes, Submission::Append(append, reply)) {
            Ok(()) => Ok((answers, charge)),
            Err(refused) => {
                charge.settle(0);
                Err(not_queued(refused.into()))
            }
        }
    }

    /// Nothing of the batch may be relied on, whose it is included. So the first one of a stream has no mark to go back
    /// to, and to name any other than the client's own would tell it that its lines are lost: the stream ends, and the
    /// client, which finds a cut, asks for the mark.
    fn changed(&self) -> Outcome {
        let Some(Owner { worker, .. }) = &self.owner else {
            self.server.metrics.retry(Retry::ChecksumMismatch);
            return Outcome::Failed(Status::data_loss(Retry::ChecksumMismatch.message()));
        };
        let high = self.server.catalog.worker(worker).map_or(Sequence::ZERO, |state| state.high);
        Outcome::NotQueued { retry: Retry::ChecksumMismatch, first: Sequence::ZERO, high }
    }

    /// The first batch says whose stream it is; that worker must have registered, and its session be the one that is
    /// shown, if any is. Gives whose log the batch is for.
    fn own(&mut self, worker: &WorkerId, sequence: i64) -> Result<Claim, Outcome> {
        if let Some(owner) = &self.owner {
            let is_same = owner.worker == *worker;
            let wrong = || Outcome::Refused(DropReason::WrongWorker.into(), sequence);
            return is_same.then(|| owner.claim.clone()).ok_or_else(wrong);
        }
        let claim = self.session.claim(&self.server, worker, None).map_err(Outcome::Failed)?;
        let place = self.session.take(&self.server, worker, self.superseded.clone());
        let place = place.map_err(Outcome::Failed)?;
        self.owner = Some(Owner { worker: worker.clone(), claim: claim.clone(), _place: place });
        Ok(claim)
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
