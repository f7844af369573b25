//! StreamLogs: entries in, exactly one response for each, in order.
//!
//! What has arrived is submitted as one piece, and several pieces may wait for their commit at the same
//! time: a lock-step client has pieces of one line, a pipelining one of hundreds.

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::Either;
use futures::stream::{BoxStream, Stream, StreamExt};
use ottoscaler_proto::v1::{LogEntry, LogResponse};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::gate::{Coming, Gate};
use super::input::Input;
use super::wire;
use crate::fence;
use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::metrics::Open;
use crate::parse::entry::{self, Items, Place};
use crate::queue::{Append, Submission};
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
    /// Once its first valid entry has named it.
    owner: Option<Owner>,
    gate: Gate,
    _open: Open,
}

struct Owner {
    worker: WorkerId,
    task: TaskId,
    _place: fence::Place,
}

/// The answers to `entries`. Ends with ABORTED where a newer stream of the worker takes over, and with
/// UNAVAILABLE where the server is about to stop, after what was accepted has been answered.
pub(super) fn responses(
    server: &Server,
    entries: tonic::Streaming<LogEntry>,
) -> BoxStream<'static, Result<LogResponse, Status>> {
    let superseded = CancellationToken::new();
    let mut stream = EntryStream {
        server: server.clone(),
        superseded: superseded.clone(),
        owner: None,
        gate: Gate::default(),
        _open: Open::new(&server.metrics.streams),
    };
    let entries = Input::new(entries).take_until(server.draining.clone().cancelled_owned());
    pieces(entries)
        .map(move |piece| stream.submit(piece))
        .buffered(IN_FLIGHT)
        .flat_map(futures::stream::iter)
        .take_until(superseded.clone().cancelled_owned())
        .chain(super::streaming::ending(superseded, server.draining.clone()))
        .boxed()
}

type Piece = Vec<Result<LogEntry, Status>>;

/// What has arrived, as pieces: at least one entry, and no wait for more.
fn pieces(
    entries: impl Stream<Item = Result<LogEntry, Status>> + Send + 'static,
) -> BoxStream<'static, Piece> {
    let entries = entries.fuse().boxed();
    futures::stream::unfold(entries, |mut entries| async move {
        let first = entries.next().await?;
        let mut bytes = weight(&first);
        let mut piece = vec![first];
        while piece.len() < PIECE && bytes < PIECE_BYTES {
            let Some(Some(entry)) = entries.next().now_or_never() else { break };
            bytes += weight(&entry);
            piece.push(entry);
        }
        Some((piece, entries))
    })
    .boxed()
}

/// About what an entry takes up in memory.
fn weight(entry: &Result<LogEntry, Status>) -> usize {
    entry.as_ref().map_or(0, entry::weight)
}

type Responses = Vec<Result<LogResponse, Status>>;

impl EntryStream {
    /// Submits a piece now, and gives its answers once they are known.
    fn submit(&mut self, piece: Piece) -> impl Future<Output = Responses> + use<> {
        let (mut items, mut failure, mut bytes) = (Items::default(), None, 0);
        let now_ns = now_ns();
        for entry in piece {
            match entry {
                Ok(entry) => {
                    bytes += entry::weight(&entry);
                    self.push(&mut items, entry, now_ns);
                }
                Err(status) => failure = Some(status),
            }
        }
        let (items, places) = items.finish();
        let metrics = self.server.metrics.clone();
        let refused: Vec<_> = places.iter().filter_map(refused_reason).collect();
        for reason in refused {
            metrics.drop(reason);
        }
        let firsts: Vec<_> = items.iter().map(|item| item.first.unwrap_or_default()).collect();
        let state = self.state();
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
            places.iter().map(|place| Ok(response(place, &answers))).chain(failure.map(Err)).collect()
        }
    }

    /// Adds an entry, or says why it cannot be this stream's.
    fn push(&mut self, items: &mut Items, entry: LogEntry, now_ns: i64) {
        // The rule, and without names of its own for each line.
        if self.owner.as_ref().is_some_and(|owner| owner.worker.as_str() == entry.worker_id) {
            return items.push(entry, self.server.limits, now_ns);
        }
        let (worker, task) = match entry::identity(&entry) {
            Ok(identity) => identity,
            Err(why) => return items.refuse(why, entry.sequence),
        };
        let owner = self.owner.get_or_insert_with(|| {
            let place = self.server.fence.take(&worker, self.superseded.clone());
            Owner { worker: worker.clone(), task, _place: place }
        });
        if owner.worker == worker {
            items.push(entry, self.server.limits, now_ns);
        } else {
            items.refuse(DropReason::WrongWorker.into(), entry.sequence);
        }
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
        let charge = self.gate.admit(&self.server.rates, names, coming, Instant::now())?;
        let append = Append { worker: owner.worker.clone(), register_as: Some(owner.task.clone()), items };
        match self.server.queue.try_submit(bytes, Submission::Append(append, reply)) {
            Ok(()) => Ok((answers, charge)),
            Err(refused) => {
                charge.settle(0);
                self.gate.refuse(coming, refused.into(), Instant::now());
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

fn response(place: &Place, answers: &[Answer]) -> LogResponse {
    let (item, offset) = match place {
        Place::Refused(why, sequence) => return wire::dropped(why, *sequence),
        Place::Item(item, offset) => (*item, *offset),
    };
    let Some(answer) = answers.get(item) else { return wire::retry(Retry::Draining, Sequence::ZERO) };
    // An item that never got to the point of being numbered has no first line.
    let sequence = if answer.first == Sequence::ZERO { Sequence::ZERO } else { answer.first.plus(offset) };
    match &answer.refusal {
        // Durable before the rest was refused. Where nothing is, nothing may be acknowledged.
        Some(_) if answer.acked > Sequence::ZERO && sequence <= answer.acked => wire::ack(sequence),
        Some(Refusal::Retry(retry, high)) => wire::retry(*retry, *high),
        Some(Refusal::Replaced(why) | Refusal::Drop(why)) => wire::dropped(why, sequence.to_wire()),
        None => wire::ack(sequence),
    }
}
