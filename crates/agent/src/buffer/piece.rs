//! A part of the log: as it is kept, and as it is sent.

use bytes::Bytes;
use jiff::Timestamp;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::{Gap, LogBatch, LogEntry};

use crate::batch::{Line, Sealed};
use crate::spool::Place;

/// What a gap costs in memory.
pub(super) const GAP_SIZE: usize = 64;

/// A part of the log, as it is sent.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are lines")]
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
    /// Sequence of its last line.
    pub const fn last(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.last,
            Self::Gap { last, .. } => *last,
        }
    }

    /// How many lines it has to carry.
    pub const fn lines(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.last - lines.first + 1,
            Self::Gap { .. } => 0,
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
            }
            .sealed(),
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

/// A part of the log until it is acknowledged.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are lines")]
pub(super) enum Kept {
    /// Lines in memory, and where the spool has the same.
    Lines(Sealed, Option<Place>),
    /// Lines in the spool alone.
    Spooled { first: u64, last: u64, weight: usize, place: Place },
    /// As in [`Piece`].
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
            Self::Lines(lines, _) => lines.size,
            Self::Spooled { .. } | Self::Gap { .. } => GAP_SIZE,
        }
    }

    /// What it is in flight.
    pub(super) const fn weight(&self) -> usize {
        match self {
            Self::Lines(lines, _) => lines.size,
            Self::Spooled { weight, .. } => *weight,
            Self::Gap { .. } => GAP_SIZE,
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
}
