//! Records in memory: for tests, and for trying things out. Nothing survives the process.
//!
//! It is never full. What is more than the limit goes at once ([`Retain::overflow`]), block by block: of the log that was
//! closed first, of the next, and once there are only open ones, whatever came first. As on the disk the marks stay, and
//! readers are told of a gap. What a block takes is counted with its columns and what is around it: a line may be empty.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::{CommitError, Excess, LogReader, LogStore, Opened, Part, Recovery, Retain, Stint};
use crate::ids::{TaskId, WorkerId};
use crate::line::{Block, Content, Extra, Sequence};
use crate::retention::brought_to;
use crate::worker::{Change, Record};

#[derive(Clone, Default)]
struct MemoryStore(Arc<RwLock<Logs>>);

#[derive(Default)]
struct Logs {
    of: HashMap<WorkerId, Log>,
    bytes: u64,
    /// Counts blocks and ends of logs, in the order in which they came.
    clock: u64,
    /// Up to where lines of a worker go: that is committed.
    going: Vec<(WorkerId, Sequence)>,
}

struct Log {
    task: TaskId,
    blocks: VecDeque<Kept>,
    /// When it was closed, by the clock.
    closed: Option<u64>,
    /// Server time of its last change.
    updated_ns: i64,
}

struct Kept {
    /// When it came, by the clock.
    at: u64,
    block: Block,
}

/// A line's place in its columns: its time, its length and its mark.
const LINE: usize = 8 + 4 + 1;

/// What an allocator has around each piece.
const PIECE: usize = 16;

/// What is around the lines of a block: its place in a queue that grows by doubling, and the pieces of its columns.
const BLOCK: usize = 2 * size_of::<Kept>() + 5 * PIECE;

/// An empty store.
pub fn open() -> Opened {
    let store = MemoryStore::default();
    Opened {
        store: Box::new(store.clone()),
        reader: Arc::new(store),
        states: Vec::new(),
        recovery: Recovery::default(),
    }
}

/// Bytes of memory that a block takes, about.
fn taken(block: &Block) -> u64 {
    let content = match &block.content {
        Content::Lines(lines) => {
            lines.bytes() + lines.len() * LINE + lines.extras.values().map(taken_beside).sum::<usize>()
        }
        Content::Gap { reason, .. } => reason.len(),
    };
    (BLOCK + content) as u64
}

fn taken_beside(extra: &Extra) -> usize {
    let pair = |(key, value): (&String, &String)| key.len() + value.len() + 2 * (size_of::<String>() + PIECE);
    let texts = extra.level.len() + extra.source.len();
    size_of::<Extra>() + 4 * PIECE + texts + extra.metadata.iter().map(pair).sum::<usize>()
}

impl LogStore for MemoryStore {
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        let mut logs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            logs.apply(record);
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).bytes
    }

    fn retain(&mut self) -> Option<&mut dyn Retain> {
        Some(self)
    }
}

impl Logs {
    fn apply(&mut self, record: &Record) {
        self.clock += 1;
        let at = self.clock;
        match &record.change {
            Change::Registered(registration) => {
                self.heard(&registration.worker, record.at_ns).task = registration.task.clone();
            }
            Change::Appended { worker, block, .. } => {
                // What it was cut from may be far larger, and would stay with it.
                let block = block.clone().detached();
                self.bytes += taken(&block);
                self.heard(worker, record.at_ns).blocks.push_back(Kept { at, block });
            }
            Change::Closed { worker, .. } => self.heard(worker, record.at_ns).closed = Some(at),
            Change::Trimmed { worker, until } => self.going.push((worker.clone(), *until)),
            // Nothing has to be said again here.
            Change::Carried(_) => {}
            Change::Forgotten { worker } => {
                let gone = self.of.remove(worker).into_iter().flat_map(|log| log.blocks);
                self.bytes -= gone.map(|kept| taken(&kept.block)).sum::<u64>();
            }
        }
    }

    /// A worker of whom something has come.
    fn heard(&mut self, worker: &WorkerId, at_ns: i64) -> &mut Log {
        let log = self.of.entry(worker.clone()).or_insert_with(|| Log::new(worker));
        log.updated_ns = log.updated_ns.max(at_ns);
        log
    }

    /// Makes the oldest lines go of the logs that `of` is about, as many as take `too_much` bytes.
    fn oldest(&self, mut too_much: u64, of: impl Fn(&Log) -> bool) -> Vec<Change> {
        let logs: Vec<_> = self.of.iter().filter(|(_, log)| of(log)).collect();
        let mut gone = vec![0; logs.len()];
        // Closed logs come before open ones.
        let rank = |log: usize| logs[log].1.closed.unwrap_or(u64::MAX);
        let next = |log: usize, gone: usize| {
            logs[log].1.blocks.get(gone).map(|kept| Reverse((rank(log), kept.at, log)))
        };
        let mut first: BinaryHeap<_> = (0..logs.len()).filter_map(|log| next(log, 0)).collect();
        while too_much > 0
            && let Some(Reverse((.., log))) = first.pop()
        {
            too_much = too_much.saturating_sub(taken(&logs[log].1.blocks[gone[log]].block));
            gone[log] += 1;
            first.extend(next(log, gone[log]));
        }
        let trimmed = |((worker, log), gone): (&(&WorkerId, &Log), usize)| {
            let last = log.blocks.get(gone.checked_sub(1)?)?.block.last();
            Some(Change::Trimmed { worker: (*worker).clone(), until: last })
        };
        logs.iter().zip(gone).filter_map(trimmed).collect()
    }

    /// Drops lines that are said to be gone; how many bytes they took.
    fn drop_going(&mut self) -> u64 {
        let mut dropped = 0;
        for (worker, until) in std::mem::take(&mut self.going) {
            let Some(log) = self.of.get_mut(&worker) else { continue };
            while let Some(kept) = log.blocks.pop_front_if(|kept| kept.block.last() <= until) {
                dropped += taken(&kept.block);
            }
            log.blocks.shrink_to_fit();
        }
        self.bytes -= dropped;
        dropped
    }
}

impl Log {
    fn new(worker: &WorkerId) -> Self {
        Self { task: TaskId::from(worker), blocks: VecDeque::new(), closed: None, updated_ns: 0 }
    }

    fn bytes(&self) -> u64 {
        self.blocks.iter().map(|kept| taken(&kept.block)).sum()
    }
}

/// There are no parts here: lines go block by block.
impl Retain for MemoryStore {
    fn parts(&self) -> Vec<Part> {
        Vec::new()
    }

    fn seal(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn farewell(&self, _: u32, _: i64, _: usize) -> Vec<Change> {
        Vec::new()
    }

    fn forget(&self, ended_before_ns: i64, open_before_ns: i64, at_most: usize) -> Vec<Change> {
        let logs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_silent = |log: &Log| {
            let before_ns = if log.closed.is_some() { ended_before_ns } else { open_before_ns };
            log.blocks.is_empty() && log.updated_ns < before_ns
        };
        let silent = logs.of.iter().filter(|(_, log)| is_silent(log)).take(at_most);
        silent.map(|(worker, _)| Change::Forgotten { worker: worker.clone() }).collect()
    }

    fn remove(&mut self, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn excess(&mut self, limit: u64, _: Stint) -> Excess {
        let logs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut tasks: HashMap<&TaskId, u64> = HashMap::new();
        for log in logs.of.values() {
            *tasks.entry(&log.task).or_default() += log.bytes();
        }
        match tasks.into_iter().find(|(_, bytes)| *bytes > limit) {
            Some((task, bytes)) => {
                Excess::Lines(logs.oldest(bytes - brought_to(limit), |log| log.task == *task))
            }
            None => Excess::Nothing,
        }
    }

    fn overflow(&self, limit: u64) -> Vec<Change> {
        let logs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if logs.bytes <= limit {
            return Vec::new();
        }
        logs.oldest(logs.bytes - brought_to(limit), |_| true)
    }

    fn give_back(&mut self) -> u64 {
        self.0.write().unwrap_or_else(PoisonError::into_inner).drop_going()
    }
}

impl LogReader for MemoryStore {
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>> {
        let logs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = logs.of.get(worker) else { return Ok(Vec::new()) };
        let start = log.blocks.partition_point(|kept| kept.block.last() < from);
        let mut left = max_bytes;
        let wanted = log.blocks.range(start..).take_while(|kept| {
            let more = left > 0;
            left = left.saturating_sub(kept.block.bytes().max(1));
            more
        });
        Ok(wanted.map(|kept| kept.block.clone()).collect())
    }
}

#[cfg(test)]
mod tests;
