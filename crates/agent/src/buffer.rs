//! Lines that are not yet acknowledged, in memory and bounded; pure.
//!
//! A line gets its sequence when it comes in and keeps it for ever: sending again after a cut sends the
//! same batches. When the buffer is full, what was never sent is dropped from its oldest end, and a gap
//! says so in its place; what was sent once stays, since the server may have it, its ACK cut off.

use std::collections::VecDeque;

use bytes::Bytes;
use jiff::Timestamp;
use ottoscaler_proto::v1::{Gap, LogBatch, LogEntry};

use crate::batch::{Builder, Line, Sealed, Source};
use crate::line::Ending;

/// What to do with lines for which there is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WhenFull {
    /// The oldest that were not yet sent make room; a gap says how many.
    DropOldest,
    /// Whoever reads them from the command waits for room; what was read already is kept all the same.
    Block,
}

/// Bytes that may be in flight; at 100 MB/s that covers 40 ms from sending to ACK.
const WINDOW: usize = 4 << 20;

/// What one read from a pipe can become: 64 KiB of newlines, each a line with its 24 bytes.
const ONE_READ: usize = 1600 << 10;

/// What a gap costs in memory.
const GAP_SIZE: usize = 64;

/// A part of the log, as it is sent.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Lines.
    Lines(Sealed),
    /// Lines that are lost.
    Gap {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
        /// Why.
        reason: &'static str,
    },
}

impl Piece {
    fn first(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.first,
            Self::Gap { first, .. } => *first,
        }
    }

    /// Sequence of its last line.
    pub fn last(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.last,
            Self::Gap { last, .. } => *last,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.size,
            Self::Gap { .. } => GAP_SIZE,
        }
    }

    /// As it goes over the wire, line by line. `entry` says what is the same in all.
    pub fn to_entries(&self, entry: &LogEntry) -> Vec<LogEntry> {
        match self {
            Self::Lines(lines) => lines.lines().map(|line| to_entry(line, entry.clone())).collect(),
            Self::Gap { first, last, reason } => vec![LogEntry {
                timestamp: Timestamp::now().to_string(),
                source: "system".to_owned(),
                // For servers that do not know what a gap is.
                message: format!("otto-agent: lines {first} to {last} are missing: {reason}"),
                sequence: first.cast_signed(),
                gap: Some(Gap { last_sequence: last.cast_signed(), reason: (*reason).to_owned() }),
                ..entry.clone()
            }],
        }
    }

    /// As it goes over the wire.
    pub fn to_wire(&self, worker_id: &str) -> LogBatch {
        match self {
            Self::Lines(lines) => lines.to_wire(worker_id),
            Self::Gap { first, last, reason } => LogBatch {
                worker_id: worker_id.to_owned(),
                first_sequence: first.cast_signed(),
                gap: Some(Gap { last_sequence: last.cast_signed(), reason: (*reason).to_owned() }),
                ..LogBatch::default()
            },
        }
    }
}

fn to_entry(line: Line, entry: LogEntry) -> LogEntry {
    let timestamp = Timestamp::from_nanosecond(line.time_ns.into()).unwrap_or_default();
    let message = String::from_utf8_lossy(&line.bytes).into_owned();
    let raw = if message.as_bytes() == line.bytes { Bytes::new() } else { line.bytes };
    LogEntry {
        timestamp: timestamp.to_string(),
        source: line.source.to_owned(),
        message,
        sequence: line.sequence.cast_signed(),
        raw,
        flags: line.flags,
        ..entry
    }
}

/// The lines of one worker that are not yet acknowledged.
#[derive(Debug)]
pub struct Buffer {
    limit: usize,
    when_full: WhenFull,
    /// Oldest first, without a hole between them.
    pieces: VecDeque<Piece>,
    /// So many of them are in flight.
    sent: usize,
    /// So many of them were ever sent. The server may have them, even after a cut: they are never dropped.
    offered: usize,
    in_flight: usize,
    /// Memory of all pieces.
    held: usize,
    open: Builder,
    /// The sequence that the next line gets.
    next: u64,
    acked: u64,
    dropped: u64,
    /// The last line that the server refused by itself.
    last_refused: u64,
    /// Lines are counted and let go.
    is_abandoned: bool,
}

impl Buffer {
    /// Empty, and bounded by `limit` bytes.
    pub fn new(limit: usize, when_full: WhenFull) -> Self {
        Self {
            limit,
            when_full,
            pieces: VecDeque::new(),
            sent: 0,
            offered: 0,
            in_flight: 0,
            held: 0,
            open: Builder::default(),
            next: 1,
            acked: 0,
            dropped: 0,
            last_refused: 0,
            is_abandoned: false,
        }
    }

    /// Takes a line in and numbers it.
    pub fn push(&mut self, time_ns: i64, source: Source, line: &[u8], ending: Ending) {
        self.next += 1;
        if self.is_abandoned {
            self.dropped += 1;
            return;
        }
        self.open.push(time_ns, source, line, ending);
        if self.open.is_full() {
            self.seal();
        }
        while self.when_full == WhenFull::DropOldest && self.size() > self.limit && self.drop_oldest() {}
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let first = self.next - self.open.lines();
            let sealed = self.open.seal(first);
            self.append(Piece::Lines(sealed));
        }
    }

    fn append(&mut self, piece: Piece) {
        self.held += piece.size();
        self.pieces.push_back(piece);
    }

    /// Puts the oldest lines that were never sent into a gap. False where there are none.
    fn drop_oldest(&mut self) -> bool {
        let unsent = self.pieces.range(self.offered..);
        let oldest = unsent.enumerate().find_map(|(at, piece)| match piece {
            Piece::Lines(lines) => Some((self.offered + at, lines.first, lines.last)),
            Piece::Gap { .. } => None,
        });
        let Some((at, first, last)) = oldest else {
            let could_seal = !self.open.is_empty();
            self.seal();
            return could_seal;
        };
        self.dropped += last - first + 1;
        self.replace(at, Piece::Gap { first, last, reason: "buffer_full" });
        if at > self.offered {
            self.merge_with_previous(at);
        }
        true
    }

    fn replace(&mut self, at: usize, piece: Piece) {
        self.held = self.held - self.pieces[at].size() + piece.size();
        self.pieces[at] = piece;
    }

    /// Two gaps side by side are one.
    fn merge_with_previous(&mut self, at: usize) {
        let Piece::Gap { first, reason, .. } = self.pieces[at - 1] else { return };
        let Piece::Gap { last, reason: same, .. } = self.pieces[at] else { return };
        if reason == same {
            self.pieces[at] = Piece::Gap { first, last, reason };
            self.pieces.remove(at - 1);
            self.held -= GAP_SIZE;
        }
    }

    /// The next piece to send, if one is complete.
    pub fn take(&mut self) -> Option<Piece> {
        let piece = self.pieces.get(self.sent)?.clone();
        self.sent += 1;
        self.offered = self.offered.max(self.sent);
        self.in_flight += piece.size();
        Some(piece)
    }

    /// The next piece to send, even if it could still grow.
    pub fn take_all(&mut self) -> Option<Piece> {
        if self.sent == self.pieces.len() {
            self.seal();
        }
        self.take()
    }

    /// Everything up to `sequence` is durable.
    pub fn ack(&mut self, sequence: u64) {
        self.acked = self.acked.max(sequence.min(self.last()));
        while self.pieces.front().is_some_and(|piece| piece.last() <= self.acked) {
            let piece = self.pieces.pop_front().expect("it was looked at");
            self.held -= piece.size();
            self.offered = self.offered.saturating_sub(1);
            if self.sent > 0 {
                self.sent -= 1;
                self.in_flight -= piece.size();
            }
        }
    }

    /// Everything after the acknowledged part has to be sent again.
    pub fn rewind(&mut self) {
        self.sent = 0;
        self.in_flight = 0;
    }

    /// The server has only what is up to `sequence`, although it acknowledged more: it lost its disk.
    /// What was acknowledged is gone here, too; a gap takes its place. Gives the number of lines lost.
    pub fn forget(&mut self, sequence: u64) -> u64 {
        self.rewind();
        let first_held = self.pieces.front().map_or(self.next - self.open.lines(), Piece::first);
        if sequence + 1 >= first_held {
            return 0;
        }
        let (first, last) = (sequence + 1, first_held - 1);
        let gap = Piece::Gap { first, last, reason: "server_lost" };
        self.held += gap.size();
        self.pieces.push_front(gap);
        self.offered += 1;
        self.acked = sequence;
        let count = last - first + 1;
        self.dropped += count;
        count
    }

    /// The server refused this line and put a gap in its place. Sent again after a cut, it may be refused
    /// again; it counts once.
    pub fn refuse_line(&mut self, sequence: u64) {
        if sequence > self.last_refused {
            self.last_refused = sequence;
            self.dropped += 1;
        }
    }

    /// The server refused the whole batch that begins at `first`: a gap takes its place, or it would be
    /// refused for ever.
    pub fn refuse(&mut self, first: u64) {
        let refused = self.pieces.iter().enumerate().find_map(|(at, piece)| match piece {
            Piece::Lines(lines) if lines.first == first => Some((at, lines.last)),
            Piece::Lines(_) | Piece::Gap { .. } => None,
        });
        if let Some((at, last)) = refused {
            self.rewind();
            self.dropped += last - first + 1;
            self.replace(at, Piece::Gap { first, last, reason: "refused" });
        }
    }

    /// Nothing will ever be sent: lets everything go, what is still to come included.
    pub fn abandon(&mut self) {
        self.is_abandoned = true;
        self.rewind();
        self.offered = 0;
        self.seal();
        let lines = |piece: &Piece| match piece {
            Piece::Lines(lines) => lines.last - lines.first + 1,
            Piece::Gap { .. } => 0,
        };
        self.dropped += self.pieces.iter().map(lines).sum::<u64>();
        self.pieces.clear();
        self.held = 0;
    }

    /// There is nobody left to hold back: from here on the oldest lines make room.
    pub fn stop_blocking(&mut self) {
        self.when_full = WhenFull::DropOldest;
    }

    /// Whether more may be sent before something is acknowledged. Half of the memory stays for lines
    /// that come in meanwhile.
    pub fn has_window(&self) -> bool {
        self.in_flight < WINDOW.min(self.limit / 2)
    }

    /// Whether more may be read from the command. With `block` one read may go beyond the limit, by its
    /// bytes and what its lines cost: 64 KiB of nothing but newlines are 1.5 MiB.
    pub fn has_room(&self) -> bool {
        self.size() + ONE_READ.min(self.limit / 2) <= self.limit
    }

    /// What becomes of lines for which there is no room.
    pub fn when_full(&self) -> WhenFull {
        self.when_full
    }

    /// Memory that it stands for.
    pub fn size(&self) -> usize {
        self.held + self.open.size()
    }

    /// Memory of what is in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a piece is complete and waits to be sent.
    pub fn has_complete(&self) -> bool {
        self.sent < self.pieces.len()
    }

    /// Whether lines wait that are not yet a complete piece.
    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether everything that came in is acknowledged.
    pub fn is_drained(&self) -> bool {
        self.pieces.is_empty() && self.open.is_empty()
    }

    /// The last sequence that was given to a line; 0 for none.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// Everything up to it is durable.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// The last sequence that was ever sent; 0 for none. A server that has more has it from somebody else.
    pub fn last_offered(&self) -> u64 {
        self.offered.checked_sub(1).map_or(self.acked, |newest| self.pieces[newest].last())
    }

    /// Lines that no reader will see.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests;
