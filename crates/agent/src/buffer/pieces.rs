//! The parts of the log in their order, and what they take of memory.
//!
//! Lines that are in the spool alone are one part, however many pieces of them lie there side by side: what
//! they cost here does not grow with the spool.

use std::collections::VecDeque;
use std::ops::{Index, RangeBounds};

use crate::batch::Sealed;
use crate::spool::Place;

/// What a part takes beside its lines: its place in a list that may have twice the room.
pub(super) const ENTRY: usize = 2 * size_of::<Kept>();

/// What is no lines counts so much in flight.
const NO_LINES: usize = 64;

/// A part of the log until it is acknowledged.
#[derive(Debug)]
pub(super) enum Kept {
    /// Lines in memory, and where the spool has the same.
    Lines(Sealed, Option<Place>),
    /// Lines in the spool alone: one piece, which counts so much in flight; or a run of pieces of which none
    /// was ever sent.
    Spooled { first: u64, last: u64, weight: usize, place: Place },
    /// As in [`Piece`](super::Piece).
    Gap { first: u64, last: u64, reason: &'static str },
}

impl Kept {
    pub(super) const fn first(&self) -> u64 {
        match self {
            Self::Lines(lines, _) => lines.first,
            Self::Spooled { first, .. } | Self::Gap { first, .. } => *first,
        }
    }

    pub(super) const fn last(&self) -> u64 {
        match self {
            Self::Lines(lines, _) => lines.last,
            Self::Spooled { last, .. } | Self::Gap { last, .. } => *last,
        }
    }

    /// Memory that it takes.
    pub(super) const fn size(&self) -> usize {
        match self {
            Self::Lines(lines, _) => ENTRY + lines.size,
            Self::Spooled { .. } | Self::Gap { .. } => ENTRY,
        }
    }

    /// What it is in flight.
    pub(super) const fn weight(&self) -> usize {
        match self {
            Self::Lines(lines, _) => lines.size,
            Self::Spooled { weight, .. } => *weight,
            Self::Gap { .. } => NO_LINES,
        }
    }

    /// Where the spool has it.
    pub(super) const fn place(&self) -> Option<Place> {
        match self {
            Self::Lines(_, place) => *place,
            Self::Spooled { place, .. } => Some(*place),
            Self::Gap { .. } => None,
        }
    }

    /// Lines that are lost with it.
    pub(super) const fn lines(&self) -> u64 {
        match self {
            Self::Lines(..) | Self::Spooled { .. } => self.last() - self.first() + 1,
            Self::Gap { .. } => 0,
        }
    }

    /// Whether dropping it would free no memory.
    pub(super) const fn is_spooled(&self) -> bool {
        matches!(self, Self::Spooled { .. })
    }

    /// Both as one, where they are of one kind.
    fn join(&self, next: &Self) -> Option<Self> {
        match (self, next) {
            (Self::Gap { first, reason, .. }, Self::Gap { last, reason: same, .. }) if reason == same => {
                Some(Self::Gap { first: *first, last: *last, reason })
            }
            (Self::Spooled { first, place, .. }, Self::Spooled { last, place: next, .. }) => {
                let place = place.join(*next)?;
                Some(Self::Spooled { first: *first, last: *last, weight: NO_LINES, place })
            }
            (Self::Lines(..) | Self::Spooled { .. } | Self::Gap { .. }, _) => None,
        }
    }
}

/// Oldest first, without a hole between them.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    list: VecDeque<Kept>,
    size: usize,
}

impl Pieces {
    /// Memory that they take.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Kept> {
        self.list.get(at)
    }

    pub(super) fn front(&self) -> Option<&Kept> {
        self.list.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.list.iter()
    }

    pub(super) fn range(&self, range: impl RangeBounds<usize>) -> impl Iterator<Item = &Kept> {
        self.list.range(range)
    }

    pub(super) fn push_back(&mut self, piece: Kept) {
        self.size += piece.size();
        self.list.push_back(piece);
    }

    pub(super) fn push_front(&mut self, piece: Kept) {
        self.size += piece.size();
        self.list.push_front(piece);
    }

    pub(super) fn pop_front(&mut self) -> Option<Kept> {
        let piece = self.list.pop_front()?;
        self.size -= piece.size();
        Some(piece)
    }

    pub(super) fn clear(&mut self) {
        // The room that the list took as well.
        *self = Self::default();
    }

    /// Another one for the same lines.
    pub(super) fn replace(&mut self, at: usize, piece: Kept) {
        self.size = self.size - self.list[at].size() + piece.size();
        self.list[at] = piece;
    }

    /// The spool has these lines here.
    pub(super) fn found(&mut self, at: usize, in_spool: Place) {
        if let Kept::Lines(_, place) = &mut self.list[at] {
            *place = Some(in_spool);
        }
    }

    /// Makes one of this and the one behind it. False where they are not of one kind.
    pub(super) fn join(&mut self, at: usize) -> bool {
        let both = self.list.get(at).zip(self.list.get(at + 1));
        let Some(one) = both.and_then(|(piece, next)| piece.join(next)) else { return false };
        self.list.remove(at + 1);
        self.list[at] = one;
        self.size -= ENTRY;
        true
    }

    /// Makes two of a run: its first piece up to the line `until`, and the rest.
    pub(super) fn split(&mut self, at: usize, until: u64, first_place: Place) {
        let Kept::Spooled { first, last, weight, place } = self.list[at] else { return };
        let Some(rest) = place.behind(first_place) else { return };
        self.list[at] = Kept::Spooled { first, last: until, weight, place: first_place };
        self.list.insert(at + 1, Kept::Spooled { first: until + 1, last, weight, place: rest });
        self.size += ENTRY;
    }
}

impl Index<usize> for Pieces {
    type Output = Kept;

    fn index(&self, at: usize) -> &Kept {
        &self.list[at]
    }
}
