//! Whether a line costs the server the same with one worker as with a thousand, and on an empty store as on
//! one that has grown.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;

use crate::flood::Load;
use crate::ingest::{Cost, flood};
use crate::lines::Lines;
use crate::stats::{Table, mib};
use crate::target::Target;

/// A store that has not grown by then does not.
const GROW_LIMIT: Duration = Duration::from_mins(4);

/// Between two looks at how large it is.
const GROW_STEP: Duration = Duration::from_secs(2);

/// Measures each for `time`, and grows a store to `bytes`.
pub(crate) async fn costs(table: &mut Table, dir: &TempDir, time: Duration, bytes: u64) -> Result<()> {
    over_workers(table, dir, time).await?;
    over_store(table, dir, time, bytes).await
}

async fn over_workers(table: &mut Table, dir: &TempDir, time: Duration) -> Result<()> {
    let mut costs = Vec::new();
    for workers in [1, 32, 1_000] {
        let data = tempfile::tempdir_in(dir)?;
        let mut ingest = Ingest::start(data.path(), &[]).await;
        let cost = flood(&mut ingest, "flat", Load::blocks(workers), time).await?;
        table.row(format!("ingest, blocks, {workers} workers"), figure(&cost));
        costs.push(nanos(&cost));
        ingest.terminate().await;
    }
    let changes = costs[1..].iter().map(|cost| change(costs[0], *cost));
    table.mark(Target::FlatOverWorkers, changes.fold(f64::NEG_INFINITY, f64::max));
    Ok(())
}

async fn over_store(table: &mut Table, dir: &TempDir, time: Duration, bytes: u64) -> Result<()> {
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    let empty = flood(&mut ingest, "empty", Load::blocks(32), time).await?;
    table.row("ingest, blocks, 32 workers, an empty store", figure(&empty));
    let start = Instant::now();
    for step in 0.. {
        if size(data.path())? >= bytes {
            break;
        }
        ensure!(start.elapsed() < GROW_LIMIT, "the store does not grow to {bytes} bytes");
        let load = Load { lines: Lines::Ci, ..Load::blocks(32) };
        flood(&mut ingest, &format!("grow-{step}"), load, GROW_STEP).await?;
    }
    let gib = mib(size(data.path())?) / 1024.0;
    let grown = flood(&mut ingest, "grown", Load::blocks(32), time).await?;
    table.row(format!("ingest, blocks, 32 workers, a store of {gib:.1} GiB"), figure(&grown));
    ingest.kill().await;
    let start = Instant::now();
    ingest.resume().await;
    table.row(format!("start after SIGKILL, a store of {gib:.1} GiB"), format!("{:.2?}", start.elapsed()));
    ingest.terminate().await;
    table.mark(Target::FlatOverStore, change(nanos(&empty), nanos(&grown)));
    Ok(())
}

fn figure(cost: &Cost) -> String {
    format!("{:.0} ns of the server's CPU for a line; {cost}", nanos(cost))
}

/// CPU time for a line.
#[allow(clippy::cast_precision_loss, reason = "a cost is shown to three digits")]
fn nanos(cost: &Cost) -> f64 {
    cost.cpu.as_secs_f64() * 1e9 / cost.flooded.lines as f64
}

/// In percent; what became cheaper is no harm, and is shown with its sign.
fn change(from: f64, to: f64) -> f64 {
    (to / from - 1.0) * 100.0
}

/// What the files below `dir` take of the disk.
fn size(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
