//! Lines in columns: how they are received, stored and read, so that a batch is never taken apart into
//! one allocation a line.

mod sequence;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

pub use sequence::Sequence;

/// The usual sources of lines. Any other is kept as text beside the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The command's standard output.
    #[default]
    Stdout,
    /// The command's standard error.
    Stderr,
    /// The system itself.
    System,
}

impl Source {
    /// As `LogEntry.source` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::System => "system",
        }
    }
}

/// Source and flags of a line in one byte: bits 0–1 the source, bits 2–3 the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u8);

impl Mark {
    const SOURCE: u8 = 0b0011;
    const FLAGS: u8 = 0b1100;
    const FLAG_SHIFT: u32 = 2;

    /// `flags` holds bits of `EntryFlag`; unknown ones are left out.
    pub fn new(source: Source, flags: u32) -> Self {
        let flags = u8::try_from(flags & 0b11).expect("two bits fit") << Self::FLAG_SHIFT;
        Self(source as u8 | flags)
    }

    /// From its stored byte.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte & (Self::SOURCE | Self::FLAGS))
    }

    /// As it is stored.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Where the line came from.
    pub const fn source(self) -> Source {
        match self.0 & Self::SOURCE {
            0 => Source::Stdout,
            1 => Source::Stderr,
            _ => Source::System,
        }
    }

    /// Bits of `EntryFlag`.
    pub fn flags(self) -> u32 {
        u32::from(self.0 >> Self::FLAG_SHIFT)
    }
}

/// What few lines carry: kept beside the columns for those that do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// `LogEntry.level`.
    pub level: String,
    /// `LogEntry.source` where it is none of [`Source`].
    pub source: String,
    /// `LogEntry.metadata`.
    pub metadata: BTreeMap<String, String>,
}

impl Extra {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.level.is_empty() && self.source.is_empty() && self.metadata.is_empty()
    }
}

/// Consecutive lines of one worker, in columns of equal length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// Unix time of each line in nanoseconds.
    pub(crate) times_ns: Vec<i64>,
    /// Bytes of each line; they add up to the length of `data`.
    pub(crate) lengths: Vec<u32>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) data: Bytes,
    /// By the line's index.
    pub(crate) extras: BTreeMap<u32, Extra>,
}

/// One line, borrowed from its columns.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Unix time in nanoseconds.
    pub time_ns: i64,
    /// Source and flags.
    pub mark: Mark,
    /// Without its newline; UTF-8 or not.
    pub bytes: &'a [u8],
    /// Where there is any.
    pub extra: Option<&'a Extra>,
}

impl Line<'_> {
    /// Where it came from, as text.
    pub fn source(&self) -> &str {
        match self.extra {
            Some(extra) if !extra.source.is_empty() => &extra.source,
            _ => self.mark.source().as_str(),
        }
    }
}

impl Lines {
    /// How many.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Bytes of all lines, newlines not counted.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// One after another.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        let mut at = 0;
        self.lengths.iter().enumerate().map(move |(index, length)| {
            let start = at;
            at += *length as usize;
            let extra = u32::try_from(index).ok().and_then(|index| self.extras.get(&index));
            Line {
                time_ns: self.times_ns[index],
                mark: self.marks[index],
                bytes: &self.data[start..at],
                extra,
            }
        })
    }

    /// Takes the lines behind the first `count` off; their bytes are shared, not copied. What comes off is moved, and
    /// what stays is not.
    pub(crate) fn split_off(&mut self, count: usize) -> Self {
        #[cfg(test)]
        testing::move_lines(self.len() - count);
        let lengths = self.lengths.split_off(count);
        let bytes: usize = lengths.iter().map(|length| *length as usize).sum();
        let shift = u32::try_from(count).unwrap_or(u32::MAX);
        let extras = self.extras.split_off(&shift).into_iter().map(|(at, extra)| (at - shift, extra));
        Self {
            times_ns: self.times_ns.split_off(count),
            lengths,
            marks: self.marks.split_off(count),
            data: self.data.split_off(self.data.len() - bytes),
            extras: extras.collect(),
        }
    }

    /// Takes the first `count` lines off; their bytes are shared, not copied. Those behind them move.
    fn split_first(&mut self, count: usize) -> Self {
        let behind = self.split_off(count);
        let mut first = std::mem::replace(self, behind);
        // They had room for all, and may stay in memory for longer.
        first.times_ns.shrink_to_fit();
        first.lengths.shrink_to_fit();
        first.marks.shrink_to_fit();
        first
    }

    /// The lines without the first `count`; their bytes are shared, not copied.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        if count == 0 { self } else { self.split_off(count) }
    }

    /// The first `count` lines; their bytes are shared, not copied.
    #[must_use]
    pub fn truncate(mut self, count: usize) -> Self {
        self.split_off(count);
        self
    }

    /// How many lines from the first on have together at most `bytes`, and are at most `count`; one at
    /// least.
    fn fitting(&self, count: usize, bytes: usize) -> usize {
        let mut sum = 0;
        let fits = |length: &&u32| {
            sum += **length as usize;
            sum <= bytes
        };
        self.lengths.iter().take(count).take_while(fits).count().max(1)
    }
}

/// Puts single lines together.
#[derive(Debug, Default)]
pub struct LinesBuilder {
    lines: Lines,
    data: BytesMut,
}

impl LinesBuilder {
    /// Appends a line.
    pub fn push(&mut self, time_ns: i64, mark: Mark, bytes: &[u8], extra: Extra) {
        let index = u32::try_from(self.lines.len()).expect("a submission is far smaller");
        self.lines.times_ns.push(time_ns);
        self.lines.lengths.push(u32::try_from(bytes.len()).expect("a line is at most a message"));
        self.lines.marks.push(mark);
        self.data.extend_from_slice(bytes);
        if !extra.is_empty() {
            self.lines.extras.insert(index, extra);
        }
    }

    /// How many so far.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none yet.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All of them.
    pub fn finish(self) -> Lines {
        Lines { data: self.data.freeze(), ..self.lines }
    }
}

/// A piece of a worker's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The place of its first line.
    pub first: Sequence,
    /// What stands there.
    pub content: Content,
}

/// What a block holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// At least one line.
    Lines(Lines),
    /// The lines from the block's first to `last` are gone.
    Gap {
        /// The last lost line.
        last: Sequence,
        /// Why, in a word.
        reason: Arc<str>,
    },
}

impl Block {
    /// The place of its last line.
    pub fn last(&self) -> Sequence {
        match &self.content {
            Content::Lines(lines) => Sequence::new(self.first.get() + lines.len() as u64 - 1),
            Content::Gap { last, .. } => *last,
        }
    }

    /// Takes a first part off that has at most `lines` lines and `bytes` bytes of them, or one line. None
    /// where that is all of it.
    pub fn split_first(&mut self, lines: usize, bytes: usize) -> Option<Self> {
        let Content::Lines(content) = &mut self.content else { return None };
        let count = content.fitting(lines, bytes);
        if count >= content.len() {
            return None;
        }
        let first = Self { first: self.first, content: Content::Lines(content.split_first(count)) };
        self.first = first.last().next();
        Some(first)
    }

    /// How many lines it has.
    pub fn lines(&self) -> u64 {
        match &self.content {
            Content::Lines(lines) => lines.len() as u64,
            Content::Gap { .. } => 0,
        }
    }

    /// Bytes of its lines.
    pub fn bytes(&self) -> usize {
        match &self.content {
            Content::Lines(lines) => lines.bytes(),
            Content::Gap { .. } => 0,
        }
    }

    /// The same with bytes of its own: a part keeps all of what it was cut from in memory.
    #[must_use]
    pub fn detached(mut self) -> Self {
        if let Content::Lines(lines) = &mut self.content {
            lines.data = Bytes::copy_from_slice(&lines.data);
        }
        self
    }

    /// The part that ends at `until`, which is not before its first line; a gap stays whole.
    #[must_use]
    pub fn ending_at(self, until: Sequence) -> Self {
        let Content::Lines(lines) = self.content else { return self };
        let wanted = usize::try_from(until.since(self.first) + 1).unwrap_or(usize::MAX);
        let count = lines.len().min(wanted);
        Self { first: self.first, content: Content::Lines(lines.truncate(count)) }
    }

    /// The part that ends at `until`, which is not before its first line, also of a gap.
    #[must_use]
    pub fn cut_at(self, until: Sequence) -> Self {
        match self.content {
            Content::Gap { last, reason } => {
                Self { content: Content::Gap { last: last.min(until), reason }, ..self }
            }
            Content::Lines(_) => self.ending_at(until),
        }
    }

    /// The part that begins at `from`; all of it where it begins later.
    #[must_use]
    pub fn starting_at(self, from: Sequence) -> Self {
        if from <= self.first {
            return self;
        }
        let skipped = usize::try_from(from.since(self.first)).unwrap_or(usize::MAX);
        let content = match self.content {
            Content::Lines(lines) => Content::Lines(lines.skip(skipped)),
            gap @ Content::Gap { .. } => gap,
        };
        Self { first: from, content }
    }
}

/// For a test of how much work it is to take lines apart.
#[cfg(test)]
pub(crate) mod testing {
    use std::cell::Cell;

    thread_local!(static MOVED: Cell<usize> = const { Cell::new(0) });

    pub(super) fn move_lines(count: usize) {
        MOVED.set(MOVED.get() + count);
    }

    /// Lines that this thread has moved to another place so far.
    pub(crate) fn moved() -> usize {
        MOVED.get()
    }
}

#[cfg(test)]
mod tests;
