//! Append-only segments in one directory: all workers' records one after another, one fdatasync a group.
//!
//! A crash leaves at most one group that is not whole, the last: `segment` says how opening tells
//! it from damage and cuts it off. A segment that is full is sealed: beside it an index is written, by which
//! opening and reading find everything (`sealed`), so that opening takes no longer and memory holds no more
//! when logs grow. What memory holds is in `index`.

mod handles;
mod index;
mod places;
mod reader;
mod recovery;
mod retention;
mod sealed;
mod tasks;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tracing::warn;

use self::handles::Handles;
use self::index::Index;
use self::places::Places;
use self::reader::DiskReader;
use self::tasks::Trimming;
use super::files::{Directory, FILE_MODE, Files, Identity, SegmentFile};
use super::gather::Gathered;
use super::segment::{HEADER, Seal};
use super::{CommitError, Damage, LogStore, Opened, Retain, record};
use crate::ids::WorkerId;
use crate::worker::{Change, Record};

/// A segment that has grown to this is sealed and the next one begun, where nothing else is asked for.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Bytes of the newest segments that stay in the kernel's cache for those who read them. All else that is written
/// would stay there as well, until it takes memory from others; and to find new memory for each page costs the
/// writer several times what the copy of its bytes does.
const CACHED: u64 = 256 << 20;

/// Workers of whom one commit of opening speaks.
const SAID_AT_ONCE: usize = 1000;

/// The writing side.
struct DiskStore {
    files: Arc<dyn Files>,
    /// A segment that has grown to this is sealed and the next one begun.
    segment_bytes: u64,
    writing: Writing,
    index: Arc<Index>,
    handles: Arc<Handles>,
    places: Arc<Places>,
    group: Gathered,
    /// Bytes of the segments before the current one.
    sealed_bytes: u64,
    /// Nothing more may be written to this segment: the next one may have been begun.
    must_seal: bool,
    /// Bytes that were committed since it was opened.
    grown: u64,
    /// The same when it was seen that no task has too much.
    looked: Option<u64>,
    /// The task that is about to lose lines.
    trimming: Option<Trimming>,
}

/// The segment that grows.
struct Writing {
    number: u32,
    seal: Seal,
    file: Arc<dyn SegmentFile>,
    identity: Identity,
    /// Its length, as far as that is durable.
    committed: u64,
}

/// A store that no other process can open.
struct Locked {
    store: DiskStore,
    _lock: Flock<File>,
}

impl LogStore for Locked {
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        self.store.commit(records)
    }

    fn check(&self) -> Result<(), CommitError> {
        self.store.check()
    }

    fn size(&self) -> u64 {
        self.store.size()
    }

    fn retain(&mut self) -> Option<&mut dyn Retain> {
        self.store.retain()
    }

    fn catch_up(&mut self) -> io::Result<()> {
        self.store.catch_up()
    }
}

/// Opens the store in `path`, or makes it where there is none, with segments of about `segment_bytes`. What readers find damaged is told to `damage`.
pub fn open(path: &Path, segment_bytes: u64, damage: Damage) -> Result<Opened> {
    make(path).with_context(|| {
        format!("cannot make the data directory {}; choose another with --data-dir", path.display())
    })?;
    let lock = lock(path)?;
    let files = Directory::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let (store, opened) = open_files(Arc::new(files), segment_bytes, damage)?;
    Ok(opened.of(Locked { store, _lock: lock }))
}

/// Makes the directory where it is missing, with those above it. A directory's name lasts once the one that holds it is
/// synced; one that was made before a crash may not be.
fn make(path: &Path) -> io::Result<()> {
    let named = |directory: &&Path| !directory.as_os_str().is_empty();
    let missing = path.ancestors().filter(named).take_while(|directory| !directory.exists()).count();
    // One that is there keeps its mode: a volume is its operator's.
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for directory in path.ancestors().filter(named).take(missing.max(1)) {
        let parent = directory.parent().filter(named).unwrap_or(Path::new("."));
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            // Whoever made it there has seen to that: in a directory that cannot be read nothing was made here.
            Err(error) if missing == 0 && error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

/// An open store without its writing side.
struct Shared {
    reader: Arc<DiskReader>,
    states: Vec<crate::worker::WorkerState>,
    recovery: super::Recovery,
}

impl Shared {
    fn of(self, store: impl LogStore + 'static) -> Opened {
        let Self { reader, states, recovery } = self;
        Opened { store: Box::new(store), reader, states, recovery }
    }
}

/// The same on any files.
fn open_files(files: Arc<dyn Files>, segment_bytes: u64, damage: Damage) -> Result<(DiskStore, Shared)> {
    let index = Arc::new(Index::default());
    let recovery::Recovered { recovery, unwritten, must_seal, unsaid } =
        recovery::recover(&*files, &mut index.write())?;
    let newest = index.read().segments.last_key_value().map(|(number, segment)| (*number, *segment));
    let writing = if let Some((number, segment)) = newest {
        let file = files.open(number).and_then(|file| Ok((file, files.identity(number)?)));
        let (file, identity) =
            file.with_context(|| format!("cannot open {}", files.path(number).display()))?;
        Writing { number, seal: segment.seal, file, identity, committed: segment.summary.end }
    } else {
        let first = create(&*files, 1).context("cannot make the first segment of the store")?;
        index.write().begin(first.number, first.seal);
        first
    };
    let mut states: Vec<_> = index.read().workers.values().map(|known| known.state.clone()).collect();
    states.sort_by_key(|state| state.created_ns);
    let sealed_bytes = index.read().sealed_bytes();
    let handles = Arc::new(Handles::new(Arc::clone(&files), unwritten));
    let places = Arc::new(Places::new(Arc::clone(&index), Arc::clone(&handles), damage.clone()));
    let reader = DiskReader::new(Arc::clone(&index), Arc::clone(&handles), Arc::clone(&places), damage);
    let reader = Arc::new(reader);
    let mut store = DiskStore {
        files,
        segment_bytes,
        writing,
        index,
        handles,
        places,
        group: Gathered::default(),
        sealed_bytes,
        must_seal,
        grown: 0,
        looked: None,
        trimming: None,
    };
    store.say_anew(&unsaid)?;
    Ok((store, Shared { reader, states, recovery }))
}

/// Two processes on one store would destroy it.
fn lock(directory: &Path) -> Result<Flock<File>> {
    let path = directory.join("lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(FILE_MODE);
    let file = options.open(&path).with_context(|| {
        format!("cannot write to the data directory {}; choose another with --data-dir", directory.display())
    })?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => {
            bail!("the data directory {} is in use by another log-ingest", directory.display())
        }
        Err((_, errno)) => Err(errno).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Makes a segment, its name durable before anything is written to it, and with it that of the index before it.
fn create(files: &dyn Files, number: u32) -> io::Result<Writing> {
    let file = files.create(number)?;
    let seal = Seal::random();
    file.write_all_at(&seal.header(), 0)?;
    file.sync_all()?;
    files.sync_names()?;
    let identity = files.identity(number)?;
    Ok(Writing { number, seal, file, identity, committed: HEADER as u64 })
}

impl LogStore for DiskStore {
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        if self.must_seal || self.writing.committed >= self.segment_bytes {
            // The next one would be begun in a directory that is not this store's.
            self.check()?;
            self.seal().map_err(CommitError::Full)?;
        }
        let start = self.writing.committed;
        let base = usize::try_from(start).expect("segments are smaller than 4 GiB");
        let seal = self.writing.seal;
        self.group.clear();
        let mut payloads = Vec::with_capacity(records.len());
        for record in records {
            let payload = seal.append_frame(&mut self.group, base, |out| record::encode_first(record, out));
            payloads.push(base + payload.start..base + payload.end);
        }
        let end = start + self.group.len() as u64;
        let written = self.writing.file.write_parts_at(&mut self.group.parts(), start);
        self.group.clear();
        if let Err(error) = written {
            return Err(self.undo(start, CommitError::Full(error)));
        }
        // After a failed sync the kernel may have dropped the pages and forgotten the error: trying
        // again could report success for data that is gone.
        self.writing.file.sync_data().map_err(CommitError::Broken)?;
        // Only now: whoever removes the file later removes what was durable.
        if let Err(gone) = self.check() {
            return Err(self.undo(start, gone));
        }
        self.writing.committed = end;
        self.grown += end - start;
        let mut index = self.index.write();
        index.written().summary.end = self.writing.committed;
        for (record, payload) in records.iter().zip(&payloads) {
            index.add(record, payload);
        }
        Ok(())
    }

    /// One look at a name that the kernel has at hand, for each group: a microsecond beside a sync.
    fn check(&self) -> Result<(), CommitError> {
        let number = self.writing.number;
        match self.files.identity(number) {
            Ok(found) if found == self.writing.identity => Ok(()),
            Ok(_) => {
                let what = format!("{} is another file by now", self.files.path(number).display());
                Err(CommitError::Gone(io::Error::other(what)))
            }
            Err(error) => {
                let what = format!("{}: {error}", self.files.path(number).display());
                Err(CommitError::Gone(io::Error::new(error.kind(), what)))
            }
        }
    }

    fn size(&self) -> u64 {
        self.sealed_bytes + self.writing.committed
    }

    fn retain(&mut self) -> Option<&mut dyn Retain> {
        Some(self)
    }

    fn catch_up(&mut self) -> io::Result<()> {
        self.handles.write_index()
    }
}

impl DiskStore {
    /// Writes down what opening found out about these workers: the places that tell it may go.
    fn say_anew(&mut self, workers: &[WorkerId]) -> Result<()> {
        for workers in workers.chunks(SAID_AT_ONCE) {
            let carried = |index: &index::Inner| {
                let known = workers.iter().filter_map(|worker| index.workers.get(worker));
                let change = known.map(|known| Change::Carried(Box::new(known.state.clone())));
                // It is no sign of life.
                change.map(|change| Record { at_ns: index.newest_ns(), change }).collect::<Vec<_>>()
            };
            let records = carried(&self.index.read());
            match self.commit(&records) {
                Err(CommitError::Full(error)) => {
                    warn!(%error, "what is damaged cannot be written down for now; the next start finds it again");
                    return Ok(());
                }
                said => said.context("cannot write down what is damaged")?,
            }
        }
        Ok(())
    }

    /// Ends the segment that is being written and begins the next. Where that fails half way the next may be
    /// there, and opening takes the last one for the one that was written: so nothing is written until it works.
    fn seal(&mut self) -> io::Result<()> {
        let (bytes, extents) = self.index.read().file();
        self.files.put_index(self.writing.number, &bytes)?;
        self.must_seal = true;
        let next = create(&*self.files, self.writing.number + 1)?;
        let sealed = self.writing.committed + bytes.len() as u64;
        // At once: a reader finds each block here or there.
        let mut index = self.index.write();
        index.seal(extents, sealed);
        index.begin(next.number, next.seal);
        self.writing = next;
        self.must_seal = false;
        self.sealed_bytes += sealed;
        drop(index);
        self.uncache();
        Ok(())
    }

    /// The segment that is not among the newest any more need not be in memory.
    fn uncache(&self) {
        let cached = u32::try_from(CACHED / self.segment_bytes.max(1)).unwrap_or(u32::MAX).max(1);
        let Some(old) = self.writing.number.checked_sub(cached.saturating_add(1)) else { return };
        // Where retention took it, or it cannot be opened, there is nothing to be done.
        if let Ok(file) = self.files.open(old) {
            file.uncache();
        }
    }

    /// Takes a half-written group back, for good: the next one is written in its place, and frames of this one
    /// must not show up behind frames of that one after a power cut.
    fn undo(&self, length: u64, why: CommitError) -> CommitError {
        match self.writing.file.set_len(length).and_then(|()| self.writing.file.sync_data()) {
            Ok(()) => why,
            Err(undoing) => CommitError::Broken(undoing),
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod power_cuts;
#[cfg(test)]
mod tests;
