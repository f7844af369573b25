//! The worker's log inside the agent: the buffer, shared by those who fill it and those who empty it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::batch::Source;
use crate::buffer::{Buffer, WhenFull};
use crate::line::Ending;

/// The buffer and its bells.
#[derive(Debug)]
pub struct Log {
    buffer: Mutex<Buffer>,
    /// Rung when lines have come in.
    pub arrived: Notify,
    /// Rung when lines were let go.
    pub freed: Notify,
    line_limit: AtomicUsize,
    /// Lines dropped that the log itself speaks of.
    told: AtomicU64,
}

impl Log {
    /// Empty.
    pub fn new(limit: usize, when_full: WhenFull, line_limit: usize) -> Self {
        Self {
            buffer: Mutex::new(Buffer::new(limit, when_full)),
            arrived: Notify::new(),
            freed: Notify::new(),
            line_limit: AtomicUsize::new(line_limit),
            told: AtomicU64::new(0),
        }
    }

    /// The buffer. Never held across an await. Its operations leave it whole even where one panics.
    pub fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A longer line is cut.
    pub fn line_limit(&self) -> usize {
        self.line_limit.load(Ordering::Relaxed)
    }

    /// The server takes no longer lines than this.
    pub fn lower_line_limit(&self, limit: usize) {
        self.line_limit.fetch_min(limit.max(1), Ordering::Relaxed);
    }

    /// Says in the log how many lines are missing from it, unless it says so already. Gives whether it
    /// did.
    pub fn say_what_is_missing(&self) -> bool {
        let dropped = self.buffer().dropped();
        let news = self.told.swap(dropped, Ordering::Relaxed) < dropped;
        if news {
            self.say(&format!("otto-agent: {dropped} lines are missing from this log; gaps say where"));
        }
        news
    }

    /// There is nobody left to hold back: whoever waits for room goes on.
    pub fn stop_blocking(&self) {
        self.buffer().stop_blocking();
        self.freed.notify_one();
    }

    /// Adds a line of the agent's own.
    pub fn say(&self, line: &str) {
        self.buffer().push(now_ns(), Source::System, line.as_bytes(), Ending::Newline);
        self.arrived.notify_one();
    }
}

/// Unix time in nanoseconds.
pub fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
