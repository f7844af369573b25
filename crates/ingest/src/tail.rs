//! Reading a log, live and afterwards: a cursor over the store, and a wait for the mark to move.
//!
//! Replay and live are the same loop, so there is no seam between them at which a line could be lost or
//! repeated, and a slow reader is simply further behind: it can never be skipped. Only durable lines are
//! read, so a line that was seen is never taken back.

use std::io;
use std::sync::Arc;

use futures::Stream;
use futures::stream::try_unfold;
use tokio::sync::watch;

use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::metrics::{Metrics, Open};
use crate::store::LogReader;
use crate::worker::WorkerState;

/// Bytes of one read. It is what one reader holds in memory.
const READ_BYTES: usize = 256 << 10;

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
    Blocks(Vec<Block>),
    /// Nothing more follows.
    End(Arc<WorkerState>),
}

/// A place in a log that moves towards its end.
struct Cursor {
    reader: Arc<dyn LogReader>,
    states: watch::Receiver<Arc<WorkerState>>,
    next: Sequence,
    follow: Follow,
    ended: bool,
    _open: Open,
}

/// The log of a worker from `from` on. Ends with [`Piece::End`].
pub fn tail(
    reader: Arc<dyn LogReader>,
    states: watch::Receiver<Arc<WorkerState>>,
    from: Sequence,
    follow: Follow,
    metrics: &Metrics,
) -> impl Stream<Item = io::Result<Piece>> + Send + use<> {
    let next = from.max(Sequence::new(1));
    let cursor = Cursor { reader, states, next, follow, ended: false, _open: Open::new(&metrics.readers) };
    try_unfold(cursor, |mut cursor| async move {
        let piece = cursor.advance().await?;
        Ok(piece.map(|piece| (piece, cursor)))
    })
}

impl Cursor {
    /// The next piece; none after the end. Not cancel safe, and never cancelled: dropping the stream
    /// drops the cursor with it.
    async fn advance(&mut self) -> io::Result<Option<Piece>> {
        while !self.ended {
            let state = Arc::clone(&self.states.borrow_and_update());
            if self.next <= state.high {
                return Ok(Some(Piece::Blocks(self.read(&state).await?)));
            }
            let waits = self.follow == Follow::UntilClosed && state.closing.is_none();
            // The sender is gone when the server stops: that is an end as well.
            if !waits || self.states.changed().await.is_err() {
                self.ended = true;
                return Ok(Some(Piece::End(state)));
            }
        }
        Ok(None)
    }

    async fn read(&mut self, state: &WorkerState) -> io::Result<Vec<Block>> {
        let blocks = self.read_store(state.registration.worker.clone()).await?;
        let mut pieces = Vec::with_capacity(blocks.len());
        for block in blocks {
            let block = block.starting_at(self.next);
            self.fill_hole(block.first, &mut pieces);
            self.next = block.last().next();
            pieces.push(block);
        }
        if pieces.is_empty() {
            // The mark says that there were lines, and the store has none from here on.
            self.fill_hole(state.high.next(), &mut pieces);
        }
        Ok(pieces)
    }

    /// Lines that a damaged record held are shown as missing.
    fn fill_hole(&mut self, until: Sequence, pieces: &mut Vec<Block>) {
        if self.next < until {
            let last = Sequence::new(until.get() - 1);
            pieces.push(Block {
                first: self.next,
                content: Content::Gap { last, reason: "store_damaged".into() },
            });
            self.next = until;
        }
    }

    async fn read_store(&self, worker: WorkerId) -> io::Result<Vec<Block>> {
        let (reader, next) = (Arc::clone(&self.reader), self.next);
        let read = tokio::task::spawn_blocking(move || reader.read(&worker, next, READ_BYTES));
        read.await.map_err(io::Error::other)?
    }
}
