//! The command's whole life: started, read, supervised, and its leavings cleared away.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::capture::{Capture, Captured};
use crate::child::{self, Child, Ended};
use crate::config::Run;
use crate::log::Log;
use crate::mask::Masks;
use crate::mirror::Mirror;
use crate::ship::Finish;
use crate::supervisor::{Outcome, Supervisor};

/// What is known of a command that has ended.
#[derive(Debug)]
pub struct Record {
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed.
    pub captured: Captured,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// From here the flush timeout counts.
    pub ended: Instant,
    /// Why it did not start, where it did not.
    pub error: Option<String>,
    /// What may still have to be written to the agent's own output.
    pub mirrors: Vec<Mirror>,
}

impl Record {
    /// For the end of the log.
    pub const fn finish(&self) -> Finish {
        Finish {
            exit_code: self.outcome.ended.exit_code(),
            signal: self.outcome.ended.signal(),
            lines: self.captured.lines,
            bytes: self.captured.bytes,
        }
    }

    fn not_started(exit_code: i32, message: String) -> Self {
        let now = Timestamp::now();
        Self {
            outcome: Outcome { ended: Ended::Exited(exit_code), timed_out: false, asked: None },
            captured: Captured::default(),
            started_at: now,
            ended_at: now,
            ended: Instant::now(),
            error: Some(message),
            mirrors: Vec::new(),
        }
    }
}

/// Runs the command to its end, and its output to the end of that.
pub async fn execute(run: &Run, supervisor: &mut Supervisor, log: &Log, masks: &Arc<Masks>) -> Record {
    let started_at = Timestamp::now();
    let (child, mut capture) = match start(run, masks) {
        Ok(started) => started,
        Err((exit_code, message)) => {
            // It says what could not be run, and a secret may be a word of that.
            let message = masks.mask(&message);
            tell(log, &message);
            return Record::not_started(exit_code, message);
        }
    };
    let (outcome, ended_at, ended) = see_through(run, supervisor, &child, &mut capture, log).await;
    child.kill_leftovers();
    if capture.is_open() {
        tell(log, "processes that the command had left behind kept its output open; it was cut");
    }
    let (captured, mirrors) = capture.end();
    Record { outcome, captured, started_at, ended_at, ended, error: None, mirrors }
}

/// To the end of the command, and then to the end of its output. Gives when the command ended.
async fn see_through(
    run: &Run,
    supervisor: &mut Supervisor,
    child: &Child,
    capture: &mut Capture,
    log: &Log,
) -> (Outcome, Timestamp, Instant) {
    let stop = CancellationToken::new();
    let mut reading = pin!(capture.run(log, &stop));
    let (outcome, has_read_all) = until_it_ends(run, supervisor, child, reading.as_mut()).await;
    let (ended_at, ended) = (Timestamp::now(), Instant::now());
    if outcome.timed_out {
        let limit = run.timeout.unwrap_or_default();
        tell(log, &format!("the command was stopped: it ran longer than {limit:?}"));
    }
    // Those whom the command left behind may hold its output open for a while, and are killed after that.
    if !has_read_all && supervisor.within(ended + run.pipe_grace, reading.as_mut()).await.is_none() {
        child.kill_leftovers();
        stop.cancel();
        read_the_rest(run, supervisor, log, ended, reading).await;
    }
    (outcome, ended_at, ended)
}

/// Says it where the command's lines are read: in the log, and beside its own output.
fn tell(log: &Log, message: &str) {
    warn!("{message}");
    log.say(&format!("otto-agent: {message}"));
}

/// The command and its output, or the exit code and the reason.
fn start(run: &Run, masks: &Arc<Masks>) -> Result<(Child, Capture), (i32, String)> {
    let (child, pipes) =
        child::start(&run.command).map_err(|not_started| (not_started.exit_code, not_started.message))?;
    let capture = Capture::new(pipes, run.mirror, masks).map_err(|error| {
        child.signal(nix::sys::signal::Signal::SIGKILL);
        (126, format!("cannot read the command's output: {error}"))
    })?;
    Ok((child, capture))
}

/// Reads and supervises until the command has ended; its output may have ended before it.
async fn until_it_ends(
    run: &Run,
    supervisor: &mut Supervisor,
    child: &Child,
    mut reading: impl Future<Output = ()> + Unpin,
) -> (Outcome, bool) {
    let mut ending = pin!(supervisor.supervise(child, run.timeout, run.grace_period));
    let mut has_read_all = false;
    loop {
        // Cancel safe: both futures go on where they were.
        tokio::select! {
            outcome = &mut ending => return (outcome, has_read_all),
            () = &mut reading, if !has_read_all => has_read_all = true,
        }
    }
}

/// What is in the pipes is read; where the log blocks, it may take until the flush timeout to find room
/// for it, and no longer. A signal cuts that short.
async fn read_the_rest(
    run: &Run,
    supervisor: &mut Supervisor,
    log: &Log,
    ended: Instant,
    mut reading: impl Future<Output = ()> + Unpin,
) {
    if supervisor.within(ended + run.flush_timeout.max(MOMENT), &mut reading).await.is_none() {
        log.stop_blocking();
        reading.await;
    }
}

/// What is in a pipe is read in less, where nothing blocks.
const MOMENT: Duration = Duration::from_millis(100);
