//! Whether the store is where it was put. A file that somebody removed takes what is written to it like any other, and
//! is gone with the process: so nothing is acknowledged meanwhile, and the service says that it is not ready.

use ottoscaler_kit::admin::Condition;
use prometheus_client::metrics::gauge::Gauge;
use tracing::{error, info};

use crate::alarm::Alarm;
use crate::store::CommitError;

/// The data directory, as the writer found it last.
pub struct Home {
    ready: Condition,
    gone: Alarm,
}

impl Home {
    /// It is there at first. `ready` is missing while it is not, and `gone` is 1.
    pub fn new(ready: Condition, gone: Gauge) -> Self {
        ready.met();
        Self { ready, gone: Alarm::new(gone) }
    }

    /// Learns from a group how it is by now. A directory that is back is as it was: it is the same file that is
    /// written.
    pub(super) fn learn(&mut self, outcome: &Result<(), CommitError>) {
        let gone = match outcome {
            Err(error @ CommitError::Gone(_)) => Some(error),
            // These say nothing of it.
            Err(CommitError::Full(_) | CommitError::Broken(_)) => return,
            Ok(()) => None,
        };
        if !self.gone.set(gone.is_some()) {
            return;
        }
        if let Some(error) = gone {
            error!(%error, "no line is taken any more");
            self.ready.missing(error.to_string());
        } else {
            info!("the data directory is there again; lines are taken as before");
            self.ready.met();
        }
    }

    /// Whether it was there.
    pub(super) fn is_there(&self) -> bool {
        !self.gone.is_on()
    }
}
