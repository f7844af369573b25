//! What readers found damaged: told once a place, however often it is read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use tracing::error;

/// Places that are remembered. A disk that has more of them is dead, and its operator knows.
const PLACES: usize = 4096;

/// Counts and logs damaged places; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    known: Arc<Mutex<BTreeSet<(u32, u64)>>>,
    found: Counter,
}

impl Damage {
    /// Each new place is counted by `found`.
    pub fn new(found: Counter) -> Self {
        Self { known: Arc::default(), found }
    }

    /// Something at `offset` of a segment, or of its index, cannot be read.
    pub(super) fn report(&self, segment: u32, offset: u64, what: &dyn std::fmt::Display) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < PLACES && known.insert((segment, offset)) {
            self.found.inc();
            error!(segment, offset, %what, "the store is damaged; what stood there is shown as missing");
        }
    }

    /// Places found so far.
    pub fn found(&self) -> u64 {
        self.found.get()
    }
}
