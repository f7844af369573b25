//! The life of a store: it is filled, read live, killed, opened, read, and loses its oldest half.

use std::path::Path;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ask::{Ask, Done, Span};
use crate::engine::{Kind, Oldest};
use crate::host::Store;
use crate::load::Load;
use crate::measure::fill::{self, Filled};
use crate::table::{Steps, Table, megabytes, ratio};
use crate::usage::{disk, evict};

/// Blocks of a commit. What follows the filling is as in it.
pub(crate) const GROUP: u64 = 32;

/// Commits of the tail measurement.
const TAILS: u64 = 500;

/// Commits before the kill.
const BEFORE_KILL: usize = 100;

/// Blocks that are read at random, and the newest that are looked at after a kill.
const READS: u64 = 2_000;

/// Logs that are read as a whole.
const REPLAYS: u64 = 20;

/// How large the store gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) load: Load,
    pub(crate) generations: u64,
    /// Bytes of the disk at which filling ends.
    pub(crate) disk: u64,
}

/// One engine's store.
struct Life<'a> {
    table: &'a mut Table,
    kind: Kind,
    dir: &'a Path,
    load: Load,
    /// Whole generations.
    generations: u64,
    /// Blocks that are durable.
    blocks: u64,
}

/// Measures `kind`, in a directory that is gone afterwards.
pub(crate) fn one(table: &mut Table, kind: Kind, dir: &Path, size: Size) -> Result<()> {
    let dir = tempfile::tempdir_in(dir)?;
    let path = dir.path().join("store");
    let (mut store, _) = Store::open(kind, &path)?;
    let Filled { generations, .. } = fill::fill(table, kind, &mut store, dir.path(), size)?;
    let blocks = generations * size.load.generation();
    let mut life = Life { table, kind, dir: &path, load: size.load, generations, blocks };
    life.tail(&mut store)?;
    life.kill(store)?;
    let store = life.open("opening after kill -9")?;
    life.kill(store)?;
    evict(life.dir)?;
    let mut store = life.open("opening after kill -9, nothing cached")?;
    life.space()?;
    life.reads(&mut store)?;
    life.delete(store)
}

impl Life<'_> {
    fn set(&mut self, row: &str, figure: String) {
        self.table.set(row, self.kind, figure);
    }

    fn span(&self, blocks: u64) -> Span {
        Span { load: self.load, first: self.blocks, blocks, group: GROUP }
    }

    fn tail(&mut self, store: &mut Store) -> Result<()> {
        let span = self.span(TAILS * GROUP);
        let done = store.ask(&Ask::Tail(span))?;
        self.blocks += span.blocks;
        self.set(
            "tail: newest block after its commit p50 / p99 / max, ms",
            Steps::new(done.steps).to_string(),
        );
        Ok(())
    }

    fn kill(&mut self, store: Store) -> Result<()> {
        // Far more than can be committed before the kill.
        let span = self.span(u64::from(u32::MAX));
        self.blocks = store.kill_in_commit(&Ask::Tell(span), BEFORE_KILL)?;
        Ok(())
    }

    /// Opens what the kill left, and looks whether it holds all that was said to be durable.
    fn open(&mut self, row: &str) -> Result<Store> {
        let (mut store, done) = Store::open(self.kind, self.dir)?;
        let usage = done.usage;
        let [wall, cpu] = [usage.wall, usage.cpu].map(|duration| duration.as_secs_f64());
        self.set(&format!("{row}: s (CPU-s)"), format!("{wall:.2} ({cpu:.2})"));
        self.set(&format!("{row}: memory, MB"), format!("{:.1}", megabytes(done.memory)));
        let newest = self.blocks.saturating_sub(READS)..self.blocks;
        store.ask(&Ask::Read { load: self.load, blocks: newest.collect() })?;
        self.find_last_group(&mut store)?;
        Ok(store)
    }

    /// A group may have become durable before the kill without saying so: all of it, or none.
    fn find_last_group(&mut self, store: &mut Store) -> Result<()> {
        let group = self.blocks..self.blocks + GROUP;
        let found = store.ask(&Ask::Count { load: self.load, blocks: group.collect() })?.found;
        ensure!(
            found == 0 || found == GROUP,
            "{}: {found} of {GROUP} blocks of a commit are there",
            self.kind
        );
        self.blocks += found;
        Ok(())
    }

    fn space(&mut self) -> Result<()> {
        let used = ratio(disk(self.dir)?, self.load.bytes(self.blocks));
        self.set("bytes on the disk a byte of lines", format!("{used:.2}"));
        Ok(())
    }

    fn reads(&mut self, store: &mut Store) -> Result<()> {
        let mut random = StdRng::seed_from_u64(1);
        let blocks = (0..READS).map(|_| random.random_range(0..self.blocks)).collect();
        let read = Ask::Read { load: self.load, blocks };
        evict(self.dir)?;
        let done = store.ask(&read)?;
        self.set("random block, nothing cached: p50 / p99 / max, ms", Steps::new(done.steps).to_string());
        let done = store.ask(&read)?;
        self.set("the same again: p50 / p99 / max, ms", Steps::new(done.steps).to_string());
        let mut worker =
            || (random.random_range(0..self.generations), random.random_range(0..self.load.workers));
        let workers = (0..REPLAYS).map(|_| worker()).collect();
        evict(self.dir)?;
        let done = store.ask(&Ask::Replay { load: self.load, workers })?;
        let rate = megabytes(self.load.bytes(REPLAYS * self.load.blocks)) / done.usage.wall.as_secs_f64();
        self.set("whole logs, nothing cached: MB/s", format!("{rate:.0}"));
        Ok(())
    }

    /// The older half of the generations goes.
    fn delete(&mut self, mut store: Store) -> Result<()> {
        let kept = self.generations / 2;
        let until = self.load.worker(kept, 0).as_str().to_owned();
        let share = ratio(kept * self.load.generation(), self.blocks);
        let before = disk(self.dir)?;
        let done = store.ask(&Ask::Delete(Oldest { until, share }))?;
        self.deleted("deleting the older half", &done, before)?;
        let done = store.ask(&Ask::Reclaim)?;
        self.deleted("giving back its space", &done, before)?;
        drop(store);
        self.check_deleted()
    }

    fn deleted(&mut self, row: &str, done: &Done, before: u64) -> Result<()> {
        let given_back = before.saturating_sub(disk(self.dir)?);
        let [wall, written] = [done.usage.wall.as_secs_f64(), megabytes(done.usage.written)];
        let part = ratio(given_back, before) * 100.0;
        self.set(
            &format!("{row}: s, MB written, part of the store free by then"),
            format!("{wall:.2}, {written:.0}, {part:.0} %"),
        );
        Ok(())
    }

    fn check_deleted(&mut self) -> Result<()> {
        let (mut store, _) = Store::open(self.kind, self.dir)?;
        store.ask(&Ask::Gone { worker: self.load.worker(0, 0).as_str().to_owned() })?;
        let kept = self.generations / 2 * self.load.generation();
        let newest = self.blocks.saturating_sub(READS);
        let blocks = [kept, newest, self.blocks - 1].to_vec();
        store.ask(&Ask::Read { load: self.load, blocks })?;
        Ok(())
    }
}
