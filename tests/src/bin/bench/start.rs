//! How long an event takes to become a running process.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::scaler::{Scaler, ended, submit};
use ottoscaler_tests::{binary, wait};
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

use crate::stats::{Durations, Table};

/// Bare limits: one command to Redis, and one program started directly.
async fn limits(
    table: &mut Table,
    redis: &mut MultiplexedConnection,
    dir: &TempDir,
    times: u64,
) -> Result<()> {
    let (mut pings, mut spawns) = (Durations::new(), Durations::new());
    for number in 0..times {
        let start = Instant::now();
        redis::cmd("PING").query_async::<String>(redis).await?;
        pings.record(start.elapsed());
        let stamp = dir.path().join(format!("spawned-{number}"));
        let start = SystemTime::now();
        let mut command = tokio::process::Command::new(binary::path("otto-chatter"));
        command.args(["--lines", "0", "--stamp"]).arg(&stamp).status().await?;
        spawns.record(stamped(&stamp).await.duration_since(start)?);
    }
    table.row("limit: Redis round trip", pings.to_string());
    table.row("limit: program started directly", spawns.to_string());
    Ok(())
}

/// When the program that wrote `path` started.
async fn stamped(path: &std::path::Path) -> SystemTime {
    wait::until("the process started", Duration::from_secs(10), || async {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let nanos: u64 = text.parse().map_err(|_| format!("{text:?}"))?;
        Ok(UNIX_EPOCH + Duration::from_nanos(nanos))
    })
    .await
}

/// Submits events one after another and looks when the command of each started.
pub(crate) async fn latency(table: &mut Table, dir: &TempDir, events: u64) -> Result<()> {
    let redis_server = RedisServer::start(Persistence::AppendOnly).await;
    let mut redis = redis_server.connect().await;
    limits(table, &mut redis, dir, events).await?;

    let mut ingest = Ingest::start(&dir.path().join("start"), &[]).await;
    let mut scaler = Scaler::start(&dir.path().join("state"), &redis_server.url(), &ingest.url(), &[]).await;
    let mut durations = Durations::new();
    for number in 0..events {
        let stamp = dir.path().join(format!("started-{number}"));
        let program = binary::path("otto-chatter");
        let command = serde_json::json!([program, "--lines", "0", "--stamp", stamp]).to_string();
        let task = format!("start-{number}");
        let fields =
            [("type", "scale_up"), ("worker_count", "1"), ("task_id", &*task), ("command", &*command)];
        let start = SystemTime::now();
        submit(&mut redis, &fields).await;
        durations.record(stamped(&stamp).await.duration_since(start)?);
        ended(&redis, &task, 1).await;
    }
    table.row("XADD → command's process runs (must: p99 < 50 ms)", durations.to_string());
    scaler.terminate().await;
    ingest.terminate().await;
    Ok(())
}
