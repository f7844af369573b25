//! Taking lines from one task that has too many, oldest first, while those of others around them stay.
//!
//! Only lines of sealed segments go. It is said first, so that a crash at any point lacks nothing but lines that were to
//! go: as with a whole segment, up to where they are gone, and with it all that is known of a worker whose state is told
//! nowhere later than where the hole will be, for an index that has to be made anew cannot count what is not there any
//! more. Then their room is given back, as holes in the file. A crash in between leaves some room taken until the whole
//! segment goes.
//!
//! It is looked for only when the store has grown by a share of the limit, because no task has grown by more. How much of
//! a block run is left that was taken in part is told from its line numbers: an estimate that is off delays or hastens
//! the next step by less than one segment's share.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;

use super::super::Excess;
use super::super::segment::FRAME_HEAD;
use super::DiskStore;
use super::handles::Which;
use super::index::{Indexed, Inner};
use super::sealed::{Extent, Position};
use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::retention;
use crate::worker::{Change, WorkerState};

/// The store is looked through when it has grown by this share of the limit.
const SHARE: u64 = 16;

/// What a worker has in a sealed segment and is still kept.
struct Run {
    worker: WorkerId,
    extent: Extent,
    kept_from: Sequence,
    bytes: u64,
}

/// Up to where the lines of a worker are to go, and in which segment that is.
type Cuts = BTreeMap<WorkerId, (Sequence, u32)>;

impl DiskStore {
    pub(super) fn task_excess(&mut self, limit: u64, at_most: usize) -> io::Result<Excess> {
        if self.looked.is_some_and(|looked| self.grown_since(looked) < limit / SHARE) {
            return Ok(Excess::Nothing);
        }
        self.looked = None;
        let (excess, runs, is_written) = {
            let index = self.index.read();
            let Some((task, excess)) = largest(&index, limit) else {
                self.looked = Some((self.writing.number, self.writing.committed));
                return Ok(Excess::Nothing);
            };
            let mut of_it = index.workers.values().filter(|known| known.state.registration.task == *task);
            (excess, runs(&index, task), of_it.any(|known| !known.open.is_empty()))
        };
        let cuts = self.cuts(&runs, excess, at_most)?;
        if cuts.is_empty() {
            return Ok(if is_written { Excess::Unsealed } else { Excess::Nothing });
        }
        let index = self.index.read();
        let change = |(worker, (until, segment)): (WorkerId, (Sequence, u32))| {
            let known = index.workers.get(&worker)?;
            Some(if known.base <= segment {
                Change::Carried(Box::new(WorkerState { trimmed: until, ..known.state.clone() }))
            } else {
                Change::Trimmed { worker, until }
            })
        };
        Ok(Excess::Lines(cuts.into_iter().filter_map(change).collect()))
    }

    /// At most by how much the store has grown.
    fn grown_since(&self, (segment, end): (u32, u64)) -> u64 {
        let segments = u64::from(self.writing.number - segment);
        (segments * self.segment_bytes + self.writing.committed).saturating_sub(end)
    }

    /// Where to cut so that about `excess` bytes go: whole segments, and of the last one by the places of blocks.
    fn cuts(&self, runs: &BTreeMap<u32, Vec<Run>>, mut excess: u64, at_most: usize) -> io::Result<Cuts> {
        let mut cuts = Cuts::new();
        for (segment, runs) in runs {
            if excess == 0 || cuts.len() >= at_most {
                break;
            }
            let bytes: u64 = runs.iter().map(|run| run.bytes).sum();
            if bytes <= excess {
                cuts.extend(runs.iter().map(|run| (run.worker.clone(), (run.extent.last, *segment))));
                excess -= bytes;
                continue;
            }
            for (position, worker) in self.blocks(runs)? {
                if excess == 0 {
                    break;
                }
                cuts.insert(worker, (position.last, *segment));
                excess = excess.saturating_sub(position.length.into());
            }
        }
        Ok(cuts)
    }

    /// The blocks of a segment's runs that are kept, in the order in which they came.
    fn blocks(&self, runs: &[Run]) -> io::Result<Vec<(Position, WorkerId)>> {
        let mut blocks = Vec::new();
        for run in runs {
            let positions = self.positions(&run.extent, run.kept_from)?;
            blocks.extend(positions.into_iter().map(|position| (position, run.worker.clone())));
        }
        blocks.sort_by_key(|(position, _)| position.offset);
        Ok(blocks)
    }

    fn positions(&self, extent: &Extent, from: Sequence) -> io::Result<Vec<Position>> {
        let seal = self.index.seal(extent.segment).ok_or(io::ErrorKind::NotFound)?;
        let index = self.handles.get(Which::Index(extent.segment))?;
        extent.positions(&*index, seal, from, u64::MAX)
    }

    pub(super) fn punch_trimmed(&mut self, workers: &[WorkerId]) -> io::Result<u64> {
        let mut holes: BTreeMap<u32, Vec<Range<u64>>> = BTreeMap::new();
        for (extent, from, until) in self.trimmed(workers) {
            let gone = self.positions(&extent, from)?.into_iter().filter(|position| position.last <= until);
            holes.entry(extent.segment).or_default().extend(gone.map(|position| {
                let start = u64::from(position.offset) - FRAME_HEAD as u64;
                start..u64::from(position.offset) + u64::from(position.length)
            }));
        }
        let mut given_back = 0;
        for (segment, holes) in holes {
            given_back += self.punch(segment, holes)?;
        }
        self.index.write().drop_punched(workers);
        self.sealed_bytes = self.index.read().sealed_bytes();
        Ok(given_back)
    }

    /// What of these workers is gone and takes room still: runs, and from where to where.
    fn trimmed(&self, workers: &[WorkerId]) -> Vec<(Extent, Sequence, Sequence)> {
        let index = self.index.read();
        let mut gone = Vec::new();
        for known in workers.iter().filter_map(|worker| index.workers.get(worker)) {
            let (from, until) = (known.punched.next(), known.state.trimmed);
            let hit = known.extents.iter().filter(|extent| extent.first <= until && extent.last >= from);
            gone.extend(hit.map(|extent| (*extent, from, until)));
        }
        gone
    }

    fn punch(&self, segment: u32, mut holes: Vec<Range<u64>>) -> io::Result<u64> {
        holes.sort_by_key(|hole| hole.start);
        holes.dedup_by(|next, hole| {
            let continues = next.start == hole.end;
            hole.end = if continues { next.end } else { hole.end };
            continues
        });
        let file = self.handles.get(Which::Segment(segment))?;
        let before = file.allocated()?;
        for hole in holes {
            match file.punch(hole) {
                // Such a file system gives the room back with the whole segment.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => break,
                punched => punched?,
            }
        }
        // Half a hole would look like damage to whoever has to read the segment.
        file.sync_data()?;
        let given_back = before.saturating_sub(file.allocated()?);
        if let Some(known) = self.index.write().segments.get_mut(&segment) {
            known.allocated = known.allocated.saturating_sub(given_back);
        }
        Ok(given_back)
    }
}

/// The task that has the most, and how much of that is too much.
fn largest(index: &Inner, limit: u64) -> Option<(&TaskId, u64)> {
    let mut tasks: HashMap<&TaskId, u64> = HashMap::new();
    for known in index.workers.values() {
        *tasks.entry(&known.state.registration.task).or_default() += kept(known);
    }
    let (task, bytes) = tasks.into_iter().max_by_key(|(_, bytes)| *bytes)?;
    Some((task, retention::excess(bytes, limit)?))
}

/// What a task has in sealed segments.
fn runs(index: &Inner, task: &TaskId) -> BTreeMap<u32, Vec<Run>> {
    let mut runs: BTreeMap<u32, Vec<Run>> = BTreeMap::new();
    for (worker, known) in &index.workers {
        if known.state.registration.task != *task {
            continue;
        }
        let trimmed = known.state.trimmed;
        for extent in known.extents.iter().filter(|extent| extent.last > trimmed) {
            let (kept_from, bytes) = (trimmed.next(), left(extent, trimmed));
            let run = Run { worker: worker.clone(), extent: *extent, kept_from, bytes };
            runs.entry(extent.segment).or_default().push(run);
        }
    }
    runs
}

/// Bytes of the blocks of a worker that are kept.
fn kept(known: &Indexed) -> u64 {
    let sealed: u64 = known.extents.iter().map(|extent| left(extent, known.state.trimmed)).sum();
    let open: u64 = known.open.iter().map(|position| u64::from(position.length)).sum();
    sealed + open
}

/// Bytes of a run behind the lines that are gone.
fn left(extent: &Extent, trimmed: Sequence) -> u64 {
    let lines = extent.last.next().since(extent.first).max(1);
    let gone = trimmed.next().since(extent.first).min(lines);
    let left = u128::from(extent.bytes) * u128::from(lines - gone) / u128::from(lines);
    u64::try_from(left).unwrap_or(extent.bytes)
}
