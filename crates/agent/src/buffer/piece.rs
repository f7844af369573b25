//! A part of the log: as it is kept, and as it is sent.

use bytes::Bytes;
use jiff::Timestamp;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::{Gap, LogBatch, LogEntry};

use crate::batch::{Line, Sealed};

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
