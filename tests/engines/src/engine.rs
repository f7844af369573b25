//! The engines, behind one seam. Each does what its own documentation advises for this load and no more; all
//! have a cache of [`CACHE`] bytes where they have one, and none compresses.

mod bare;
mod fjall;
mod keyed;
mod redb;
mod segment;
mod sqlite;

use std::fmt;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::worker::Record;
use serde::{Deserialize, Serialize};

/// Bytes that an engine may keep of what it read.
const CACHE: u32 = 64 << 20;

/// A store that is open.
pub(crate) trait Engine {
    /// Makes all of `records` durable, or none.
    fn commit(&mut self, records: &[Record]) -> Result<()>;

    /// Blocks of `worker` in order, the first of which holds `from`, of about `max_bytes` together, at least
    /// one. Empty where there are none.
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> Result<Vec<Block>>;

    /// Durably deletes the oldest logs. Nothing else is done with the store afterwards.
    fn delete(&mut self, oldest: &Oldest) -> Result<()>;

    /// Gives the file system back what deleting made free, as far as that takes a step of its own.
    fn reclaim(&mut self) -> Result<()> {
        Ok(())
    }

    /// Returns once nothing is left to be done in the background.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The logs that were written first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Oldest {
    /// The first worker in the order of names that stays.
    pub(crate) until: String,
    /// Which part of all bytes they are.
    pub(crate) share: f64,
}

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Kind {
    /// No engine: the limit.
    Bare,
    /// What log-ingest has.
    Segment,
    /// An LSM tree with a journal.
    Fjall,
    /// The same, values apart from keys.
    FjallApart,
    /// A copy-on-write B-tree.
    Redb,
    /// The same, paying with each commit for a quick recovery.
    RedbQuick,
    /// A B-tree with a write-ahead log.
    Sqlite,
}

impl Kind {
    /// Those that can be chosen.
    pub(crate) const ENGINES: [Self; 6] =
        [Self::Segment, Self::Fjall, Self::FjallApart, Self::Redb, Self::RedbQuick, Self::Sqlite];

    /// Opens the store in `dir`, or makes it.
    pub(crate) fn open(self, dir: &Path) -> Result<Box<dyn Engine>> {
        Ok(match self {
            Self::Bare => Box::new(bare::Bare::open(dir)?),
            Self::Segment => Box::new(segment::Segment::open(dir)?),
            Self::Fjall => Box::new(fjall::Fjall::open(dir, fjall::Values::WithKeys)?),
            Self::FjallApart => Box::new(fjall::Fjall::open(dir, fjall::Values::Apart)?),
            Self::Redb => Box::new(redb::Redb::open(dir, redb::Repair::Full)?),
            Self::RedbQuick => Box::new(redb::Redb::open(dir, redb::Repair::Quick)?),
            Self::Sqlite => Box::new(sqlite::Sqlite::open(dir)?),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bare => "limit: one file",
            Self::Segment => "segment log",
            Self::Fjall => "fjall",
            Self::FjallApart => "fjall, values apart",
            Self::Redb => "redb",
            Self::RedbQuick => "redb, quick repair",
            Self::Sqlite => "SQLite",
        })
    }
}
