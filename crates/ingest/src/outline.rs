//! What one look through a log tells of it: its groups, how many lines there are of each kind, where it first failed,
//! what is missing, and how its lines look where a part of it begins.
//!
//! Pure, and made line by line: of a log that grows it goes on where it was. Whatever a log holds, an outline takes up
//! a few MiB at the most, and a look as long as the log is: what is kept of each kind is bounded, and what is not kept
//! is counted.

mod dialect;
mod failure;
mod groups;
mod level;
mod marks;
mod missing;
mod styles;

use std::sync::Arc;

use crate::ansi;
use crate::line::{Block, Content, Line, Sequence, Source};
use groups::{At, Groups};
use level::Levels;
use marks::Marks;
use missing::Missing;
use styles::Styles;

pub(crate) use groups::{End, Group};
pub(crate) use level::Level;
pub(crate) use missing::Gap;

/// `EntryFlag`: the line goes on in the next of its source.
const CONTINUES: u32 = 0b01;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    through: Sequence,
    last_ns: i64,
    lines: [u64; 3],
    levels: Levels,
    groups: Groups,
    marks: Marks,
    missing: Missing,
    styles: Styles,
    /// Where the command itself first said that something failed.
    failure: Option<Sequence>,
    /// Where a tool first said so in its own words.
    failure_words: Option<Sequence>,
    /// Whether the last line of each source goes on.
    continues: [bool; 3],
}

impl Outline {
    /// What comes next in the log.
    pub(crate) fn read(&mut self, block: &Block) {
        match &block.content {
            Content::Gap { last, reason } => self.miss(block.first, *last, reason),
            Content::Lines(lines) => {
                let mut room = Vec::new();
                for (at, line) in (0..).zip(lines.iter()) {
                    self.line(block.first.plus(at), &line, &mut room);
                }
            }
        }
        self.through = block.last();
    }

    fn miss(&mut self, first: Sequence, last: Sequence, reason: &Arc<str>) {
        self.missing.add(Gap { first, last, reason: Arc::clone(reason) });
        self.styles.gap(first, last);
        self.continues = [false; 3];
    }

    fn line(&mut self, at: Sequence, line: &Line<'_>, room: &mut Vec<u8>) {
        let source = line.mark.source();
        let begins =
            !std::mem::replace(&mut self.continues[source as usize], line.mark.flags() & CONTINUES != 0);
        self.lines[source as usize] += 1;
        self.last_ns = line.time_ns;
        let seen = ansi::visible(line.bytes, room);
        // The agent's own words are none of the command's.
        let colors = source != Source::System && seen.len() != line.bytes.len();
        self.styles.line(at, colors, line.bytes);
        let said = line.extra.and_then(|extra| Level::named(&extra.level));
        if source == Source::System {
            if let Some(level) = said {
                self.levels.count(level);
            }
            return;
        }
        let annotated = || if begins { Level::annotated(seen) } else { None };
        if let Some(level) = said.or_else(annotated) {
            self.level(at, level);
        }
        if begins {
            self.groups.read(At { line: at, time_ns: line.time_ns }, dialect::markers(seen));
        }
        if self.failure.is_none() && self.failure_words.is_none() && failure::is_told(seen) {
            self.failure_words = Some(at);
        }
    }

    fn level(&mut self, at: Sequence, level: Level) {
        self.levels.count(level);
        self.marks.add(at, level);
        if level.is_failure() {
            self.failure.get_or_insert(at);
        }
    }

    /// Up to where it speaks of the log.
    pub(crate) const fn through(&self) -> Sequence {
        self.through
    }

    /// How many lines there are of a source.
    pub(crate) const fn lines(&self, source: Source) -> u64 {
        self.lines[source as usize]
    }

    /// How many lines there are of each level that was said.
    pub(crate) const fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The groups that are kept, in the order in which they begin.
    pub(crate) fn groups(&self) -> &[Group] {
        self.groups.kept()
    }

    /// How many others there were.
    pub(crate) const fn groups_left_out(&self) -> u64 {
        self.groups.left_out()
    }

    /// Where groups end that are open: with the last line, once no other comes.
    pub(crate) const fn end(&self) -> End {
        End { last: self.through, at_ns: self.last_ns }
    }

    /// The lines that matter most, in order.
    pub(crate) fn marks(&self) -> &[(Sequence, Level)] {
        self.marks.kept()
    }

    /// The gaps that are kept, in order.
    pub(crate) fn gaps(&self) -> &[Gap] {
        self.missing.gaps()
    }

    /// How many others there were.
    pub(crate) const fn gaps_left_out(&self) -> u64 {
        self.missing.left_out()
    }

    /// How lines look with which parts begin, where they do not begin plain.
    pub(crate) fn styles(&self) -> &[(Sequence, ansi::Style)] {
        self.styles.kept()
    }

    /// Where it first failed, if anything says so. Of a command that did not fail it says nothing.
    pub(crate) fn first_failure(&self) -> Option<Sequence> {
        self.failure.or(self.failure_words)
    }

    /// About what it takes up.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.groups.bytes()
            + self.marks.bytes()
            + self.missing.bytes()
            + self.styles.bytes()
    }
}

#[cfg(test)]
mod tests;
