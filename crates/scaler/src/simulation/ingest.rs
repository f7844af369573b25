//! A log-ingest: what it knows of each worker's log, and no line of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::ids::WorkerId;
use crate::logs::{LogAnswer, LogStatus};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ingest {
    /// Whether each is closed, and complete.
    logs: BTreeMap<WorkerId, Option<bool>>,
    /// Of agents that had not yet said their last word when they ended, and will.
    late: BTreeSet<WorkerId>,
    pub(super) away: bool,
}

impl Ingest {
    /// An agent registers, if it gets through.
    pub(super) fn register(&mut self, worker: &WorkerId) {
        if !self.away {
            self.logs.entry(worker.clone()).or_insert(None);
        }
    }

    /// An agent has ended: it got its log through, will yet, or never will.
    pub(super) fn ended(&mut self, worker: &WorkerId, flushed: bool) {
        if flushed {
            self.late.insert(worker.clone());
        }
        if !self.away {
            self.flush();
        }
    }

    /// What was on its way arrives.
    pub(super) fn flush(&mut self) {
        for worker in std::mem::take(&mut self.late) {
            self.logs.entry(worker).or_insert(None).get_or_insert(true);
        }
    }

    pub(super) fn ask(&self, worker: &WorkerId, at: Timestamp) -> LogAnswer {
        let closed = |complete| LogStatus::Closed { complete, reason: "lines are missing".to_owned() };
        let status = match self.logs.get(worker) {
            _ if self.away => Err("away".to_owned()),
            None => Ok(LogStatus::Unknown),
            Some(None) => Ok(LogStatus::Open),
            Some(Some(complete)) => Ok(closed(*complete)),
        };
        LogAnswer::new(status, at)
    }

    /// Puts a marker where the rest would be. What is closed stays as it is.
    pub(super) fn close(&mut self, worker: &WorkerId, at: Timestamp) -> LogAnswer {
        if !self.away {
            self.logs.entry(worker.clone()).or_insert(None).get_or_insert(false);
        }
        self.ask(worker, at)
    }

    /// Whether it ever heard of it.
    pub(super) fn knows(&self, worker: &WorkerId) -> bool {
        self.logs.contains_key(worker)
    }

    /// Whether it is closed, and complete.
    pub(super) fn closed(&self, worker: &WorkerId) -> Option<bool> {
        self.logs.get(worker).copied().flatten()
    }
}
