//! Filling a store, with the limit beside it: after each generation of the one some of the other.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::ask::{Ask, Span};
use crate::engine::Kind;
use crate::host::Store;
use crate::measure::life::{GROUP, Size};
use crate::table::{Steps, Table, megabytes, ratio};
use crate::usage::{Usage, disk};

/// The limit writes one part in so many of what the engine does.
const LIMIT_PART: u64 = 8;

/// What was written by one of the two.
#[derive(Default)]
struct Tally {
    blocks: u64,
    steps: Vec<Duration>,
    usage: Usage,
    memory: u64,
}

/// How far it came.
pub(crate) struct Filled {
    /// Whole ones.
    pub(crate) generations: u64,
}

/// Fills `store`, the limit in `dir` beside it.
pub(crate) fn fill(
    table: &mut Table,
    kind: Kind,
    store: &mut Store,
    dir: &Path,
    size: Size,
) -> Result<Filled> {
    let beside = tempfile::tempdir_in(dir)?;
    let (mut limit_store, _) = Store::open(Kind::Bare, beside.path())?;
    let (mut engine, mut limit) = (Tally::default(), Tally::default());
    let mut generations = 0;
    while generations < size.generations && disk(dir)? < size.disk {
        engine.add(store, size, size.load.generation())?;
        limit.add(&mut limit_store, size, size.load.generation() / LIMIT_PART)?;
        generations += 1;
    }
    ensure!(generations >= 2, "there is room for {generations} generations only");
    engine.usage += store.ask(&Ask::Settle)?.usage;
    let of_limit = engine.rate(size) / limit.rate(size);
    engine.show(table, kind, size, of_limit);
    limit.show(table, Kind::Bare, size, 1.0);
    Ok(Filled { generations })
}

impl Tally {
    fn add(&mut self, store: &mut Store, size: Size, blocks: u64) -> Result<()> {
        let span = Span { load: size.load, first: self.blocks, blocks, group: GROUP };
        let done = store.ask(&Ask::Commit(span))?;
        self.blocks += blocks;
        self.steps.extend(done.steps);
        self.usage += done.usage;
        self.memory = self.memory.max(done.memory);
        Ok(())
    }

    /// Megabytes of lines a second, what is left to be done in the background included.
    fn rate(&self, size: Size) -> f64 {
        megabytes(size.load.bytes(self.blocks)) / self.usage.wall.as_secs_f64()
    }

    fn show(self, table: &mut Table, kind: Kind, size: Size, of_limit: f64) {
        let rate = self.rate(size);
        let bytes = size.load.bytes(self.blocks);
        let cpu = self.usage.cpu.as_secs_f64() / megabytes(bytes) * 1e3;
        table.set("filling: GB of lines", kind, format!("{:.2}", megabytes(bytes) / 1e3));
        table.set("filling: MB/s (part of limit)", kind, format!("{rate:.0} ({of_limit:.2})"));
        table.set("filling: commit p50 / p99 / max, ms", kind, Steps::new(self.steps).to_string());
        table.set("filling: CPU-s a GB", kind, format!("{cpu:.2}"));
        let amplification = ratio(self.usage.written, bytes);
        table.set("filling: bytes written a byte of lines", kind, format!("{amplification:.2}"));
        table.set("filling: memory, MB", kind, format!("{:.1}", megabytes(self.memory)));
    }
}
