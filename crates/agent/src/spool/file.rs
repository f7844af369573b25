//! The file of a living agent: pieces are put at its end, and room is given back anywhere.
//!
//! The file is sparse: what is not wanted any more becomes a hole, so that it takes no more of the disk than
//! what is still wanted, while offsets only grow. On file systems without holes it grows up to its limit.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, Flock, FlockArg, fallocate};
use ottoscaler_proto::v1::{LogBatch, WorkerCompletion, WorkerRegistration};
use prost::Message;

use super::END_ROOM;
use super::frame::{self, BEGIN_AT, FIRST, FrameHead, HEAD, Kind, PAGE, Place};

/// Room at the beginning is given back in such portions: each costs a system call.
const PORTION: u64 = 1 << 20;

/// An open spool, locked: nobody reads it while its agent lives.
#[derive(Debug)]
pub(super) struct SpoolFile {
    file: Flock<File>,
    limit: u64,
    /// Everything before it was given back.
    begin: u64,
    /// Where the next frame goes.
    end: u64,
    /// The last run of dropped frames: the next one most likely lies right behind it.
    grave: Option<(u64, u64)>,
    has_holes: bool,
}

impl SpoolFile {
    /// A new one for this run.
    pub(super) fn create(path: &Path, run: &WorkerRegistration, limit: u64) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        // Lines are nobody else's to read, and no file of somebody else is written to.
        let file = OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(path)?;
        let file = begin(file, run, path, lock)?;
        Ok(Self { file, limit, begin: FIRST, end: FIRST, grave: None, has_holes: true })
    }

    /// From here on it can only be read.
    #[cfg(test)]
    pub(super) fn fail(&mut self, path: &Path) {
        self.exchange(File::options().read(true), path);
    }

    /// What is there instead cannot be read at all, until what is at `path` is there again.
    #[cfg(test)]
    pub(super) fn set_away(&mut self, path: &Path, is_away: bool) {
        let directory = path.parent().unwrap_or(path);
        let mut options = File::options();
        self.exchange(options.read(true).write(!is_away), if is_away { directory } else { path });
    }

    #[cfg(test)]
    fn exchange(&mut self, options: &OpenOptions, path: &Path) {
        let Ok(other) = options.open(path) else { panic!("{} is gone", path.display()) };
        // Two locks of one process are in each other's way.
        self.file = match Flock::lock(File::open("/dev/null").expect("it is there"), FlockArg::LockShared) {
            Ok(nothing) => nothing,
            Err((_, errno)) => panic!("{errno}"),
        };
        self.file = lock(other).expect("its lock was just let go");
    }

    /// As on a file system without holes.
    #[cfg(test)]
    pub(super) fn without_holes(&mut self) {
        self.has_holes = false;
    }

    /// Whether it is still what is found there: nobody can hand in a file that was removed.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
        let own = self.file.metadata().map(id);
        own.is_ok_and(|own| fs::metadata(path).map(id).is_ok_and(|there| there == own))
    }

    /// Puts a piece behind the others. Where that fails nothing of it counts.
    pub(super) fn append(&mut self, first: u64, last: u64, piece: &LogBatch) -> io::Result<Place> {
        self.write(Kind::Lines, first, last, piece)
    }

    /// Says how the command ended.
    pub(super) fn finish(&mut self, completion: &WorkerCompletion) -> io::Result<()> {
        self.write(Kind::End, 0, 0, completion).map(|_| ())
    }

    fn write(&mut self, kind: Kind, first: u64, last: u64, payload: &impl Message) -> io::Result<Place> {
        let frame = frame::encode(kind, first, last, payload);
        let place = Place { offset: self.end, length: (frame.len() - HEAD) as u64 };
        let reserved = if kind == Kind::End { 0 } else { END_ROOM };
        if !self.has_holes && place.end() - FIRST + reserved > self.limit {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "no holes here, and the limit is reached",
            ));
        }
        if let Err(error) = self.file.write_all_at(&frame, self.end) {
            // What a full disk took of it would stand behind a shorter frame that it takes later.
            self.file.set_len(self.end)?;
            return Err(error);
        }
        self.end = place.end();
        Ok(place)
    }

    /// What stands before the frame at this place; only the whole frame can be checked.
    pub(super) fn head(&self, place: Place) -> io::Result<FrameHead> {
        head(&self.file, place.offset).map(|(head, _)| head)
    }

    /// Reads a piece back.
    pub(super) fn read(&self, place: Place) -> io::Result<Bytes> {
        read(&self.file, place.offset).map(|(_, payload)| payload)
    }

    /// Gives a piece's room back. Whoever reads the file passes over it.
    pub(super) fn bury(&mut self, place: Place) -> io::Result<()> {
        let start = match self.grave {
            Some((start, end)) if end == place.offset => start,
            Some(_) | None => place.offset,
        };
        // First the head that spans it all, then the hole: a reader must not fall into it.
        self.file.write_all_at(&frame::dropped(place.end() - start - HEAD as u64), start)?;
        self.grave = Some((start, place.end()));
        self.punch((start + HEAD as u64).max(place.offset.saturating_sub(PAGE)), place.end())
    }

    /// Nothing before `oldest` is wanted any more; nothing at all where there is none.
    pub(super) fn release(&mut self, oldest: Option<Place>) -> io::Result<()> {
        let Some(oldest) = oldest else {
            return if self.end > FIRST { self.empty() } else { Ok(()) };
        };
        if oldest.offset - self.begin < PORTION {
            return Ok(());
        }
        self.file.write_all_at(&frame::begin_mark(oldest.offset), BEGIN_AT)?;
        let begin = std::mem::replace(&mut self.begin, oldest.offset);
        // A run that begins before it can no longer be made longer: nobody would read its head.
        self.grave = self.grave.filter(|(start, _)| *start >= oldest.offset);
        // With the page in which the last one ended.
        self.punch(begin / PAGE * PAGE, oldest.offset)
    }

    /// Begins anew. Whoever is left the file between two of these steps finds it empty.
    fn empty(&mut self) -> io::Result<()> {
        self.file.write_all_at(&frame::begin_mark(self.end), BEGIN_AT)?;
        (self.begin, self.grave) = (self.end, None);
        self.file.set_len(FIRST)?;
        self.file.write_all_at(&frame::begin_mark(FIRST), BEGIN_AT)?;
        (self.begin, self.end) = (FIRST, FIRST);
        Ok(())
    }

    /// Gives the whole pages between back, where the file system can.
    fn punch(&mut self, from: u64, to: u64) -> io::Result<()> {
        let (from, to) = (from.next_multiple_of(PAGE), to / PAGE * PAGE);
        if from >= to || !self.has_holes {
            return Ok(());
        }
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&*self.file, mode, from.cast_signed(), (to - from).cast_signed()) {
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => self.has_holes = false,
            other => other?,
        }
        Ok(())
    }
}

/// Writes the head of a new file and takes its lock. Where that fails there is no file: it would be in the way
/// of the next try.
fn begin(
    file: File,
    run: &WorkerRegistration,
    path: &Path,
    lock: impl FnOnce(File) -> io::Result<Flock<File>>,
) -> io::Result<Flock<File>> {
    let begun = frame::file_head(run).and_then(|head| file.write_all_at(&head, 0)).and_then(|()| lock(file));
    if begun.is_err() {
        fs::remove_file(path)?;
    }
    begun
}

/// The frame at `offset`, checked.
pub(super) fn read(file: &File, offset: u64) -> io::Result<(FrameHead, Bytes)> {
    let (head, bytes) = head(file, offset)?;
    if head.kind == Kind::Dropped {
        return Ok((head, Bytes::new()));
    }
    let mut payload = vec![0; usize::try_from(head.length).expect("it was checked")];
    file.read_exact_at(&mut payload, offset + HEAD as u64)?;
    head.check(&bytes, &payload)?;
    Ok((head, payload.into()))
}

fn head(file: &File, offset: u64) -> io::Result<(FrameHead, [u8; HEAD])> {
    let mut bytes = [0; HEAD];
    file.read_exact_at(&mut bytes, offset)?;
    Ok((FrameHead::parse(&bytes)?, bytes))
}

/// For as long as it is open.
pub(super) fn lock(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => {
            io::Error::new(io::ErrorKind::ResourceBusy, "the agent that writes it still lives")
        }
        errno => errno.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_lock_cannot_be_had_is_not_left_in_the_way_of_the_next_try() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let refused = |_| Err(io::Error::from(io::ErrorKind::Unsupported));
        let (run, file) = (WorkerRegistration::default(), File::create_new(&path).unwrap());
        assert!(begin(file, &run, &path, refused).is_err());
        assert!(SpoolFile::create(&path, &run, 1 << 20).is_ok());
    }
}
