//! The words for why something was not stored, as clients match them.

use std::fmt::Write;
use std::time::Duration;

/// Not stored; to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// A line before this one is missing.
    Gap,
    /// The queue to the store's writer is full.
    QueueFull,
    /// The disk is full.
    DiskFull,
    /// The data directory was removed or replaced.
    StoreGone,
    /// The server is about to stop.
    Draining,
    /// It was changed on the way.
    ChecksumMismatch,
    /// The worker, or its task, sends more lines than it may; after this it may send more.
    RateLimited(Duration),
}

impl Retry {
    /// All of them, for metrics.
    pub const ALL: [Self; 7] = [
        Self::Gap,
        Self::QueueFull,
        Self::DiskFull,
        Self::StoreGone,
        Self::Draining,
        Self::ChecksumMismatch,
        Self::RateLimited(Duration::ZERO),
    ];

    /// The word.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::QueueFull => "queue_full",
            Self::DiskFull => "disk_full",
            Self::StoreGone => "store_gone",
            Self::Draining => "draining",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::RateLimited(_) => "rate_limited",
        }
    }

    /// How long a client is asked to wait.
    pub const fn delay(self) -> Duration {
        match self {
            Self::Gap => Duration::ZERO,
            Self::QueueFull | Self::ChecksumMismatch => Duration::from_millis(50),
            Self::DiskFull | Self::StoreGone => Duration::from_secs(1),
            Self::Draining => Duration::from_millis(250),
            Self::RateLimited(wait) => wait,
        }
    }

    /// `LogResponse.message`.
    pub fn message(self) -> String {
        // Rounded up: who comes too early is only sent away again.
        let milliseconds = self.delay().as_nanos().div_ceil(1_000_000);
        format!("reason={};retry_after_ms={milliseconds}", self.reason())
    }
}

/// Never to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    kind: DropReason,
    detail: String,
}

/// Why something is never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the documentation, and the words on the wire")]
pub enum DropReason {
    InvalidWorkerId,
    InvalidTaskId,
    InvalidTimestamp,
    InvalidSequence,
    InvalidGap,
    InvalidBatch,
    MessageTooLarge,
    WrongWorker,
    MixedNumbering,
    LogClosed,
    ServerFull,
}

impl From<DropReason> for Dropped {
    /// Where the word says it all.
    fn from(kind: DropReason) -> Self {
        Self { kind, detail: String::new() }
    }
}

impl Dropped {
    /// With what exactly is wrong, for a person.
    pub fn new(kind: DropReason, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The word.
    pub const fn reason(&self) -> &'static str {
        self.kind.reason()
    }

    /// `LogResponse.message`.
    pub fn message(&self) -> String {
        let mut message = format!("reason={}", self.reason());
        if !self.detail.is_empty() {
            write!(message, ";detail={}", self.detail).expect("a String takes everything");
        }
        message
    }
}

impl DropReason {
    /// All of them, for metrics.
    pub const ALL: [Self; 11] = [
        Self::InvalidWorkerId,
        Self::InvalidTaskId,
        Self::InvalidTimestamp,
        Self::InvalidSequence,
        Self::InvalidGap,
        Self::InvalidBatch,
        Self::MessageTooLarge,
        Self::WrongWorker,
        Self::MixedNumbering,
        Self::LogClosed,
        Self::ServerFull,
    ];

    /// The word.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::InvalidWorkerId => "invalid_worker_id",
            Self::InvalidTaskId => "invalid_task_id",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::InvalidSequence => "invalid_sequence",
            Self::InvalidGap => "invalid_gap",
            Self::InvalidBatch => "invalid_batch",
            Self::MessageTooLarge => "message_too_large",
            Self::WrongWorker => "wrong_worker",
            Self::MixedNumbering => "mixed_numbering",
            Self::LogClosed => "log_closed",
            Self::ServerFull => "server_full",
        }
    }
}
