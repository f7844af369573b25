//! No engine: the same bytes at the end of one file, and one fdatasync a group. What is ahead of this does not
//! keep its promise.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::store;
use log_ingest::worker::Record;

use super::{Engine, Oldest};

/// A file.
pub(super) struct Bare {
    file: File,
    buffer: Vec<u8>,
}

impl Bare {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = OpenOptions::new().create(true).append(true).open(dir.join("file"))?;
        Ok(Self { file, buffer: Vec::new() })
    }
}

impl Engine for Bare {
    fn commit(&mut self, records: &[Record]) -> Result<()> {
        self.buffer.clear();
        for record in records {
            store::encode(record, &mut self.buffer);
        }
        self.file.write_all(&self.buffer)?;
        Ok(self.file.sync_data()?)
    }

    fn read(&self, _: &WorkerId, _: Sequence, _: usize) -> Result<Vec<Block>> {
        bail!("nothing can be found in a file without an index")
    }

    fn delete(&mut self, _: &Oldest) -> Result<()> {
        bail!("nothing can be found in a file without an index")
    }
}
