//! `ottoscaler submit`: puts a task on the stream, shows its lines as they come, and exits with its code.
//!
//! A producer and a reader like any other: it adds an event to Redis, hears of states from the status stream
//! and of a dead letter from its own, and tails lines from log-ingest. It touches no record. What the command
//! wrote to stdout and stderr goes to the same here; remarks go to stderr. A connection that is lost is made
//! again, and lines go on where they were. Whatever ends this program, the task goes on.

mod lines;
mod news;
mod progress;
mod request;

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use ottoscaler_kit::config::EXIT_USAGE;
use ottoscaler_kit::time::{parse_duration, show_duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use self::lines::Lines;
use self::news::{Item, News};
use self::progress::Progress;
use self::request::Submission;
pub use self::request::Variable;
use crate::config::RedisArgs;
use crate::ids::{TaskId, WorkerId};

/// `EX_DATAERR`: the event became a dead letter.
const EXIT_REFUSED: u8 = 65;
/// `EX_UNAVAILABLE`: Redis or log-ingest cannot be reached.
const EXIT_UNAVAILABLE: u8 = 69;
/// `EX_TEMPFAIL`: the task goes on, and nobody waits any more.
const EXIT_GAVE_UP: u8 = 75;
/// What was expected is not what came.
const EXIT_UNEXPECTED: u8 = 1;
/// As a shell says it of SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Once a task has ended, how long its last lines may take to be readable.
const LAST_LINES: Duration = Duration::from_secs(30);

/// What to run, and how to wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct SubmitArgs {
    /// The task; without this a name of its own.
    #[arg(long, value_name = "ID")]
    pub task_id: Option<TaskId>,
    /// So many workers run the command; OTTO_WORKER_INDEX tells them apart.
    #[arg(long, value_name = "N", default_value = "1")]
    pub workers: NonZeroU32,
    /// Image; without this the scaler's --worker-image.
    #[arg(long)]
    pub image: Option<String>,
    /// A variable for the command; may be given again.
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<Variable>,
    /// Resource class.
    #[arg(long, value_name = "NAME")]
    pub resource_class: Option<String>,
    /// How long the command may run; without this as long as the scaler says.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Print the task's id and do not wait.
    #[arg(long, conflicts_with_all = ["wait", "expect_exit", "expect_line"])]
    pub detach: bool,
    /// Wait no longer than this (exit code 75). The task goes on.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub wait: Option<Duration>,
    /// Exit with 0 if every worker's exit code is this, and with 1 otherwise.
    #[arg(long, value_name = "CODE")]
    pub expect_exit: Option<u8>,
    /// Exit with 1 unless some line holds this text.
    #[arg(long, value_name = "TEXT")]
    pub expect_line: Option<String>,
    /// The command, and its arguments; without it the scaler's --worker-command.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Does what was asked for; what went wrong is told on stderr.
pub async fn run(args: &SubmitArgs, redis: &RedisArgs, ingest_url: &str) -> ExitCode {
    let submission = match Submission::new(args) {
        Ok(submission) => submission,
        Err(mistake) => {
            remark(&format!("error: {mistake}"));
            return ExitCode::from(u8::try_from(EXIT_USAGE).unwrap_or(EXIT_UNEXPECTED));
        }
    };
    match carry_out(args, &submission, redis, ingest_url).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            remark(&format!("error: {error:#}"));
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

async fn carry_out(
    args: &SubmitArgs,
    submission: &Submission,
    redis: &RedisArgs,
    ingest_url: &str,
) -> Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let client = lines::client(ingest_url)?;
    let mut news = News::connect(redis).await?;
    news.add(&submission.fields()).await?;
    let task = submission.task();
    if args.detach {
        print(format!("{task}\n").as_bytes())?;
        return Ok(0);
    }
    remark(&format!("task {task}"));
    let mut tails = JoinSet::new();
    for (index, worker) in submission.workers().enumerate() {
        let prefix = (args.workers.get() > 1).then(|| format!("{index} | "));
        tails.spawn(Lines::new(client.clone(), worker, prefix, args.expect_line.clone()).follow());
    }
    // Whichever branch loses is given up as a whole.
    tokio::select! {
        code = follow(args, submission, &mut news, &mut tails) => code,
        () = given_up(args.wait) => {
            remark(&format!("not done within {}; task {task} goes on", args.wait.map(show_duration).unwrap_or_default()));
            Ok(EXIT_GAVE_UP)
        }
        _ = interrupt.recv() => Ok(interrupted(task)),
        _ = terminate.recv() => Ok(interrupted(task)),
    }
}

async fn given_up(after: Option<Duration>) {
    match after {
        Some(after) => tokio::time::sleep(after).await,
        None => std::future::pending().await,
    }
}

fn interrupted(task: &TaskId) -> u8 {
    remark(&format!("task {task} goes on"));
    EXIT_INTERRUPTED
}

/// Until every worker has ended and its lines are shown.
async fn follow(
    args: &SubmitArgs,
    submission: &Submission,
    news: &mut News,
    tails: &mut JoinSet<Result<bool>>,
) -> Result<u8> {
    let mut progress = Progress::new(submission.workers());
    while !progress.is_over() {
        for item in news.next().await {
            match item {
                Item::Told(told) => progress.take(&told).iter().for_each(|said| remark(said)),
                Item::Refused(why) => {
                    remark(&format!("error: the event cannot work: {why}"));
                    return Ok(EXIT_REFUSED);
                }
            }
        }
    }
    let found = last_lines(tails).await?;
    Ok(verdict(args, &progress, found))
}

/// Waits for the tails; says whether one of them has found what was looked for.
async fn last_lines(tails: &mut JoinSet<Result<bool>>) -> Result<bool> {
    let mut found = false;
    let all = async {
        while let Some(tail) = tails.join_next().await {
            found |= tail.context("a tail panicked")??;
        }
        Ok(())
    };
    let Ok(all) = tokio::time::timeout(LAST_LINES, all).await else {
        remark("not all lines can be read yet; log-ingest has them, or will");
        return Ok(found);
    };
    all.map(|()| found)
}

fn verdict(args: &SubmitArgs, progress: &Progress, found: bool) -> u8 {
    if let Some(text) = args.expect_line.as_ref().filter(|_| !found) {
        remark(&format!("error: no line holds {text:?}"));
        return EXIT_UNEXPECTED;
    }
    match args.expect_exit {
        None => progress.code(),
        Some(expected) if progress.all_exited_with(expected) => 0,
        Some(expected) => {
            remark(&format!("error: expected exit code {expected}"));
            EXIT_UNEXPECTED
        }
    }
}

/// What was asked for.
fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(bytes)?;
    out.flush()
}

/// A line about it. Nobody to read it is no reason to stop.
fn remark(line: &str) {
    let _nobody_reads = writeln!(io::stderr(), "ottoscaler: {line}");
}

/// The workers of a submission, by name.
type Names<'a> = Box<dyn Iterator<Item = WorkerId> + 'a>;
