//! What is known of one worker and its log. Changes only by [`WorkerState::apply`] of a record that is
//! durable, so that recovery and normal running cannot disagree.

use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{TaskId, WorkerId};
use crate::line::{Block, Content, Sequence};

/// Who numbers the lines of a worker. Its first entry decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// The client: exactly once.
    Client,
    /// The server, because the client does not: at least once.
    Server,
}

/// How a worker introduced itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The worker.
    pub worker: WorkerId,
    /// Its task.
    pub task: TaskId,
    /// Which attempt it is; 0 where it did not say.
    pub attempt: i32,
    /// Tells two runs under one name apart; empty where the client does not.
    pub incarnation: Bytes,
    /// Made by the server for this incarnation.
    pub session_id: Arc<str>,
    /// Where it runs.
    pub metadata: Arc<ottoscaler_proto::v1::WorkerMetadata>,
}

/// The session of a worker whose registration is lost.
const RECOVERED: &str = "recovered";

impl Registration {
    /// Of a worker whose own registration cannot be read any more.
    pub fn recovered(worker: WorkerId) -> Self {
        Self {
            task: TaskId::from(&worker),
            worker,
            attempt: 0,
            incarnation: Bytes::new(),
            session_id: RECOVERED.into(),
            metadata: Arc::default(),
        }
    }

    /// Whether it stands in for one that was lost.
    pub fn is_recovered(&self) -> bool {
        &*self.session_id == RECOVERED
    }
}

/// How a log ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Of the command; 128+n where signal n ended it. None where whoever closed the log did not know it.
    pub exit_code: Option<i32>,
    /// 0 for none.
    pub signal: i32,
    /// Empty where the log was closed because it was complete.
    pub reason: Arc<str>,
}

/// A change of a worker, as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Server time of the change, Unix nanoseconds.
    pub at_ns: i64,
    /// What changed.
    pub change: Change,
}

/// What can happen to a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It introduced itself, for the first time or with an incarnation at last.
    Registered(Registration),
    /// More of its log.
    Appended {
        /// The worker.
        worker: WorkerId,
        /// Who numbered it.
        numbering: Numbering,
        /// The piece, directly behind the mark.
        block: Block,
    },
    /// The end of its log.
    Closed {
        /// The worker.
        worker: WorkerId,
        /// How it ended.
        closing: Closing,
        /// The mark at that time. Where recovery finds less, the rest was damaged.
        last: Sequence,
    },
    /// Retention took its oldest lines.
    Trimmed {
        /// The worker.
        worker: WorkerId,
        /// The last line that is gone.
        until: Sequence,
    },
    /// All that is known of it, said again before the records that it comes from go.
    Carried(Box<WorkerState>),
    /// Its lines are gone, it was silent for long, and now it is nobody any more.
    Forgotten {
        /// The worker.
        worker: WorkerId,
    },
}

impl Change {
    /// Whom it concerns.
    pub fn worker(&self) -> &WorkerId {
        match self {
            Self::Registered(registration) => &registration.worker,
            Self::Carried(state) => &state.registration.worker,
            Self::Appended { worker, .. }
            | Self::Closed { worker, .. }
            | Self::Trimmed { worker, .. }
            | Self::Forgotten { worker } => worker,
        }
    }
}

/// A worker and the state of its log; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerState {
    /// How it introduced itself.
    pub registration: Registration,
    /// None before its first entry.
    pub numbering: Option<Numbering>,
    /// The high-water mark: the last sequence that is durable.
    pub high: Sequence,
    /// Lines stored.
    pub lines: u64,
    /// Bytes of these, newlines not counted.
    pub bytes: u64,
    /// Lines that gaps stand for.
    pub lost: u64,
    /// Of these, those that the store had and cannot read any more.
    pub damaged: u64,
    /// Retention took the lines up to here. They count as stored all the same.
    pub trimmed: Sequence,
    /// How it ended, once it has.
    pub closing: Option<Closing>,
    /// Server time of its registration, Unix nanoseconds.
    pub created_ns: i64,
    /// Server time of its last change.
    pub updated_ns: i64,
}

impl WorkerState {
    /// A worker that has just introduced itself.
    pub fn new(registration: Registration, at_ns: i64) -> Self {
        Self {
            registration,
            numbering: None,
            high: Sequence::ZERO,
            lines: 0,
            bytes: 0,
            lost: 0,
            damaged: 0,
            trimmed: Sequence::ZERO,
            closing: None,
            created_ns: at_ns,
            updated_ns: at_ns,
        }
    }

    /// The state of a worker of which nothing was known before `record`.
    pub fn first(record: &Record) -> Self {
        let recovered = || Registration::recovered(record.change.worker().clone());
        match &record.change {
            Change::Registered(registration) => Self::new(registration.clone(), record.at_ns),
            Change::Carried(state) => Self::clone(state),
            // Its registration was damaged: its lines are shown all the same, as a task of its own.
            Change::Appended { .. }
            | Change::Closed { .. }
            | Change::Trimmed { .. }
            | Change::Forgotten { .. } => {
                let mut state = Self::new(recovered(), record.at_ns);
                state.apply(record);
                state
            }
        }
    }

    /// The state after `record`, which is of this worker and directly follows.
    pub fn apply(&mut self, record: &Record) {
        match &record.change {
            Change::Registered(registration) => self.registration = registration.clone(),
            Change::Appended { numbering, block, .. } => {
                self.numbering = Some(*numbering);
                self.append(block);
            }
            Change::Closed { closing, last, .. } => {
                self.miss(last.since(self.high));
                self.high = self.high.max(*last);
                self.closing = Some(closing.clone());
            }
            // What retention does is no sign of life.
            Change::Trimmed { until, .. } => {
                self.trimmed = self.trimmed.max(*until);
                return;
            }
            Change::Carried(state) => {
                self.clone_from(state);
                return;
            }
            // Whoever still reads is told what became of the rest.
            Change::Forgotten { .. } => {
                self.trimmed = self.high;
                return;
            }
        }
        self.updated_ns = self.updated_ns.max(record.at_ns);
    }

    fn append(&mut self, block: &Block) {
        // A hole that a damaged record left counts as lost, as readers will be told.
        self.miss(block.first.since(self.high.next()));
        match &block.content {
            Content::Lines(lines) => {
                self.lines += lines.len() as u64;
                self.bytes += lines.bytes() as u64;
            }
            Content::Gap { last, .. } => {
                self.lost = self.lost.saturating_add(last.since(block.first)).saturating_add(1);
            }
        }
        self.high = self.high.max(block.last());
    }

    fn miss(&mut self, lines: u64) {
        self.lost = self.lost.saturating_add(lines);
        self.damaged = self.damaged.saturating_add(lines);
    }

    /// Lines that were counted as stored are not there any more.
    pub fn damage(&mut self, lines: u64) {
        self.miss(lines);
        // Some of them may have been gaps before.
        self.lost = self.lost.min(self.high.get());
        self.lines = self.lines.saturating_sub(lines);
    }

    /// Whose log it is.
    pub fn names(&self) -> (&WorkerId, &TaskId) {
        (&self.registration.worker, &self.registration.task)
    }

    /// Whether its log ended of itself and every line of it is there.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.closing.as_ref().is_some_and(|closing| closing.reason.is_empty())
    }
}
