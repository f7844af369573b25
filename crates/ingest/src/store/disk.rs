//! Append-only segments in one directory: all workers' records one after another, one fdatasync a group.
//!
//! A crash leaves at most one group that is not whole, the last: `segment` says how opening tells
//! it from damage and cuts it off. What opening finds is synced before anyone relies on it, because a record that was read back from the page
//! cache may never have reached the disk. An index in memory, rebuilt at each start, says where the
//! blocks of each worker are: 24 bytes a block.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tracing::{error, warn};

use super::files::{Directory, Files, SegmentFile};
use super::segment::{FRAME_HEAD, HEADER, Seal};
use super::{CommitError, LogReader, LogStore, Opened, Recovery, record};
use crate::ids::WorkerId;
use crate::line::{Block, Sequence};
use crate::worker::{Change, Record};

/// A segment that has grown to this is closed and the next one begun.
const SEGMENT_BYTES: u64 = 64 << 20;

/// The writing side.
struct DiskStore {
    files: Arc<dyn Files>,
    /// A segment that has grown to this is closed and the next one begun.
    segment_bytes: u64,
    segment: Arc<Segment>,
    index: Arc<Index>,
    buffer: Vec<u8>,
    /// Bytes of the segments before the current one.
    sealed_bytes: u64,
}

/// A store that no other process can open.
struct Locked {
    store: Box<dyn LogStore>,
    _lock: Flock<File>,
}

impl LogStore for Locked {
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        self.store.commit(records)
    }

    fn size(&self) -> u64 {
        self.store.size()
    }
}

/// One file. Its committed length is the writer's to know.
struct Segment {
    number: u32,
    seal: Seal,
    file: Arc<dyn SegmentFile>,
    committed: std::sync::atomic::AtomicU64,
}

impl Segment {
    fn committed(&self) -> u64 {
        self.committed.load(std::sync::atomic::Ordering::Acquire)
    }

    fn set_committed(&self, length: u64) {
        self.committed.store(length, std::sync::atomic::Ordering::Release);
    }
}

/// Where a block is.
#[derive(Clone, Copy, Debug)]
struct Position {
    first: Sequence,
    segment: u32,
    /// Of the payload. Segments are far smaller than 4 GiB.
    offset: u32,
    length: u32,
}

/// What readers share with the writer.
#[derive(Default)]
struct Index {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    segments: Vec<Arc<Segment>>,
    blocks: HashMap<WorkerId, Vec<Position>>,
}

impl Index {
    /// Plain data: no panic can leave it half changed.
    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, record: &Record, segment: u32, payload: &Range<usize>) {
        let Change::Appended { worker, block, .. } = &record.change else { return };
        let position = Position {
            first: block.first,
            segment,
            offset: u32::try_from(payload.start).expect("segments are smaller than 4 GiB"),
            length: u32::try_from(payload.len()).expect("a payload is at most MAX_PAYLOAD"),
        };
        self.blocks.entry(worker.clone()).or_default().push(position);
    }
}

/// Opens the store in `path`, makes it where there is none, and gives every whole record to `visit`.
pub fn open(path: &Path, visit: &mut dyn FnMut(Record)) -> Result<Opened> {
    std::fs::create_dir_all(path).with_context(|| {
        format!("cannot make the data directory {}; choose another with --data-dir", path.display())
    })?;
    let lock = lock(path)?;
    let files = Directory::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let opened = open_files(Arc::new(files), SEGMENT_BYTES, visit)?;
    Ok(Opened { store: Box::new(Locked { store: opened.store, _lock: lock }), ..opened })
}

/// The same on any files.
fn open_files(files: Arc<dyn Files>, segment_bytes: u64, visit: &mut dyn FnMut(Record)) -> Result<Opened> {
    let index = Arc::new(Index::default());
    let mut recovery = Recovery::default();
    let numbers = files.segments().context("cannot list the segments of the store")?;
    for number in &numbers {
        let is_last = Some(number) == numbers.last();
        recover(&*files, *number, is_last, &index, &mut recovery, visit)?;
    }
    // A crash may have come between a segment and its name.
    files.sync_names().context("cannot sync the data directory")?;
    let newest = index.read().segments.last().cloned();
    let segment = match newest {
        Some(segment) => segment,
        None => create_segment(&*files, 1, &index).context("cannot make the first segment of the store")?,
    };
    let sealed_bytes = sealed_bytes(&index, segment.number);
    let reader = Arc::new(DiskReader(Arc::clone(&index)));
    let store = DiskStore { files, segment_bytes, segment, index, buffer: Vec::new(), sealed_bytes };
    Ok(Opened { store: Box::new(store), reader, recovery })
}

fn sealed_bytes(index: &Index, current: u32) -> u64 {
    index.read().segments.iter().filter(|s| s.number != current).map(|s| s.committed()).sum()
}

/// Two processes on one store would destroy it.
fn lock(directory: &Path) -> Result<Flock<File>> {
    let path = directory.join("lock");
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).with_context(|| {
            format!(
                "cannot write to the data directory {}; choose another with --data-dir",
                directory.display()
            )
        })?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, Errno::EWOULDBLOCK)) => {
            bail!("the data directory {} is in use by another log-ingest", directory.display())
        }
        Err((_, errno)) => Err(errno).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Makes a segment, its name durable before anything is written to it.
fn create_segment(files: &dyn Files, number: u32, index: &Index) -> io::Result<Arc<Segment>> {
    let file = files.create(number)?;
    let seal = Seal::random();
    file.write_all_at(&seal.header(), 0)?;
    file.sync_all()?;
    files.sync_names()?;
    let segment = Arc::new(Segment { number, seal, file, committed: (HEADER as u64).into() });
    index.write().segments.push(Arc::clone(&segment));
    Ok(segment)
}

/// Reads a segment back: whole records to `visit` and the index, the torn end of the last one cut off.
fn recover(
    files: &dyn Files,
    number: u32,
    is_last: bool,
    index: &Index,
    recovery: &mut Recovery,
    visit: &mut dyn FnMut(Record),
) -> Result<()> {
    let path = files.path(number);
    let context = || format!("cannot recover {}", path.display());
    let file = files.open(number).with_context(context)?;
    let mut bytes = Bytes::from(file.read_all().with_context(context)?);
    let seal = match Seal::of(&bytes) {
        Some(seal) => seal,
        // The crash came before the header did: it is synced before anything follows it.
        None if bytes.len() <= HEADER && is_last => {
            let seal = Seal::random();
            bytes = Bytes::copy_from_slice(&seal.header());
            seal
        }
        None => bail!(
            "{} is no segment of this version of log-ingest; choose another directory with --data-dir",
            path.display()
        ),
    };
    let mut scan = seal.scan(&bytes, HEADER);
    if is_last {
        scan.cut_unfinished_group();
    }
    let end = scan.end;
    let torn = bytes.len().saturating_sub(end) as u64;
    if torn > 0 && is_last {
        warn!(segment = number, bytes = torn, "cut off a commit that never ended");
        recovery.torn_bytes += torn;
    }
    if is_last {
        write_again(&*file, &bytes, scan.last_group()).with_context(context)?;
    }
    let damaged = scan.damaged.len() as u64 + u64::from(torn > 0 && !is_last);
    if damaged > 0 {
        error!(
            segment = number,
            places = damaged,
            "found damage in the store; its lines are shown as missing"
        );
    }
    recovery.damaged += damaged;
    file.sync_all().with_context(context)?;
    index.write().segments.push(Arc::new(Segment { number, seal, file, committed: (end as u64).into() }));
    for payload in scan.payloads {
        match record::decode(bytes.slice(payload.clone())) {
            Ok(record) => {
                recovery.records += 1;
                index.write().add(&record, number, &payload);
                visit(record);
            }
            Err(error) => {
                recovery.damaged += 1;
                error!(segment = number, offset = payload.start, %error, "found a record that cannot be read");
            }
        }
    }
    Ok(())
}

/// After a failed sync what was read here may be in the page cache alone, and no later sync would bring it to
/// the disk. That ended the process, so it concerns the last group, or what was cut off behind it. The same
/// bytes in the same place: nothing is lost if the power goes meanwhile.
fn write_again(file: &dyn SegmentFile, bytes: &[u8], group: Range<usize>) -> io::Result<()> {
    file.write_all_at(&bytes[group.clone()], group.start as u64)?;
    file.set_len(group.end as u64)
}

impl LogStore for DiskStore {
    fn commit(&mut self, records: &[Record]) -> Result<(), CommitError> {
        if self.segment.committed() >= self.segment_bytes {
            self.begin_segment().map_err(CommitError::Full)?;
        }
        let start = self.segment.committed();
        let base = usize::try_from(start).expect("segments are smaller than 4 GiB");
        let seal = self.segment.seal;
        self.buffer.clear();
        let mut payloads = Vec::with_capacity(records.len());
        for record in records {
            let payload = seal.append_frame(&mut self.buffer, base, |out| record::encode(record, out));
            payloads.push(base + payload.start..base + payload.end);
        }
        if let Err(error) = self.segment.file.write_all_at(&self.buffer, start) {
            return Err(self.undo(start, error));
        }
        // After a failed sync the kernel may have dropped the pages and forgotten the error: trying
        // again could report success for data that is gone.
        self.segment.file.sync_data().map_err(CommitError::Broken)?;
        self.segment.set_committed(start + self.buffer.len() as u64);
        let mut index = self.index.write();
        for (record, payload) in records.iter().zip(&payloads) {
            index.add(record, self.segment.number, payload);
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.sealed_bytes + self.segment.committed()
    }
}

impl DiskStore {
    fn begin_segment(&mut self) -> io::Result<()> {
        let next = create_segment(&*self.files, self.segment.number + 1, &self.index)?;
        self.sealed_bytes += self.segment.committed();
        self.segment = next;
        Ok(())
    }

    /// Takes a half-written group back, for good: the next one is written in its place, and frames of this one
    /// must not show up behind frames of that one after a power cut.
    fn undo(&self, length: u64, error: io::Error) -> CommitError {
        match self.segment.file.set_len(length).and_then(|()| self.segment.file.sync_data()) {
            Ok(()) => CommitError::Full(error),
            Err(undoing) => CommitError::Broken(undoing),
        }
    }
}

/// The reading side.
struct DiskReader(Arc<Index>);

impl DiskReader {
    /// Where to read: positions from the block that holds `from` on, and the files that they are in.
    fn positions(
        &self,
        worker: &WorkerId,
        from: Sequence,
        max_bytes: usize,
    ) -> Vec<(Position, Arc<Segment>)> {
        let index = self.0.read();
        let Some(blocks) = index.blocks.get(worker) else { return Vec::new() };
        let start = blocks.partition_point(|block| block.first <= from).saturating_sub(1);
        let mut bytes = 0;
        let wanted = blocks[start..].iter().take_while(|block| {
            let more = bytes < max_bytes;
            bytes += block.length as usize;
            more
        });
        let segment = |number| {
            let at = index.segments.partition_point(|segment| segment.number < number);
            Arc::clone(&index.segments[at])
        };
        wanted.map(|position| (*position, segment(position.segment))).collect()
    }
}

impl LogReader for DiskReader {
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>> {
        let mut blocks = Vec::new();
        for (position, segment) in self.positions(worker, from, max_bytes) {
            let block = read_block(&position, &segment)?;
            if block.last() >= from {
                blocks.push(block);
            }
        }
        Ok(blocks)
    }
}

fn read_block(position: &Position, segment: &Segment) -> io::Result<Block> {
    let mut frame = vec![0; FRAME_HEAD + position.length as usize];
    let place = position.offset as usize - FRAME_HEAD;
    segment.file.read_exact_at(&mut frame, place as u64)?;
    let damaged = |what: String| {
        let place = format!("segment {} at {}", segment.number, position.offset);
        io::Error::new(io::ErrorKind::InvalidData, format!("the store is damaged: {what} in {place}"))
    };
    let payload = segment.seal.frame_at(&frame, place, 0).ok_or_else(|| damaged("checksum".to_owned()))?;
    match record::decode(Bytes::from(frame).slice(payload)) {
        Ok(Record { change: Change::Appended { block, .. }, .. }) => Ok(block),
        Ok(_) => Err(damaged("another record".to_owned())),
        Err(error) => Err(damaged(error.to_string())),
    }
}

#[cfg(test)]
mod power_cuts;
#[cfg(test)]
mod tests;
