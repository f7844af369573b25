//! SQLite: one table, one transaction a group, a write-ahead log that is synced with each.

use std::path::Path;

use anyhow::Result;
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::worker::Record;
use rusqlite::{Connection, params};

use super::keyed::{self, Reading};
use super::{CACHE, Engine, Oldest};

/// Blocks are far longer than the part of a row that an index should carry, so that the table keeps its row
/// numbers and the key is an index beside it.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS blocks
        (worker TEXT NOT NULL, place INTEGER NOT NULL, record BLOB NOT NULL, UNIQUE (worker, place))";

const READ: &str = "
    SELECT record FROM blocks WHERE worker = ?1 AND place >= coalesce(
        (SELECT max(place) FROM blocks WHERE worker = ?1 AND place BETWEEN 1 AND ?2), ?2)
    ORDER BY place";

/// The connection.
pub(super) struct Sqlite(Connection);

impl Sqlite {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let connection = Connection::open(dir.join("sqlite"))?;
        // For large values its authors measured the best page to be of 8 or 16 KiB.
        connection.pragma_update(None, "page_size", 8192)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -i64::from(CACHE >> 10))?;
        connection.execute(TABLE, [])?;
        Ok(Self(connection))
    }
}

impl Engine for Sqlite {
    fn commit(&mut self, records: &[Record]) -> Result<()> {
        let transaction = self.0.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO blocks VALUES (?1, ?2, ?3)")?;
        for record in records {
            let place = i64::try_from(keyed::place(record))?;
            insert.execute(params![record.change.worker().as_str(), place, keyed::value(record)])?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> Result<Vec<Block>> {
        let mut reading = Reading::new(from, max_bytes);
        let mut select = self.0.prepare_cached(READ)?;
        let mut rows = select.query(params![worker.as_str(), i64::try_from(from.get())?])?;
        while let Some(row) = rows.next()? {
            if !reading.take(row.get_ref(0)?.as_blob()?)? {
                break;
            }
        }
        Ok(reading.blocks)
    }

    fn delete(&mut self, oldest: &Oldest) -> Result<()> {
        self.0.execute("DELETE FROM blocks WHERE worker < ?1", [&oldest.until])?;
        Ok(())
    }

    fn reclaim(&mut self) -> Result<()> {
        // It frees a page a step.
        let mut vacuum = self.0.prepare("PRAGMA incremental_vacuum")?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        Ok(self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}
