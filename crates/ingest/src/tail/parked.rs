//! Readers between one message and the next. Who takes none of what is there for [`STALLED`] may lose its place,
//! and what it holds in memory, to others who come when there is no place left: a tab that sleeps would keep it for ever.
//! It is told so when it asks again, and goes on where it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

/// How long a reader may do nothing with what it was given.
pub(super) const STALLED: Duration = Duration::from_mins(2);

/// What a reader needs to go on, for as long as it does not ask for more.
pub(super) struct Parked<T>(Mutex<Option<(T, Instant)>>);

impl<T> Parked<T> {
    fn lock(&self) -> MutexGuard<'_, Option<(T, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To go on with it; none where it was taken away.
    pub(super) fn take(&self) -> Option<T> {
        Some(self.lock().take()?.0)
    }

    /// Until the reader asks again.
    pub(super) fn put(&self, reader: T) {
        *self.lock() = Some((reader, Instant::now()));
    }
}

/// A reader, whatever it needs.
trait Reader: Send + Sync {
    /// Takes away what it needs where nobody asked for long. Whether it did.
    fn end_stalled(&self, now: Instant) -> bool;
}

impl<T: Send> Reader for Parked<T> {
    fn end_stalled(&self, now: Instant) -> bool {
        let mut parked = self.lock();
        let is_stalled = parked.as_ref().is_some_and(|(_, since)| now.duration_since(*since) >= STALLED);
        // Dropped only then: what goes with it may be much.
        let ended = if is_stalled { parked.take() } else { None };
        drop(parked);
        ended.is_some()
    }
}

/// All readers that there are; those that have gone are looked for now and then.
#[derive(Default)]
pub(super) struct Lot(Mutex<Vec<Weak<dyn Reader>>>);

impl Lot {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Reader>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a reader, which has not asked for anything yet.
    pub(super) fn park<T: Send + 'static>(&self, reader: T) -> Arc<Parked<T>> {
        let parked = Arc::new(Parked(Mutex::new(Some((reader, Instant::now())))));
        let mut all = self.lock();
        if all.len() == all.capacity() {
            all.retain(|known| known.strong_count() > 0);
            // So that it is looked through once for as many that come as there are.
            let room = all.len().max(16);
            all.reserve_exact(room);
        }
        let known = Arc::downgrade(&parked);
        all.push(known);
        parked
    }

    /// Takes away what readers need who have asked for nothing for long; how many they are.
    pub(super) fn end_stalled(&self) -> u64 {
        let now = Instant::now();
        let all: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        all.into_iter().filter(|parked| parked.end_stalled(now)).count() as u64
    }
}
