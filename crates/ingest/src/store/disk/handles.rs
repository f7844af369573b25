//! Open files, a bounded number: a store of many segments must not use up what a process may open.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::super::files::{Files, Held, SegmentFile};

/// Files that stay open for readers. They mostly read one place after another.
const OPEN: usize = 128;

/// A file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Segment(u32),
    /// The index of a segment.
    Index(u32),
}

/// Opens files for readers, and keeps them open for a while.
pub(super) struct Handles {
    files: Arc<dyn Files>,
    /// The one used last stands last.
    open: Mutex<Vec<(Which, Arc<dyn SegmentFile>)>>,
    /// Indexes for which the disk had no room when the store was opened.
    unwritten: Mutex<BTreeMap<u32, Bytes>>,
}

impl Handles {
    pub(super) fn new(files: Arc<dyn Files>, unwritten: BTreeMap<u32, Bytes>) -> Self {
        Self { files, open: Mutex::default(), unwritten: Mutex::new(unwritten) }
    }

    /// Writes an index for which there was no room, if there is now.
    pub(super) fn write_index(&self) -> io::Result<()> {
        let first = self.unwritten().first_key_value().map(|(segment, bytes)| (*segment, bytes.clone()));
        let Some((segment, bytes)) = first else { return Ok(()) };
        self.files.put_index(segment, &bytes)?;
        self.unwritten().remove(&segment);
        Ok(())
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeMap<u32, Bytes>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        if let Some(bytes) = self.unwritten().get(&segment) {
            return Ok(Arc::new(Held(bytes.clone())));
        }
        self.files.index(segment)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Plain data: no panic can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, Vec<(Which, Arc<dyn SegmentFile>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, open. It stays readable for who has it, even if it is removed meanwhile.
    pub(super) fn get(&self, which: Which) -> io::Result<Arc<dyn SegmentFile>> {
        let mut open = self.lock();
        if let Some(at) = open.iter().rposition(|(known, _)| *known == which) {
            open[at..].rotate_left(1);
            return Ok(Arc::clone(&open[open.len() - 1].1));
        }
        let file = match which {
            Which::Segment(number) => self.files.open(number)?,
            Which::Index(number) => self.index(number)?,
        };
        if open.len() >= OPEN {
            open.remove(0);
        }
        open.push((which, Arc::clone(&file)));
        Ok(file)
    }

    /// Closes what is open of a segment.
    pub(super) fn close(&self, segment: u32) {
        self.unwritten().remove(&segment);
        self.lock().retain(|(which, _)| {
            let (Which::Segment(number) | Which::Index(number)) = *which;
            number != segment
        });
    }

    /// Takes an index away that has turned out to be damaged: the next start makes another.
    pub(super) fn remove_index(&self, segment: u32) -> io::Result<()> {
        self.close(segment);
        self.files.remove_index(segment)
    }
}
