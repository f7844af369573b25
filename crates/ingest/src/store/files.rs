//! What the store asks of a file system, and nothing more, so that tests can put one in its place that loses
//! whatever a real one may lose in a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};

/// A file that the disk cannot give back as a whole is read in pieces of so many bytes: a page, in which disks and
/// file systems lose what they lose.
const PIECE: usize = 4096;

/// Segments and their indexes, by their numbers.
pub(super) trait Files: Send + Sync {
    /// The segments that are there, in order.
    fn segments(&self) -> io::Result<Vec<u32>>;

    /// A new segment, empty. Its name may be gone after a power cut until [`Files::sync_names`].
    fn create(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>>;

    /// A segment that is there.
    fn open(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>>;

    /// Removes a segment and its index. They may be there again after a power cut until [`Files::sync_names`].
    fn remove(&self, segment: u32) -> io::Result<()>;

    /// The index of a segment, where there is one.
    fn index(&self, segment: u32) -> io::Result<Option<Arc<dyn SegmentFile>>>;

    /// Makes `bytes` the index of a segment. After a power cut it is whole, or as it was before until
    /// [`Files::sync_names`]; it is never there in part.
    fn put_index(&self, segment: u32, bytes: &[u8]) -> io::Result<()>;

    /// Removes the index of a segment, if there is one.
    fn remove_index(&self, segment: u32) -> io::Result<()>;

    /// Removes what a crash left: indexes without a segment, and those that were being written.
    fn sweep(&self) -> io::Result<()>;

    /// Makes all names durable, and that those removed are gone.
    fn sync_names(&self) -> io::Result<()>;

    /// Which file has the name of a segment now.
    fn identity(&self, segment: u32) -> io::Result<Identity>;

    /// What an operator knows a segment by.
    fn path(&self, segment: u32) -> PathBuf;

    /// A hole in a segment gives room back for each so many bytes of it, counted from the segment's beginning.
    fn room_unit(&self) -> u64 {
        PIECE as u64
    }
}

/// What tells a file, for as long as it is open, from all others that may get its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// The bytes of one file. What was written may be gone after a power cut, in part and in any order, until
/// it was synced.
pub(super) trait SegmentFile: Send + Sync {
    fn length(&self) -> io::Result<u64>;
    /// Bytes that it takes up on the disk.
    fn allocated(&self) -> io::Result<u64>;
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// The parts, one after another. Only one at a time may write so.
    fn write_parts_at(&self, parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut at = offset;
        for part in parts {
            self.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        Ok(())
    }
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Gives the room of bytes back that nobody reads any more: zeros stand there, after a power cut perhaps in part.
    /// [`io::ErrorKind::Unsupported`] where the file system cannot.
    fn punch(&self, bytes: Range<u64>) -> io::Result<()>;
    /// The bytes, and what is needed to find them.
    fn sync_data(&self) -> io::Result<()>;
    fn sync_all(&self) -> io::Result<()>;
    /// What is durable of it need not be in memory any longer. Advice: it may be in vain.
    fn uncache(&self) {}

    /// All bytes, and how many pieces of [`PIECE`] bytes the disk cannot give back any more: zeros stand for them.
    fn read_around(&self) -> io::Result<(Vec<u8>, u64)> {
        let mut bytes = vec![0; usize::try_from(self.length()?).unwrap_or(usize::MAX)];
        match self.read_exact_at(&mut bytes, 0) {
            Err(error) if is_unreadable(&error) => {}
            read => return read.map(|()| (bytes, 0)),
        }
        let mut lost = 0;
        for (at, piece) in bytes.chunks_mut(PIECE).enumerate() {
            match self.read_exact_at(piece, (at * PIECE) as u64) {
                Err(error) if is_unreadable(&error) => {
                    piece.fill(0);
                    lost += 1;
                }
                read => read?,
            }
        }
        Ok((bytes, lost))
    }
}

/// Whether the disk cannot give back what it took.
pub(super) fn is_unreadable(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EIO as i32)
}

/// A file that is held in memory and never written to.
pub(super) struct Held(pub(super) Bytes);

impl SegmentFile for Held {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn allocated(&self) -> io::Result<u64> {
        self.length()
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = self.0.get(at..at.saturating_add(bytes.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(found);
        Ok(())
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn punch(&self, _: Range<u64>) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Files in one directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
}

/// How the names of files end.
const SEGMENT: &str = "log";
const INDEX: &str = "idx";
const UNFINISHED: &str = "idx.new";

/// Of the files: what commands print is nobody else's, and those of the group may read it, because in a Kubernetes
/// volume with an `fsGroup` that is how whoever makes copies of it does.
pub(super) const FILE_MODE: u32 = 0o640;

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), handle: File::open(path)? })
    }

    fn file(&self, segment: u32, ending: &str) -> PathBuf {
        self.path.join(format!("{segment:010}.{ending}"))
    }

    /// Numbers of the files whose names end so.
    fn numbers(&self, ending: &str) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(ending)?.strip_suffix('.'));
            numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

impl Files for Directory {
    fn segments(&self) -> io::Result<Vec<u32>> {
        self.numbers(SEGMENT)
    }

    fn create(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true).mode(FILE_MODE);
        Ok(Arc::new(options.open(self.path(segment))?))
    }

    fn open(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.path(segment))?))
    }

    fn remove(&self, segment: u32) -> io::Result<()> {
        self.remove_index(segment)?;
        remove_if_there(&self.path(segment))
    }

    fn index(&self, segment: u32) -> io::Result<Option<Arc<dyn SegmentFile>>> {
        match OpenOptions::new().read(true).open(self.file(segment, INDEX)) {
            Ok(file) => Ok(Some(Arc::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put_index(&self, segment: u32, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.file(segment, UNFINISHED);
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(FILE_MODE);
        let written = options.open(&unfinished).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        if let Err(error) = written {
            // On a full disk what is there of it takes room from others.
            let _swept_later = remove_if_there(&unfinished);
            return Err(error);
        }
        fs::rename(&unfinished, self.file(segment, INDEX))
    }

    fn remove_index(&self, segment: u32) -> io::Result<()> {
        remove_if_there(&self.file(segment, INDEX))
    }

    fn sweep(&self) -> io::Result<()> {
        let segments = self.segments()?;
        for orphan in self.numbers(INDEX)?.into_iter().filter(|number| !segments.contains(number)) {
            self.remove_index(orphan)?;
        }
        for number in self.numbers(UNFINISHED)? {
            remove_if_there(&self.file(number, UNFINISHED))?;
        }
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn identity(&self, segment: u32) -> io::Result<Identity> {
        let found = fs::metadata(self.path(segment))?;
        Ok(Identity { device: found.dev(), inode: found.ino() })
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.file(segment, SEGMENT)
    }
}

impl SegmentFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn allocated(&self) -> io::Result<u64> {
        // `stat` counts in these, whatever the file system does.
        Ok(self.metadata()?.blocks() * 512)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn write_parts_at(&self, mut parts: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut file = self;
        file.seek(SeekFrom::Start(offset))?;
        // Parts of no length are passed over, or the last write would seem to take nothing.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match file.write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn punch(&self, bytes: Range<u64>) -> io::Result<()> {
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let length = bytes.end - bytes.start;
        match fallocate(self, mode, bytes.start.cast_signed(), length.cast_signed()) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Err(io::ErrorKind::Unsupported.into()),
            punched => Ok(punched?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }

    fn uncache(&self) {
        // To the end of the file.
        let _in_vain = posix_fadvise(self, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}
