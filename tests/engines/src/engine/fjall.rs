//! fjall: one keyspace, one batch a group, synced before it counts.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::worker::Record;

use super::keyed::{self, Reading};
use super::{CACHE, Engine, Oldest};

/// Keys that one batch deletes.
const DELETED: usize = 10_000;

/// Snapshots after which fjall looks which of them are gone.
const SNAPSHOTS: usize = 10_000;

/// Where values are kept.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// In the tree: compaction moves them.
    WithKeys,
    /// In files of their own, which compaction leaves alone.
    Apart,
}

/// The database and its one keyspace.
pub(super) struct Fjall {
    database: Database,
    blocks: Keyspace,
}

impl Fjall {
    pub(super) fn open(dir: &Path, values: Values) -> Result<Self> {
        let database = Database::builder(dir).cache_size(CACHE.into()).open()?;
        let apart = matches!(values, Values::Apart).then(KvSeparationOptions::default);
        let options = || KeyspaceCreateOptions::default().with_kv_separation(apart);
        let blocks = database.keyspace("blocks", options)?;
        Ok(Self { database, blocks })
    }

    /// The key of the block that holds `from`, or of the first one behind it.
    fn start(&self, worker: &WorkerId, from: Sequence) -> Result<Vec<u8>> {
        let range = keyed::key(worker, 1)..=keyed::key(worker, from.get());
        match self.blocks.range(range).next_back() {
            Some(found) => Ok(found.key()?.to_vec()),
            None => Ok(keyed::key(worker, from.get())),
        }
    }
}

impl Engine for Fjall {
    fn commit(&mut self, records: &[Record]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for record in records {
            let key = keyed::key(record.change.worker(), keyed::place(record));
            batch.insert(&self.blocks, key, keyed::value(record));
        }
        Ok(batch.commit()?)
    }

    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> Result<Vec<Block>> {
        let mut reading = Reading::new(from, max_bytes);
        for found in self.blocks.range(self.start(worker, from)?..keyed::last_key(worker)) {
            if !reading.take(&found.value()?)? {
                break;
            }
        }
        Ok(reading.blocks)
    }

    fn delete(&mut self, oldest: &Oldest) -> Result<()> {
        let mut old = self.blocks.range(..oldest.until.as_bytes().to_vec()).peekable();
        while old.peek().is_some() {
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
            for found in old.by_ref().take(DELETED) {
                batch.remove(&self.blocks, found.key()?);
            }
            batch.commit()?;
        }
        Ok(())
    }

    fn reclaim(&mut self) -> Result<()> {
        // Compaction keeps what a snapshot may still see, and fjall looks which are gone once in so many of
        // them: a store that is in use gets there by itself.
        for _ in 0..SNAPSHOTS {
            drop(self.database.snapshot());
        }
        self.blocks.rotate_memtable_and_wait()?;
        self.settle()?;
        self.blocks.major_compact()?;
        self.settle()
    }

    fn settle(&mut self) -> Result<()> {
        // It tells no one when it is done.
        while self.database.outstanding_flushes() > 0 || self.database.active_compactions() > 0 {
            thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }
}
