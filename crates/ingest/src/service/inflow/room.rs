//! The memory that messages which are not whole have together, over all streams of all connections.
//!
//! It is taken as their bytes come: what a head announces takes none. Nobody waits for it, as that would have those who
//! hold much decide over those who need little: where there is none left, the message that began first is given up,
//! which is the one that takes longest. Each is whole within [`DEADLINE`], or is given up as well.
//! Its bytes are let go of at once, and its stream ends when it is asked for more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use futures::task::AtomicWaker;
use tokio::time::Instant;
use tonic::Status;

use crate::metrics::Metrics;
use crate::reason::Retry;

/// Bytes of all of them together: as much as the queue holds by itself.
pub(super) const ROOM: usize = 64 << 20;

/// From the head of a message to its end.
pub(super) const DEADLINE: Duration = Duration::from_mins(1);

/// The room; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room {
    table: Arc<Mutex<Table>>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Table {
    taken: usize,
    /// So many messages began so far.
    begun: u64,
    /// Those that are not whole, in the order in which they began.
    parts: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    part: Arc<Part>,
    taken: usize,
    until: Instant,
}

/// What is here of a message.
#[derive(Debug)]
struct Part {
    bytes: Mutex<Result<Vec<u8>, GivenUp>>,
    /// Of the stream that waits for more of it.
    waker: AtomicWaker,
}

/// Why a message was given up.
#[derive(Clone, Copy, Debug)]
enum GivenUp {
    Late,
    NoRoom,
}

/// A message that is not whole. Dropping it gives its room back.
#[derive(Debug)]
pub(super) struct Message {
    room: Room,
    number: u64,
    part: Arc<Part>,
    length: usize,
    here: usize,
    taken: usize,
}

impl From<GivenUp> for Status {
    fn from(why: GivenUp) -> Self {
        match why {
            GivenUp::Late => Self::deadline_exceeded(format!("a message was not whole within {DEADLINE:?}")),
            GivenUp::NoRoom => Self::resource_exhausted(Retry::QueueFull.message()),
        }
    }
}

impl Room {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { table: Arc::default(), metrics }
    }

    /// A message of `length` bytes, of which these are here.
    pub(super) fn begin(&self, bytes: Vec<u8>, length: usize) -> Message {
        let (here, taken) = (bytes.len(), bytes.capacity());
        let part = Arc::new(Part { bytes: Mutex::new(Ok(bytes)), waker: AtomicWaker::new() });
        let entry = Entry { part: Arc::clone(&part), taken, until: Instant::now() + DEADLINE };
        let mut table = self.lock();
        let number = table.begun;
        table.begun += 1;
        table.taken += taken;
        table.parts.insert(number, entry);
        drop(table);
        Message { room: self.clone(), number, part, length, here, taken }
    }

    /// Takes more for a message, unless it is given up, be it for that.
    fn take(&self, number: u64, more: usize) {
        let mut given_up = Vec::new();
        let mut table = self.lock();
        while table.taken + more > ROOM && table.parts.contains_key(&number) {
            let Some((_, first)) = table.parts.pop_first() else { break };
            table.taken -= first.taken;
            self.metrics.retry(Retry::QueueFull);
            given_up.push(first.part);
        }
        if let Some(entry) = table.parts.get_mut(&number) {
            entry.taken += more;
            table.taken += more;
        }
        drop(table);
        give_up(given_up, GivenUp::NoRoom);
    }

    /// Gives up the messages that should be whole by now.
    pub(super) fn give_up_late(&self, now: Instant) {
        let mut late = Vec::new();
        let mut table = self.lock();
        while let Some(first) = table.parts.first_entry().filter(|first| first.get().until <= now) {
            let first = first.remove();
            table.taken -= first.taken;
            late.push(first.part);
        }
        drop(table);
        self.metrics.late_messages.inc_by(late.len() as u64);
        give_up(late, GivenUp::Late);
    }

    #[cfg(test)]
    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.lock().taken
    }

    /// Plain data: no panic can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With the table unlocked: who is woken may let go of a message there and then, and that takes the lock.
fn give_up(parts: Vec<Arc<Part>>, why: GivenUp) {
    for part in parts {
        *part.lock() = Err(why);
        part.waker.wake();
    }
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, Result<Vec<u8>, GivenUp>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    /// How many bytes are still to come.
    pub(super) const fn missing(&self) -> usize {
        self.length - self.here
    }

    /// More of it. Twice as much room is taken each time, so that little is copied again.
    pub(super) fn push(&mut self, more: &[u8]) -> Result<(), Status> {
        self.here += more.len();
        if self.here > self.taken {
            let taken = (2 * self.taken).clamp(self.here, self.length);
            self.room.take(self.number, taken - self.taken);
            self.taken = taken;
        }
        let mut bytes = self.part.lock();
        let bytes = bytes.as_mut().map_err(|why| *why)?;
        bytes.reserve_exact(self.taken - bytes.len());
        bytes.extend_from_slice(more);
        Ok(())
    }

    /// Whether it is given up; if not, who waits is woken when it is.
    pub(super) fn check(&self, cx: &Context<'_>) -> Result<(), Status> {
        self.part.waker.register(cx.waker());
        self.part.lock().as_ref().map_err(|why| *why)?;
        Ok(())
    }

    /// What is here.
    pub(super) fn finish(self) -> Result<Bytes, Status> {
        let bytes = std::mem::replace(&mut *self.part.lock(), Ok(Vec::new()))?;
        Ok(bytes.into())
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let mut table = self.room.lock();
        if let Some(entry) = table.parts.remove(&self.number) {
            table.taken -= entry.taken;
        }
    }
}
