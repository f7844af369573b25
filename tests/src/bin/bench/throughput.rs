//! Agent → log-ingest → disk: durable lines a second, from real commands through real pipes, and what they
//! cost each side.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, wait};
use tempfile::TempDir;
use tokio::process::Command;

use crate::lines::{Lines, secrets};
use crate::print::Print;
use crate::process::{Cpu, Peak, cpu, ended, pid, rss_anon};
use crate::stats::{Table, mib, per_second, rate, short};
use crate::target::Target;

/// An agent with nothing to do has come to rest within this.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// What the agents ship.
#[derive(Clone, Copy, Debug)]
struct Load {
    workers: u64,
    /// Of all workers together.
    count: u64,
    lines: Lines,
    masking: Masking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Masking {
    Off,
    On,
}

/// What it came to.
struct Shipped {
    took: Duration,
    ingest: Duration,
    /// Of all agents, and of their commands.
    agents: Cpu,
    /// Bytes at the most; of the largest agent.
    ingest_memory: u64,
    agent_memory: u64,
}

/// One agent and 32, both kinds of lines, with and without masking.
pub(crate) async fn agents(table: &mut Table, dir: &TempDir, scale: u64) -> Result<()> {
    idle(table, dir).await?;
    let one = |lines, masking| Load { workers: 1, count: 4_000_000 / scale, lines, masking };
    let many = |lines| Load { workers: 32, count: 6_400_000 / scale, lines, masking: Masking::On };
    let mut loaded = 0;
    for load in [
        one(Lines::Reference, Masking::Off),
        one(Lines::Reference, Masking::On),
        one(Lines::Ci, Masking::Off),
        one(Lines::Ci, Masking::On),
        many(Lines::Reference),
        many(Lines::Ci),
    ] {
        let shipped = ship(dir, load).await?;
        loaded = loaded.max(shipped.agent_memory);
        table.row(load.to_string(), shipped.describe(load));
        if load.workers == 1 && load.lines == Lines::Reference && load.masking == Masking::On {
            table.mark(Target::AgentMasked, per_second(load.count, shipped.agents.own));
        }
    }
    table.mark(Target::AgentLoaded, mib(loaded));
    Ok(())
}

/// The memory of an agent whose command waits.
async fn idle(table: &mut Table, dir: &TempDir) -> Result<()> {
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    let mut command = agent::command(&ingest.url(), "idle");
    command.args(["--mirror", "false", "--", "sh", "-c", "echo started; exec sleep 60"]);
    let mut child = command.stdout(Stdio::null()).spawn()?;
    wait::until("its line is durable", IDLE_LIMIT, || async {
        let task = ingest.task("idle").await.map_err(|error| error.to_string())?;
        if task["workers"][0]["lines"] == 1 { Ok(()) } else { Err(task.to_string()) }
    })
    .await;
    table.mark(Target::AgentIdle, mib(rss_anon(pid(&child)?)?));
    // Killed, it would leave its command.
    nix::sys::signal::kill(pid(&child)?, nix::sys::signal::Signal::SIGTERM)?;
    child.wait().await?;
    ingest.terminate().await;
    Ok(())
}

/// Runs the agents; the time ends when each log is whole and durable.
async fn ship(dir: &TempDir, load: Load) -> Result<Shipped> {
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    let server = ingest.service().pid();
    let secret_file = data.path().join("secrets");
    std::fs::write(&secret_file, secrets().join("\n"))?;
    let (before, peak, start) = (cpu(server)?, Peak::of(server), Instant::now());
    let mut children = Vec::new();
    for worker in 0..load.workers {
        let mut command = load.agent(&ingest.url(), worker)?;
        if load.masking == Masking::On {
            command.env("OTTO_MASK_FILE", &secret_file);
        }
        let child = command.stdout(Stdio::null()).spawn()?;
        children.push((Peak::of(pid(&child)?), child));
    }
    let (mut agents, mut agent_memory) = (Cpu::default(), 0);
    for (peak, child) in children {
        let cpu = ended(child).await.context("an agent")?;
        agents.own += cpu.own;
        agents.children += cpu.children;
        agent_memory = agent_memory.max(peak.bytes());
    }
    let took = start.elapsed();
    let task = ingest.task("bench").await?;
    let workers = task["workers"].as_array().context("workers")?;
    let stored: u64 = workers.iter().filter_map(|worker| worker["lines"].as_u64()).sum();
    ensure!(stored == load.count, "{stored} lines stored instead of {}", load.count);
    let used = cpu(server)?.own.saturating_sub(before.own);
    let shipped = Shipped { took, ingest: used, agents, ingest_memory: peak.bytes(), agent_memory };
    ingest.terminate().await;
    Ok(shipped)
}

impl Load {
    /// Nothing is spooled: what is measured is the way over the wire.
    fn agent(self, ingest_url: &str, worker: u64) -> Result<Command> {
        let mut command = agent::command(ingest_url, &format!("w-{worker}"));
        command.args(["--task-id", "bench", "--mirror", "false", "--when-full", "block"]);
        command.args(["--spool-limit", "0", "--flush-timeout", "10min", "--"]);
        let print = Print {
            count: self.count / self.workers,
            lines: self.lines,
            seed: worker,
            rate: None,
            stamp: false,
        };
        command.args(print.command()?);
        Ok(command)
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let masking = if self.masking == Masking::On { "32 secrets masked" } else { "nothing masked" };
        write!(f, "agent → ingest → disk, {} workers, {}, {masking}", self.workers, self.lines.name())
    }
}

impl Shipped {
    fn describe(&self, load: Load) -> String {
        format!(
            "{} durable lines, {:.0} MiB/s; per CPU-second: agent {}, its command {}, ingest {}; \
             memory (RssAnon) at most: agent {:.1} MiB, ingest {:.1} MiB",
            rate(load.count, self.took),
            mib(load.count * load.lines.mean()) / self.took.as_secs_f64(),
            short(per_second(load.count, self.agents.own)),
            short(per_second(load.count, self.agents.children)),
            short(per_second(load.count, self.ingest)),
            mib(self.agent_memory),
            mib(self.ingest_memory),
        )
    }
}
