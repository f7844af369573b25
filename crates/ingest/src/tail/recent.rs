//! What was read last of each log that several follow, so that it is read and encoded once for all of them.
//!
//! Whoever is the first to want what comes next reads the store; the others find it here. Who has fallen behind
//! reads the store by itself, and comes back here once it has caught up. Nothing is kept for a log that one
//! reader follows, and nothing beyond a limit over all logs: then every reader reads for itself.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, MutexGuard as TurnGuard};

use super::part::Part;
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::worker::Registration;

/// Parts of one log: up to 1 MiB of its lines.
const PARTS: usize = 16;

/// Bytes of all parts that are kept or still being sent. A part of 64 KiB of lines with both of its encodings is
/// some 350 KiB, so this is about 190 parts: a dozen logs with all that may be kept, or 190 with their last part.
const TOTAL: usize = 64 << 20;

/// Holds of a log that one reader alone has: its own, and that with which it reads.
const ALONE: usize = 2;

/// Of all logs.
#[derive(Debug, Default)]
pub(super) struct Recents {
    total: Arc<AtomicUsize>,
    logs: Mutex<HashMap<Log, Weak<Recent>>>,
}

/// A worker and its session: one that was forgotten and comes again under its name has another log.
type Log = (WorkerId, Arc<str>);

/// Of one log, for as long as somebody follows it.
#[derive(Debug)]
pub(super) struct Recent {
    all: Arc<Recents>,
    log: Log,
    /// In order, without a hole.
    parts: Mutex<VecDeque<Arc<Part>>>,
    turn: Turn<()>,
}

/// Where a reader stands.
#[derive(Debug)]
pub(super) enum Place {
    /// Here, or in the midst of it.
    At(Arc<Part>),
    /// Behind everything that was kept.
    Edge,
    /// Before that.
    Behind,
}

impl Recents {
    /// Of this log, together with all others who follow it.
    pub(super) fn follow(self: &Arc<Self>, registration: &Registration) -> Arc<Recent> {
        let log = (registration.worker.clone(), Arc::clone(&registration.session_id));
        let mut logs = self.logs();
        if let Some(recent) = logs.get(&log).and_then(Weak::upgrade) {
            return recent;
        }
        let (parts, turn) = (Mutex::default(), Turn::default());
        let recent = Arc::new(Recent { all: Arc::clone(self), log: log.clone(), parts, turn });
        logs.insert(log, Arc::downgrade(&recent));
        recent
    }

    /// Where parts are summed up.
    pub(super) fn total(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.total)
    }

    fn is_full(&self) -> bool {
        self.total.load(Ordering::Relaxed) > TOTAL
    }

    /// Plain data: no panic can leave it half changed.
    fn logs(&self) -> MutexGuard<'_, HashMap<Log, Weak<Recent>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    /// Whether there is room for no more parts, over all logs.
    pub(super) fn is_full(&self) -> bool {
        self.all.is_full()
    }

    /// Where a reader is that wants `next`.
    pub(super) fn find(&self, next: Sequence) -> Place {
        let parts = self.parts();
        match (parts.front(), parts.back()) {
            (Some(first), _) if next < first.block().first => Place::Behind,
            (_, Some(last)) if next <= last.block().last() => {
                let at = parts.partition_point(|part| part.block().last() < next);
                Place::At(Arc::clone(&parts[at]))
            }
            _ => Place::Edge,
        }
    }

    /// One at a time reads what comes next. Whoever had to wait looks whether it is here by now.
    pub(super) async fn turn(&self) -> TurnGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Keeps what was just read, if there is anybody else to read it.
    pub(super) fn keep<'a>(self: &Arc<Self>, read: impl Iterator<Item = &'a Arc<Part>>) {
        let mut parts = self.parts();
        if Arc::strong_count(self) <= ALONE {
            parts.clear();
            return;
        }
        for part in read {
            if parts.back().is_some_and(|last| last.block().last().next() != part.block().first) {
                parts.clear();
            }
            parts.push_back(Arc::clone(part));
        }
        while parts.len() > PARTS || (self.all.is_full() && !parts.is_empty()) {
            parts.pop_front();
        }
    }

    fn parts(&self) -> MutexGuard<'_, VecDeque<Arc<Part>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recent {
    fn drop(&mut self) {
        let mut logs = self.all.logs();
        // Another may have come meanwhile, for a reader of its own.
        if logs.get(&self.log).is_some_and(|recent| recent.strong_count() == 0) {
            logs.remove(&self.log);
        }
    }
}
