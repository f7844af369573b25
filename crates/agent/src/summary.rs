//! The agent's own account of a run, as a small JSON file for whoever started it.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::ids::{TaskId, WorkerId};

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The command has ended; its lines may still be on their way.
    Ended,
    /// The agent is about to exit.
    Flushed,
}

/// What a summary says. Below 4 KiB, which is what Kubernetes keeps of it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// How far the run is.
    pub phase: Phase,
    /// The worker.
    pub worker_id: WorkerId,
    /// Its task.
    pub task_id: TaskId,
    /// Which attempt it is.
    pub attempt: i32,
    /// What the agent exits with.
    pub exit_code: i32,
    /// The signal that ended the command; 0 for none.
    pub signal: i32,
    /// Whether it was stopped because it ran too long.
    pub timed_out: bool,
    /// When the command started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Lines that it printed.
    pub lines: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// The last sequence that was given to a line.
    pub last_sequence: u64,
    /// Everything up to it is durable.
    pub acked_sequence: u64,
    /// Lines that no reader will see.
    pub dropped: u64,
    /// Connections to log-ingest that ended before the log did, or never came to be.
    pub disconnects: u64,
    /// Bytes that the readers of the agent's own output did not take in time.
    pub unmirrored_bytes: u64,
    /// Whether log-ingest said that the log is whole.
    pub complete: bool,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

/// An error is cut here, so that the whole stays below 4 KiB.
const MAX_ERROR: usize = 1000;

impl Summary {
    /// Writes it so that a reader sees the old one or the new one, where the directory allows that.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let error = self.error.as_ref().map(|error| error.chars().take(MAX_ERROR).collect());
        let json = serde_json::to_vec(&Self { error, ..self.clone() })?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let replaced = fs::write(&beside, &json).and_then(|()| fs::rename(&beside, path));
        // A file that is mounted by itself, such as /dev/termination-log, cannot be replaced.
        replaced.or_else(|_| fs::write(path, &json))
    }
}
