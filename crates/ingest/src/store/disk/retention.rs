//! Giving segments up. Before one goes, what only it knows is committed anew: the state of each worker whose
//! state as a whole stands there, and for all others that have lines there, up to where these are gone. So a
//! crash at any point in between leaves a store that lacks nothing but lines that were to go.

use std::io;

use super::super::{Part, Retain};
use super::DiskStore;
use super::index::Indexed;
use crate::worker::Change;

impl Retain for DiskStore {
    fn parts(&self) -> Vec<Part> {
        let index = self.index.read();
        let part = |(number, segment): (&u32, &super::index::Segment)| Part {
            number: *number,
            bytes: if *number == self.writing.number { self.writing.committed } else { segment.allocated },
            oldest_ns: segment.oldest_ns.unwrap_or(segment.summary.newest_ns),
            newest_ns: segment.summary.newest_ns,
            has_lines: segment.has_blocks,
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

    fn remove(&mut self, part: u32) -> io::Result<()> {
        assert_ne!(part, self.writing.number, "what is being written is never removed");
        // First for readers: whoever finds a file gone has to find it gone here.
        let known = self.index.write().segments.remove(&part);
        if let Err(error) = self.files.remove(part) {
            self.index.write().segments.extend(known.map(|segment| (part, segment)));
            return Err(error);
        }
        self.handles.close(part);
        self.sealed_bytes = self.index.read().sealed_bytes();
        // If it comes back after a power cut, it is removed again.
        Ok(())
    }
}

impl Indexed {
    /// What has to be durable before `segment` goes; none where that is so already.
    fn farewell(&self, segment: u32, forget_before_ns: i64) -> Option<Change> {
        let worker = || self.state.registration.worker.clone();
        let taken = self.extents.iter().find(|extent| extent.segment == segment).map(|extent| extent.last);
        if self.base != segment {
            return taken.map(|until| Change::Trimmed { worker: worker(), until });
        }
        let has_lines = !self.open.is_empty() || self.extents.iter().any(|extent| extent.segment != segment);
        if self.state.closing.is_some() && !has_lines && self.state.updated_ns < forget_before_ns {
            return Some(Change::Forgotten { worker: worker() });
        }
        let trimmed = self.state.trimmed.max(taken.unwrap_or_default());
        Some(Change::Carried(Box::new(crate::worker::WorkerState { trimmed, ..self.state.clone() })))
    }
}
