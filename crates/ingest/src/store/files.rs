//! What the store asks of a file system, and nothing more, so that tests can put one in its place that loses
//! whatever a real one may lose in a power cut.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Segments, by their numbers.
pub(super) trait Files: Send + Sync {
    /// Those that are there, in order.
    fn segments(&self) -> io::Result<Vec<u32>>;

    /// A new one, empty. Its name may be gone after a power cut until [`Files::sync_names`].
    fn create(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>>;

    /// One that is there.
    fn open(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>>;

    /// Makes the names of all segments durable.
    fn sync_names(&self) -> io::Result<()>;

    /// What an operator knows it by.
    fn path(&self, segment: u32) -> PathBuf;
}

/// The bytes of one segment. What was written may be gone after a power cut, in part and in any order, until
/// it was synced.
pub(super) trait SegmentFile: Send + Sync {
    fn read_all(&self) -> io::Result<Vec<u8>>;
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// The bytes, and what is needed to find them.
    fn sync_data(&self) -> io::Result<()>;
    fn sync_all(&self) -> io::Result<()>;
}

/// Files in one directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), handle: File::open(path)? })
    }
}

impl Files for Directory {
    fn segments(&self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number: Option<u32> = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn create(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true);
        Ok(Arc::new(options.open(self.path(segment))?))
    }

    fn open(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.path(segment))?))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.path.join(format!("{segment:010}.log"))
    }
}

impl SegmentFile for File {
    fn read_all(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        FileExt::read_exact_at(self, &mut bytes, 0)?;
        Ok(bytes)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }
}
