//! A directory on a disk that cannot give everything back, or has no room.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use super::super::super::files::{Directory, Files, Identity, SegmentFile};

/// A real directory, and what is wrong with the disk below it.
pub(super) struct Faulty {
    directory: Directory,
    /// Of which segments the disk cannot give what back.
    unreadable: Mutex<BTreeMap<u32, Range<u64>>>,
    is_full: AtomicBool,
}

impl Faulty {
    pub(super) fn open(path: &Path) -> Arc<Self> {
        let directory = Directory::open(path).unwrap();
        Arc::new(Self { directory, unreadable: Mutex::default(), is_full: AtomicBool::new(false) })
    }

    pub(super) fn lose(&self, segment: u32, bytes: Range<u64>) {
        self.unreadable.lock().unwrap().insert(segment, bytes);
    }

    pub(super) fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    fn room(&self) -> io::Result<()> {
        let is_full = self.is_full.load(Ordering::Relaxed);
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn wrap(&self, segment: u32, file: Arc<dyn SegmentFile>) -> Arc<dyn SegmentFile> {
        let unreadable = self.unreadable.lock().unwrap().get(&segment).cloned().unwrap_or_default();
        Arc::new(FaultyFile { file, unreadable })
    }
}

struct FaultyFile {
    file: Arc<dyn SegmentFile>,
    unreadable: Range<u64>,
}

impl FaultyFile {
    fn check(&self, at: u64, length: usize) -> io::Result<()> {
        let is_hit = at < self.unreadable.end && self.unreadable.start < at + length as u64;
        if is_hit { Err(io::Error::from_raw_os_error(Errno::EIO as i32)) } else { Ok(()) }
    }
}

impl Files for Faulty {
    fn segments(&self) -> io::Result<Vec<u32>> {
        self.directory.segments()
    }

    fn create(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        self.room()?;
        self.directory.create(segment)
    }

    fn open(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(self.wrap(segment, self.directory.open(segment)?))
    }

    fn remove(&self, segment: u32) -> io::Result<()> {
        self.directory.remove(segment)
    }

    fn index(&self, segment: u32) -> io::Result<Option<Arc<dyn SegmentFile>>> {
        self.directory.index(segment)
    }

    fn put_index(&self, segment: u32, bytes: &[u8]) -> io::Result<()> {
        self.room()?;
        self.directory.put_index(segment, bytes)
    }

    fn remove_index(&self, segment: u32) -> io::Result<()> {
        self.directory.remove_index(segment)
    }

    fn sweep(&self) -> io::Result<()> {
        self.directory.sweep()
    }

    fn sync_names(&self) -> io::Result<()> {
        self.directory.sync_names()
    }

    fn identity(&self, segment: u32) -> io::Result<Identity> {
        self.directory.identity(segment)
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.directory.path(segment)
    }
}

impl SegmentFile for FaultyFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn allocated(&self) -> io::Result<u64> {
        self.file.allocated()
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.check(offset, bytes.len())?;
        self.file.read_exact_at(bytes, offset)
    }

    /// A page of which only a part is written has to be read before.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(offset, bytes.len())?;
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.check(length, 1)?;
        self.file.set_len(length)
    }

    fn punch(&self, bytes: Range<u64>) -> io::Result<()> {
        self.file.punch(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
