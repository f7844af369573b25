//! redb: one table, one write transaction a group.

use std::ops::Bound;
use std::path::Path;

use anyhow::Result;
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::worker::Record;
use redb::{Database, Durability, ReadableDatabase, TableDefinition, WriteTransaction};

use super::keyed::{self, Reading};
use super::{CACHE, Engine, Oldest};

const BLOCKS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("blocks");

/// What opening does after a crash.
#[derive(Clone, Copy)]
pub(super) enum Repair {
    /// Walks through all of it.
    Full,
    /// Reads what each commit left for it.
    Quick,
}

/// The database.
pub(super) struct Redb {
    database: Database,
    repair: Repair,
}

impl Redb {
    pub(super) fn open(dir: &Path, repair: Repair) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let database = Database::builder().set_cache_size(CACHE as usize).create(dir.join("redb"))?;
        Ok(Self { database, repair })
    }

    fn begin(&self) -> Result<WriteTransaction> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(matches!(self.repair, Repair::Quick));
        Ok(transaction)
    }
}

impl Engine for Redb {
    fn commit(&mut self, records: &[Record]) -> Result<()> {
        let transaction = self.begin()?;
        let mut table = transaction.open_table(BLOCKS)?;
        for record in records {
            let key = keyed::key(record.change.worker(), keyed::place(record));
            table.insert(&*key, &*keyed::value(record))?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> Result<Vec<Block>> {
        let table = self.database.begin_read()?.open_table(BLOCKS)?;
        let (first, wanted) = (keyed::key(worker, 1), keyed::key(worker, from.get()));
        let before = table.range(&*first..=&*wanted)?.next_back().transpose()?;
        let start = before.map_or(wanted, |(key, _)| key.value().to_vec());
        let mut reading = Reading::new(from, max_bytes);
        for found in table.range(&*start..&*keyed::last_key(worker))? {
            if !reading.take(found?.1.value())? {
                break;
            }
        }
        Ok(reading.blocks)
    }

    fn delete(&mut self, oldest: &Oldest) -> Result<()> {
        let transaction = self.begin()?;
        let old = (Bound::Unbounded, Bound::Excluded(oldest.until.as_bytes()));
        transaction.open_table(BLOCKS)?.retain_in::<&[u8], _>(old, |_, _| false)?;
        Ok(transaction.commit()?)
    }

    fn reclaim(&mut self) -> Result<()> {
        self.database.compact()?;
        Ok(())
    }
}
