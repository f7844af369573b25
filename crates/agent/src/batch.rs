//! Consecutive lines in columns, as the wire wants them.

use bytes::{Bytes, BytesMut};
use ottoscaler_proto::v1::{LineSource, LogBatch};

use crate::line::Ending;

/// A batch that has so many bytes is sent without waiting for more.
pub const FULL: usize = 64 << 10;

/// A batch of empty lines ends here.
const FULL_LINES: usize = 8 << 10;

/// What a line costs beside its bytes: time, length, source and flags.
const LINE_OVERHEAD: usize = 24;

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
}

#[derive(Clone, Debug, Default)]
struct Columns {
    time_deltas_ns: Vec<i64>,
    lengths: Vec<u32>,
    sources: Vec<i32>,
    flags: Vec<u32>,
}

impl Builder {
    /// Appends a line that was read at `time_ns`.
    pub fn push(&mut self, time_ns: i64, source: Source, line: &[u8], ending: Ending) {
        if self.is_empty() {
            self.base_time_ns = time_ns;
            self.last_time_ns = time_ns;
        }
        self.columns.time_deltas_ns.push(time_ns - self.last_time_ns);
        self.last_time_ns = time_ns;
        self.columns.lengths.push(u32::try_from(line.len()).expect("lines are far below 4 GiB"));
        self.columns.sources.push(source.wire());
        self.columns.flags.push(ending.flags());
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
        size(self.columns.lengths.len(), self.data.len())
    }

    /// Ends it. `first` is the sequence of its first line. Leaves an empty builder.
    pub fn seal(&mut self, first: u64) -> Sealed {
        let Self { base_time_ns, mut columns, data, .. } = std::mem::take(self);
        one_for_all(&mut columns.sources);
        one_for_all(&mut columns.flags);
        let lines = columns.lengths.len() as u64;
        let size = size(columns.lengths.len(), data.len());
        Sealed { first, last: first + lines - 1, size, base_time_ns, columns, data: data.freeze() }
    }
}

/// What `lines` lines of `bytes` bytes together are counted as.
pub const fn size(lines: usize, bytes: usize) -> usize {
    lines * LINE_OVERHEAD + bytes
}

/// A column of one value stands for all lines.
fn one_for_all<T: PartialEq>(column: &mut Vec<T>) {
    if column.windows(2).all(|pair| pair[0] == pair[1]) {
        column.truncate(1);
    }
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
    base_time_ns: i64,
    columns: Columns,
    data: Bytes,
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
    /// Its lines, one by one.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let (mut time_ns, mut data) = (self.base_time_ns, self.data.clone());
        let columns = &self.columns;
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

    /// From what [`Sealed::to_wire`] gave. Nothing where the columns do not fit together.
    pub fn from_wire(batch: LogBatch, last: u64) -> Option<Self> {
        let lines = batch.lengths.len();
        let bytes: u64 = batch.lengths.iter().map(|&length| u64::from(length)).sum();
        let first = batch.first_sequence.cast_unsigned();
        let fits = lines > 0
            && last.checked_sub(first) == Some(lines as u64 - 1)
            && batch.time_deltas_ns.len() == lines
            && bytes == batch.data.len() as u64;
        fits.then(|| Self {
            first,
            last,
            size: size(lines, batch.data.len()),
            base_time_ns: batch.base_time_ns,
            columns: Columns {
                time_deltas_ns: batch.time_deltas_ns,
                lengths: batch.lengths,
                sources: batch.sources,
                flags: batch.flags,
            },
            data: batch.data,
        })
    }

    /// When its first line was read, as Unix time.
    pub const fn time_ns(&self) -> i64 {
        self.base_time_ns
    }

    /// As it goes over the wire.
    pub fn to_wire(&self, worker_id: &str) -> LogBatch {
        LogBatch {
            worker_id: worker_id.to_owned(),
            first_sequence: self.first.cast_signed(),
            base_time_ns: self.base_time_ns,
            time_deltas_ns: self.columns.time_deltas_ns.clone(),
            lengths: self.columns.lengths.clone(),
            sources: self.columns.sources.clone(),
            flags: self.columns.flags.clone(),
            data: self.data.clone(),
            gap: None,
        }
    }
}
