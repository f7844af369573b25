//! Consecutive lines in columns, as the wire wants them.

use bytes::{Bytes, BytesMut};
use ottoscaler_proto::checksum::Body;
use ottoscaler_proto::v1::{LineSource, LogBatch};

use crate::line::Ending;

/// A batch that has so many bytes is sent without waiting for more.
pub const FULL: usize = 64 << 10;

/// A batch of empty lines ends here.
const FULL_LINES: usize = 8 << 10;

/// What a line costs beside its bytes: time, length, and mostly nothing for source and flags.
const LINE_OVERHEAD: usize = 24;

/// What a batch costs beside its lines: what its allocations take beside what they hold.
const OVERHEAD: usize = 320;

/// Room behind a full batch's bytes for the line that fills it.
const LAST_LINE: usize = 4 << 10;

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// The agent itself.
    System,
}

impl Source {
    /// As `LogEntry.source` names it.
    fn of_wire(source: i32) -> &'static str {
        match LineSource::try_from(source) {
            Ok(LineSource::Stderr) => "stderr",
            Ok(LineSource::System) => "system",
            Ok(LineSource::Stdout | LineSource::Unspecified) | Err(_) => "stdout",
        }
    }

    fn wire(self) -> i32 {
        match self {
            Self::Stdout => LineSource::Stdout,
            Self::Stderr => LineSource::Stderr,
            Self::System => LineSource::System,
        }
        .into()
    }
}

/// A batch that still grows.
#[derive(Debug, Default)]
pub struct Builder {
    base_time_ns: i64,
    last_time_ns: i64,
    columns: Columns,
    data: BytesMut,
    /// The one before was full, so this one most likely gets there.
    follows_a_full_one: bool,
}

#[derive(Clone, Debug, Default)]
struct Columns {
    time_deltas_ns: Vec<i64>,
    lengths: Vec<u32>,
    sources: Vec<i32>,
    flags: Vec<u32>,
}

impl Columns {
    /// Without room for more.
    fn shrunk(mut self) -> Self {
        self.time_deltas_ns.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.sources.shrink_to_fit();
        self.flags.shrink_to_fit();
        self
    }
}

impl Builder {
    /// Appends a line that was read at `time_ns`.
    pub fn push(&mut self, time_ns: i64, source: Source, line: &[u8], ending: Ending) {
        if self.is_empty() {
            self.base_time_ns = time_ns;
            self.last_time_ns = time_ns;
            if self.follows_a_full_one {
                self.data.reserve(FULL + LAST_LINE);
            }
        }
        self.columns.time_deltas_ns.push(time_ns - self.last_time_ns);
        self.last_time_ns = time_ns;
        let before = self.columns.lengths.len();
        push_one_for_all(&mut self.columns.sources, before, source.wire());
        push_one_for_all(&mut self.columns.flags, before, ending.flags());
        self.columns.lengths.push(u32::try_from(line.len()).expect("lines are far below 4 GiB"));
        self.data.extend_from_slice(line);
    }

    /// Lines so far.
    pub fn lines(&self) -> u64 {
        self.columns.lengths.len() as u64
    }

    /// When its first line was read, as Unix time.
    pub const fn time_ns(&self) -> i64 {
        self.base_time_ns
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.columns.lengths.is_empty()
    }

    /// Whether it should go without waiting for more.
    pub fn is_full(&self) -> bool {
        self.data.len() >= FULL || self.columns.lengths.len() >= FULL_LINES
    }

    /// The memory that it stands for.
    pub fn size(&self) -> usize {
        if self.is_empty() { 0 } else { size(self.columns.lengths.len(), self.data.len()) }
    }

    /// Ends it. `first` is the sequence of its first line. Leaves an empty builder.
    pub fn seal(&mut self, first: u64) -> Sealed {
        let next = Self { follows_a_full_one: self.is_full(), ..Self::default() };
        let Self { base_time_ns, columns, data, .. } = std::mem::replace(self, next);
        // It may wait for long, and what is counted is what it has, not what it took for more.
        let data =
            if data.len() < data.capacity() / 2 { Bytes::copy_from_slice(&data) } else { data.freeze() };
        let columns = columns.shrunk();
        Sealed::new(LogBatch {
            first_sequence: first.cast_signed(),
            base_time_ns,
            time_deltas_ns: columns.time_deltas_ns,
            lengths: columns.lengths,
            sources: columns.sources,
            flags: columns.flags,
            data,
            ..LogBatch::default()
        })
    }
}

/// What `lines` lines of `bytes` bytes together are counted as.
pub const fn size(lines: usize, bytes: usize) -> usize {
    OVERHEAD + lines * LINE_OVERHEAD + bytes
}

/// Puts a value behind those of `before` lines. A column of one value stands for all of them.
fn push_one_for_all<T: Copy + PartialEq>(column: &mut Vec<T>, before: usize, value: T) {
    match *column.as_slice() {
        [all] if all == value => return,
        [all] => column.resize(before, all),
        _ => {}
    }
    column.push(value);
}

fn of_column<T: Copy + Default>(column: &[T], at: usize) -> T {
    column.get(at).or_else(|| column.first()).copied().unwrap_or_default()
}

/// A batch that is complete. Its bytes are shared by all its copies.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Sequence of its first line.
    pub first: u64,
    /// Sequence of its last line.
    pub last: u64,
    /// The memory that it stands for.
    pub size: usize,
    /// As the wire wants it, but for the worker and the checksum.
    batch: Box<LogBatch>,
    /// Summed once, however often it is sent.
    body: Body,
}

/// One line of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub sequence: u64,
    /// When it was read.
    pub time_ns: i64,
    /// As `LogEntry.source` names it.
    pub source: &'static str,
    /// Bits of `EntryFlag`.
    pub flags: u32,
    /// Without its newline.
    pub bytes: Bytes,
}

impl Sealed {
    /// Of a batch of at least one line.
    fn new(batch: LogBatch) -> Self {
        let (first, lines) = (batch.first_sequence.cast_unsigned(), batch.lengths.len());
        Self {
            first,
            last: first + lines as u64 - 1,
            size: size(lines, batch.data.len()),
            body: Body::of(&batch),
            batch: Box::new(batch),
        }
    }

    /// Its lines, one by one.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let (mut time_ns, mut data) = (self.batch.base_time_ns, self.batch.data.clone());
        let columns = &self.batch;
        let lines = columns.lengths.iter().zip(&columns.time_deltas_ns).enumerate();
        lines.map(move |(at, (&length, &delta))| {
            time_ns = time_ns.wrapping_add(delta);
            Line {
                sequence: self.first + at as u64,
                time_ns,
                source: Source::of_wire(of_column(&columns.sources, at)),
                flags: of_column(&columns.flags, at),
                bytes: data.split_to(length as usize),
            }
        })
    }

    /// From what [`Sealed::to_wire`] gave. Nothing where it is not the same, or its columns do not fit together.
    pub fn from_wire(mut batch: LogBatch, last: u64) -> Option<Self> {
        let lines = batch.lengths.len();
        let bytes: u64 = batch.lengths.iter().map(|&length| u64::from(length)).sum();
        let first = batch.first_sequence.cast_unsigned();
        let fits = lines > 0
            && last.checked_sub(first) == Some(lines as u64 - 1)
            && batch.time_deltas_ns.len() == lines
            && bytes == batch.data.len() as u64;
        let (worker_id, carried) = (std::mem::take(&mut batch.worker_id), batch.crc32c.take());
        let is_same = |sealed: &Self| carried.is_none_or(|crc| crc == sealed.body.of_worker(&worker_id));
        fits.then(|| Self::new(batch)).filter(is_same)
    }

    /// When its first line was read, as Unix time.
    pub const fn time_ns(&self) -> i64 {
        self.batch.base_time_ns
    }

    /// As it goes over the wire.
    pub fn to_wire(&self, worker_id: &str) -> LogBatch {
        let crc32c = Some(self.body.of_worker(worker_id));
        LogBatch { worker_id: worker_id.to_owned(), crc32c, ..LogBatch::clone(&self.batch) }
    }
}

#[cfg(test)]
mod tests {
    use ottoscaler_proto::checksum::Checked;

    use super::*;

    fn sealed() -> Sealed {
        let mut builder = Builder::default();
        builder.push(7, Source::Stdout, b"one", Ending::Newline);
        builder.push(9, Source::Stderr, b"two", Ending::Continues);
        builder.seal(5)
    }

    #[test]
    fn a_batch_is_the_same_each_time_that_it_is_sent_and_says_so() {
        let sealed = sealed();
        let sent = sealed.to_wire("w");
        assert!(sent.crc32c.is_some() && sent.is_intact());
        let read_back = Sealed::from_wire(sent.clone(), 6).unwrap();
        assert_eq!((read_back.first, read_back.last, read_back.size), (5, 6, sealed.size));
        assert_eq!(read_back.to_wire("w"), sent);
    }

    #[test]
    fn what_is_read_back_changed_is_not_taken() {
        let sent = sealed().to_wire("w");
        let table = [
            LogBatch { data: Bytes::from_static(b"onetwO"), ..sent.clone() },
            LogBatch { worker_id: "v".into(), ..sent.clone() },
            LogBatch { flags: vec![0], ..sent.clone() },
        ];
        for changed in table {
            assert!(Sealed::from_wire(changed.clone(), 6).is_none(), "{changed:?}");
        }
    }
}
