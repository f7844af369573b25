//! Group commit: all workers of a load wait with a block each, and one commit takes them.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::ask::{Ask, Span};
use crate::engine::Kind;
use crate::host::Store;
use crate::load::Load;
use crate::table::{Steps, Table, megabytes};
use crate::usage::Usage;

/// Engines take turns so often, a different one first each time: what else the machine does, and what the disk still does for
/// the one before, hits all alike.
const ROUNDS: u64 = 4;

/// Groups that are enough.
const GROUPS: u64 = 2_000;

/// What one engine has done so far.
#[derive(Default)]
struct Tally {
    steps: Vec<Duration>,
    usage: Usage,
}

/// Measures each number of workers with each length of blocks, at most `bytes` of each.
pub(crate) fn all(table: &mut Table, kinds: &[Kind], dir: &Path, bytes: u64) -> Result<()> {
    for workers in [1, 32, 1_000] {
        for lines in [64, 512] {
            // Logs without an end.
            let load = Load { workers, lines, blocks: u64::from(u32::MAX) };
            one(table, kinds, dir, load, bytes)?;
        }
    }
    Ok(())
}

fn one(table: &mut Table, kinds: &[Kind], dir: &Path, load: Load, bytes: u64) -> Result<()> {
    let groups = (bytes / load.bytes(load.workers) / ROUNDS).clamp(1, GROUPS / ROUNDS);
    let blocks = groups * load.workers;
    let dir = tempfile::tempdir_in(dir)?;
    let mut stores = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let (store, _) = Store::open(*kind, &dir.path().join(at.to_string()))?;
        stores.push((*kind, store, Tally::default()));
    }
    for round in 0..ROUNDS {
        let span = Span { load, first: round * blocks, blocks, group: load.workers };
        stores.rotate_left(1);
        for (_, store, tally) in &mut stores {
            let done = store.ask(&Ask::Commit(span))?;
            tally.steps.extend(done.steps);
            tally.usage += done.usage;
        }
    }
    let bare = stores.iter().find(|(kind, ..)| matches!(kind, Kind::Bare));
    let limit = bare.map(|(_, _, tally)| Steps::new(tally.steps.clone()).total());
    for (kind, _, tally) in stores {
        show(table, kind, load, ROUNDS * blocks, tally, limit);
    }
    Ok(())
}

/// `limit` is how long the bare file took, where it was measured: what the rates are shown as parts of.
fn show(table: &mut Table, kind: Kind, load: Load, blocks: u64, tally: Tally, limit: Option<Duration>) {
    let name = format!("{} × {} lines", load.workers, load.lines);
    let megabytes = megabytes(load.bytes(blocks));
    let steps = Steps::new(tally.steps);
    let total = steps.total();
    let part =
        limit.map(|limit| format!(" ({:.2})", limit.as_secs_f64() / total.as_secs_f64())).unwrap_or_default();
    let rate = megabytes / total.as_secs_f64();
    table.set(&format!("{name}: commit p50 / p99 / max, ms"), kind, steps.to_string());
    table.set(&format!("{name}: MB/s (part of limit)"), kind, format!("{rate:.0}{part}"));
    let cpu = tally.usage.cpu.as_secs_f64() / megabytes * 1e3;
    table.set(&format!("{name}: CPU-s a GB"), kind, format!("{cpu:.2}"));
}
