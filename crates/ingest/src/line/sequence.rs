//! Where a line stands.

use std::fmt;

/// The place of a line in its worker's log, from 1. 0 is the place before the first line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first line.
    pub const ZERO: Self = Self(0);

    /// The place with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As the wire carries it.
    pub fn to_wire(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// From the wire; none where it is negative.
    pub fn from_wire(number: i64) -> Option<Self> {
        u64::try_from(number).ok().map(Self)
    }

    /// The place so many lines later.
    #[must_use]
    pub const fn plus(self, lines: u64) -> Self {
        Self(self.0.saturating_add(lines))
    }

    /// The place of the next line.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The place of the line before it; before the first there is nothing.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Lines after `earlier` up to here; 0 where `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
