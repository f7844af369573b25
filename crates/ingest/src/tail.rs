//! Reading a log, live and afterwards: a cursor over the store, and a wait for the mark to move.
//!
//! Replay and live are the same loop, so there is no seam between them at which a line could be lost or
//! repeated, and a slow reader is simply further behind: it can never be skipped. Only durable lines are
//! read, so a line that was seen is never taken back. Those who follow the same log at its end share what was
//! read and how it is encoded (`recent`).

mod interleave;
mod logs;
mod parked;
mod part;
mod recent;
mod task;

use std::collections::VecDeque;
use std::future::ready;
use std::io;
use std::sync::Arc;

use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt, try_unfold};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::metrics::{Metrics, Open};
use crate::retention;
use crate::store::{self, LogReader};
use crate::worker::WorkerState;
pub(crate) use interleave::{Direction, Interleaved, Pick};
pub(crate) use logs::{LogPiece, Logs};
use parked::{Lot, STALLED};
pub use part::{Format, Part};
use recent::{Recent, Recents};
pub(crate) use task::{TaskPiece, TaskTail};

/// Bytes of one read: what one reader holds in memory, where a single block is not larger.
const READ_BYTES: usize = 256 << 10;

/// Lines of one part. With lines of 100 bytes that is about 50 KiB.
const PART_LINES: usize = 512;

/// Bytes of the lines of one part, where a single line is not longer. What a client is sent takes a
/// multiple of that while it is made: times, names, quotes.
const PART_BYTES: usize = 64 << 10;

/// What a reader of a log asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Up to the mark of this moment.
    No,
    /// Until the log is closed.
    UntilClosed,
}

/// A piece of a tail.
#[derive(Clone, Debug)]
pub enum Piece {
    /// More of the log, in order and without a hole.
    Part(Arc<Part>),
    /// Nothing more follows.
    End(Arc<WorkerState>),
}

/// As many readers are served at the same time as this server allows.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "reason=too_many_readers: this server serves no more readers at a time; come back later, or raise --max-readers"
)]
pub struct TooManyReaders;

/// The logs, for those who read: a bounded number at a time.
#[derive(Clone)]
pub struct Tails {
    reader: Arc<dyn LogReader>,
    places: Arc<Semaphore>,
    recents: Arc<Recents>,
    lot: Arc<Lot>,
    metrics: Metrics,
}

impl Tails {
    /// Of the logs that `reader` reads, for at most `max_readers` at a time.
    pub fn new(reader: Arc<dyn LogReader>, max_readers: usize, metrics: Metrics) -> Self {
        let places = Arc::new(Semaphore::new(max_readers));
        Self { reader, places, recents: Arc::default(), lot: Arc::default(), metrics }
    }

    /// A place for a reader, if there is one now or another has stalled. Nobody waits for one, so nobody is overtaken.
    pub(crate) fn try_place(&self) -> Result<Place, TooManyReaders> {
        let permit = || Arc::clone(&self.places).try_acquire_owned();
        let permit = permit().or_else(|_| {
            self.metrics.readers_stalled.inc_by(self.lot.end_stalled());
            permit()
        });
        let refused = |_| {
            self.metrics.readers_refused.inc();
            TooManyReaders
        };
        Ok(Place { _permit: permit.map_err(refused)?, _open: Open::new(&self.metrics.readers) })
    }

    /// The log of a worker from `from` on. Ends with [`Piece::End`], or with an error: of a read that failed, or one
    /// that is [`stalled`]. Whoever comes again may go on behind what he has. The place is taken until the stream is dropped.
    ///
    /// To wait for its next piece is cancel safe: a read that was begun is the stream's own, and what it brings comes
    /// with the next call.
    ///
    /// # Errors
    ///
    /// Where all places are taken.
    pub fn tail(
        &self,
        states: watch::Receiver<Arc<WorkerState>>,
        from: Sequence,
        follow: Follow,
    ) -> Result<impl Stream<Item = io::Result<Piece>> + Send + use<>, TooManyReaders> {
        let place = self.try_place()?;
        let mut logs = self.logs(follow);
        logs.add(states, from);
        Ok(self.at(place, logs.pieces().map_ok(|(_, piece)| piece).boxed()))
    }

    /// Logs that one reader reads; none yet.
    pub(crate) fn logs(&self, follow: Follow) -> Logs {
        Logs::new(self.clone(), follow)
    }

    /// What a log has from `from` to `until`, for a reader that has a place.
    pub(crate) fn range(
        &self,
        states: watch::Receiver<Arc<WorkerState>>,
        from: Sequence,
        until: Sequence,
    ) -> impl Stream<Item = io::Result<Block>> + Send + use<> {
        let mut logs = self.logs(Follow::No);
        logs.add(states, from);
        let blocks = logs.pieces().try_filter_map(|(_, piece)| {
            ready(Ok(match piece {
                Piece::Part(part) => Some(part.block().clone()),
                Piece::End(_) => None,
            }))
        });
        let wanted = blocks.try_take_while(move |block| ready(Ok(block.first <= until)));
        wanted.map_ok(move |block| block.ending_at(until))
    }

    /// What a reader takes at its place. With whatever it takes, it has not stalled; once it has, and its place is
    /// another's, all that it holds is dropped, and it is told so when it asks again. Ends with the first error.
    pub(crate) fn at<T: Send + 'static, E: From<Stalled> + Send + 'static>(
        &self,
        place: Place,
        pieces: BoxStream<'static, Result<T, E>>,
    ) -> impl Stream<Item = Result<T, E>> + Send + use<T, E> {
        try_unfold(self.lot.park((pieces, place)), |parked| async move {
            let (mut pieces, place) = parked.take().ok_or(Stalled)?;
            let piece = pieces.try_next().await?;
            parked.put((pieces, place));
            Ok::<_, E>(piece.map(|piece| (piece, parked)))
        })
    }
}

/// A place for one reader, however many logs it reads.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _open: Open,
}

/// The reader took nothing for so long that its place was given to another.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("reason=reader_stalled: nothing was read for {STALLED:?}; go on after the last line")]
pub(crate) struct Stalled;

impl From<Stalled> for io::Error {
    fn from(stalled: Stalled) -> Self {
        Self::other(stalled)
    }
}

/// Whether a reader is to be told that it took nothing for so long that its place was given to another. No error of
/// the store is taken for that, whatever its kind.
pub fn stalled(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(cause) if cause.is::<Stalled>())
}

/// A place in a log that moves towards its end.
struct Cursor {
    /// What is shared with others who follow the same log.
    recent: Option<Arc<Recent>>,
    states: watch::Receiver<Arc<WorkerState>>,
    /// Where to stop, for a reader that does not follow: a log that grows as fast as it is read has an
    /// end all the same.
    until: Option<Arc<WorkerState>>,
    next: Sequence,
    /// Read and not yet given.
    read: VecDeque<Arc<Part>>,
}

impl Cursor {
    fn new(tails: &Tails, states: watch::Receiver<Arc<WorkerState>>, from: Sequence, follow: Follow) -> Self {
        let now = Arc::clone(&states.borrow());
        Self {
            recent: (follow == Follow::UntilClosed).then(|| tails.recents.follow(&now.registration)),
            until: (follow == Follow::No).then_some(now),
            states,
            next: from.max(Sequence::new(1)),
            read: VecDeque::new(),
        }
    }

    /// What is known of the log, up to where it is to be read.
    fn state(&mut self) -> Arc<WorkerState> {
        match &self.until {
            Some(state) => Arc::clone(state),
            None => Arc::clone(&self.states.borrow_and_update()),
        }
    }

    /// Once there is more of the log, or its end. Meanwhile it holds nothing of what was read, nor room for it.
    async fn ready(mut self) -> Self {
        self.read.shrink_to_fit();
        loop {
            let state = self.state();
            let waits = self.next > state.high && self.until.is_none() && state.closing.is_none();
            // The sender is gone when the server stops: that is an end as well.
            if !waits || self.states.changed().await.is_err() {
                return self;
            }
        }
    }

    /// Takes up what comes next: what others have read, or what the store has.
    async fn read(&mut self, tails: &Tails, state: &WorkerState) -> io::Result<()> {
        let Some(recent) = self.recent.clone() else { return self.read_alone(tails, state).await };
        match recent.find(self.next) {
            recent::Place::At(part) => self.take(tails, part),
            recent::Place::Behind => self.read_alone(tails, state).await?,
            // Nothing would be kept, so nobody need wait for anybody.
            recent::Place::Edge if recent.is_full() => self.read_alone(tails, state).await?,
            recent::Place::Edge => {
                let _turn = recent.turn().await;
                match recent.find(self.next) {
                    recent::Place::At(part) => self.take(tails, part),
                    recent::Place::Behind => self.read_alone(tails, state).await?,
                    recent::Place::Edge => {
                        self.read_alone(tails, state).await?;
                        recent.keep(self.read.iter());
                    }
                }
            }
        }
        Ok(())
    }

    /// A part that another has read; who begins in its midst gets the rest of it.
    fn take(&mut self, tails: &Tails, part: Arc<Part>) {
        let block = part.block();
        let (begins, next, whole) = (block.first == self.next, block.last().next(), block.bytes());
        if begins {
            self.read.push_back(part);
        } else {
            self.push(tails, block.clone().starting_at(self.next), whole);
        }
        self.next = next;
    }

    /// From the store.
    async fn read_alone(&mut self, tails: &Tails, state: &WorkerState) -> io::Result<()> {
        let trimmed = self.states.borrow().trimmed;
        if self.next <= trimmed {
            self.fill_hole(tails, trimmed.min(state.high).next());
            return Ok(());
        }
        tails.metrics.reads.inc();
        let mut blocks = self.read_store(tails, state.registration.worker.clone()).await?;
        if self.states.borrow().trimmed >= state.high {
            // Meanwhile the worker may even have been forgotten, and another have come under its name.
            blocks.clear();
        }
        for block in blocks {
            if block.first > state.high {
                break;
            }
            let whole = block.bytes();
            let block = block.starting_at(self.next).ending_at(state.high);
            self.fill_hole(tails, block.first);
            self.next = block.last().next();
            self.push(tails, block, whole);
        }
        if self.read.is_empty() {
            // The mark says that there were lines, and the store has none from here on.
            self.fill_hole(tails, state.high.next());
        }
        Ok(())
    }

    /// Lines that are not there any more are shown as missing: what retention took, and then what a damaged
    /// record held. Retention may have come since the state was looked at, but says so before it takes anything.
    fn fill_hole(&mut self, tails: &Tails, until: Sequence) {
        let kept = self.states.borrow().trimmed.next();
        self.fill_gap(tails, until.min(kept), retention::REASON);
        self.fill_gap(tails, until, store::DAMAGED);
    }

    fn fill_gap(&mut self, tails: &Tails, until: Sequence, reason: &'static str) {
        if self.next < until {
            let last = Sequence::new(until.get() - 1);
            let content = Content::Gap { last, reason: reason.into() };
            self.push(tails, Block { first: self.next, content }, 0);
            self.next = until;
        }
    }

    /// As small parts, of what was read as `whole` bytes.
    fn push(&mut self, tails: &Tails, mut block: Block, whole: usize) {
        let part = |block| Arc::new(Part::new(block, whole, tails.recents.total(), tails.metrics.clone()));
        while let Some(first) = block.split_first(PART_LINES, PART_BYTES) {
            self.read.push_back(part(first));
        }
        self.read.push_back(part(block));
    }

    async fn read_store(&self, tails: &Tails, worker: WorkerId) -> io::Result<Vec<Block>> {
        let (reader, next) = (Arc::clone(&tails.reader), self.next);
        let read = tokio::task::spawn_blocking(move || reader.read(&worker, next, READ_BYTES));
        read.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests;
