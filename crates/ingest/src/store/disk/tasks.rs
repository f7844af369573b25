//! Taking lines from one task that has too many, oldest first, while those of others around them stay.
//!
//! Only lines of sealed segments go, a stint at a time and never of more than one segment, until the task is down to what
//! it is to be brought to; so however much it has too much, the writer is free again soon. It is said first, so that a
//! crash at any point lacks nothing but lines that were to go: as with a whole segment, up to where they are gone, and
//! with it all that is known of a worker whose state is told nowhere later than where the hole will be, for an index that
//! has to be made anew cannot count what is not there any more. Then their room is given back, as holes in the file. What
//! no hole is worth it for, and what a crash in between leaves, stays until the whole segment goes.
//!
//! A segment of which nobody can tell where its blocks are is passed over: what it has of a worker goes with the next
//! lines of that worker, and holds up nothing until then.
//!
//! It is looked for only when the store has grown by a share of the limit, because no task has grown by more. How much of
//! a block run is left that was taken in part is told from its line numbers: an estimate that is off delays or hastens
//! the next step by less than one segment's share.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;

use tracing::{info, warn};

use super::super::segment::FRAME_HEAD;
use super::super::{Excess, Stint};
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

/// A task that loses lines, from one step to the next.
pub(super) struct Trimming {
    task: TaskId,
    /// Segments that are passed over.
    skipped: BTreeSet<u32>,
    /// What was named last, and has room still.
    cut: Option<Cut>,
    /// Bytes of the disk.
    given_back: u64,
}

/// What a worker has in a sealed segment and is still kept.
struct Run {
    worker: WorkerId,
    extent: Extent,
    kept_from: Sequence,
}

/// What one step takes.
#[derive(Debug, Default, PartialEq)]
struct Cut {
    segment: u32,
    /// Up to where the lines of a worker go.
    until: BTreeMap<WorkerId, Sequence>,
    /// Where they stand, as far as the disk has something of it, in order.
    holes: Vec<Range<u64>>,
}

impl DiskStore {
    pub(super) fn task_excess(&mut self, limit: u64, at_most: Stint) -> Excess {
        if let Some(begun) = self.trimming.take() {
            let (task, given_back) = (begun.task.clone(), begun.given_back);
            let next = self.step(begun, limit, at_most);
            if next != Excess::Nothing {
                return next;
            }
            info!(%task, bytes = given_back, "removed the oldest lines of a task that had too many");
        }
        if self.looked.is_some_and(|looked| self.grown - looked < limit / SHARE) {
            return Excess::Nothing;
        }
        let over = over(&self.index.read(), limit);
        for task in over {
            let begun = Trimming { task, skipped: BTreeSet::new(), cut: None, given_back: 0 };
            let next = self.step(begun, limit, at_most);
            if next != Excess::Nothing {
                self.looked = None;
                return next;
            }
        }
        self.looked = Some(self.grown);
        Excess::Nothing
    }

    /// What is to be done next with this task; nothing once it has come down, or where none of its lines can go.
    fn step(&mut self, mut trimming: Trimming, limit: u64, at_most: Stint) -> Excess {
        let (bytes, is_written) = {
            let index = self.index.read();
            let of_it = || of_task(&index, &trimming.task).map(|(_, known)| known);
            (of_it().map(kept).sum::<u64>(), of_it().any(|known| !known.open.is_empty()))
        };
        let excess = bytes.saturating_sub(retention::brought_to(limit));
        if excess == 0 {
            return Excess::Nothing;
        }
        let cut = self.cut(&mut trimming, excess, at_most);
        let next = match &cut {
            Some(cut) => Excess::Lines(cut.changes(&self.index.read())),
            None if is_written => Excess::Unsealed,
            None => return Excess::Nothing,
        };
        self.trimming = Some(Trimming { cut, ..trimming });
        next
    }

    /// What goes next, so that about `excess` bytes go in the end: of the oldest segment that can be read.
    fn cut(&self, trimming: &mut Trimming, excess: u64, at_most: Stint) -> Option<Cut> {
        let at_most = Stint { bytes: at_most.bytes.min(excess), ..at_most };
        loop {
            let oldest = oldest(&self.index.read(), trimming, at_most.workers);
            let (segment, runs) = oldest?;
            match self.blocks(&runs, at_most.bytes) {
                Ok(blocks) if blocks.is_empty() => {}
                Ok(blocks) => return Some(Cut::new(segment, &blocks, at_most, self.files.room_unit())),
                Err(error) => {
                    warn!(segment, %error, "cannot tell where lines are that are to go; they go with those behind them");
                }
            }
            trimming.skipped.insert(segment);
        }
    }

    /// The blocks of a segment's runs that are kept, in the order in which they came: the first of about `max_bytes`, and
    /// perhaps more.
    fn blocks(&self, runs: &[Run], max_bytes: u64) -> io::Result<Vec<(Position, WorkerId)>> {
        let mut blocks = Vec::new();
        for run in runs {
            let positions = self.places.positions(&run.worker, &run.extent, run.kept_from, max_bytes)?;
            blocks.extend(positions.into_iter().map(|position| (position, run.worker.clone())));
        }
        blocks.sort_unstable_by_key(|(position, _)| position.offset);
        Ok(blocks)
    }

    pub(super) fn punch_trimmed(&mut self) -> u64 {
        let Some(cut) = self.trimming.as_mut().and_then(|trimming| trimming.cut.take()) else { return 0 };
        if !cut.is_said(&self.index.read()) {
            return 0;
        }
        let given_back = self.punch(&cut).unwrap_or_else(|error| {
            warn!(segment = cut.segment, %error, "the room of lines that retention took is not given back for now");
            0
        });
        self.index.write().drop_trimmed_of(cut.until.keys());
        self.sealed_bytes = self.index.read().sealed_bytes();
        if let Some(trimming) = &mut self.trimming {
            trimming.given_back += given_back;
        }
        given_back
    }

    fn punch(&self, cut: &Cut) -> io::Result<u64> {
        let file = self.handles.get(Which::Segment(cut.segment))?;
        let before = file.allocated()?;
        for hole in &cut.holes {
            match file.punch(hole.clone()) {
                // Such a file system gives the room back with the whole segment.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => break,
                punched => punched?,
            }
        }
        // Half a hole would look like damage to whoever has to read the segment.
        file.sync_data()?;
        let given_back = before.saturating_sub(file.allocated()?);
        if let Some(known) = self.index.write().segments.get_mut(&cut.segment) {
            known.allocated = known.allocated.saturating_sub(given_back);
        }
        Ok(given_back)
    }
}

impl Cut {
    /// Of these blocks of a segment, in their order, as many as a stint takes; at least one.
    fn new(segment: u32, blocks: &[(Position, WorkerId)], at_most: Stint, room_unit: u64) -> Self {
        let (mut cut, mut bytes) = (Self { segment, ..Self::default() }, 0);
        for (position, worker) in blocks {
            let frame = frame(position);
            let continues = cut.holes.last().is_some_and(|hole| hole.end == frame.start);
            if !continues {
                cut.drop_hole_without(room_unit);
            }
            let is_new = !cut.until.contains_key(worker);
            let is_enough = bytes >= at_most.bytes
                || (is_new && cut.until.len() >= at_most.workers)
                || (!continues && cut.holes.len() >= at_most.holes);
            if is_enough {
                break;
            }
            bytes += u64::from(position.length);
            cut.until.insert(worker.clone(), position.last);
            match cut.holes.last_mut().filter(|_| continues) {
                Some(hole) => hole.end = frame.end,
                None => cut.holes.push(frame),
            }
        }
        cut.drop_hole_without(room_unit);
        cut
    }

    /// The last hole is none if it gives no room back: what is between whole units would only be written over.
    fn drop_hole_without(&mut self, room_unit: u64) {
        let is_worth_it = |hole: &Range<u64>| hole.start.next_multiple_of(room_unit) + room_unit <= hole.end;
        self.holes.pop_if(|hole| !is_worth_it(hole));
    }

    /// What has to be said before it is carried out.
    fn changes(&self, index: &Inner) -> Vec<Change> {
        let change = |(worker, until): (&WorkerId, &Sequence)| {
            let (known, until) = (index.workers.get(worker)?, *until);
            Some(if known.base <= self.segment {
                Change::Carried(Box::new(WorkerState { trimmed: until, ..known.state.clone() }))
            } else {
                Change::Trimmed { worker: worker.clone(), until }
            })
        };
        self.until.iter().filter_map(change).collect()
    }

    /// Whether that was done.
    fn is_said(&self, index: &Inner) -> bool {
        self.until.iter().all(|(worker, until)| {
            index.workers.get(worker).is_none_or(|known| known.state.trimmed >= *until)
        })
    }
}

/// Where the frame of a block stands.
fn frame(position: &Position) -> Range<u64> {
    let payload = u64::from(position.offset);
    payload.saturating_sub(FRAME_HEAD as u64)..payload + u64::from(position.length)
}

/// The tasks that have more than `limit`, those that have the most first.
fn over(index: &Inner, limit: u64) -> Vec<TaskId> {
    let mut tasks: HashMap<&TaskId, u64> = HashMap::new();
    for known in index.workers.values() {
        *tasks.entry(&known.state.registration.task).or_default() += kept(known);
    }
    let mut over: Vec<_> = tasks.into_iter().filter(|(_, bytes)| *bytes > limit).collect();
    over.sort_unstable_by_key(|(_, bytes)| Reverse(*bytes));
    over.into_iter().map(|(task, _)| task.clone()).collect()
}

fn of_task<'a>(index: &'a Inner, task: &'a TaskId) -> impl Iterator<Item = (&'a WorkerId, &'a Indexed)> {
    index.workers.iter().filter(|(_, known)| known.state.registration.task == *task)
}

/// The oldest segment that has lines of the task and is not passed over, and what it has of whom, `at_most` so many.
fn oldest(index: &Inner, trimming: &Trimming, at_most: usize) -> Option<(u32, Vec<Run>)> {
    let first = |(worker, known): (_, &Indexed)| {
        let trimmed = known.state.trimmed;
        let is_next = |extent: &&Extent| extent.last > trimmed && !trimming.skipped.contains(&extent.segment);
        let extent = known.extents.iter().find(is_next)?;
        Some((worker, *extent, trimmed.next()))
    };
    let firsts: Vec<_> = of_task(index, &trimming.task).filter_map(first).collect();
    let segment = firsts.iter().map(|(_, extent, _)| extent.segment).min()?;
    let here = firsts.into_iter().filter(|(_, extent, _)| extent.segment == segment).take(at_most);
    let run = |(worker, extent, kept_from): (&WorkerId, _, _)| {
        let worker = worker.clone();
        Run { worker, extent, kept_from }
    };
    Some((segment, here.map(run).collect()))
}

/// Bytes of the blocks of a worker that are kept.
fn kept(known: &Indexed) -> u64 {
    let sealed: u64 = known.extents.iter().map(|extent| left(extent, known.state.trimmed)).sum();
    let open: u64 = known.open.iter().map(|position| u64::from(position.length)).sum();
    sealed + open
}

/// Bytes of a run behind the lines that are gone.
fn left(extent: &Extent, trimmed: Sequence) -> u64 {
    if trimmed < extent.first {
        return extent.bytes;
    }
    let lines = extent.last.next().since(extent.first).max(1);
    let gone = trimmed.next().since(extent.first).min(lines);
    let left = u128::from(extent.bytes) * u128::from(lines - gone) / u128::from(lines);
    u64::try_from(left).unwrap_or(extent.bytes)
}
