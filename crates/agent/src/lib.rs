//! otto-agent: runs one command and ships every line that it prints.
//!
//! The way of a line: [`capture`] reads and splits it ([`line`]), [`buffer`] numbers and keeps it,
//! [`ship`] sends it and lets it go once it is durable. [`supervisor`] sees to the command meanwhile.
//! Everything runs on one thread, and the exit code is the command's, whatever became of the lines.

pub mod batch;
pub mod buffer;
pub mod capture;
pub mod child;
pub mod config;
pub mod install;
pub mod line;
pub mod log;
pub mod mirror;
pub mod rundir;
pub mod ship;
pub mod summary;
pub mod supervisor;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rand::Rng;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use capture::{Capture, Captured};
use child::{Child, Ended};
use config::Run;
use log::Log;
use rundir::RunDir;
use ship::{Finish, Identity, Shipped, Shipper};
use summary::{Phase, Summary};
use supervisor::{Outcome, Supervisor};

/// `EX_TEMPFAIL` of sysexits.h: nothing was run, because it runs or ran elsewhere.
const EXIT_NOT_RUN: i32 = 75;

/// Runs the command of `run` and gives the code to exit with.
pub async fn run(run: &Run) -> Result<i32> {
    let run_dir = match run.run_dir.as_deref().map(RunDir::take).transpose() {
        Ok(run_dir) => run_dir,
        Err(refused) => {
            error!(error = %refused, "nothing was run");
            return Ok(EXIT_NOT_RUN);
        }
    };
    let identity = identity(run);
    let log = Arc::new(Log::new(run.buffer_limit.as_usize(), run.when_full, run.max_line.as_usize()));
    let mut supervisor = Supervisor::new()?;
    adopt_orphans();
    if let Some(Err(refused)) = run_dir.as_ref().map(RunDir::mark_started) {
        error!(error = %refused, "nothing was run");
        return Ok(EXIT_NOT_RUN);
    }
    let (finished, finish) = watch::channel(None);
    let mut shipper = Shipper::new(identity.clone(), Arc::clone(&log), finish);
    let command = async {
        let record = execute(run, &mut supervisor, &log).await;
        write_summary(run, &summary(run, &identity, &record, &log, Phase::Ended, None));
        // The shipper listens for as long as it ships.
        finished.send_replace(Some(record.finish()));
        record
    };
    let (record, end) = run_both(command, &mut shipper, run).await;
    write_summary(run, &summary(run, &identity, &record, &log, Phase::Flushed, Some(&end)));
    if let Shipped::Incomplete(reason) = &end {
        warn!(worker_id = identity.worker_id, reason, "the log is not complete");
    }
    Ok(record.outcome.ended.exit_code())
}

/// Runs the command and ships at the same time; when the command has ended, ships on until all is
/// durable or the deadline has passed.
async fn run_both(
    command: impl Future<Output = Record>,
    shipper: &mut Shipper,
    run: &Run,
) -> (Record, Shipped) {
    let mut command = pin!(command);
    let (record, end) = {
        let mut shipping = pin!(shipper.run());
        let mut early = None;
        let record = loop {
            // Cancel safe: both futures go on where they were.
            tokio::select! {
                record = &mut command => break record,
                end = &mut shipping, if early.is_none() => early = Some(end),
            }
        };
        match early {
            Some(end) => (record, Some(end)),
            None => (record, tokio::time::timeout(run.flush_timeout, &mut shipping).await.ok()),
        }
    };
    if let Some(end) = end {
        return (record, end);
    }
    shipper.close(record.finish()).await;
    (
        record,
        Shipped::Incomplete(format!(
            "not everything was durable {:?} after the command's end",
            run.flush_timeout
        )),
    )
}

/// What is known of a command that has ended.
struct Record {
    outcome: Outcome,
    captured: Captured,
    started_at: Timestamp,
    ended_at: Timestamp,
    /// Why it did not start, where it did not.
    error: Option<String>,
}

impl Record {
    fn finish(&self) -> Finish {
        Finish {
            exit_code: self.outcome.ended.exit_code(),
            signal: self.outcome.ended.signal(),
            lines: self.captured.lines,
            bytes: self.captured.bytes,
        }
    }
}

/// Runs the command to its end, and its output to the end of that.
async fn execute(run: &Run, supervisor: &mut Supervisor, log: &Log) -> Record {
    let started_at = Timestamp::now();
    let started =
        child::start(&run.command).map_err(|not_started| (not_started.exit_code, not_started.message));
    let capturing = started.and_then(|(child, pipes)| {
        let capture = Capture::new(pipes, run.mirror).map_err(|error| {
            child.signal(nix::sys::signal::Signal::SIGKILL);
            (126, format!("cannot read the command's output: {error}"))
        });
        Ok((child, capture?))
    });
    let (child, mut capture) = match capturing {
        Ok(started) => started,
        Err((exit_code, message)) => {
            log.say(&format!("otto-agent: {message}"));
            let outcome = Outcome { ended: Ended::Exited(exit_code), timed_out: false };
            let ended_at = Timestamp::now();
            return Record {
                outcome,
                captured: Captured::default(),
                started_at,
                ended_at,
                error: Some(message),
            };
        }
    };
    let outcome = supervise(run, supervisor, &child, &mut capture, log).await;
    let ended_at = Timestamp::now();
    Record { outcome, captured: capture.end(), started_at, ended_at, error: None }
}

/// Waits for the command's end, reading its output, and then for the end of the output: those whom the
/// command left behind may hold it open for a while, and are killed after that.
async fn supervise(
    run: &Run,
    supervisor: &mut Supervisor,
    child: &Child,
    capture: &mut Capture,
    log: &Log,
) -> Outcome {
    let stop = CancellationToken::new();
    let mut reading = pin!(capture.run(log, &stop));
    let mut read_all = false;
    let outcome = {
        let mut ending = pin!(supervisor.supervise(child, run.timeout, run.grace_period));
        loop {
            // Cancel safe: both futures go on where they were.
            tokio::select! {
                outcome = &mut ending => break outcome,
                () = &mut reading, if !read_all => read_all = true,
            }
        }
    };
    if outcome.timed_out {
        log.say(&format!(
            "otto-agent: the command was stopped: it ran longer than {:?}",
            run.timeout.unwrap_or_default()
        ));
    }
    if read_all || tokio::time::timeout(run.pipe_grace, &mut reading).await.is_ok() {
        return outcome;
    }
    child.signal(nix::sys::signal::Signal::SIGKILL);
    stop.cancel();
    reading.await;
    log.say("otto-agent: processes that the command had left behind kept its output open; they were killed");
    outcome
}

fn identity(run: &Run) -> Identity {
    let worker_id = run.worker_id();
    Identity {
        ingest_url: run.ingest_url.clone(),
        task_id: run.task_id.clone().unwrap_or_else(|| worker_id.clone()),
        worker_id,
        attempt: run.attempt,
        incarnation: rand::rng().random(),
    }
}

/// As PID 1 orphans come to the agent anyway; elsewhere it asks for those of its own descendants.
fn adopt_orphans() {
    if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
        warn!(error = %errno, "cannot adopt orphans; those of the command are left to others");
    }
}

fn summary(
    run: &Run,
    identity: &Identity,
    record: &Record,
    log: &Log,
    phase: Phase,
    shipped: Option<&Shipped>,
) -> Summary {
    let buffer = log.buffer();
    let not_shipped = shipped.and_then(|shipped| match shipped {
        Shipped::Complete => None,
        Shipped::Incomplete(reason) => Some(reason.clone()),
    });
    Summary {
        phase,
        worker_id: identity.worker_id.clone(),
        task_id: identity.task_id.clone(),
        attempt: run.attempt,
        exit_code: record.outcome.ended.exit_code(),
        signal: record.outcome.ended.signal(),
        timed_out: record.outcome.timed_out,
        started_at: record.started_at,
        ended_at: record.ended_at,
        lines: record.captured.lines,
        bytes: record.captured.bytes,
        last_sequence: buffer.last(),
        acked_sequence: buffer.acked(),
        dropped: buffer.dropped(),
        complete: shipped == Some(&Shipped::Complete),
        error: record.error.clone().or(not_shipped),
    }
}

/// A summary that cannot be written is worth a warning and nothing more.
fn write_summary(run: &Run, summary: &Summary) {
    let Some(path) = run.summary_path() else { return };
    if let Err(error) = summary.write(&path) {
        warn!(path = %path.display(), %error, "cannot write the summary");
    }
}

/// Copies this program into `directory`.
pub fn install(directory: &Path) -> Result<()> {
    install::install(directory).context("the agent was not installed")
}
