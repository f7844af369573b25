//! Where the blocks of each worker are, and what is known of it: the writer changes it, readers look it up.
//!
//! Of a sealed segment it holds one entry for each worker that has blocks there; where exactly these are stands in the
//! segment's index file. Only of the segment that is being written it holds each block. So memory grows with
//! workers and segments, and not with lines.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::super::segment::{HEADER, Seal};
use super::sealed::{self, Builder, Directory, Extent, Position, Summary};
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::worker::{Change, Record, Registration, WorkerState};

/// Shared by the writer and all readers.
#[derive(Default)]
pub(super) struct Index {
    inner: RwLock<Inner>,
}

/// What there is.
#[derive(Default)]
pub(super) struct Inner {
    /// Those sealed, and the one being written.
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) workers: HashMap<WorkerId, Indexed>,
    /// The segment that is being written, and in it:
    writing: u32,
    forgotten: Vec<WorkerId>,
}

/// One segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) seal: Seal,
    pub(super) summary: Summary,
    /// The lowest time of its records, where that is known.
    pub(super) oldest_ns: Option<i64>,
    /// Bytes that it takes up once it is sealed, its index included.
    pub(super) allocated: u64,
    /// Whether lines of anybody were written to it.
    pub(super) has_blocks: bool,
    /// Of how many workers it has lines still, once it is sealed.
    pub(super) extents: usize,
}

/// One worker.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) state: WorkerState,
    /// The segment that all before it can go without: there its state is told as a whole.
    pub(super) base: u32,
    /// The last segment that has a record of it.
    touched: u32,
    /// In the order of segments, and so of lines.
    pub(super) extents: Vec<Extent>,
    /// Its blocks in the segment that is being written.
    pub(super) open: Vec<Position>,
}

/// Where blocks are.
pub(super) enum Run {
    /// Of a sealed segment: its index file says where.
    Sealed(Extent),
    /// Of the segment with this number.
    Open(u32, Vec<Position>),
}

impl Index {
    /// Plain data: no panic can leave it half changed.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether retention took a line.
    pub(super) fn is_gone(&self, worker: &WorkerId, line: Sequence) -> bool {
        self.read().workers.get(worker).is_none_or(|known| known.state.trimmed >= line)
    }

    /// A segment's seal, while it is there.
    pub(super) fn seal(&self, segment: u32) -> Option<Seal> {
        Some(self.read().segments.get(&segment)?.seal)
    }
}

impl Inner {
    /// What follows is of this segment.
    pub(super) fn begin(&mut self, segment: u32, seal: Seal) {
        let summary = Summary { end: HEADER as u64, ..Summary::default() };
        self.writing = segment;
        let begun = Segment { seal, summary, oldest_ns: None, allocated: 0, has_blocks: false, extents: 0 };
        self.segments.insert(segment, begun);
    }

    /// The segment that is being written.
    pub(super) fn written(&mut self) -> &mut Segment {
        self.segments.get_mut(&self.writing).expect("begun, and removed only once it is sealed")
    }

    /// Whether a record can stand behind those before it: lines always have numbers that are new.
    pub(super) fn follows(&self, record: &Record) -> bool {
        let Change::Appended { worker, block, .. } = &record.change else { return true };
        let end = self.workers.get(worker).map_or(Sequence::ZERO, Indexed::end);
        block.first > end && block.last() >= block.first
    }

    /// Whether the one who introduces itself is not the one that is known: that this one was forgotten stood in a
    /// place that was lost.
    fn begins_another_run(&self, record: &Record) -> bool {
        let Change::Registered(registration) = &record.change else { return false };
        let known = self.workers.get(&registration.worker);
        known.is_some_and(|known| known.is_another_run(registration))
    }

    /// A record that stands in the segment that is being written.
    pub(super) fn add(&mut self, record: &Record, payload: &Range<usize>) {
        let segment = self.written();
        segment.summary.records += 1;
        segment.summary.newest_ns = segment.summary.newest_ns.max(record.at_ns);
        // Not that of the first: the clock that stamped it may have been ahead.
        segment.oldest_ns =
            Some(segment.oldest_ns.map_or(record.at_ns, |oldest_ns| oldest_ns.min(record.at_ns)));
        segment.has_blocks |= matches!(record.change, Change::Appended { .. });
        let worker = record.change.worker();
        if self.begins_another_run(record) {
            self.remove(worker);
        }
        if let Change::Forgotten { .. } = record.change {
            self.remove(worker);
            self.forgotten.push(worker.clone());
            return;
        }
        let writing = self.writing;
        if let Some(known) = self.workers.get_mut(worker) {
            known.add(record, writing, payload);
        } else {
            let mut known = Indexed::new(WorkerState::first(record), writing);
            known.place(record, payload);
            self.workers.insert(worker.clone(), known);
        }
    }

    /// A segment that is sealed already.
    pub(super) fn add_sealed(&mut self, segment: u32, directory: Directory) {
        let Directory { seal, summary, entries, allocated, .. } = directory;
        let has_blocks =
            |entry: &&sealed::Entry| entry.known.as_ref().is_some_and(|known| known.extent.is_some());
        let extents = entries.iter().filter(has_blocks).count();
        let sealed = Segment { seal, summary, oldest_ns: None, allocated, has_blocks: extents > 0, extents };
        self.segments.insert(segment, sealed);
        for sealed::Entry { worker, known } in entries {
            let Some(sealed::Known { state, is_base, extent }) = known else {
                self.remove(&worker);
                continue;
            };
            let known = self.workers.entry(worker).or_insert_with(|| Indexed::new(state.clone(), segment));
            let overlaps = extent.is_some_and(|extent| extent.first <= known.last_sealed());
            if overlaps || known.is_another_run(&state.registration) {
                for extent in known.extents.drain(..) {
                    uncount(&mut self.segments, extent.segment);
                }
            }
            known.state = state;
            known.touched = segment;
            known.base = if is_base { segment } else { known.base };
            known.extents.extend(extent);
        }
    }

    fn remove(&mut self, worker: &WorkerId) {
        for extent in self.workers.remove(worker).into_iter().flat_map(|known| known.extents) {
            uncount(&mut self.segments, extent.segment);
        }
    }

    /// Lets go of all that retention took. Only while nobody reads yet: a reader that does not know of it has to find
    /// the lines.
    pub(super) fn drop_trimmed(&mut self) {
        for known in self.workers.values_mut() {
            known.drop_trimmed(&mut self.segments);
        }
    }

    /// Counts what is not where it was written, and gives those workers of whom that was not known yet. Before
    /// anything is written, and after what retention took was let go of.
    pub(super) fn count_holes(&mut self) -> Vec<WorkerId> {
        let mut found = Vec::new();
        for (worker, known) in &mut self.workers {
            let new = known.holes().saturating_sub(known.state.damaged);
            if new > 0 {
                known.state.damage(new);
                found.push(worker.clone());
            }
        }
        found
    }

    /// Whether anything is needed still of what is older than this segment.
    pub(super) fn needs_before(&self, segment: u32) -> bool {
        self.workers.values().any(|known| {
            let is_older = known.extents.first().is_some_and(|extent| extent.segment < segment);
            known.base < segment || is_older
        })
    }

    /// Lets go of what retention took of these, now that nobody reads it any more.
    pub(super) fn drop_trimmed_of<'a>(&mut self, workers: impl IntoIterator<Item = &'a WorkerId>) {
        for worker in workers {
            if let Some(known) = self.workers.get_mut(worker) {
                known.drop_trimmed(&mut self.segments);
            }
        }
    }

    /// Lets go of the oldest segment, and of the blocks that it has.
    pub(super) fn drop_oldest(&mut self, segment: u32) -> Option<Segment> {
        for known in self.workers.values_mut() {
            let gone = known.extents.partition_point(|extent| extent.segment <= segment);
            known.extents.drain(..gone);
        }
        self.segments.remove(&segment)
    }

    /// Time of the youngest record.
    pub(super) fn newest_ns(&self) -> i64 {
        self.segments.values().map(|segment| segment.summary.newest_ns).max().unwrap_or_default()
    }

    /// The index file of the segment that is being written, and what it has of whom.
    pub(super) fn file(&self) -> (Vec<u8>, Vec<(WorkerId, Extent)>) {
        let segment = &self.segments[&self.writing];
        let mut builder = Builder::new(self.writing, segment.seal);
        self.forgotten.iter().for_each(|worker| builder.forgotten(worker));
        let touched = self.workers.iter().filter(|(_, known)| known.touched == self.writing);
        let mut extents = Vec::new();
        for (worker, known) in touched {
            let extent = builder.worker(&known.state, known.base == self.writing, &known.open);
            extents.extend(extent.map(|extent| (worker.clone(), extent)));
        }
        (builder.finish(segment.summary), extents)
    }

    /// The segment that is being written is so no longer: its blocks are looked up in its file from now on.
    pub(super) fn seal(&mut self, extents: Vec<(WorkerId, Extent)>, allocated: u64) {
        let segment = self.written();
        (segment.allocated, segment.extents) = (allocated, extents.len());
        self.forgotten = Vec::new();
        for (worker, extent) in extents {
            let known = self.workers.get_mut(&worker).expect("nobody else changes it meanwhile");
            known.open = Vec::new();
            known.extents.push(extent);
        }
    }

    /// What lies from `from` on, as far as is needed for `max_bytes`.
    pub(super) fn runs(&self, worker: &WorkerId, from: Sequence, max_bytes: u64) -> Vec<Run> {
        let Some(known) = self.workers.get(worker) else { return Vec::new() };
        let (mut runs, mut bytes) = (Vec::new(), 0);
        let start = known.extents.partition_point(|extent| extent.last < from);
        for extent in &known.extents[start..] {
            if bytes >= max_bytes {
                return runs;
            }
            // What of it is not before `from` is known only once it is looked up.
            bytes += if extent.first >= from { extent.bytes } else { 0 };
            runs.push(Run::Sealed(*extent));
        }
        let start = known.open.partition_point(|position| position.last < from);
        let wanted = known.open[start..].iter().take_while(|position| {
            let more = bytes < max_bytes;
            bytes += u64::from(position.length);
            more
        });
        runs.push(Run::Open(self.writing, wanted.copied().collect()));
        runs
    }

    /// Bytes that all segments but the one being written take up.
    pub(super) fn sealed_bytes(&self) -> u64 {
        let sealed = self.segments.iter().filter(|(number, _)| **number != self.writing);
        sealed.map(|(_, segment)| segment.allocated).sum()
    }
}

impl Indexed {
    fn new(state: WorkerState, segment: u32) -> Self {
        Self { state, base: segment, touched: segment, extents: Vec::new(), open: Vec::new() }
    }

    fn add(&mut self, record: &Record, segment: u32, payload: &Range<usize>) {
        self.state.apply(record);
        self.touched = segment;
        if let Change::Carried(_) = record.change {
            self.base = segment;
        }
        self.place(record, payload);
    }

    fn drop_trimmed(&mut self, segments: &mut BTreeMap<u32, Segment>) {
        let gone = self.extents.partition_point(|extent| extent.last <= self.state.trimmed);
        for extent in self.extents.drain(..gone) {
            uncount(segments, extent.segment);
        }
    }

    /// The last line of sealed segments.
    fn last_sealed(&self) -> Sequence {
        self.extents.last().map_or(Sequence::ZERO, |extent| extent.last)
    }

    /// Lines that come next have greater numbers.
    fn end(&self) -> Sequence {
        let open = self.open.last().map_or(Sequence::ZERO, |position| position.last);
        self.state.high.max(open).max(self.last_sealed())
    }

    fn is_another_run(&self, registration: &Registration) -> bool {
        let known = &self.state.registration;
        !known.is_recovered() && !registration.is_recovered() && known.session_id != registration.session_id
    }

    /// Lines below the mark that retention did not take, and that are in no block.
    fn holes(&self) -> u64 {
        let trimmed = self.state.trimmed;
        let (mut end, mut holes) = (trimmed, 0_u64);
        let sealed = self.extents.iter().map(|extent| (extent.first, extent.last, extent.holes));
        let open = self.open.iter().map(|position| (position.first, position.last, 0));
        for (first, last, inside) in sealed.chain(open) {
            // Where retention took the beginning, what is missing inside is that.
            let inside = if first > trimmed { inside } else { 0 };
            holes = holes.saturating_add(first.since(end.next())).saturating_add(inside);
            end = end.max(last);
        }
        holes.saturating_add(self.state.high.since(end))
    }

    fn place(&mut self, record: &Record, payload: &Range<usize>) {
        self.open.extend(Position::of(record, payload));
    }
}

fn uncount(segments: &mut BTreeMap<u32, Segment>, segment: u32) {
    if let Some(known) = segments.get_mut(&segment) {
        known.extents -= 1;
    }
}
