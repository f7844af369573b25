//! Agent → log-ingest → disk: durable lines a second, from real commands through real pipes.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use ottoscaler_tests::agent;
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;

use crate::limits::generator;
use crate::stats::{Table, rate};

/// CPU time that a process has used.
pub(crate) fn cpu_of(pid: i32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ is 100 on every Linux that Rust runs on.
    Ok(Duration::from_millis(ticks * 10))
}

/// CPU time of the children that have been waited for: agents, their commands excluded as far as the
/// agents waited for those.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros =
        [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(u64::try_from(micros[0] + micros[1])?))
}

/// `workers` agents ship `lines` lines in all; the time ends when each log is whole and durable.
pub(crate) async fn agents(table: &mut Table, dir: &TempDir, workers: u64, lines: u64) -> Result<()> {
    let mut ingest = Ingest::start(&dir.path().join(format!("throughput-{workers}")), &[]).await;
    let server = ingest.service().pid().as_raw();
    let (server_cpu, agent_cpu) = (cpu_of(server)?, cpu_of_children()?);
    let start = Instant::now();
    let mut children = Vec::new();
    for number in 0..workers {
        let mut command = agent::command(&ingest.url(), &format!("w-{number}"));
        command.args(["--task-id", "bench", "--mirror", "false", "--when-full", "block"]);
        command.args(["--flush-timeout", "10min", "--", "sh", "-c", &generator(lines / workers)]);
        children.push(command.stdout(Stdio::null()).spawn()?);
    }
    for mut child in children {
        ensure!(child.wait().await?.success(), "an agent failed");
    }
    let elapsed = start.elapsed();
    let task = ingest.task("bench").await?;
    let stored: u64 =
        task["workers"].as_array().context("workers")?.iter().filter_map(|w| w["lines"].as_u64()).sum();
    ensure!(stored == lines, "{stored} lines stored instead of {lines}");
    table.row(
        format!("agent → ingest → disk, {workers} workers"),
        format!(
            "{} durable lines; per CPU-second: ingest {}, agents with their commands {}",
            rate(lines, elapsed),
            rate(lines, cpu_of(server)?.saturating_sub(server_cpu)),
            rate(lines, cpu_of_children()?.saturating_sub(agent_cpu)),
        ),
    );
    ingest.terminate().await;
    Ok(())
}
