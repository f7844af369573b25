//! How long a line takes from the agent's read() to those who watch: a browser that takes server-sent
//! events, and a client of TailLogs.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use jiff::Timestamp;
use ottoscaler_proto::v1::TailRequest;
use ottoscaler_proto::v1::log_query_service_client::LogQueryServiceClient;
use ottoscaler_proto::v1::tail_request::Of;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, wait};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::commits;
use crate::disk::Meanwhile;
use crate::lines::Lines;
use crate::print::Print;
use crate::process::ended;
use crate::stats::{Durations, Table};
use crate::target::Target;

const TASK: &str = "live";

/// Agents have started within this.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What is left over when the agents have ended comes within this.
const END_LIMIT: Duration = Duration::from_secs(30);

/// Where an event says when its line was read.
const TIMESTAMP: &[u8] = b"\"timestamp\":\"";

/// Workers that print at a steady rate.
#[derive(Clone, Copy, Debug)]
struct Load {
    workers: u64,
    /// Of each worker.
    rate: u64,
    time: Duration,
}

/// A calm worker, and ten busy ones.
pub(crate) async fn latency(table: &mut Table, dir: &TempDir, time: Duration) -> Result<()> {
    let calm = Load { workers: 1, rate: 1_000, time };
    let busy = Load { workers: 10, rate: 5_000, time };
    for (load, target) in [(calm, Target::LiveLatency), (busy, Target::LiveLatencyLoaded)] {
        let disk = Meanwhile::start(dir)?;
        let ([events, tail], commits) = watch(dir, load).await?;
        let fdatasync = disk.stop(table)?;
        let total = load.workers * load.rate;
        table.row(format!("read() in the agent → server-sent event, {total} lines/s"), events.to_string());
        table.row(format!("read() in the agent → TailLogs, {total} lines/s"), tail.to_string());
        table.row("of it the server's commits, write and fdatasync", commits);
        table.mark(target, events.p99_beyond(fdatasync).max(tail.p99_beyond(fdatasync)));
    }
    Ok(())
}

/// Runs the workers, watched from near their start to their end. Beside it what the server's commits took.
async fn watch(dir: &TempDir, load: Load) -> Result<([Durations; 2], String)> {
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    let mut agents = Vec::new();
    for worker in 0..load.workers {
        let mut command = agent::command(&ingest.url(), &name(worker));
        command.args(["--task-id", TASK, "--mirror", "false", "--flush-timeout", "1min", "--"]);
        let count = load.rate * load.time.as_secs();
        let print = Print { count, lines: Lines::Reference, seed: 1, rate: Some(load.rate), stamp: false };
        agents.push(command.args(print.command()?).stdout(Stdio::null()).spawn()?);
    }
    for worker in 0..load.workers {
        wait::until("the worker is known", START_LIMIT, || async {
            let path = format!("/api/v1/workers/{}/logs?limit=1", name(worker));
            ingest.get(&path).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }
    let tail = tail(ingest.url(), load.workers);
    let mut readers = JoinSet::new();
    for worker in 0..load.workers {
        readers.spawn(events(ingest.http_url(&format!("/api/v1/workers/{}/tail", name(worker)))));
    }
    let events = async {
        let mut all = Durations::new();
        while let Some(seen) = readers.join_next().await {
            all.add(&seen??);
        }
        anyhow::Ok(all)
    };
    let both = tokio::time::timeout(load.time + END_LIMIT, async { tokio::try_join!(events, tail) });
    let (events, tail) = both.await.context("the logs do not end")??;
    for agent in agents {
        ended(agent).await.context("an agent")?;
    }
    let commits = commits::said(&ingest).await?;
    ingest.terminate().await;
    ensure!(!events.is_empty() && !tail.is_empty(), "nothing was seen live");
    Ok(([events, tail], commits))
}

fn name(worker: u64) -> String {
    format!("{TASK}-{worker}")
}

/// Takes down how old a line is that arrived at `now`. One that is older than its reader was replayed.
fn record(durations: &mut Durations, read: Timestamp, since: Timestamp, now: Timestamp) {
    if read >= since {
        durations.record(now.duration_since(read).try_into().unwrap_or(Duration::ZERO));
    }
}

/// Reads server-sent events to their end.
async fn events(url: String) -> Result<Durations> {
    let response = reqwest::get(&url).await?.error_for_status()?;
    let (since, mut chunks) = (Timestamp::now(), response.bytes_stream());
    let (mut durations, mut text) = (Durations::new(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        let now = Timestamp::now();
        text.extend_from_slice(&chunk?);
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in text[..whole].split(|byte| *byte == b'\n') {
            if let Some(read) = timestamp(line) {
                record(&mut durations, read?, since, now);
            }
        }
        text.drain(..whole);
    }
    Ok(durations)
}

/// Without a parser, which would take longer than all the rest.
fn timestamp(line: &[u8]) -> Option<Result<Timestamp>> {
    let line = line.strip_prefix(b"data: ")?;
    let at = line.windows(TIMESTAMP.len()).position(|window| window == TIMESTAMP)? + TIMESTAMP.len();
    let text = line[at..].split(|byte| *byte == b'"').next()?;
    Some(std::str::from_utf8(text).map_err(Into::into).and_then(|text| Ok(text.parse()?)))
}

/// Reads the task to its end.
async fn tail(url: String, workers: u64) -> Result<Durations> {
    let request = TailRequest {
        of: Some(Of::TaskId(TASK.into())),
        follow: true,
        expected_workers: i32::try_from(workers)?,
        ..TailRequest::default()
    };
    let mut lines = LogQueryServiceClient::connect(url).await?.tail_logs(request).await?.into_inner();
    let (since, mut durations) = (Timestamp::now(), Durations::new());
    while let Some(piece) = lines.message().await? {
        let now = Timestamp::now();
        for entry in piece.entries.iter().filter(|entry| entry.gap.is_none()) {
            record(&mut durations, entry.timestamp.parse()?, since, now);
        }
    }
    Ok(durations)
}
