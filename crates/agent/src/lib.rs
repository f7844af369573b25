//! otto-agent: runs one command and ships every line that it prints.
//!
//! The way of a line: [`capture`] reads it, without secrets ([`mask`]), and splits it off ([`mod@line`]),
//! [`buffer`] numbers and keeps it,
//! beyond memory in a [`spool`], [`ship`] sends it and lets it go once it is durable. [`command`] sees to the command
//! meanwhile. Everything runs on one thread, and the exit code is the command's, whatever became of the lines.

mod allowance;
pub mod batch;
pub mod buffer;
pub mod capture;
pub mod child;
pub mod command;
pub mod config;
pub mod ids;
pub mod install;
pub mod line;
pub mod log;
pub mod mask;
pub mod mirror;
pub mod resolve;
pub mod rundir;
pub mod ship;
pub mod spool;
pub mod summary;
pub mod supervisor;
pub mod upload;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tracing::{error, warn};

use command::Record;
use config::{MaskArgs, Run};
use ids::{Incarnation, WorkerId};
use log::Log;
use mask::{Masks, Unreadable};
use rundir::RunDir;
use ship::{Cut, Finish, Identity, Shipped, Shipper};
use spool::Spool;
use summary::{Phase, Summary};
use supervisor::Supervisor;
pub use upload::upload;

/// `EX_TEMPFAIL` of sysexits.h: nothing was run, because it runs or ran elsewhere; nothing was handed in,
/// because whoever writes or reads the spool still lives.
const EXIT_NOT_RUN: i32 = 75;

/// `EX_USAGE` of sysexits.h: the configuration is wrong.
const EXIT_CONFIG: i32 = 64;

/// Runs the command of `run` and gives the code to exit with.
pub async fn run(run: &Run) -> Result<i32> {
    let masks = match masks(&run.masks) {
        Ok(masks) => masks,
        Err(unreadable) => {
            // Nothing is run, or its log would show what it must not.
            error!("{unreadable}");
            return Ok(EXIT_CONFIG);
        }
    };
    let run_dir = match run.run_dir.as_deref().map(RunDir::take).transpose() {
        Ok(run_dir) => run_dir,
        Err(refused) => {
            error!(error = %refused, "nothing was run");
            return Ok(EXIT_NOT_RUN);
        }
    };
    let identity = identity(run);
    let log = Arc::new(log(run, &identity));
    let mut supervisor = Supervisor::new(run.image_stop_signals)?;
    adopt_orphans();
    if let Some(Err(refused)) = run_dir.as_ref().map(RunDir::mark_started) {
        error!(error = %refused, "nothing was run");
        return Ok(EXIT_NOT_RUN);
    }
    if let Some(path) = run.summary_path() {
        summary::reserve(&path);
    }
    let (finished, finish) = watch::channel(None);
    let mut shipper = Shipper::new(identity.clone(), Arc::clone(&log), finish, supervisor.last_try());
    let command = async {
        let record = command::execute(run, &mut supervisor, &log, &masks).await;
        write_summary(run, &summary(run, &identity, &record, &log));
        // The shipper listens for as long as it ships.
        finished.send_replace(Some(record.finish()));
        (record, supervisor)
    };
    let (record, end) = run_both(command, &mut shipper, run).await;
    write_summary(run, &final_summary(summary(run, &identity, &record, &log), &shipper, &end));
    if let Shipped::Incomplete(reason) = &end {
        warn!(worker_id = %identity.worker_id, reason, "the log is not complete");
    }
    say_what_is_lost(&identity, &log);
    if log.buffer().is_drained() {
        log.buffer().delete_spool();
    }
    mirror::finish(record.mirrors);
    Ok(record.outcome.ended.exit_code())
}

/// Runs the command and ships at the same time; when the command has ended, ships on until all is
/// durable, the deadline has passed, or a signal cuts it short.
async fn run_both(
    command: impl Future<Output = (Record, Supervisor)>,
    shipper: &mut Shipper,
    run: &Run,
) -> (Record, Shipped) {
    let mut command = pin!(command);
    let (record, supervisor, end) = {
        let saved = shipper.log();
        let mut shipping = pin!(async {
            // Cancel safe, both of them.
            tokio::select! {
                end = shipper.run() => end,
                never = saved.save() => never,
            }
        });
        let mut early = None;
        let (record, mut supervisor) = loop {
            // Cancel safe: both futures go on where they were.
            tokio::select! {
                ended = &mut command => break ended,
                end = &mut shipping, if early.is_none() => early = Some(end),
            }
        };
        let end = if early.is_some() {
            early
        } else {
            supervisor.within(record.ended + run.flush_timeout, &mut shipping).await
        };
        (record, supervisor, end)
    };
    if let Some(end) = end {
        return (record, end);
    }
    let cut = if supervisor.is_asked_to_end() { Cut::BySignal } else { Cut::ByTimeout };
    let reason = cut_short(run, shipper, record.finish(), cut).await;
    (record, Shipped::Incomplete(reason))
}

/// Leaves behind what is not durable, and says what kept it from that and where it is.
async fn cut_short(run: &Run, shipper: &Shipper, finish: Finish, cut: Cut) -> String {
    let log = shipper.log();
    let mut said = match cut {
        Cut::BySignal => "not everything was durable when a signal cut the flush short".to_owned(),
        Cut::ByTimeout => {
            format!("not everything was durable {:?} after the command's end", run.flush_timeout)
        }
    };
    if let Some(why) = log.obstacle() {
        said = format!("{said} ({why})");
    }
    match shipper.end_early(finish, cut).await {
        Some(path) => said + &format!("; the rest is in {0}: otto-agent upload {0}", path.display()),
        None => match log.buffer().waiting() {
            0 => said,
            waiting => said + &format!("; {waiting} lines had no place in the spool, and may be lost"),
        },
    }
}

/// Beside the gaps that say it in the log: whoever started the agent may never look there.
fn say_what_is_lost(identity: &Identity, log: &Log) {
    let buffer = log.buffer();
    let lines = buffer.dropped();
    if lines > 0 {
        let reasons = buffer.losses();
        warn!(worker_id = %identity.worker_id, lines, %reasons, "lines were dropped; gaps in the log say where");
    }
}

/// Empty, with a spool that comes to be when it is needed.
fn log(run: &Run, identity: &Identity) -> Log {
    let spool = Spool::new(&run.spool_dir(), run.spool_limit.as_u64(), identity.registration());
    Log::new(run.buffer_limit.as_usize(), run.when_full, run.max_line.as_usize(), spool)
}

/// What is named for masking. What cannot be masked is said; the command has to run all the same, or a value
/// of `1` would stop every build that has it.
fn masks(args: &MaskArgs) -> Result<Arc<Masks>, Unreadable> {
    let masks = Arc::new(Masks::default());
    let in_file = args.mask_file.as_deref().map(mask::of_file).transpose()?.unwrap_or_default();
    for (name, value) in mask::of_environment(&args.mask_env).into_iter().chain(in_file) {
        if let Err(reason) = value.and_then(|value| masks.add(&value)) {
            warn!(value = name, %reason, "a value is not masked");
        }
    }
    Ok(masks)
}

fn identity(run: &Run) -> Identity {
    let worker_id = run.worker_id.clone().unwrap_or_else(WorkerId::made_up);
    Identity {
        ingest_url: run.ingest_url.clone(),
        compression: run.compression,
        task_id: run.task_id.clone().unwrap_or_else(|| worker_id.clone().into()),
        worker_id,
        attempt: run.attempt,
        incarnation: Incarnation::random(),
    }
}

/// As PID 1 orphans come to the agent anyway; elsewhere it asks for those of its own descendants.
fn adopt_orphans() {
    if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
        warn!(error = %errno, "cannot adopt orphans; those of the command are left to others");
    }
}

/// As far as it is known when the command has ended.
fn summary(run: &Run, identity: &Identity, record: &Record, log: &Log) -> Summary {
    let buffer = log.buffer();
    Summary {
        phase: Phase::Ended,
        worker_id: identity.worker_id.clone(),
        task_id: identity.task_id.clone(),
        attempt: run.attempt,
        exit_code: record.outcome.ended.exit_code(),
        signal: record.outcome.ended.signal(),
        timed_out: record.outcome.timed_out,
        stop_signal: record.outcome.asked.unwrap_or(0),
        started_at: record.started_at,
        ended_at: record.ended_at,
        lines: record.captured.lines,
        bytes: record.captured.bytes,
        last_sequence: buffer.last(),
        acked_sequence: buffer.acked(),
        dropped: buffer.dropped(),
        disconnects: 0,
        refusals: 0,
        unmirrored_bytes: record.captured.unmirrored,
        complete: false,
        error: record.error.clone(),
    }
}

/// With what became of the log. Why the command did not start matters more than that.
fn final_summary(summary: Summary, shipper: &Shipper, end: &Shipped) -> Summary {
    let (complete, not_shipped) = match end {
        Shipped::Complete => (true, None),
        Shipped::Incomplete(reason) => (false, Some(reason.clone())),
    };
    Summary {
        phase: Phase::Flushed,
        disconnects: shipper.disconnects(),
        refusals: shipper.log().refusals(),
        complete,
        error: summary.error.or(not_shipped),
        ..summary
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
