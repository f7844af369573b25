//! StreamLogs: entries in, exactly one response for each, in order.
//!
//! What has arrived is submitted as one piece, and several pieces may wait for their commit at the same
//! time: a lock-step client has pieces of one line, a pipelining one of hundreds.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::Either;
use futures::stream::{BoxStream, Stream, StreamExt};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::gate::{Coming, Gate};
use super::runs::Run;
use super::session::{self, Session};
use super::{EntryResponse, wire};
use crate::fence;
use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::metrics::Open;
use crate::parse::entry::{Entry, Items, Place};
use crate::parse::walk::with_entry;
use crate::queue::{Append, Claim, Submission};
use crate::rate::Charge;
use crate::reason::{DropReason, Retry};
use crate::server::Server;
use crate::session::{Answer, Item, Refusal};
use crate::worker::WorkerState;
use crate::writer::now_ns;

/// Entries that one piece may hold.
const PIECE: usize = 1024;

/// Bytes after which a piece takes no further entry: with one entry of the largest size more, it is far
/// below the queue's limit.
const PIECE_BYTES: usize = 512 << 10;

/// Pieces of one stream that may wait for their commit.
const IN_FLIGHT: usize = 16;

/// One client's stream.
struct EntryStream {
    server: Server,
    superseded: CancellationToken,
    session: Session,
    /// Once its first valid entry has named it.
    owner: Option<Owner>,
    /// One of them could not be read: what is behind it is looked at no more, as [`super::input`] does it.
    has_failed: bool,
    gate: Gate,
    _open: Open,
}

struct Owner {
    worker: WorkerId,
    task: TaskId,
    claim: Claim,
    _place: fence::Place,
}

/// The answers to entries. Ends with ABORTED where a newer stream of the worker takes over, and with
/// UNAVAILABLE where the server is about to stop, after what was accepted has been answered.
pub(super) fn responses(
    server: &Server,
    session: Session,
    runs: impl Stream<Item = Result<Run, Status>> + Send + Unpin + 'static,
) -> BoxStream<'static, Result<EntryResponse, Status>> {
    let superseded = CancellationToken::new();
    let mut stream = EntryStream {
        server: server.clone(),
        superseded: superseded.clone(),
        session,
        owner: None,
        has_failed: false,
        gate: Gate::default(),
        _open: Open::new(&server.metrics.streams),
    };
    Pieces { runs, rest: Run::default(), has_ended: false }
        .take_until(server.draining.clone().cancelled_owned())
        .map(move |piece| stream.submit(piece))
        .buffered(IN_FLIGHT)
        .take_until(superseded.clone().cancelled_owned())
        .flat_map(futures::stream::iter)
        .chain(super::streaming::ending(superseded, server.draining.clone()))
        .boxed()
}

/// What has arrived together.
#[derive(Default)]
struct Piece {
    runs: Vec<Run>,
    /// What ended the stream behind them.
    failure: Option<Status>,
}

/// What has arrived, as pieces: at least one entry, and no wait for more.
struct Pieces<S> {
    runs: S,
    /// Of the last one, what is in no piece yet.
    rest: Run,
    has_ended: bool,
}

impl<S: Stream<Item = Result<Run, Status>> + Unpin> Stream for Pieces<S> {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let Self { runs, rest, has_ended } = &mut *self;
        let (mut piece, mut entries, mut bytes) = (Piece::default(), 0, 0);
        while entries < PIECE && bytes < PIECE_BYTES {
            if !rest.is_empty() {
                let (count, run) = rest.take(PIECE - entries);
                entries += count;
                bytes += run.len();
                piece.runs.push(run);
                continue;
            }
            if *has_ended {
                break;
            }
            match runs.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(run))) => *rest = run,
                Poll::Ready(Some(Err(status))) => {
                    piece.failure = Some(status);
                    *has_ended = true;
                }
                Poll::Ready(None) => *has_ended = true,
                Poll::Pending if piece.runs.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        let is_empty = piece.runs.is_empty() && piece.failure.is_none();
        Poll::Ready((!is_empty).then_some(piece))
    }
}

/// The answers to a piece, one for each entry.
struct Responses {
    places: std::vec::IntoIter<Place>,
    /// Of the place before, those that are not given yet.
    item: usize,
    offsets: std::ops::Range<u64>,
    answers: Vec<Answer>,
    failure: Option<Status>,
}

impl Iterator for Responses {
    type Item = Result<EntryResponse, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(offset) = self.offsets.next() {
                return Some(Ok(response(self.answers.get(self.item), offset)));
            }
            match self.places.next() {
                Some(Place::Item(item, offsets)) => (self.item, self.offsets) = (item, offsets),
                Some(Place::Refused(why, sequence)) => {
                    return Some(Ok(EntryResponse::Other(wire::dropped(&why, sequence))));
                }
                None => return self.failure.take().map(Err),
            }
        }
    }
}

impl EntryStream {
    /// Submits a piece now, and gives its answers once they are known.
    fn submit(&mut self, piece: Piece) -> impl Future<Output = Responses> + use<> {
        let Piece { runs, mut failure } = if self.has_failed { Piece::default() } else { piece };
        let (mut items, now_ns) = (Items::default(), now_ns());
        for encoded in runs.iter().flat_map(Run::messages) {
            let pushed = with_entry(encoded, |entry| self.push(&mut items, entry, now_ns));
            if let Err(status) = pushed.unwrap_or_else(|error| Err(Status::internal(error.to_string()))) {
                failure = Some(status);
                break;
            }
        }
        let state = self.state();
        if let Some(owner) =
            self.owner.as_ref().filter(|owner| !session::holds(&owner.claim, state.as_deref()))
        {
            failure = Some(session::unknown(&owner.worker));
            items = Items::default();
        }
        self.has_failed |= failure.is_some();
        let bytes = items.bytes();
        let (items, places) = items.finish();
        let metrics = self.server.metrics.clone();
        places.iter().filter_map(refused_reason).for_each(|reason| metrics.drop(reason));
        let firsts: Vec<_> = items.iter().map(|item| item.first.unwrap_or_default()).collect();
        let high = state.as_ref().map_or(Sequence::ZERO, |state| state.high);
        let answers = match self.append(bytes, items, state.as_deref()) {
            Ok((answers, charge)) => Either::Left(async move {
                let answers = answers.await.map_err(|_| Retry::Draining)?;
                charge.settle(answers.iter().map(|answer: &Answer| answer.stored).sum());
                Ok(answers)
            }),
            Err(retry) => Either::Right(std::future::ready(Err(retry))),
        };
        async move {
            let answers = answers.await.unwrap_or_else(|retry| {
                let again = |first: Sequence| not_queued(first, retry, high);
                firsts.into_iter().map(again).inspect(|_| metrics.retry(retry)).collect()
            });
            Responses { places: places.into_iter(), item: 0, offsets: 0..0, answers, failure }
        }
    }

    /// Adds an entry, or says why it cannot be this stream's.
    fn push(&mut self, items: &mut Items, entry: &Entry<'_>, now_ns: i64) -> Result<(), Status> {
        // The rule, and without names of its own for each line.
        if self.owner.as_ref().is_some_and(|owner| owner.worker.as_str() == entry.worker_id) {
            items.push(entry, self.server.limits, now_ns);
            return Ok(());
        }
        let (worker, task) = match entry.identity() {
            Ok(identity) => identity,
            Err(why) => {
                items.refuse(why, entry.sequence);
                return Ok(());
            }
        };
        if self.owner.is_some() {
            items.refuse(DropReason::WrongWorker.into(), entry.sequence);
            return Ok(());
        }
        self.owner = Some(self.owned_by(worker, task)?);
        items.push(entry, self.server.limits, now_ns);
        Ok(())
    }

    fn owned_by(&self, worker: WorkerId, task: TaskId) -> Result<Owner, Status> {
        let claim = self.session.claim(&self.server, &worker, Some(&task))?;
        let place = self.session.take(&self.server, &worker, self.superseded.clone())?;
        Ok(Owner { worker, task, claim, _place: place })
    }

    /// What is durable of the worker's log. Pieces that wait may have moved it on by the time that it is
    /// told; going back too far only repeats what is acknowledged again.
    fn state(&self) -> Option<Arc<WorkerState>> {
        self.server.catalog.worker(&self.owner.as_ref()?.worker)
    }

    fn append(
        &mut self,
        bytes: usize,
        items: Vec<Item>,
        state: Option<&WorkerState>,
    ) -> Result<(oneshot::Receiver<Vec<Answer>>, Charge), Retry> {
        let (reply, answers) = oneshot::channel();
        let Some(owner) = self.owner.as_ref().filter(|_| !items.is_empty()) else {
            // Nobody listens to an empty answer that nobody waits for.
            let _sent = reply.send(Vec::new());
            return Ok((answers, Charge::default()));
        };
        let names = state.map_or((&owner.worker, &owner.task), WorkerState::names);
        let coming = Coming::of(&items, state.map_or(Sequence::ZERO, |state| state.high));
        let charge = self.gate.admit(&self.server.rates, names, coming, self.server.rates.now())?;
        let append = Append { worker: owner.worker.clone(), claim: owner.claim.clone(), items };
        match self.server.queue.try_submit(bytes, Submission::Append(append, reply)) {
            Ok(()) => Ok((answers, charge)),
            Err(refused) => {
                charge.settle(0);
                self.gate.refuse(coming, refused.into(), self.server.rates.now());
                Err(refused.into())
            }
        }
    }
}

fn refused_reason(place: &Place) -> Option<&'static str> {
    match place {
        Place::Refused(why, _) => Some(why.reason()),
        Place::Item(..) => None,
    }
}

/// The answer to an item that did not reach the writer.
fn not_queued(first: Sequence, retry: Retry, high: Sequence) -> Answer {
    Answer { first, acked: Sequence::ZERO, stored: 0, refusal: Some(Refusal::Retry(retry, high)) }
}

/// The answer to the line at `offset` in an item.
fn response(answer: Option<&Answer>, offset: u64) -> EntryResponse {
    let Some(answer) = answer else {
        return EntryResponse::Other(wire::retry(Retry::Draining, Sequence::ZERO));
    };
    // An item that never got to the point of being numbered has no first line.
    let sequence = if answer.first == Sequence::ZERO { Sequence::ZERO } else { answer.first.plus(offset) };
    match &answer.refusal {
        // Durable before the rest was refused. Where nothing is, nothing may be acknowledged.
        Some(_) if answer.acked > Sequence::ZERO && sequence <= answer.acked => EntryResponse::Ack(sequence),
        Some(Refusal::Retry(retry, high)) => EntryResponse::Other(wire::retry(*retry, *high)),
        Some(Refusal::Replaced(why) | Refusal::Drop(why)) => {
            EntryResponse::Other(wire::dropped(why, sequence.to_wire()))
        }
        None => EntryResponse::Ack(sequence),
    }
}
