//! One worker's place in its task's record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::Attempt;
use crate::status::{Class, State};

/// What is on record of one worker. A worker nothing is on record of has the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// The attempt that the rest is about.
    pub attempt: Attempt,
    /// How far it has come, as last notified.
    pub progress: Progress,
    /// Its end is wanted, and so it will be what it is said here. On record before it is asked for.
    pub stop: Option<Stop>,
    /// Since when it waits for capacity; without it since its entry.
    pub queued_at: Option<Timestamp>,
    /// The outcomes of the attempts before, the first one first.
    pub earlier: Vec<Outcome>,
}

/// Why a worker's end is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Somebody asked for it.
    Cancelled,
    /// It does not get on, or is not allowed to.
    Failed {
        /// The class of its outcome.
        class: Class,
        /// Why, in words.
        reason: String,
    },
}

/// How far a worker has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Waits for capacity.
    #[default]
    Queued,
    /// Made.
    Pending,
    /// Its command runs.
    Running,
    /// It has ended.
    Ended(Outcome),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The command's exit code; 128+n for signal n.
    pub exit_code: Option<i32>,
    /// In words, where there is something to say.
    pub reason: String,
    /// Whether its command is known to have run, whatever else is known.
    #[serde(default)]
    pub ran: bool,
    /// When the command started.
    pub started_at: Option<Timestamp>,
    /// When it ended, or when that was noticed.
    pub ended_at: Timestamp,
    /// What is known of its log.
    pub log: Log,
}

impl Outcome {
    /// Whether its command is known to have run: then it has a log, or has lost one.
    pub fn has_run(&self) -> bool {
        self.ran || self.exit_code.is_some() || self.started_at.is_some()
    }
}

/// What is known of an ended worker's log (P9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Not settled: log-ingest has to be asked, or the log to be closed.
    Open,
    /// log-ingest has every line.
    Complete,
    /// Closed, or given up, with lines missing.
    Incomplete {
        /// What is missing or unknown, in words.
        reason: String,
    },
    /// There is none: as far as anybody knows its command never ran.
    None,
}

/// What became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exit code 0.
    Succeeded,
    /// It did not, and this is why.
    Failed(Class),
    /// Ended on request.
    Cancelled,
    /// Gone without an outcome.
    Lost,
}

impl Slot {
    /// Whether its last attempt has ended.
    pub fn is_ended(&self) -> bool {
        self.outcome().is_some()
    }

    /// Whether nothing more happens to it: the last attempt has ended, and so have all its logs.
    pub fn is_settled(&self) -> bool {
        self.outcome().is_some_and(|outcome| outcome.log.is_settled())
            && self.earlier.iter().all(|outcome| outcome.log.is_settled())
    }

    /// How its last attempt ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.progress {
            Progress::Ended(outcome) => Some(outcome),
            Progress::Queued | Progress::Pending | Progress::Running => None,
        }
    }

    /// The outcome of each attempt that has ended.
    pub fn outcomes(&self) -> impl Iterator<Item = (Attempt, &Outcome)> {
        let attempts = std::iter::successors(Some(Attempt::FIRST), |attempt| Some(attempt.next()));
        attempts.zip(self.earlier.iter().chain(self.outcome()))
    }

    /// The outcome of one attempt.
    pub fn outcome_of(&self, attempt: Attempt) -> Option<&Outcome> {
        self.outcomes().find(|(of, _)| *of == attempt).map(|(_, outcome)| outcome)
    }

    /// The same with another word on the log of an ended attempt.
    #[must_use]
    pub fn with_log(mut self, attempt: Attempt, log: Log) -> Self {
        let mut attempts = std::iter::successors(Some(Attempt::FIRST), |attempt| Some(attempt.next()));
        let current = match &mut self.progress {
            Progress::Ended(outcome) => Some(outcome),
            Progress::Queued | Progress::Pending | Progress::Running => None,
        };
        let outcomes = self.earlier.iter_mut().chain(current);
        if let Some(outcome) = outcomes.zip(&mut attempts).find(|(_, of)| *of == attempt) {
            outcome.0.log = log;
        }
        self
    }
}

impl Stop {
    /// The verdict of a worker that ends because of this.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Cancelled => Verdict::Cancelled,
            Self::Failed { class, .. } => Verdict::Failed(*class),
        }
    }

    /// Why, in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Cancelled => "cancelled on request",
            Self::Failed { reason, .. } => reason,
        }
    }
}

impl Log {
    /// Whether nothing more is to be found out about it.
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Open)
    }
}

impl Progress {
    /// The state that notifications name.
    pub fn state(&self) -> State {
        match self {
            Self::Queued => State::Queued,
            Self::Pending => State::Pending,
            Self::Running => State::Running,
            Self::Ended(outcome) => outcome.verdict.state(),
        }
    }
}

impl Verdict {
    /// The state that notifications name.
    pub fn state(self) -> State {
        match self {
            Self::Succeeded => State::Succeeded,
            Self::Failed(_) => State::Failed,
            Self::Cancelled => State::Cancelled,
            Self::Lost => State::Lost,
        }
    }

    /// The class that notifications name.
    pub fn class(self) -> Option<Class> {
        match self {
            Self::Succeeded => None,
            Self::Failed(class) => Some(class),
            Self::Cancelled => Some(Class::Cancelled),
            Self::Lost => Some(Class::Infra),
        }
    }
}
