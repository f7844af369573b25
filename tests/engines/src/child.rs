//! The process that holds a store: does what it is asked on standard input until that ends, or until it is
//! killed. A store has a process of its own so that `kill -9` is what it says, and so that processor time,
//! memory and bytes written are the store's.

use std::collections::HashMap;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use log_ingest::ids::WorkerId;
use log_ingest::line::Sequence;

use crate::ask::{Ask, Done, Reply, Span};
use crate::engine::{Engine, Kind};
use crate::load::{Blocks, Load};
use crate::usage::{Meter, memory};

/// What a reader asks for at a time.
const PAGE: usize = 1 << 20;

/// A store and the loads that were asked for.
struct Child {
    kind: Kind,
    dir: PathBuf,
    engine: Option<Box<dyn Engine>>,
    loads: HashMap<Load, Blocks>,
}

/// Serves the store in `dir`.
pub(crate) fn run(kind: Kind, dir: PathBuf) -> Result<()> {
    let mut child = Child { kind, dir, engine: None, loads: HashMap::new() };
    for line in stdin().lock().lines() {
        let ask: Ask = serde_json::from_str(&line?)?;
        let reply = match child.serve(&ask) {
            Ok(done) => Reply::Done(done),
            Err(error) => Reply::Failed(format!("{error:#}")),
        };
        tell(&reply)?;
    }
    Ok(())
}

fn tell(reply: &Reply) -> Result<()> {
    let mut out = stdout().lock();
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

impl Child {
    fn serve(&mut self, ask: &Ask) -> Result<Done> {
        if let Some(load) = load_of(ask) {
            self.loads.entry(load).or_insert_with(|| Blocks::of(load));
        }
        let meter = Meter::start()?;
        let (steps, found) = match ask {
            Ask::Count { load, blocks } => (Vec::new(), self.count(*load, blocks)?),
            _ => (self.act(ask)?, 0),
        };
        Ok(Done { usage: meter.read()?, steps, found, memory: memory()? })
    }

    fn count(&self, load: Load, blocks: &[u64]) -> Result<u64> {
        let engine = self.engine.as_deref().context("the store is not open")?;
        let mut found = 0;
        for number in blocks {
            found += u64::from(has(engine, &self.loads[&load], load, *number)?);
        }
        Ok(found)
    }

    fn act(&mut self, ask: &Ask) -> Result<Vec<Duration>> {
        if matches!(ask, Ask::Open) {
            self.engine = Some(self.kind.open(&self.dir)?);
            return Ok(Vec::new());
        }
        let engine = &mut **self.engine.as_mut().context("the store is not open")?;
        let loads = &self.loads;
        match ask {
            Ask::Open | Ask::Count { .. } => unreachable!("done elsewhere"),
            Ask::Commit(span) => commit(engine, &loads[&span.load], *span, &mut |_, _| Ok(())),
            Ask::Tell(span) => {
                commit(engine, &loads[&span.load], *span, &mut |_, durable| tell(&Reply::Durable(durable)))
            }
            Ask::Tail(span) => tail(engine, &loads[&span.load], *span),
            Ask::Read { load, blocks } => {
                let read = |number: &u64| timed(|| read(engine, &loads[load], *load, *number));
                blocks.iter().map(read).collect()
            }
            Ask::Replay { load, workers } => {
                let replay = |(generation, number): &(u64, u64)| {
                    timed(|| replay(engine, *load, &load.worker(*generation, *number)))
                };
                workers.iter().map(replay).collect()
            }
            Ask::Gone { worker } => gone(engine, worker).map(|()| Vec::new()),
            Ask::Settle => engine.settle().map(|()| Vec::new()),
            Ask::Delete(oldest) => engine.delete(oldest).map(|()| Vec::new()),
            Ask::Reclaim => engine.reclaim().map(|()| Vec::new()),
        }
    }
}

fn load_of(ask: &Ask) -> Option<Load> {
    match ask {
        Ask::Commit(span) | Ask::Tell(span) | Ask::Tail(span) => Some(span.load),
        Ask::Read { load, .. } | Ask::Count { load, .. } | Ask::Replay { load, .. } => Some(*load),
        Ask::Open | Ask::Settle | Ask::Gone { .. } | Ask::Delete(_) | Ask::Reclaim => None,
    }
}

fn timed(act: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed())
}

/// Commits a span group by group. After each, `then` has the store and the number of the next block.
fn commit(
    engine: &mut dyn Engine,
    blocks: &Blocks,
    span: Span,
    then: &mut dyn FnMut(&dyn Engine, u64) -> Result<()>,
) -> Result<Vec<Duration>> {
    let mut steps = Vec::new();
    let end = span.first + span.blocks;
    let mut next = span.first;
    while next < end {
        let count = span.group.min(end - next);
        let group = blocks.group(next, count);
        steps.push(timed(|| engine.commit(&group))?);
        next += count;
        then(engine, next)?;
    }
    Ok(steps)
}

/// What a live reader of each worker does when its mark has moved.
fn tail(engine: &mut dyn Engine, blocks: &Blocks, span: Span) -> Result<Vec<Duration>> {
    let mut steps = Vec::new();
    let mut shown = span.first;
    commit(engine, blocks, span, &mut |engine, durable| {
        for number in shown..durable {
            steps.push(timed(|| read(engine, blocks, span.load, number))?);
        }
        shown = durable;
        Ok(())
    })?;
    Ok(steps)
}

/// A block that must be there.
fn read(engine: &dyn Engine, blocks: &Blocks, load: Load, number: u64) -> Result<()> {
    ensure!(has(engine, blocks, load, number)?, "block {number} is not there");
    Ok(())
}

/// Reads a block from a line in its middle on, and compares.
fn has(engine: &dyn Engine, blocks: &Blocks, load: Load, number: u64) -> Result<bool> {
    let place = load.place(number);
    let middle = place.first.plus(load.lines / 2);
    let found = engine.read(&place.worker, middle, 1)?;
    let Some(found) = found.first() else { return Ok(false) };
    ensure!(*found == blocks.block(number), "block {number} is not as it was written");
    Ok(true)
}

/// Reads a log from its first line to its last.
fn replay(engine: &dyn Engine, load: Load, worker: &WorkerId) -> Result<()> {
    let mut next = Sequence::new(1);
    loop {
        let blocks = engine.read(worker, next, PAGE)?;
        let Some(last) = blocks.last() else { break };
        next = last.last().next();
    }
    let lines = next.get() - 1;
    ensure!(lines == load.blocks * load.lines, "the log of {worker} has {lines} lines");
    Ok(())
}

fn gone(engine: &dyn Engine, worker: &str) -> Result<()> {
    let worker = WorkerId::try_from(worker)?;
    let found = engine.read(&worker, Sequence::new(1), PAGE);
    ensure!(found?.is_empty(), "there is still something of {worker}");
    Ok(())
}
