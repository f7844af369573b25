//! Lines that are not yet acknowledged: in memory, in the spool beyond that, and bounded.
//!
//! A line gets its sequence when it comes in and keeps it for ever: sending again after a cut sends the
//! same batches. What memory has no room for goes to the spool, oldest first, and the newest leaves memory.
//! When both are full, what was never sent is dropped from its oldest end, and a gap
//! says so in its place; what was sent once stays, since the server may have it, its ACK cut off.
//! Pure, but for the spool.

mod piece;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use ottoscaler_proto::v1::WorkerCompletion;
use tracing::error;

use crate::batch::{Builder, Source};
use crate::line::Ending;
use crate::spool::{Place, Spool};
pub use piece::Piece;
use piece::{GAP_SIZE, Kept};

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

/// Why lines are missing that the spool had.
const DAMAGED: &str = "spool_damaged";

/// What one read from a pipe can become: 64 KiB of newlines, each a line with its 24 bytes.
const ONE_READ: usize = 1600 << 10;

/// The lines of one worker that are not yet acknowledged.
#[derive(Debug)]
pub struct Buffer {
    limit: usize,
    when_full: WhenFull,
    /// Oldest first, without a hole between them.
    pieces: VecDeque<Kept>,
    spool: Spool,
    /// So many of the pieces need not be written to the spool: they are there, or are gaps.
    written: usize,
    /// So many have a place there.
    places: usize,
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
    pub fn new(limit: usize, when_full: WhenFull, spool: Spool) -> Self {
        Self {
            limit,
            when_full,
            pieces: VecDeque::new(),
            spool,
            written: 0,
            places: 0,
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
        while self.size() > self.limit && self.make_room() {}
    }

    /// By moving something to the spool, or by dropping something. False where neither can be.
    fn make_room(&mut self) -> bool {
        match self.when_full {
            WhenFull::DropOldest => self.spill() || self.drop_oldest(),
            WhenFull::Block => self.can_write() && self.spill(),
        }
    }

    /// Whether the spool has room for the next piece that it does not have yet.
    fn can_write(&self) -> bool {
        self.pieces.get(self.written).is_some_and(|piece| self.spool.has_room(piece.size()))
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let first = self.next - self.open.lines();
            let sealed = self.open.seal(first);
            self.append(Kept::Lines(sealed, None));
        }
    }

    fn append(&mut self, piece: Kept) {
        self.held += piece.size();
        self.pieces.push_back(piece);
    }

    /// Writes the oldest piece that is not yet in the spool, and lets the newest that is there leave memory.
    fn spill(&mut self) -> bool {
        let written = self.write_oldest(i64::MAX);
        self.evict_newest() || written
    }

    /// Writes the oldest piece that is not yet in the spool, if it was read by `until_ns`.
    fn write_oldest(&mut self, until_ns: i64) -> bool {
        while let Some(piece) = self.pieces.get_mut(self.written) {
            if let Kept::Lines(lines, place @ None) = piece {
                if lines.time_ns() > until_ns {
                    return false;
                }
                *place = self.spool.append(lines);
                let is_there = place.is_some();
                self.places += usize::from(is_there);
                self.written += usize::from(is_there);
                return is_there;
            }
            self.written += 1;
        }
        false
    }

    /// Of what was never sent: what is in flight is about to go, and what was sent waits for its ACK.
    fn evict_newest(&mut self) -> bool {
        let newest = (self.offered..self.written).rev().find_map(|at| match &self.pieces[at] {
            Kept::Lines(lines, Some(place)) => Some((at, lines.first, lines.last, lines.size, *place)),
            Kept::Lines(_, None) | Kept::Spooled { .. } | Kept::Gap { .. } => None,
        });
        let Some((at, first, last, weight, place)) = newest else { return false };
        self.replace(at, Kept::Spooled { first, last, weight, place });
        true
    }

    /// Writes everything to the spool that was read by `until_ns` and is not acknowledged: an agent that is
    /// killed leaves it there.
    pub fn save_until(&mut self, until_ns: i64) {
        if !self.open.is_empty() && self.open.time_ns() <= until_ns {
            self.seal();
        }
        while self.write_oldest(until_ns) {}
    }

    /// Writes all that is left to the spool, and how the command ended. Gives where it is, if it is all there.
    pub fn leave_behind(&mut self, completion: &WorkerCompletion) -> Option<PathBuf> {
        self.save_until(i64::MAX);
        if self.is_abandoned || self.written < self.pieces.len() {
            return None;
        }
        match self.spool.finish(completion) {
            Ok(()) => self.spool.path().map(Path::to_path_buf),
            Err(error) => {
                error!(%error, "the spool does not say how the command ended");
                None
            }
        }
    }

    /// Nobody will need the spool.
    pub fn delete_spool(&mut self) {
        self.spool.delete();
    }

    /// Puts the oldest lines that were never sent into a gap. False where there are none.
    fn drop_oldest(&mut self) -> bool {
        let oldest = (self.offered..self.pieces.len()).find(|&at| self.pieces[at].lines() > 0);
        let Some(at) = oldest else {
            let could_seal = !self.open.is_empty();
            self.seal();
            return could_seal;
        };
        self.lose(at, "buffer_full");
        if at > self.offered {
            self.merge_with_previous(at);
        }
        true
    }

    /// A gap takes the place of these lines.
    fn lose(&mut self, at: usize, reason: &'static str) {
        let piece = &self.pieces[at];
        let (first, last) = (piece.first(), piece.last());
        self.dropped += piece.lines();
        if let Some(place) = piece.place() {
            self.places -= 1;
            self.spool.drop_piece(place);
        }
        self.replace(at, Kept::Gap { first, last, reason });
    }

    fn replace(&mut self, at: usize, piece: Kept) {
        self.held = self.held - self.pieces[at].size() + piece.size();
        self.pieces[at] = piece;
    }

    /// Two gaps side by side are one.
    fn merge_with_previous(&mut self, at: usize) {
        let Kept::Gap { first, reason, .. } = self.pieces[at - 1] else { return };
        let Kept::Gap { last, reason: same, .. } = self.pieces[at] else { return };
        if reason == same {
            self.pieces[at] = Kept::Gap { first, last, reason };
            self.pieces.remove(at - 1);
            self.held -= GAP_SIZE;
            self.written -= usize::from(at <= self.written);
        }
    }

    /// The next piece to send, if one is complete.
    pub fn take(&mut self) -> Option<Piece> {
        let piece = match self.pieces.get(self.sent)? {
            Kept::Lines(lines, _) => Piece::Lines(lines.clone()),
            Kept::Spooled { place, .. } => self.read_back(*place),
            Kept::Gap { first, last, reason } => Piece::Gap { first: *first, last: *last, reason },
        };
        self.in_flight += self.pieces[self.sent].weight();
        self.sent += 1;
        self.offered = self.offered.max(self.sent);
        Some(piece)
    }

    /// What the spool cannot give back is lost.
    fn read_back(&mut self, place: Place) -> Piece {
        match self.spool.read(place) {
            Ok(lines) => Piece::Lines(lines),
            Err(error) => {
                error!(%error, "lines in the spool cannot be read");
                self.lose(self.sent, DAMAGED);
                let (first, last) = (self.pieces[self.sent].first(), self.pieces[self.sent].last());
                Piece::Gap { first, last, reason: DAMAGED }
            }
        }
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
        let had_places = self.places > 0;
        while self.pieces.front().is_some_and(|piece| piece.last() <= self.acked) {
            let piece = self.pieces.pop_front().expect("it was looked at");
            self.held -= piece.size();
            self.offered = self.offered.saturating_sub(1);
            self.written = self.written.saturating_sub(1);
            if let Some(place) = piece.place() {
                self.places -= 1;
                self.spool.let_go(place);
            }
            if self.sent > 0 {
                self.sent -= 1;
                self.in_flight -= piece.weight();
            }
        }
        if had_places {
            self.spool.begin_at(self.pieces.iter().find_map(Kept::place));
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
        let first_held = self.pieces.front().map_or(self.next - self.open.lines(), Kept::first);
        if sequence + 1 >= first_held {
            return 0;
        }
        let (first, last) = (sequence + 1, first_held - 1);
        let gap = Kept::Gap { first, last, reason: "server_lost" };
        self.held += gap.size();
        self.pieces.push_front(gap);
        self.offered += 1;
        self.written += 1;
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
        let is_refused = |piece: &Kept| piece.first() == first && piece.lines() > 0;
        if let Some(at) = self.pieces.iter().position(is_refused) {
            self.rewind();
            self.lose(at, "refused");
        }
    }

    /// Nothing will ever be sent: lets everything go, what is still to come included.
    pub fn abandon(&mut self) {
        self.is_abandoned = true;
        self.rewind();
        self.seal();
        self.dropped += self.pieces.iter().map(Kept::lines).sum::<u64>();
        self.pieces.clear();
        (self.offered, self.written, self.places, self.held) = (0, 0, 0, 0);
        self.spool.delete();
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
        let one_read = ONE_READ.min(self.limit / 2);
        // All that is not yet written goes before what came in last.
        self.size() + one_read <= self.limit || self.spool.has_room(self.unwritten() + one_read)
    }

    fn unwritten(&self) -> usize {
        self.pieces.range(self.written..).map(Kept::size).sum::<usize>() + self.open.size()
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
