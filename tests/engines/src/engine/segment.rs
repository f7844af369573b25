//! The store of log-ingest itself, through its public seam.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use log_ingest::ids::WorkerId;
use log_ingest::line::{Block, Sequence};
use log_ingest::store::{Opened, disk};
use log_ingest::worker::Record;

use super::{Engine, Oldest};
use crate::table::ratio;

/// The store in its directory; none once something was deleted behind its back.
pub(super) struct Segment {
    dir: PathBuf,
    opened: Option<Opened>,
}

impl Segment {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let opened = disk::open(dir, &mut |_| {})?;
        Ok(Self { dir: dir.to_owned(), opened: Some(opened) })
    }
}

impl Engine for Segment {
    fn commit(&mut self, records: &[Record]) -> Result<()> {
        let opened = self.opened.as_mut().context("the store is closed")?;
        Ok(opened.store.commit(records)?)
    }

    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> Result<Vec<Block>> {
        let opened = self.opened.as_ref().context("the store is closed")?;
        Ok(opened.reader.read(worker, from, max_bytes)?)
    }

    /// What retention comes to: whole segments go, with what lies beside them under their numbers. The last of
    /// the old logs share a segment with the first of the others and stay for as long as these.
    fn delete(&mut self, oldest: &Oldest) -> Result<()> {
        self.opened = None;
        let segments = segments(&self.dir)?;
        let total: u64 = segments.iter().map(|(_, bytes)| bytes).sum();
        let mut behind = 0;
        let old = segments.iter().take_while(|(_, bytes)| {
            behind += bytes;
            ratio(behind, total) <= oldest.share
        });
        for (segment, _) in old {
            remove(&self.dir, segment)?;
        }
        Ok(fs::File::open(&self.dir)?.sync_all()?)
    }
}

/// Names of all segments without their extensions, in order, with their sizes.
fn segments(dir: &Path) -> Result<Vec<(String, u64)>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".log")) {
            segments.push((stem.to_owned(), entry.metadata()?.len()));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

fn remove(dir: &Path, stem: &str) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|name| name == stem) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
