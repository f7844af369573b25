//! A directory on a disk that cannot give everything back, has no room, or takes nothing any more; and how much it was
//! asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use super::super::super::files::{Directory, Files, Identity, SegmentFile};

/// A real directory, and what is wrong with the disk below it.
pub(super) struct Faulty {
    directory: Directory,
    /// Of which segments the disk cannot give what back.
    unreadable: Mutex<BTreeMap<u32, Range<u64>>>,
    /// Segments that cannot be opened, nor their indexes.
    closed: Mutex<BTreeSet<u32>>,
    is_full: AtomicBool,
    is_read_only: AtomicBool,
    asked: Arc<Asked>,
}

/// What was asked of the disk so far.
#[derive(Default)]
pub(super) struct Asked {
    /// Bytes that were read.
    pub(super) read: AtomicU64,
    /// Holes that were made.
    pub(super) holes: AtomicU64,
    /// Bytes in these.
    pub(super) punched: AtomicU64,
}

impl Asked {
    /// Bytes read, holes and their bytes, since it was asked last.
    pub(super) fn take(&self) -> (u64, u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        (take(&self.read), take(&self.holes), take(&self.punched))
    }
}

impl Faulty {
    pub(super) fn open(path: &Path) -> Arc<Self> {
        let directory = Directory::open(path).unwrap();
        Arc::new(Self {
            directory,
            unreadable: Mutex::default(),
            closed: Mutex::default(),
            is_full: AtomicBool::new(false),
            is_read_only: AtomicBool::new(false),
            asked: Arc::default(),
        })
    }

    pub(super) fn lose(&self, segment: u32, bytes: Range<u64>) {
        self.unreadable.lock().unwrap().insert(segment, bytes);
    }

    pub(super) fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// The file system of a segment is broken there: it cannot be opened, and nothing says that it is damaged.
    pub(super) fn close(&self, segment: u32) {
        self.closed.lock().unwrap().insert(segment);
    }

    /// What a kernel does with a disk that it does not trust any more.
    pub(super) fn remount_read_only(&self) {
        self.is_read_only.store(true, Ordering::Relaxed);
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    fn check_open(&self, segment: u32) -> io::Result<()> {
        let is_closed = self.closed.lock().unwrap().contains(&segment);
        if is_closed { Err(io::Error::from_raw_os_error(Errno::EUCLEAN as i32)) } else { Ok(()) }
    }

    fn room(&self) -> io::Result<()> {
        let is_full = self.is_full.load(Ordering::Relaxed);
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn wrap(&self, segment: u32, file: Arc<dyn SegmentFile>) -> Arc<dyn SegmentFile> {
        let unreadable = self.unreadable.lock().unwrap().get(&segment).cloned().unwrap_or_default();
        Arc::new(FaultyFile { file, unreadable, asked: Arc::clone(&self.asked) })
    }
}

struct FaultyFile {
    file: Arc<dyn SegmentFile>,
    unreadable: Range<u64>,
    asked: Arc<Asked>,
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
        self.check_open(segment)?;
        Ok(self.wrap(segment, self.directory.open(segment)?))
    }

    fn remove(&self, segment: u32) -> io::Result<()> {
        self.directory.remove(segment)
    }

    fn index(&self, segment: u32) -> io::Result<Option<Arc<dyn SegmentFile>>> {
        self.check_open(segment)?;
        let whole = |file| Arc::new(FaultyFile { file, unreadable: 0..0, asked: Arc::clone(&self.asked) });
        Ok(self.directory.index(segment)?.map(|file| whole(file) as Arc<dyn SegmentFile>))
    }

    fn put_index(&self, segment: u32, bytes: &[u8]) -> io::Result<()> {
        self.room()?;
        self.directory.put_index(segment, bytes)
    }

    fn remove_index(&self, segment: u32) -> io::Result<()> {
        if self.is_read_only.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(Errno::EROFS as i32));
        }
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
        self.asked.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
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
        self.asked.holes.fetch_add(1, Ordering::Relaxed);
        self.asked.punched.fetch_add(bytes.end - bytes.start, Ordering::Relaxed);
        self.file.punch(bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
