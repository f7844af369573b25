//! The reading side. What cannot be read as it was written is never served as truth and never fails a reader:
//! it becomes a gap of its own worker, is counted, and logged once. What fails a reader is a process or a disk that
//! cannot do anything for now.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::super::segment::FRAME_HEAD;
use super::super::{DAMAGED, Damage, LogReader, record};
use super::handles::{Handles, Which};
use super::index::{Index, Run};
use super::places::{Places, is_damage};
use super::sealed::Position;
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::retention;
use crate::worker::{Change, Record};

/// Shared by all readers.
pub(super) struct DiskReader {
    index: Arc<Index>,
    handles: Arc<Handles>,
    places: Arc<Places>,
    damage: Damage,
}

impl DiskReader {
    pub(super) fn new(index: Arc<Index>, handles: Arc<Handles>, places: Arc<Places>, damage: Damage) -> Self {
        Self { index, handles, places, damage }
    }

    /// The block at a position; a gap in its place where it cannot be read.
    fn block(&self, worker: &WorkerId, segment: u32, position: &Position) -> io::Result<Block> {
        match self.read_block(worker, segment, position) {
            Ok(block) => Ok(block),
            Err(error) if is_damage(&error) => {
                // One that retention took meanwhile is missing, and nothing is wrong with it.
                let is_gone = self.index.is_gone(worker, position.last);
                if !is_gone {
                    self.damage.report(segment, position.offset.into(), &error);
                }
                let reason = if is_gone { retention::REASON } else { DAMAGED };
                let content = Content::Gap { last: position.last, reason: reason.into() };
                Ok(Block { first: position.first, content })
            }
            Err(error) => Err(error),
        }
    }

    fn read_block(&self, worker: &WorkerId, segment: u32, position: &Position) -> io::Result<Block> {
        let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let seal = self.index.seal(segment).ok_or(io::ErrorKind::NotFound)?;
        let place = (position.offset as usize)
            .checked_sub(FRAME_HEAD)
            .ok_or_else(|| damaged("a place before the first frame".to_owned()))?;
        let file = self.handles.get(Which::Segment(segment))?;
        let mut frame = vec![0; FRAME_HEAD + position.length as usize];
        file.read_exact_at(&mut frame, place as u64)?;
        let payload =
            seal.frame_at(&frame, place, 0).ok_or_else(|| damaged("a wrong checksum".to_owned()))?;
        match record::decode(Bytes::from(frame).slice(payload)) {
            Ok(Record { change: Change::Appended { worker: found, block, .. }, .. })
                if found == *worker && (block.first, block.last()) == (position.first, position.last) =>
            {
                Ok(block)
            }
            Ok(_) => Err(damaged("another record than its index says".to_owned())),
            Err(error) => Err(damaged(error.to_string())),
        }
    }
}

impl LogReader for DiskReader {
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>> {
        let max_bytes = (max_bytes as u64).max(1);
        let mut from = from;
        loop {
            let runs = self.index.read().runs(worker, from, max_bytes);
            let skipped = runs.iter().rev().find_map(|run| match run {
                Run::Sealed(extent) => Some(extent.last),
                Run::Open(..) => None,
            });
            let blocks = self.read_runs(worker, runs, from, max_bytes)?;
            match skipped {
                // Retention took these meanwhile, or nothing of them can be read. There may be more behind them.
                Some(last) if blocks.is_empty() => from = last.next(),
                Some(_) | None => return Ok(blocks),
            }
        }
    }
}

impl DiskReader {
    fn read_runs(
        &self,
        worker: &WorkerId,
        runs: Vec<Run>,
        from: Sequence,
        max_bytes: u64,
    ) -> io::Result<Vec<Block>> {
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for run in runs {
            let (segment, positions) = match run {
                Run::Open(segment, positions) => (segment, positions),
                Run::Sealed(extent) => (
                    extent.segment,
                    self.places.positions(worker, &extent, from, max_bytes.saturating_sub(bytes))?,
                ),
            };
            for position in positions {
                if bytes >= max_bytes {
                    return Ok(blocks);
                }
                bytes += u64::from(position.length);
                blocks.push(self.block(worker, segment, &position)?);
            }
        }
        Ok(blocks)
    }
}
