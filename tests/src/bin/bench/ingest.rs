//! log-ingest under prepared messages: what a line and a batch cost it, with its disk, and what HTTP/2 alone costs.

use std::time::Duration;

use anyhow::Result;
use nix::unistd::Pid;
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;

use crate::flood::{Flood, Flooded, Load, Shape};
use crate::lines::Lines;
use crate::process::{Peak, cpu};
use crate::sink::dropped;
use crate::stats::{Table, mib, per_second, rate, short};
use crate::target::Target;

/// Workers, each on a connection of its own.
const WORKERS: usize = 32;

/// Messages of one line that each worker has in flight: more bring no more.
const DEPTH: usize = 1024;

/// Lines of a small batch: what a worker that prints a thousand lines a second has after 5 ms.
const FEW: usize = 5;

/// What a flood came to, and what it cost the server.
pub(crate) struct Cost {
    pub(crate) flooded: Flooded,
    pub(crate) cpu: Duration,
    pub(crate) memory: u64,
}

/// All shapes, each for `time`.
pub(crate) async fn costs(table: &mut Table, dir: &TempDir, time: Duration) -> Result<()> {
    let few = Load { shape: Shape::Batches(FEW), window: 1024, ..Load::blocks(WORKERS) };
    let builds = Load { lines: Lines::Ci, ..Load::blocks(WORKERS) };
    let disk = [
        ("a line a message", Load::entries(WORKERS, DEPTH), Some(Target::IngestEntries)),
        ("blocks", Load::blocks(WORKERS), Some(Target::IngestBatches)),
        ("blocks of lines of builds", builds, None),
        ("batches of 5 lines", few, None),
    ];
    for (name, load, target) in disk {
        let cost = once(dir, load, time, &[]).await?;
        table.row(format!("ingest, fsync before ACK, {WORKERS} workers, {name}"), cost.to_string());
        if let Some(target) = target {
            table.mark(target, per_second(cost.flooded.lines, cost.cpu));
        }
    }
    for (name, load) in
        [("a line a message", Load::entries(WORKERS, DEPTH)), ("blocks", Load::blocks(WORKERS))]
    {
        let cost = dropped(load, time).await?;
        let what = "limit: loopback gRPC without a disk, a bare server of tonic that drops what it takes";
        table.row(format!("{what}, {WORKERS} workers, {name}"), cost.to_string());
    }
    Ok(())
}

/// On a server of its own.
pub(crate) async fn once(dir: &TempDir, load: Load, time: Duration, flags: &[&str]) -> Result<Cost> {
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), flags).await;
    let cost = flood(&mut ingest, "cost", load, time).await?;
    ingest.terminate().await;
    Ok(cost)
}

/// Floods a server that runs.
pub(crate) async fn flood(ingest: &mut Ingest, name: &str, load: Load, time: Duration) -> Result<Cost> {
    let server = ingest.service().pid();
    cost(server, &ingest.url(), name, load, time).await
}

/// Floods the server that process `server` is.
pub(crate) async fn cost(server: Pid, url: &str, name: &str, load: Load, time: Duration) -> Result<Cost> {
    let flood = Flood::connect(url, name, load).await?;
    let (before, peak) = (cpu(server)?.own, Peak::of(server));
    let flooded = flood.run(time).await?;
    let cpu = cpu(server)?.own.saturating_sub(before);
    Ok(Cost { flooded, cpu, memory: peak.bytes() })
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Flooded { lines, messages, took } = self.flooded;
        write!(
            f,
            "{} lines; per CPU-second of the server: {} lines, {} messages; \
             its memory (RssAnon) at most {:.1} MiB",
            rate(lines, took),
            short(per_second(lines, self.cpu)),
            short(per_second(messages, self.cpu)),
            mib(self.memory)
        )
    }
}
