//! Whether a line costs the server the same with one worker as with a thousand, and on an empty store as on
//! one that has grown.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;

use crate::flood::Load;
use crate::ingest::{Cost, flood, once};
use crate::lines::Lines;
use crate::sink::dropped;
use crate::stats::{Table, mib};
use crate::target::Target;

/// A store that has not grown by then does not.
const GROW_LIMIT: Duration = Duration::from_mins(4);

/// Between two looks at how large it is.
const GROW_STEP: Duration = Duration::from_secs(2);

/// Workers that fill a store.
const WORKERS: usize = 32;

/// Measures each in `rounds` rounds for `time`, and grows a store to `bytes`.
pub(crate) async fn costs(
    table: &mut Table,
    dir: &TempDir,
    rounds: usize,
    time: Duration,
    bytes: u64,
) -> Result<()> {
    over_workers(table, dir, rounds, time).await?;
    over_store(table, dir, rounds, time, bytes).await
}

/// They take turns, as the machine itself changes while it is measured; so does a server that drops what it takes.
async fn over_workers(table: &mut Table, dir: &TempDir, rounds: usize, time: Duration) -> Result<()> {
    let counts = [1, 32, 1_000];
    let mut costs = counts.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..rounds {
        for (workers, (ingest, bare)) in counts.into_iter().zip(&mut costs) {
            let load = Load::blocks(workers);
            ingest.push(once(dir, load, time, &[]).await?);
            bare.push(dropped(load, time).await?);
        }
    }
    let medians = costs.map(|(ingest, bare)| (median(ingest), median(bare)));
    for (workers, (ingest, bare)) in counts.into_iter().zip(&medians) {
        table.row(format!("ingest, blocks, {workers} workers"), figure(ingest));
        table.row(
            format!("limit: a bare server of tonic that drops what it takes, blocks, {workers} workers"),
            figure(bare),
        );
    }
    let [one, more @ ..] = medians.map(|(ingest, _)| nanos(&ingest));
    let changes = more.map(|cost| change(one, cost));
    table.mark(Target::FlatOverWorkers, changes.into_iter().fold(f64::NEG_INFINITY, f64::max));
    Ok(())
}

/// The store that has grown takes turns with empty ones.
async fn over_store(
    table: &mut Table,
    dir: &TempDir,
    rounds: usize,
    time: Duration,
    bytes: u64,
) -> Result<()> {
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    grow(&mut ingest, data.path(), bytes).await?;
    let gib = mib(size(data.path())?) / 1024.0;
    let (mut empty, mut grown) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let load = Load::blocks(WORKERS);
        grown.push(flood(&mut ingest, &format!("grown-{round}"), load, time).await?);
        empty.push(once(dir, load, time, &[]).await?);
    }
    let (empty, grown) = (median(empty), median(grown));
    table.row(format!("ingest, blocks, {WORKERS} workers, an empty store"), figure(&empty));
    table.row(format!("ingest, blocks, {WORKERS} workers, a store of {gib:.1} GiB"), figure(&grown));
    table.mark(Target::FlatOverStore, change(nanos(&empty), nanos(&grown)));
    let gib = mib(size(data.path())?) / 1024.0;
    ingest.kill().await;
    let start = Instant::now();
    ingest.resume().await;
    table.row(format!("start after SIGKILL, a store of {gib:.1} GiB"), format!("{:.2?}", start.elapsed()));
    ingest.terminate().await;
    Ok(())
}

/// Lines of builds until the store takes so many bytes of the disk.
async fn grow(ingest: &mut Ingest, data: &Path, bytes: u64) -> Result<()> {
    let start = Instant::now();
    for step in 0.. {
        if size(data)? >= bytes {
            break;
        }
        ensure!(start.elapsed() < GROW_LIMIT, "the store does not grow to {bytes} bytes");
        let load = Load { lines: Lines::Ci, ..Load::blocks(WORKERS) };
        flood(ingest, &format!("grow-{step}"), load, GROW_STEP).await?;
    }
    Ok(())
}

/// The one whose line costs as much as the median.
fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_unstable_by(|one, other| nanos(one).total_cmp(&nanos(other)));
    let middle = costs.len() / 2;
    costs.swap_remove(middle)
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
