//! The index of a sealed segment, in a file beside it: which workers it has something of, what was known of them
//! at its end, and where their blocks are. Opening the store reads this instead of the segment.
//!
//! A head (what it is the index of, and where its directory stands), then the positions of blocks, worker by
//! worker, in chunks of about a page, then the directory: a protobuf message for each worker. Each part has a
//! checksum of its own, so opening reads head and directory alone, and a reader the one chunk that it needs.
//! It holds nothing that its segment does not: whatever is doubtful about it, the segment is read instead, and
//! a new one written.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use prost::Message;
use thiserror::Error;

use super::super::files::{Files, SegmentFile, is_unreadable};
use super::super::record::{self, StoredState};
use super::super::segment::{HEADER, Seal};
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::worker::{Change, Record, WorkerState};

/// What it is, and the version of its format.
const MAGIC: [u8; 8] = *b"OTTOIDX\x01";

/// Magic, seal, end, records, newest time, place and length of the directory, its checksum, the head's.
const HEAD: usize = 56;

/// Bytes of a position: first, last, offset, length.
const POSITION: usize = 24;

/// Positions of one chunk: with its checksum it fills a page.
const CHUNK: usize = 170;

/// Why a segment has to be read instead of its index.
#[derive(Debug, Error)]
pub(super) enum Doubt {
    #[error("there is none")]
    Missing,
    #[error("it is damaged")]
    Damaged,
    #[error("it is another segment's, or not of all of this one")]
    Other,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Where a block is, and which lines it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// Of the payload. Segments are far smaller than 4 GiB.
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Position {
    /// Of the block that `record` is, if it is one.
    pub(super) fn of(record: &Record, payload: &Range<usize>) -> Option<Self> {
        let Change::Appended { block, .. } = &record.change else { return None };
        Some(Self {
            first: block.first,
            last: block.last(),
            offset: u32::try_from(payload.start).expect("segments are smaller than 4 GiB"),
            length: u32::try_from(payload.len()).expect("a payload is at most MAX_PAYLOAD"),
        })
    }
}

/// All blocks that a sealed segment has of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) segment: u32,
    /// Where in the index their positions stand, and how many.
    at: u32,
    count: u32,
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// Of their payloads together.
    pub(super) bytes: u64,
    /// Lines between them that are in none.
    pub(super) holes: u64,
}

/// What a segment is in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Where its last whole frame ends.
    pub(super) end: u64,
    pub(super) records: u64,
    /// Time of its youngest record.
    pub(super) newest_ns: i64,
}

/// What a segment has of a worker.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) worker: WorkerId,
    /// None: it was forgotten.
    pub(super) known: Option<Known>,
}

/// A worker at the end of a segment.
#[derive(Debug, PartialEq)]
pub(super) struct Known {
    pub(super) state: WorkerState,
    /// Nothing of it stands in an older segment that could not go.
    pub(super) is_base: bool,
    pub(super) extent: Option<Extent>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredEntry {
    #[prost(string, tag = "1")]
    worker: String,
    #[prost(message, optional, tag = "2")]
    state: Option<StoredState>,
    #[prost(bool, tag = "3")]
    is_base: bool,
    #[prost(uint32, tag = "4")]
    at: u32,
    #[prost(uint32, tag = "5")]
    count: u32,
    #[prost(uint64, tag = "6")]
    first: u64,
    #[prost(uint64, tag = "7")]
    last: u64,
    #[prost(uint64, tag = "8")]
    bytes: u64,
    #[prost(uint64, tag = "9")]
    holes: u64,
}

/// Puts an index together.
pub(super) struct Builder {
    segment: u32,
    seal: Seal,
    out: Vec<u8>,
    directory: Vec<u8>,
}

impl Builder {
    pub(super) fn new(segment: u32, seal: Seal) -> Self {
        Self { segment, seal, out: vec![0; HEAD], directory: Vec::new() }
    }

    /// Adds a worker, and gives where its blocks are.
    pub(super) fn worker(
        &mut self,
        state: &WorkerState,
        is_base: bool,
        blocks: &[Position],
    ) -> Option<Extent> {
        let extent = self.run(blocks);
        let stored = StoredEntry {
            worker: state.registration.worker.as_str().to_owned(),
            state: Some(record::stored_state(state)),
            is_base,
            at: extent.map_or(0, |extent| extent.at),
            count: extent.map_or(0, |extent| extent.count),
            first: extent.map_or(0, |extent| extent.first.get()),
            last: extent.map_or(0, |extent| extent.last.get()),
            bytes: extent.map_or(0, |extent| extent.bytes),
            holes: extent.map_or(0, |extent| extent.holes),
        };
        self.entry(&stored);
        extent
    }

    /// Adds a worker that was forgotten in this segment; one that came again has to be added after that.
    pub(super) fn forgotten(&mut self, worker: &WorkerId) {
        self.entry(&StoredEntry { worker: worker.as_str().to_owned(), ..StoredEntry::default() });
    }

    fn entry(&mut self, stored: &StoredEntry) {
        stored.encode_length_delimited(&mut self.directory).expect("a Vec takes everything");
    }

    fn run(&mut self, blocks: &[Position]) -> Option<Extent> {
        let (first, last) = (blocks.first()?.first, blocks.last()?.last);
        let at = small(self.out.len());
        for chunk in blocks.chunks(CHUNK) {
            let start = self.out.len();
            for position in chunk {
                self.out.extend_from_slice(&position.first.get().to_le_bytes());
                self.out.extend_from_slice(&position.last.get().to_le_bytes());
                self.out.extend_from_slice(&position.offset.to_le_bytes());
                self.out.extend_from_slice(&position.length.to_le_bytes());
            }
            let checksum = self.seal.checksum(start as u64, &self.out[start..]);
            self.out.extend_from_slice(&checksum.to_le_bytes());
        }
        let bytes = blocks.iter().map(|position| u64::from(position.length)).sum();
        let between = |blocks: &[Position]| blocks[1].first.since(blocks[0].last.next());
        let holes = blocks.windows(2).map(between).fold(0, u64::saturating_add);
        Some(Extent { segment: self.segment, at, count: small(blocks.len()), first, last, bytes, holes })
    }

    pub(super) fn finish(mut self, summary: Summary) -> Vec<u8> {
        let at = self.out.len() as u64;
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&self.seal.to_bytes());
        head.extend_from_slice(&summary.end.to_le_bytes());
        head.extend_from_slice(&summary.records.to_le_bytes());
        head.extend_from_slice(&summary.newest_ns.to_le_bytes());
        head.extend_from_slice(&at.to_le_bytes());
        head.extend_from_slice(&small(self.directory.len()).to_le_bytes());
        head.extend_from_slice(&self.seal.checksum(at, &self.directory).to_le_bytes());
        let checksum = self.seal.checksum(0, &head);
        head.extend_from_slice(&checksum.to_le_bytes());
        self.out[..HEAD].copy_from_slice(&head);
        self.out.extend_from_slice(&self.directory);
        self.out
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("the index of a segment is smaller than the segment")
}

/// A segment as its index tells it.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) seal: Seal,
    pub(super) summary: Summary,
    pub(super) entries: Vec<Entry>,
    /// Bytes that segment and index take up.
    pub(super) allocated: u64,
    /// The header of the segment cannot be read any more: its index knows what stood there.
    pub(super) is_headless: bool,
}

/// Opens a segment by its index alone.
pub(super) fn load(files: &dyn Files, segment: u32) -> Result<Directory, Doubt> {
    let index = files.index(segment)?.ok_or(Doubt::Missing)?;
    let log = files.open(segment)?;
    let Head { seal, summary, directory, checksum } = head(&*index)?;
    let header = header(&*log)?;
    if header.is_some_and(|header| header != seal) {
        return Err(Doubt::Other);
    }
    // One that grew after its index was written, or lost its end, is not what the index tells of.
    if summary.end != log.length()? {
        return Err(Doubt::Other);
    }
    let mut bytes = vec![0; directory.len()];
    index.read_exact_at(&mut bytes, directory.start as u64)?;
    if seal.checksum(directory.start as u64, &bytes) != checksum {
        return Err(Doubt::Damaged);
    }
    let entries = entries(segment, bytes.into()).ok_or(Doubt::Damaged)?;
    let allocated = log.allocated()?.min(log.length()?) + index.length()?;
    Ok(Directory { seal, summary, entries, allocated, is_headless: header.is_none() })
}

/// The seal of a segment as its index tells it.
pub(super) fn seal(files: &dyn Files, segment: u32) -> Option<Seal> {
    let index = files.index(segment).ok().flatten()?;
    Some(head(&*index).ok()?.seal)
}

/// The seal of a segment as its header tells it; none where that is damaged.
fn header(log: &dyn SegmentFile) -> io::Result<Option<Seal>> {
    let mut header = [0; HEADER];
    match log.read_exact_at(&mut header, 0) {
        Err(error) if is_unreadable(&error) => Ok(None),
        read => read.map(|()| Seal::of(&header)),
    }
}

/// What an index begins with.
struct Head {
    seal: Seal,
    summary: Summary,
    /// Where the directory stands.
    directory: Range<usize>,
    /// Of the directory.
    checksum: u32,
}

fn head(index: &dyn SegmentFile) -> Result<Head, Doubt> {
    let mut head = [0; HEAD];
    index.read_exact_at(&mut head, 0)?;
    let seal = Seal::from_bytes([8, 9, 10, 11].map(|at| head[at]));
    if seal.checksum(0, &head[..HEAD - 4]) != number(&head[HEAD - 4..]) || head[..8] != MAGIC {
        return Err(Doubt::Damaged);
    }
    let summary = Summary {
        end: long(&head[12..]),
        records: long(&head[20..]),
        newest_ns: long(&head[28..]).cast_signed(),
    };
    let at = usize::try_from(long(&head[36..])).map_err(|_| Doubt::Damaged)?;
    let end = at.checked_add(number(&head[44..]) as usize).ok_or(Doubt::Damaged)?;
    if end as u64 != index.length()? {
        return Err(Doubt::Damaged);
    }
    Ok(Head { seal, summary, directory: at..end, checksum: number(&head[48..]) })
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|at| bytes[at]))
}

fn long(bytes: &[u8]) -> u64 {
    u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|at| bytes[at]))
}

fn entries(segment: u32, mut bytes: Bytes) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        entries.push(entry(segment, StoredEntry::decode_length_delimited(&mut bytes).ok()?)?);
    }
    Some(entries)
}

fn entry(segment: u32, stored: StoredEntry) -> Option<Entry> {
    let worker = WorkerId::try_from(&*stored.worker).ok()?;
    let Some(state) = stored.state else { return Some(Entry { worker, known: None }) };
    let extent = (stored.count > 0).then_some(Extent {
        segment,
        at: stored.at,
        count: stored.count,
        first: Sequence::new(stored.first),
        last: Sequence::new(stored.last),
        bytes: stored.bytes,
        holes: stored.holes,
    });
    let state = record::state(worker.clone(), state).ok()?;
    Some(Entry { worker, known: Some(Known { state, is_base: stored.is_base, extent }) })
}

impl Extent {
    /// Positions from the block that ends at `from` or later, of about `max_bytes` together.
    pub(super) fn positions(
        &self,
        index: &dyn SegmentFile,
        seal: Seal,
        from: Sequence,
        max_bytes: u64,
    ) -> io::Result<Vec<Position>> {
        let chunks = (self.count as usize).div_ceil(CHUNK);
        let mut at = self.first_chunk(index, seal, from, chunks)?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while at < chunks && bytes < max_bytes {
            for position in self.chunk(index, seal, at)? {
                if position.last >= from && bytes < max_bytes {
                    bytes += u64::from(position.length);
                    found.push(position);
                }
            }
            at += 1;
        }
        Ok(found)
    }

    /// The first chunk that ends at `from` or later.
    fn first_chunk(
        &self,
        index: &dyn SegmentFile,
        seal: Seal,
        from: Sequence,
        chunks: usize,
    ) -> io::Result<usize> {
        let (mut low, mut high) = (0, chunks);
        if from <= self.first {
            return Ok(0);
        }
        while low < high {
            let middle = low.midpoint(high);
            let ends_before = self.chunk(index, seal, middle)?.last().is_none_or(|last| last.last < from);
            if ends_before { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    fn chunk(&self, index: &dyn SegmentFile, seal: Seal, chunk: usize) -> io::Result<Vec<Position>> {
        let count = CHUNK.min(self.count as usize - chunk * CHUNK);
        let start = self.at as usize + chunk * (CHUNK * POSITION + size_of::<u32>());
        let mut bytes = vec![0; count * POSITION + size_of::<u32>()];
        index.read_exact_at(&mut bytes, start as u64)?;
        let (positions, checksum) = bytes.split_at(count * POSITION);
        if seal.checksum(start as u64, positions) != number(checksum) {
            let what = format!("a wrong checksum in its index at {start}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let position = |bytes: &[u8]| Position {
            first: Sequence::new(long(bytes)),
            last: Sequence::new(long(&bytes[8..])),
            offset: number(&bytes[16..]),
            length: number(&bytes[20..]),
        };
        Ok(positions.chunks_exact(POSITION).map(position).collect())
    }
}
