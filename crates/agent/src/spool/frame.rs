//! The bytes of a spool: a head of one page, then frames.
//!
//! All numbers are little-endian. The head: 8 bytes that say what this is, in which version; length and CRC32C
//! of the run's registration; the registration; and in its last 12 bytes where the first frame is, with a
//! checksum of its own. A frame: kind, CRC32C of everything behind itself, length of the payload, first and
//! last sequence, payload. What is read back is the same to the bit, or an error.
//!
//! Heads are written over when frames are dropped, and a kill can end a write between two pages. So payloads
//! are filled up, by a field that protobuf's readers pass over, until frames begin at multiples of a head's
//! length, and no head crosses a page.

use std::io;

use ottoscaler_proto::v1::WorkerRegistration;
use prost::Message;

/// What the file is, and the version of its format.
const MAGIC: [u8; 8] = *b"OTTOSPL\x01";

/// Room is given back in whole pages.
pub(super) const PAGE: u64 = 4096;

/// Where the first frame of a new spool is.
pub(super) const FIRST: u64 = PAGE;

/// Where the head says where the first frame is.
pub(super) const BEGIN_AT: u64 = FIRST - 12;

/// Bytes before a frame's payload.
pub(super) const HEAD: usize = 32;

/// The key of a field of bytes with a number, 2047, that no message has.
const FILLER: [u8; 2] = [0xfa, 0x7f];

/// No piece is longer; a length beyond it is damage.
const LONGEST: u64 = 64 << 20;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A `LogBatch`.
    Lines,
    /// Nothing any more: what was there was dropped.
    Dropped,
    /// A `WorkerCompletion`.
    End,
}

impl Kind {
    const fn number(self) -> u32 {
        match self {
            Self::Lines => 1,
            Self::Dropped => 2,
            Self::End => 3,
        }
    }

    fn of(number: u32) -> io::Result<Self> {
        match number {
            1 => Ok(Self::Lines),
            2 => Ok(Self::Dropped),
            3 => Ok(Self::End),
            _ => Err(damaged("the kind of a frame")),
        }
    }
}

/// Where a frame is, or some that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl Place {
    /// Bytes that it takes up in the file.
    pub const fn size(self) -> u64 {
        HEAD as u64 + self.length
    }

    pub(super) const fn end(self) -> u64 {
        self.offset + self.size()
    }

    /// Both as one, where `next` lies right behind this.
    pub fn join(self, next: Self) -> Option<Self> {
        let length = next.end() - self.offset.min(next.offset) - HEAD as u64;
        (self.end() == next.offset).then_some(Self { offset: self.offset, length })
    }

    /// What is left of it behind its first part.
    pub fn behind(self, first: Self) -> Option<Self> {
        let length = self.end().checked_sub(first.end() + HEAD as u64)?;
        Some(Self { offset: first.end(), length })
    }
}

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub(super) kind: Kind,
    checksum: u32,
    pub(super) length: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl FrameHead {
    /// Of bytes that may be anything.
    pub(super) fn parse(bytes: &[u8; HEAD]) -> io::Result<Self> {
        let head = Self {
            kind: Kind::of(u32_at(bytes, 0))?,
            checksum: u32_at(bytes, 4),
            length: u64_at(bytes, 8),
            first: u64_at(bytes, 16),
            last: u64_at(bytes, 24),
        };
        match head.kind {
            Kind::Dropped => head.check(bytes, &[]).map(|()| head),
            Kind::Lines | Kind::End if head.length > LONGEST => Err(damaged("the length of a frame")),
            Kind::Lines | Kind::End => Ok(head),
        }
    }

    /// Whether head and payload are what was written.
    pub(super) fn check(&self, head: &[u8; HEAD], payload: &[u8]) -> io::Result<()> {
        let is_same = checksum(head, payload) == self.checksum;
        if is_same { Ok(()) } else { Err(damaged("a frame")) }
    }
}

/// A frame with its payload.
pub(super) fn encode(kind: Kind, first: u64, last: u64, payload: &impl Message) -> Vec<u8> {
    let mut frame = Vec::with_capacity(3 * HEAD + payload.encoded_len());
    frame.resize(HEAD, 0);
    payload.encode(&mut frame).expect("a vector has room");
    fill_up(&mut frame);
    let head = head(kind, (frame.len() - HEAD) as u64, first, last, &frame[HEAD..]);
    frame[..HEAD].copy_from_slice(&head);
    frame
}

fn fill_up(frame: &mut Vec<u8>) {
    let missing = frame.len().next_multiple_of(HEAD) - frame.len();
    if missing == 0 {
        return;
    }
    // The field has a key and a length; where that is too much, it goes on to the multiple after that.
    let before = FILLER.len() + 1;
    let zeros = if missing < before { missing + HEAD - before } else { missing - before };
    frame.extend(FILLER);
    frame.push(u8::try_from(zeros).expect("less than two heads"));
    frame.resize(frame.len() + zeros, 0);
}

/// Stands for `length` bytes behind it that are nothing any more.
pub(super) fn dropped(length: u64) -> [u8; HEAD] {
    head(Kind::Dropped, length, 0, 0, &[])
}

fn head(kind: Kind, length: u64, first: u64, last: u64, payload: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&kind.number().to_le_bytes());
    head[8..16].copy_from_slice(&length.to_le_bytes());
    head[16..24].copy_from_slice(&first.to_le_bytes());
    head[24..].copy_from_slice(&last.to_le_bytes());
    let checksum = checksum(&head, payload);
    head[4..8].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// Of kind, length, sequences and payload.
fn checksum(head: &[u8; HEAD], payload: &[u8]) -> u32 {
    let kind = crc32c::crc32c(&head[..4]);
    crc32c::crc32c_append(crc32c::crc32c_append(kind, &head[8..]), payload)
}

/// The head of a new spool.
pub(super) fn file_head(run: &WorkerRegistration) -> io::Result<Vec<u8>> {
    let names = run.encode_to_vec();
    let room = usize::try_from(BEGIN_AT).expect("a page");
    if 16 + names.len() > room {
        return Err(damaged("the names of this run: they are too long for a head"));
    }
    let mut head = MAGIC.to_vec();
    head.extend(u32::try_from(names.len()).expect("it fits into a page").to_le_bytes());
    head.extend(crc32c::crc32c(&names).to_le_bytes());
    head.extend(names);
    head.resize(room, 0);
    head.extend(begin_mark(FIRST));
    Ok(head)
}

/// Whether the file begins as spools do.
pub(super) fn is_spool(start: &[u8]) -> bool {
    start.starts_with(&MAGIC[..7])
}

/// Whose spool it is, and where its first frame is.
pub(super) fn parse_file_head(head: &[u8]) -> io::Result<(WorkerRegistration, u64)> {
    let (run, mark) = head.split_at(usize::try_from(BEGIN_AT).expect("a page"));
    if run[..MAGIC.len()] != MAGIC {
        return Err(invalid("this is no spool that this version of otto-agent can read"));
    }
    let names = run.get(16..16 + u32_at(run, 8) as usize);
    let names = names.filter(|names| crc32c::crc32c(names) == u32_at(run, 12));
    let begin = u64_at(mark, 0);
    if mark != begin_mark(begin) || begin < FIRST {
        return Err(damaged("the place of the first frame"));
    }
    let run = WorkerRegistration::decode(names.ok_or_else(|| damaged("the head"))?)?;
    Ok((run, begin))
}

/// Says where the first frame is.
pub(super) fn begin_mark(begin: u64) -> [u8; 12] {
    let mut mark = [0; 12];
    mark[..8].copy_from_slice(&begin.to_le_bytes());
    let checksum = crc32c::crc32c(&mark[..8]);
    mark[8..].copy_from_slice(&checksum.to_le_bytes());
    mark
}

pub(super) fn damaged(what: &str) -> io::Error {
    invalid(&format!("the spool is damaged: {what}"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
