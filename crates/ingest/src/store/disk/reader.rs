//! The reading side. What cannot be read as it was written is never served as truth and never fails a reader:
//! it becomes a gap of its own worker, is counted, and logged once.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::super::files::is_unreadable;
use super::super::segment::{FRAME_HEAD, HEADER, Seal};
use super::super::{DAMAGED, Damage, LogReader, record};
use super::handles::{Handles, Which};
use super::index::{Index, Run};
use super::sealed::{Extent, Position};
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::retention;
use crate::worker::{Change, Record};

/// Places of blocks that are kept of segments whose indexes are damaged: about 24 MiB, and at least of one segment.
const RESCUED: usize = 1 << 20;

/// Shared by all readers.
pub(super) struct DiskReader {
    index: Arc<Index>,
    handles: Arc<Handles>,
    damage: Damage,
    /// Where blocks are in segments whose indexes were found damaged. The one used last stands last.
    rescued: Mutex<Vec<Rescued>>,
}

struct Rescued {
    segment: u32,
    blocks: HashMap<WorkerId, Vec<Position>>,
}

impl Rescued {
    fn places(&self) -> usize {
        self.blocks.values().map(Vec::len).sum()
    }
}

impl DiskReader {
    pub(super) fn new(index: Arc<Index>, handles: Arc<Handles>, damage: Damage) -> Self {
        Self { index, handles, damage, rescued: Mutex::default() }
    }

    /// Positions of a sealed segment. Where its index is damaged, the segment itself is asked.
    fn positions(
        &self,
        worker: &WorkerId,
        extent: &Extent,
        from: Sequence,
        max_bytes: u64,
    ) -> io::Result<Vec<Position>> {
        let Some(seal) = self.index.seal(extent.segment) else { return Ok(Vec::new()) };
        let index = self.handles.get(Which::Index(extent.segment));
        let error = match index.and_then(|index| extent.positions(&*index, seal, from, max_bytes)) {
            Ok(positions) => return Ok(positions),
            Err(error) if is_damage(&error) => error,
            Err(error) => return Err(error),
        };
        if self.index.seal(extent.segment).is_none() {
            return Ok(Vec::new());
        }
        self.damage.report(extent.segment, 0, &format_args!("its index cannot be read: {error}"));
        let all = self.rescue(worker, extent.segment, seal)?;
        Ok(all.into_iter().filter(|position| position.last >= from).collect())
    }

    /// What the segment itself says. Slow, so what it said is kept.
    fn rescue(&self, worker: &WorkerId, segment: u32, seal: Seal) -> io::Result<Vec<Position>> {
        let mut rescued = self.rescued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = rescued.iter().position(|rescued| rescued.segment == segment) {
            rescued[at..].rotate_left(1);
        } else {
            // First the segment: where that cannot be read either, the index is still the better of the two.
            let (bytes, _) = self.handles.get(Which::Segment(segment))?.read_around()?;
            self.handles.remove_index(segment)?;
            rescued.push(Rescued { segment, blocks: blocks(&bytes.into(), seal) });
            while rescued.len() > 1 && rescued.iter().map(Rescued::places).sum::<usize>() > RESCUED {
                rescued.remove(0);
            }
        }
        let blocks = rescued.last().and_then(|rescued| rescued.blocks.get(worker));
        Ok(blocks.cloned().unwrap_or_default())
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
                Run::Sealed(extent) => {
                    (extent.segment, self.positions(worker, &extent, from, max_bytes.saturating_sub(bytes))?)
                }
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

/// Whether it is what the disk holds that is wrong, and trying again would not help.
fn is_damage(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof, io::ErrorKind::NotFound];
    kinds.contains(&error.kind()) || is_unreadable(error)
}

/// The blocks of a segment by worker.
fn blocks(bytes: &Bytes, seal: Seal) -> HashMap<WorkerId, Vec<Position>> {
    let mut blocks: HashMap<_, Vec<_>> = HashMap::new();
    for payload in seal.scan(bytes, HEADER).payloads {
        let Ok(record) = record::decode(bytes.slice(payload.clone())) else { continue };
        if let Some(position) = Position::of(&record, &payload) {
            let blocks: &mut Vec<Position> = blocks.entry(record.change.worker().clone()).or_default();
            // As opening took them.
            if blocks.last().is_none_or(|before| before.last < position.first) {
                blocks.push(position);
            }
        }
    }
    blocks
}
