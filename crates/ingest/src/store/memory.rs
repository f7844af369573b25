//! Records in memory: for tests, and for trying things out. Nothing survives the process.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::{CommitError, LogReader, LogStore, Opened, Recovery};
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::worker::{Change, Record};

#[derive(Clone, Default)]
struct MemoryStore(Arc<RwLock<HashMap<WorkerId, Vec<Block>>>>);

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
        let mut blocks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            if let Change::Appended { worker, block, .. } = &record.change {
                blocks.entry(worker.clone()).or_default().push(block.clone());
            }
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        let blocks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        blocks.values().flatten().map(|block| bytes(block) as u64).sum()
    }
}

impl LogReader for MemoryStore {
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>> {
        let blocks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(blocks) = blocks.get(worker) else { return Ok(Vec::new()) };
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
