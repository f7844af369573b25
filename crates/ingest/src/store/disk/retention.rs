//! Giving segments up. Before one goes, what only it knows is committed anew: the state of each worker whose
//! state as a whole stands there, and for all others that have lines there, up to where these are gone. So a
//! crash at any point in between leaves a store that lacks nothing but lines that were to go.

use std::io;

use super::super::{Excess, Part, Retain, Stint};
use super::DiskStore;
use super::index::Indexed;
use super::sealed::Extent;
use crate::worker::Change;

impl Retain for DiskStore {
    fn parts(&self) -> Vec<Part> {
        let index = self.index.read();
        let part = |(number, segment): (&u32, &super::index::Segment)| Part {
            number: *number,
            bytes: if *number == self.writing.number { self.writing.committed } else { segment.allocated },
            oldest_ns: segment.oldest_ns.unwrap_or(segment.summary.newest_ns),
            newest_ns: segment.summary.newest_ns,
            is_hollow: *number != self.writing.number && segment.has_blocks && segment.extents == 0,
            has_lines: if *number == self.writing.number { segment.has_blocks } else { segment.extents > 0 },
        };
        index.segments.iter().map(part).collect()
    }

    fn seal(&mut self) -> io::Result<()> {
        Self::seal(self)
    }

    fn farewell(&self, part: u32, forget_before_ns: i64, at_most: usize) -> Vec<Change> {
        let index = self.index.read();
        let changes = index.workers.values().filter_map(|known| known.farewell(part, forget_before_ns));
        changes.take(at_most).collect()
    }

    fn forget(&self, ended_before_ns: i64, open_before_ns: i64, at_most: usize) -> Vec<Change> {
        let index = self.index.read();
        let is_silent = |known: &&Indexed| {
            let before_ns = if known.state.closing.is_some() { ended_before_ns } else { open_before_ns };
            known.extents.is_empty() && known.open.is_empty() && known.state.updated_ns < before_ns
        };
        let silent = index.workers.values().filter(is_silent).take(at_most);
        silent.map(|known| Change::Forgotten { worker: known.state.registration.worker.clone() }).collect()
    }

    fn remove(&mut self, part: u32) -> io::Result<()> {
        assert_ne!(part, self.writing.number, "what is being written is never removed");
        // First for readers: whoever finds a file gone has to find it gone here.
        let known = self.index.write().drop_oldest(part);
        if let Err(error) = self.files.remove(part) {
            // It is tried again; everybody was told that its lines are gone.
            self.index.write().segments.extend(known.map(|segment| (part, segment)));
            return Err(error);
        }
        self.handles.close(part);
        self.sealed_bytes = self.index.read().sealed_bytes();
        // If it comes back after a power cut, it is removed again.
        Ok(())
    }

    fn excess(&mut self, limit: u64, at_most: Stint) -> Excess {
        self.task_excess(limit, at_most)
    }

    fn give_back(&mut self) -> u64 {
        self.punch_trimmed()
    }
}

impl Indexed {
    /// What has to be durable before `segment` goes; none where that is so already.
    fn farewell(&self, segment: u32, forget_before_ns: i64) -> Option<Change> {
        let worker = || self.state.registration.worker.clone();
        let is_kept = |extent: &&Extent| extent.last > self.state.trimmed;
        // Segments go in order, so what one has of a worker is the first that there is.
        let here = self.extents.first().filter(|extent| extent.segment == segment).filter(is_kept);
        let trimmed = |until| Change::Trimmed { worker: worker(), until };
        if self.base != segment {
            return here.map(|extent| trimmed(extent.last));
        }
        let elsewhere = self.extents.last().filter(|extent| extent.segment != segment).filter(is_kept);
        let has_lines = !self.open.is_empty() || elsewhere.is_some();
        if self.state.closing.is_some() && !has_lines && self.state.updated_ns < forget_before_ns {
            // First its readers are told of its lines.
            return Some(
                here.map_or_else(|| Change::Forgotten { worker: worker() }, |extent| trimmed(extent.last)),
            );
        }
        let trimmed = here.map_or(self.state.trimmed, |extent| extent.last);
        Some(Change::Carried(Box::new(crate::worker::WorkerState { trimmed, ..self.state.clone() })))
    }
}
