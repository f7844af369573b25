//! Lines that are not yet acknowledged: in memory, in the spool beyond that, and bounded.
//!
//! A line gets its sequence when it comes in and keeps it for ever: sending again after a cut sends the
//! same batches. What memory has no room for goes to the spool, oldest first, and the newest leaves memory.
//! When both are full, what was never sent is dropped from its oldest end, and a gap
//! says so in its place; what was sent once stays, since the server may have it, its ACK cut off.
//! Pure, but for the spool.

mod losses;
mod piece;
mod pieces;
mod spill;

use std::io;

use tracing::warn;

use crate::batch::{Builder, Source};
use crate::line::Ending;
use crate::spool::Spool;
pub use losses::Losses;
pub use piece::Piece;
use pieces::{Kept, Pieces};
use spill::Stuck;

/// What to do with lines for which there is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WhenFull {
    /// The oldest that were not yet sent make room; a gap says how many.
    DropOldest,
    /// Whoever reads them from the command waits for room; what was read already is kept all the same.
    Block,
}

/// Why the lines of a log are lost that the server takes no more of.
const LOG_REFUSED: &str = "log_refused";

/// Why lines are lost that the server had acknowledged.
const SERVER_LOST: &str = "server_lost";

/// Why a line is lost that the server refused by itself.
const LINE_REFUSED: &str = "line_refused";

/// Bytes that may be in flight; at 100 MB/s that covers 40 ms from sending to ACK.
const WINDOW: usize = 4 << 20;

/// What one read from a pipe can become: 64 KiB of newlines, each a line with its 24 bytes.
const ONE_READ: usize = 1600 << 10;

/// The lines of one worker that are not yet acknowledged.
#[derive(Debug)]
pub struct Buffer {
    limit: usize,
    when_full: WhenFull,
    /// What would hold the command back does not, until the server takes lines again.
    is_let_go: bool,
    pieces: Pieces,
    spool: Spool,
    /// So many of the pieces need not be written to the spool: they are there, or are gaps.
    written: usize,
    /// So many of them are in flight.
    sent: usize,
    /// So many of them were ever sent. The server may have them, even after a cut: they are never dropped.
    offered: usize,
    in_flight: usize,
    open: Builder,
    /// The sequence that the next line gets.
    next: u64,
    acked: u64,
    losses: Losses,
    /// The last line that the server refused by itself.
    last_refused: u64,
    /// Why the spool did not give back what goes next, where that may pass.
    unreadable: Option<io::Error>,
    stuck: Option<Stuck>,
    /// Lines are counted and let go.
    is_abandoned: bool,
}

impl Buffer {
    /// Empty, and bounded by `limit` bytes.
    pub fn new(limit: usize, when_full: WhenFull, spool: Spool) -> Self {
        Self {
            limit,
            when_full,
            is_let_go: false,
            pieces: Pieces::default(),
            spool,
            written: 0,
            sent: 0,
            offered: 0,
            in_flight: 0,
            open: Builder::default(),
            next: 1,
            acked: 0,
            losses: Losses::default(),
            last_refused: 0,
            unreadable: None,
            stuck: None,
            is_abandoned: false,
        }
    }

    /// Takes a line in and numbers it.
    pub fn push(&mut self, time_ns: i64, source: Source, line: &[u8], ending: Ending) {
        self.next += 1;
        if self.is_abandoned {
            self.losses.add(LOG_REFUSED, 1);
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
        match self.when_full() {
            WhenFull::DropOldest => self.spill() || self.drop_oldest(),
            WhenFull::Block => self.spill(),
        }
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let first = self.next - self.open.lines();
            let sealed = self.open.seal(first);
            self.pieces.push_back(Kept::Lines(sealed, None));
        }
    }

    /// Puts the oldest lines that were never sent into a gap. False where there are none. What is in the
    /// spool alone takes no memory: it only makes room there, and not while the spool takes nothing.
    fn drop_oldest(&mut self) -> bool {
        let spool_pauses = self.spool.pauses();
        let helps = |piece: &Kept| piece.lines() > 0 && !(spool_pauses && piece.is_spooled());
        let oldest = (self.offered..self.pieces.len()).find(|&at| helps(&self.pieces[at]));
        let Some(at) = oldest else {
            let could_seal = !self.open.is_empty();
            self.seal();
            return could_seal;
        };
        if let Err(error) = self.part_first(at) {
            // Nobody knows which lines would go with how much of it; what is in memory goes first.
            warn!(%error, "the spool cannot be read; memory alone has to do meanwhile");
            self.spool.pause();
            return self.drop_oldest();
        }
        self.lose(at, "buffer_full");
        self.join_with_neighbours(at);
        true
    }

    /// A gap takes the place of these lines.
    fn lose(&mut self, at: usize, reason: &'static str) {
        let piece = &self.pieces[at];
        let (first, last) = (piece.first(), piece.last());
        self.losses.add(reason, piece.lines());
        if let Some(place) = piece.place() {
            self.spool.drop_piece(place);
        }
        self.pieces.replace(at, Kept::Gap { first, last, reason });
    }

    /// The next piece to send, if one is complete, and if it can be read.
    pub fn take(&mut self) -> Option<Piece> {
        let piece = match self.pieces.get(self.sent)? {
            Kept::Lines(lines, _) => Piece::Lines(lines.clone()),
            Kept::Spooled { .. } => self.read_back().map_err(|error| self.unreadable = Some(error)).ok()?,
            Kept::Gap { first, last, reason } => Piece::Gap { first: *first, last: *last, reason },
        };
        self.in_flight += self.pieces[self.sent].weight();
        self.sent += 1;
        self.offered = self.offered.max(self.sent);
        Some(piece)
    }

    /// The next piece to send, even if it could still grow.
    pub fn take_all(&mut self) -> Option<Piece> {
        if self.sent == self.pieces.len() {
            self.seal();
        }
        self.take()
    }

    /// Why the last piece could not be taken, where that was so: the spool may give it back later.
    pub fn unreadable(&mut self) -> Option<io::Error> {
        self.unreadable.take()
    }

    /// Everything up to `sequence` is durable.
    pub fn ack(&mut self, sequence: u64) {
        let acked = sequence.min(self.last());
        if acked > self.acked {
            self.acked = acked;
            self.is_let_go = false;
        }
        let is_spool_in_use = self.spool.is_in_use();
        while self.pieces.front().is_some_and(|piece| piece.last() <= self.acked) {
            let piece = self.pieces.pop_front().expect("it was looked at");
            self.offered = self.offered.saturating_sub(1);
            self.written = self.written.saturating_sub(1);
            if let Some(place) = piece.place() {
                self.spool.let_go(place);
            }
            if self.sent > 0 {
                self.sent -= 1;
                self.in_flight -= piece.weight();
            }
        }
        if is_spool_in_use {
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
        // What was acknowledged of a piece that is still held is sent again with it.
        self.acked = self.acked.min(sequence);
        let first_held = self.pieces.front().map_or(self.next - self.open.lines(), Kept::first);
        if sequence + 1 >= first_held {
            return 0;
        }
        let (first, last) = (sequence + 1, first_held - 1);
        let gap = Kept::Gap { first, last, reason: SERVER_LOST };
        self.pieces.push_front(gap);
        self.offered += 1;
        self.written += 1;
        let count = last - first + 1;
        self.losses.add(SERVER_LOST, count);
        count
    }

    /// The server refused this line and put a gap in its place. Sent again after a cut, it may be refused
    /// again; it counts once.
    pub fn refuse_line(&mut self, sequence: u64) {
        if sequence > self.last_refused {
            self.last_refused = sequence;
            self.losses.add(LINE_REFUSED, 1);
        }
    }

    /// The server refused the whole batch that begins at `first`: a gap takes its place, or it would be
    /// refused for ever.
    pub fn refuse(&mut self, first: u64) {
        let is_refused = |piece: &Kept| piece.first() == first && piece.lines() > 0;
        let refused = self.pieces.iter().position(is_refused);
        if let Some(at) = refused {
            self.rewind();
            self.lose(at, "refused");
        }
    }

    /// Nothing will ever be sent: lets everything go, what is still to come included.
    pub fn abandon(&mut self) {
        self.is_abandoned = true;
        self.rewind();
        self.seal();
        let waiting = self.waiting();
        self.losses.add(LOG_REFUSED, waiting);
        self.pieces.clear();
        (self.offered, self.written) = (0, 0);
        self.spool.delete();
    }

    /// There is nobody left to hold back: from here on the oldest lines make room.
    pub fn stop_blocking(&mut self) {
        self.when_full = WhenFull::DropOldest;
    }

    /// The same until the server takes lines again.
    pub fn let_go(&mut self) {
        self.is_let_go = true;
    }

    /// As much may be in flight. Half of the memory stays for lines that come in meanwhile.
    pub fn window(&self) -> usize {
        WINDOW.min(self.limit / 2)
    }

    /// Whether more may be read from the command. With `block` one read may go beyond the limit, by its
    /// bytes and what its lines cost: 64 KiB of nothing but newlines are 1.5 MiB.
    pub fn has_room(&self) -> bool {
        let one_read = ONE_READ.min(self.limit / 2);
        // All that is not yet written goes before what came in last.
        self.size() + one_read <= self.limit || self.spool.has_room(self.unwritten() + one_read)
    }

    /// Bytes that one read may take, so that there is room for what it becomes where [`Buffer::has_room`] says so.
    pub fn one_read(&self) -> usize {
        // Each byte may be a line, and costs 24 more.
        ONE_READ.min(self.limit / 2) / 25
    }

    fn unwritten(&self) -> usize {
        self.pieces.range(self.written..).map(Kept::size).sum::<usize>() + self.open.size()
    }

    /// What becomes of lines for which there is no room.
    pub fn when_full(&self) -> WhenFull {
        if self.is_let_go { WhenFull::DropOldest } else { self.when_full }
    }

    /// Memory that it stands for.
    pub fn size(&self) -> usize {
        self.pieces.size() + self.open.size()
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
        self.losses.total()
    }

    /// Why these are lost.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Lines that wait, and may be at the server already.
    pub fn waiting(&self) -> u64 {
        self.pieces.iter().map(Kept::lines).sum::<u64>() + self.open.lines()
    }
}

#[cfg(test)]
mod tests;
