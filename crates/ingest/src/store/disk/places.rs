//! Where the blocks of sealed segments are: their indexes say so. Where one is damaged, or not there, its segment is
//! asked instead, and the index taken away, so that the next start makes another.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tracing::warn;

use super::super::files::is_unreadable;
use super::super::segment::{HEADER, Seal};
use super::super::{Damage, record};
use super::handles::{Handles, Which};
use super::index::Index;
use super::sealed::{Extent, Position};
use crate::ids::WorkerId;
use crate::line::Sequence;

/// Places of blocks that are kept of segments whose indexes are damaged: about 24 MiB, and at least of one segment.
const RESCUED: usize = 1 << 20;

/// Shared by all readers and the writer.
pub(super) struct Places {
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

impl Places {
    pub(super) fn new(index: Arc<Index>, handles: Arc<Handles>, damage: Damage) -> Self {
        Self { index, handles, damage, rescued: Mutex::default() }
    }

    /// The blocks of a run that end at `from` or later, of about `max_bytes` together or more. None where the segment is
    /// gone. An error where neither the index nor the segment can be read for now.
    pub(super) fn positions(
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
            // Where the header is damaged as well, nothing else would know the seal at the next start.
            let is_needed = Seal::of(&bytes).is_none();
            if !is_needed && let Err(error) = self.handles.remove_index(segment) {
                // On a disk that takes nothing any more it stays, and is looked past from here on all the same.
                warn!(segment, %error, "cannot remove a damaged index");
            }
            rescued.push(Rescued { segment, blocks: blocks(&bytes.into(), seal) });
            while rescued.len() > 1 && rescued.iter().map(Rescued::places).sum::<usize>() > RESCUED {
                rescued.remove(0);
            }
        }
        let blocks = rescued.last().and_then(|rescued| rescued.blocks.get(worker));
        Ok(blocks.cloned().unwrap_or_default())
    }
}

/// Whether it is what the disk holds that is wrong, and trying again would not help.
pub(super) fn is_damage(error: &io::Error) -> bool {
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
