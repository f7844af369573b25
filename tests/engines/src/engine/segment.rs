//! The store of log-ingest itself, through its public seam.

use std::path::Path;

use anyhow::{Context, Result};
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::store::{Damage, LogStore, Opened, disk};
use log_ingest::worker::Record;

use super::{Engine, Oldest};
use crate::table::ratio;

/// Changes of one commit of retention, as in log-ingest.
const AT_MOST: usize = 1_000;

/// The store in its directory.
pub(super) struct Segment {
    opened: Opened,
}

impl Segment {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        Ok(Self { opened: disk::open(dir, disk::SEGMENT_BYTES, Damage::default())? })
    }
}

impl Engine for Segment {
    fn commit(&mut self, records: &[Record]) -> Result<()> {
        Ok(self.opened.store.commit(records)?)
    }

    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> Result<Vec<Block>> {
        Ok(self.opened.reader.read(worker, from, max_bytes)?)
    }

    /// As retention does it: whole segments go, once what only they tell is committed anew. The last of the old
    /// logs share a segment with the first of the others and stay for as long as these.
    fn delete(&mut self, oldest: &Oldest) -> Result<()> {
        let store = &mut self.opened.store;
        let parts = store.retain().context("it keeps lines for as long as it is asked to")?.parts();
        let total: u64 = parts.iter().map(|part| part.bytes).sum();
        let mut behind = 0;
        let old = parts.iter().take_while(|part| {
            behind += part.bytes;
            ratio(behind, total) <= oldest.share
        });
        for part in old {
            give_up(store.as_mut(), part.number)?;
        }
        Ok(())
    }
}

fn give_up(store: &mut dyn LogStore, part: u32) -> Result<()> {
    loop {
        let retain = store.retain().context("it did before")?;
        let farewell = retain.farewell(part, i64::MIN, AT_MOST);
        if farewell.is_empty() {
            return Ok(retain.remove(part)?);
        }
        let records: Vec<_> = farewell.into_iter().map(|change| Record { at_ns: 0, change }).collect();
        store.commit(&records)?;
    }
}
