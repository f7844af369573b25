//! Between memory and the spool: what is written there, what leaves memory for it, what comes back.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ottoscaler_proto::v1::WorkerCompletion;
use tokio::time::Instant;
use tracing::{error, warn};

use super::pieces::Kept;
use super::{Buffer, Piece};
use crate::batch::Sealed;
use crate::spool;

/// Why lines are missing that the spool had.
const DAMAGED: &str = "spool_damaged";

/// What cannot be read for so long never can: a bad sector, a file that its server has lost. A volume that is away for
/// a moment is back by then.
const HOPELESS: Duration = Duration::from_secs(30);

/// What the spool does not give back: the piece that begins at this line.
#[derive(Debug)]
pub(super) struct Stuck {
    first: u64,
    since: Instant,
}

impl Buffer {
    /// Writes the oldest piece that is not yet in the spool, and lets the newest that is there leave memory.
    pub(super) fn spill(&mut self) -> bool {
        let written = self.write_oldest(i64::MAX);
        self.evict_newest() || written
    }

    /// Writes the oldest piece that is not yet in the spool, if it was read by `until_ns`.
    fn write_oldest(&mut self, until_ns: i64) -> bool {
        while let Some(piece) = self.pieces.get(self.written) {
            if let Kept::Lines(lines, None) = piece {
                let place = if lines.time_ns() > until_ns { None } else { self.spool.append(lines) };
                let Some(place) = place else { return false };
                self.pieces.found(self.written, place);
                self.written += 1;
                return true;
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
        self.pieces.replace(at, Kept::Spooled { first, last, weight, place });
        self.join_with_neighbours(at);
        true
    }

    /// Only what was never sent: what was is acknowledged piece by piece.
    pub(super) fn join_with_neighbours(&mut self, at: usize) {
        for at in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if at >= self.offered && self.pieces.join(at) {
                self.written -= usize::from(at + 1 < self.written);
            }
        }
    }

    /// Parts the first piece of a run from the others.
    pub(super) fn part_first(&mut self, at: usize) -> io::Result<()> {
        let Kept::Spooled { first, last, place, .. } = self.pieces[at] else { return Ok(()) };
        // Where that is damaged it is all lost: sooner or later it is read, and found to be so.
        let parted = self.spool.first_of(place, first, last)?;
        if let Some((place, until)) = parted.filter(|(_, until)| *until < last) {
            self.pieces.split(at, until, place);
            self.written += usize::from(at < self.written);
        }
        Ok(())
    }

    /// Writes everything to the spool that was read by `until_ns` and is not acknowledged: an agent that is
    /// killed leaves it there.
    pub fn save_until(&mut self, until_ns: i64) {
        if !self.open.is_empty() && self.open.time_ns() <= until_ns {
            self.seal();
        }
        while self.write_oldest(until_ns) {}
    }

    /// Writes all that is left to the spool, and how the command ended. Gives where it is. Where the spool
    /// does not have room for all, the oldest that were never sent make it.
    pub fn leave_behind(&mut self, completion: &WorkerCompletion) -> Option<PathBuf> {
        // There is no later try: a disk that took nothing a moment ago is asked now.
        self.spool.retry();
        self.save_until(i64::MAX);
        if self.is_abandoned || !self.spool.is_in_use() {
            return None;
        }
        // What is there already leaves memory first: where the disk takes no more, only what it does not have goes.
        while self.written < self.pieces.len() && (self.evict_newest() || self.drop_oldest()) {
            self.save_until(i64::MAX);
        }
        if let Err(error) = self.spool.finish(completion) {
            error!(%error, "the spool does not say how the command ended");
        }
        self.spool.path().map(Path::to_path_buf)
    }

    /// Nobody will need the spool.
    pub fn delete_spool(&mut self) {
        self.spool.delete();
    }

    /// What is damaged in the spool is lost; what cannot be read for another reason waits there, but not for ever: all
    /// that is behind it waits as well. Where not even its head can be read, nobody knows where the next piece begins,
    /// and its whole run is lost.
    pub(super) fn read_back(&mut self) -> io::Result<Piece> {
        match self.try_read_back() {
            Ok(lines) => {
                self.stuck = None;
                Ok(Piece::Lines(lines))
            }
            Err(error) if spool::is_damage(&error) || self.is_hopeless(&error) => {
                Ok(self.lose_damaged(&error))
            }
            Err(error) => Err(error),
        }
    }

    fn try_read_back(&mut self) -> io::Result<Sealed> {
        self.part_first(self.sent)?;
        let Kept::Spooled { first, last, place, .. } = self.pieces[self.sent] else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is nowhere"));
        };
        let lines = self.spool.read(place, first, last)?;
        self.pieces.replace(self.sent, Kept::Spooled { first, last, weight: lines.size, place });
        Ok(lines)
    }

    /// Whether what goes next could not be read for too long.
    fn is_hopeless(&mut self, error: &io::Error) -> bool {
        let (first, now) = (self.pieces[self.sent].first(), Instant::now());
        match &self.stuck {
            Some(stuck) if stuck.first == first => now - stuck.since >= HOPELESS,
            Some(_) | None => {
                warn!(%error, "the spool cannot be read; what is in it waits, and what came after that");
                self.stuck = Some(Stuck { first, since: now });
                false
            }
        }
    }

    fn lose_damaged(&mut self, error: &io::Error) -> Piece {
        error!(%error, "lines in the spool are damaged");
        let (first, last) = (self.pieces[self.sent].first(), self.pieces[self.sent].last());
        self.lose(self.sent, DAMAGED);
        Piece::Gap { first, last, reason: DAMAGED }
    }
}
