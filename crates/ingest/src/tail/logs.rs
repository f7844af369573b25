//! The logs that one reader reads: all of a task's, or one.
//!
//! One of them is read at a time, 256 KiB of it; the others wait for their marks to move, and come up in the order in
//! which they did. So a reader holds no more in memory for many logs than for one, and while what it was given waits
//! for its client, no read is half done that others wait for.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use futures::stream::{FuturesUnordered, Stream, StreamExt, try_unfold};
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::watch;

use super::{Cursor, Follow, Piece, Tails};
use crate::line::Sequence;
use crate::worker::WorkerState;

/// Logs that one reader follows at a time; the rest come up as these end. Each takes some hundred bytes while it waits.
pub(super) const LOGS: usize = 1024;

/// A piece, and whose log it is of.
pub(crate) type LogPiece = (Arc<WorkerState>, Piece);

/// See the module.
pub(crate) struct Logs {
    tails: Tails,
    follow: Follow,
    waiting: FuturesUnordered<BoxFuture<'static, Cursor>>,
    /// The one that is read now.
    current: Option<Cursor>,
    /// Those for which there is no room yet, and where to begin with each.
    rest: VecDeque<(watch::Receiver<Arc<WorkerState>>, Sequence)>,
}

impl Logs {
    /// None yet.
    pub(super) fn new(tails: Tails, follow: Follow) -> Self {
        let (waiting, current, rest) = (FuturesUnordered::new(), None, VecDeque::new());
        Self { tails, follow, waiting, current, rest }
    }

    /// One more, from `from` on.
    pub(crate) fn add(&mut self, states: watch::Receiver<Arc<WorkerState>>, from: Sequence) {
        self.rest.push_back((states, from));
        self.open();
    }

    /// Whether they are followed.
    pub(crate) const fn follow(&self) -> Follow {
        self.follow
    }

    /// Whether all have been read to their end.
    pub(crate) fn is_empty(&self) -> bool {
        self.open_now() == 0
    }

    /// How many have room.
    pub(super) fn open_now(&self) -> usize {
        self.waiting.len() + usize::from(self.current.is_some())
    }

    /// Waits until there is more of any of them. Cancel safe: nothing is read.
    pub(crate) async fn ready(&mut self) {
        if self.current.is_none() {
            self.current = self.waiting.next().await;
        }
    }

    /// The next piece of the log that is read, where one is: [`Self::ready`] has found it, and it still has more.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<LogPiece>> {
        let Some(cursor) = &mut self.current else { return Ok(None) };
        let state = cursor.state();
        if cursor.read.is_empty() {
            if cursor.next > state.high {
                self.current = None;
                self.open();
                return Ok(Some((Arc::clone(&state), Piece::End(state))));
            }
            cursor.read(&self.tails, &state).await?;
        }
        let part = cursor.read.pop_front();
        if cursor.read.is_empty() {
            self.waiting.extend(self.current.take().map(|cursor| cursor.ready().boxed()));
        }
        self.tails.metrics.parts.inc_by(part.iter().len() as u64);
        Ok(part.map(|part| (state, Piece::Part(part))))
    }

    /// All pieces of the logs that there are.
    pub(crate) fn pieces(self) -> impl Stream<Item = io::Result<LogPiece>> + Send {
        try_unfold(self, |mut logs| async move {
            while !logs.is_empty() {
                if let Some(piece) = logs.piece().await? {
                    return Ok(Some((piece, logs)));
                }
                logs.ready().await;
            }
            Ok::<_, io::Error>(None)
        })
    }

    /// Takes up as many as there is room for. Who does not follow reads one to its end after the other.
    fn open(&mut self) {
        let room = if self.follow == Follow::No { 1 } else { LOGS };
        while self.open_now() < room {
            let Some((states, from)) = self.rest.pop_front() else { return };
            self.waiting.push(Cursor::new(&self.tails, states, from, self.follow).ready().boxed());
        }
    }
}
