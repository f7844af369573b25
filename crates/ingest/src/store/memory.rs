//! Records in memory: for tests, and for trying things out. Nothing survives the process, nothing goes before it does,
//! and beyond a bound no more is taken: lines wait with their agents as if a disk were full.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::{CommitError, LogReader, LogStore, Opened, Recovery};
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::worker::{Change, Record};

/// Bytes of all blocks.
const CAPACITY: u64 = 1 << 30;

#[derive(Clone, Default)]
struct MemoryStore(Arc<RwLock<Blocks>>);

#[derive(Default)]
struct Blocks {
    of: HashMap<WorkerId, Vec<Block>>,
    bytes: u64,
}

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

fn bytes(block: &Block) -> usize {
    match &block.content {
        Content::Lines(lines) => lines.bytes(),
        Content::Gap { reason, .. } => reason.len(),
    }
}

impl LogStore for MemoryStore {
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        let appended = records.iter().filter_map(|record| match &record.change {
            Change::Appended { block, .. } => Some(bytes(block) as u64),
            _ => None,
        });
        let mut blocks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let size = blocks.bytes + appended.sum::<u64>();
        if size > CAPACITY {
            let full = format!("the store in memory holds {} MiB at the most", CAPACITY >> 20);
            return Err(CommitError::Full(io::Error::new(io::ErrorKind::StorageFull, full)));
        }
        blocks.bytes = size;
        for record in records {
            if let Change::Appended { worker, block, .. } = &record.change {
                blocks.of.entry(worker.clone()).or_default().push(block.clone());
            }
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl LogReader for MemoryStore {
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>> {
        let blocks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(blocks) = blocks.of.get(worker) else { return Ok(Vec::new()) };
        let start = blocks.partition_point(|block| block.last() < from);
        let mut left = max_bytes;
        let wanted = blocks[start..].iter().take_while(|block| {
            let more = left > 0;
            left = left.saturating_sub(bytes(block).max(1));
            more
        });
        Ok(wanted.cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Numbering;

    #[test]
    fn p6_a_store_in_memory_takes_no_more_than_it_may() {
        let mut opened = open();
        let content = Content::Gap { last: Sequence::new(1), reason: "x".repeat(1 << 20).into() };
        let block = Block { first: Sequence::new(1), content };
        let change = Change::Appended {
            worker: WorkerId::try_from("w").unwrap(),
            numbering: Numbering::Client,
            block,
        };
        let record = Record { at_ns: 0, change };
        let taken = std::iter::repeat_with(|| opened.store.commit(std::slice::from_ref(&record)));
        assert_eq!(taken.take(2048).take_while(Result::is_ok).count(), 1024, "a MiB each");
        assert!(opened.store.size() <= CAPACITY);
        assert!(matches!(opened.store.commit(&[record]), Err(CommitError::Full(_))), "and never again");
    }
}
