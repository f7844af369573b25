//! `ottoscaler dlq`: looking at dead letters, and putting them back on the stream.
//!
//! Reads the stream in pages, so that its size does not matter. What was asked for goes to stdout, one
//! line each; remarks and mistakes go to stderr. A letter is replayed whole or not at all, and once:
//! see `replay.lua`. On failure of Redis it stops with one line, and says how far it got.

mod list;
mod replay;

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use redis::aio::MultiplexedConnection;

use crate::config::RedisArgs;
use crate::entries::entries;
use crate::ids::EntryId;
use crate::record::Letter;
use crate::redis_link::RedisLink;

/// So many letters are in memory at once; an event that can work has at most 127 KiB.
const PAGE: u64 = 100;

/// What to do with dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum DlqCommand {
    /// Show dead letters, newest last: where they come from and what is wrong with them, no other values.
    List(ListArgs),
    /// Put the events of dead letters back on the stream, and take the letters away.
    ///
    /// An event that fails again becomes a new dead letter. It stays the same request: one without
    /// request_id (or task_id) gets that of its first entry. Its place is the end of the stream, so a
    /// scale_down then means all workers asked for until now.
    Replay(ReplayArgs),
}

/// Which letters are shown, and how.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// One JSON object a line, with all fields of the event as they are: secrets in them are shown.
    /// What is not UTF-8 is in name_base64 or value_base64.
    #[arg(long)]
    pub json: bool,
    /// At most so many, the newest.
    #[arg(long, value_name = "N", default_value = "100")]
    pub limit: NonZeroU64,
}

/// Which letters are replayed.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[group(required = true, multiple = false)]
pub struct ReplayArgs {
    /// Ids of dead letters, as `list` shows them.
    #[arg(value_name = "ID")]
    pub ids: Vec<EntryId>,
    /// All dead letters that are there now.
    #[arg(long)]
    pub all: bool,
}

/// Does what was asked for; what went wrong is told on stderr.
pub async fn run(command: &DlqCommand, args: &RedisArgs) -> ExitCode {
    match carry_out(command, args).await {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) && matches!(command, DlqCommand::List(_)) => ExitCode::SUCCESS,
        Err(error) => {
            remark(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: &DlqCommand, args: &RedisArgs) -> Result<ExitCode> {
    let letters = Letters::connect(args).await?;
    match command {
        DlqCommand::List(what) => list::list(letters, what).await.map(|()| ExitCode::SUCCESS),
        DlqCommand::Replay(what) => replay::replay(letters, &args.events_stream, what).await,
    }
}

/// Whoever reads the list has seen enough of it.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Lines that were asked for.
fn print(lines: &str) -> Result<()> {
    let mut out = io::stdout();
    out.write_all(lines.as_bytes())?;
    Ok(out.flush()?)
}

/// A line about them. Nobody to read it is no reason to stop.
fn remark(line: &str) {
    let _nobody_reads = writeln!(io::stderr(), "{line}");
}

/// The dead letter stream.
struct Letters {
    redis: MultiplexedConnection,
    stream: String,
    address: String,
}

impl Letters {
    async fn connect(args: &RedisArgs) -> Result<Self> {
        let link = RedisLink::new(&args.redis_url).context("--redis-url (REDIS_URL) is no Redis URL")?;
        let address = link.address();
        // Nothing blocks here; and unlike the shared kind this connection never tries a command again,
        // which for a replay would hide that it was done.
        let redis = link
            .reader(Duration::ZERO)
            .await
            .with_context(|| format!("cannot reach Redis at {address} (--redis-url, REDIS_URL)"))?;
        Ok(Self { redis, stream: args.dlq_stream.clone(), address })
    }

    async fn count(&mut self) -> Result<u64> {
        let count = redis::cmd("XLEN").arg(&self.stream).query_async(&mut self.redis).await;
        count.with_context(|| self.failure())
    }

    /// Up to `count` letters from `from` to `to`, which Redis reads, oldest first.
    async fn page(&mut self, from: &str, to: &str, count: u64) -> Result<Vec<Letter>> {
        let mut range = redis::cmd("XRANGE");
        range.arg(&self.stream).arg(from).arg(to).arg("COUNT").arg(count);
        let answer = range.query_async(&mut self.redis).await.with_context(|| self.failure())?;
        Ok(entries(answer).into_iter().map(Letter::read).collect())
    }

    /// The ids of up to `count` letters before `to`, newest first.
    async fn ids_back(&mut self, to: &str, count: u64) -> Result<Vec<EntryId>> {
        let mut range = redis::cmd("XREVRANGE");
        range.arg(&self.stream).arg(to).arg("-").arg("COUNT").arg(count);
        let answer = range.query_async(&mut self.redis).await.with_context(|| self.failure())?;
        Ok(entries(answer).into_iter().map(|entry| entry.id).collect())
    }

    /// The newest letter.
    async fn newest(&mut self) -> Result<Option<EntryId>> {
        Ok(self.ids_back("+", 1).await?.first().copied())
    }

    fn failure(&self) -> String {
        format!("cannot read {} of Redis at {}", self.stream, self.address)
    }
}
