//! Several logs as one, in the order of time, from any place forwards or backwards.
//!
//! Clocks of workers differ and may be set back, so times alone make no order: each log keeps its own, and of the
//! lines that could come next the one with the earliest time does, or backwards the latest. Where a reader stands is
//! hence a place in each log, and not a time.
//!
//! What is compared is read ahead, without its text: 32 bytes a line, of a bounded number of lines over all logs.

use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures::stream::TryStreamExt;
use tokio::sync::watch;

use super::Tails;
use crate::line::{Block, Content, Sequence};
use crate::worker::WorkerState;

/// Lines that are read ahead, over all logs: 256 KiB of memory.
const AHEAD: u64 = 8192;

/// Lines that are read ahead of one log: more than one answer has is seldom wanted.
const AHEAD_OF_ONE: u64 = 512;

/// Which way to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// What stands behind the place, the earliest first.
    Forward,
    /// What stands before it, the latest first.
    Backward,
}

/// A line or a gap that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    /// Of which log, in the order in which they were given.
    pub(crate) log: usize,
    /// Its sequence; of a gap, the first.
    pub(crate) first: Sequence,
    /// The same; of a gap, the last.
    pub(crate) last: Sequence,
    /// Bytes of its text.
    pub(crate) bytes: usize,
}

/// See the module. Who reads it has a place among the readers.
pub(crate) struct Interleaved {
    tails: Tails,
    direction: Direction,
    logs: Vec<Ahead>,
    /// Lines to read ahead of each.
    ahead: u64,
}

/// One of the logs.
struct Ahead {
    states: watch::Receiver<Arc<WorkerState>>,
    state: Arc<WorkerState>,
    /// The last line before the place.
    at: Sequence,
    /// Read and not yet given, in the log's own order.
    read: VecDeque<Stamp>,
}

/// When a line was, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    first: Sequence,
    last: Sequence,
    /// Of a gap, that of a line beside it.
    time_ns: i64,
    bytes: usize,
    is_gap: bool,
}

impl Interleaved {
    /// Of logs, each with the last line that stands before the place. Lines of the same time come in the order of the
    /// logs.
    pub(crate) fn new(
        tails: Tails,
        direction: Direction,
        logs: impl IntoIterator<Item = (watch::Receiver<Arc<WorkerState>>, Sequence)>,
    ) -> Self {
        let open = |(states, at): (watch::Receiver<Arc<WorkerState>>, Sequence)| {
            let state = Arc::clone(&states.borrow());
            Ahead { states, state, at, read: VecDeque::new() }
        };
        let logs: Vec<_> = logs.into_iter().map(open).collect();
        let ahead = (AHEAD / logs.len().max(1) as u64).clamp(1, AHEAD_OF_ONE);
        Self { tails, direction, logs, ahead }
    }

    /// What comes next; none where there is nothing more that way. An error is the store's, and nothing has moved.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Pick>> {
        for log in self.logs.iter_mut().filter(|log| log.read.is_empty()) {
            log.read_ahead(&self.tails, self.direction, self.ahead).await?;
        }
        let Some(log) = self.choose() else { return Ok(None) };
        let ahead = &mut self.logs[log];
        let stamp = match self.direction {
            Direction::Forward => ahead.read.pop_front(),
            Direction::Backward => ahead.read.pop_back(),
        };
        Ok(stamp.map(|Stamp { first, last, bytes, .. }| {
            ahead.at = match self.direction {
                Direction::Forward => last,
                Direction::Backward => before(first),
            };
            Pick { log, first, last, bytes }
        }))
    }

    /// Which way it is read.
    pub(crate) const fn direction(&self) -> Direction {
        self.direction
    }

    /// The logs, in the order in which they were given.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &watch::Receiver<Arc<WorkerState>>> {
        self.logs.iter().map(|log| &log.states)
    }

    /// Where each log stands now.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&WorkerState, Sequence)> {
        self.logs.iter().map(|log| (&*log.state, log.at))
    }

    /// The log whose line comes next.
    fn choose(&self) -> Option<usize> {
        let logs = self.logs.iter().enumerate();
        match self.direction {
            Direction::Forward => {
                logs.filter_map(|(at, log)| Some((log.read.front()?.time_ns, at))).min().map(|(_, at)| at)
            }
            Direction::Backward => {
                logs.filter_map(|(at, log)| Some((log.read.back()?.time_ns, at))).max().map(|(_, at)| at)
            }
        }
    }
}

impl Ahead {
    /// Reads at most `lines` lines of what comes next, where there is anything.
    async fn read_ahead(&mut self, tails: &Tails, direction: Direction, lines: u64) -> io::Result<()> {
        let (first, last) = match direction {
            Direction::Forward => (self.at.next(), self.at.plus(lines).min(self.state.high)),
            Direction::Backward => (Sequence::new(self.at.get().saturating_sub(lines)).next(), self.at),
        };
        if first > last {
            return Ok(());
        }
        // A gap may end behind the lines that were asked for, and goes on no further than the reader may look.
        let end = if direction == Direction::Forward { self.state.high } else { self.at };
        let mut read = pin!(tails.range(self.states.clone(), first, last));
        let mut stamps = VecDeque::new();
        while let Some(block) = read.try_next().await? {
            stamp(&block, end, &mut stamps);
        }
        date_gaps(stamps.make_contiguous(), self.state.updated_ns);
        if let Some(gap) = stamps.front_mut().filter(|stamp| stamp.is_gap && direction == Direction::Backward)
        {
            gap.first = self.begin(tails, gap.first).await?;
        }
        self.read = stamps;
        Ok(())
    }

    /// Where the gap begins that was looked at from `midst` on. Found by halves, in 53 reads at the most.
    async fn begin(&self, tails: &Tails, midst: Sequence) -> io::Result<Sequence> {
        let (mut low, mut high) = (1, midst.get());
        while low < high {
            let middle = low + (high - low) / 2;
            let at = Sequence::new(middle);
            let block = pin!(tails.range(self.states.clone(), at, at)).try_next().await?;
            let reaches = |block: Block| matches!(block.content, Content::Gap { last, .. } if last >= midst);
            if block.is_some_and(reaches) { high = middle } else { low = middle + 1 }
        }
        Ok(Sequence::new(high))
    }
}

fn before(sequence: Sequence) -> Sequence {
    Sequence::new(sequence.get().saturating_sub(1))
}

/// Appends the stamps of what stands in a block, up to `end`. Gaps have no time yet.
fn stamp(block: &Block, end: Sequence, stamps: &mut VecDeque<Stamp>) {
    match &block.content {
        Content::Lines(lines) => stamps.extend((0..).zip(lines.iter()).map(|(at, line)| {
            let first = block.first.plus(at);
            Stamp { first, last: first, time_ns: line.time_ns, bytes: line.bytes.len(), is_gap: false }
        })),
        Content::Gap { last, reason } => {
            let last = end.min(*last);
            stamps.push_back(Stamp {
                first: block.first,
                last,
                time_ns: 0,
                bytes: reason.len(),
                is_gap: true,
            });
        }
    }
}

/// Gives each gap the time of the line before it, or else of the one behind it, or else `otherwise`.
fn date_gaps(stamps: &mut [Stamp], otherwise: i64) {
    let line = stamps.iter().find(|stamp| !stamp.is_gap);
    let mut time_ns = line.map_or(otherwise, |line| line.time_ns);
    for stamp in stamps {
        if stamp.is_gap {
            stamp.time_ns = time_ns;
        }
        time_ns = stamp.time_ns;
    }
}

#[cfg(test)]
mod tests;
