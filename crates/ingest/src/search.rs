//! Which lines of a log hold a text, or are of a stream.
//!
//! Pure, and made line by line. What it takes up is bounded by the runs of lines that are asked for, and a look at a
//! line takes time as the line and the pattern are long, whatever both are.

mod pattern;

use std::ops::ControlFlow;

use crate::ansi;
use crate::line::{Block, Content, Line, Sequence, Source};

pub(crate) use pattern::{InvalidPattern, Kind, Pattern};

/// What somebody wants to find. Of a pattern it has no more than what was typed: to make it takes memory and time.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// None for every line.
    pub(crate) text: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) sources: Sources,
    /// How many runs of lines are wanted, at least one.
    pub(crate) limit: usize,
}

impl Wanted {
    /// What is looked for.
    pub(crate) fn query(self) -> Result<Query, InvalidPattern> {
        let pattern = self.text.map(|text| Pattern::new(&text, self.kind)).transpose()?;
        Ok(Query { pattern, sources: self.sources, limit: self.limit })
    }
}

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Query {
    /// None for every line.
    pub(crate) pattern: Option<Pattern>,
    pub(crate) sources: Sources,
    /// How many runs of lines are wanted, at least one.
    pub(crate) limit: usize,
}

/// Some of the sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources([bool; 3]);

impl Sources {
    /// All of them.
    pub(crate) const ALL: Self = Self([true; 3]);

    /// These and another.
    #[must_use]
    pub(crate) const fn with(mut self, source: Source) -> Self {
        self.0[source as usize] = true;
        self
    }

    const fn has(self, source: Source) -> bool {
        self.0[source as usize]
    }
}

/// Lines one after another that all match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
}

/// What was found so far.
#[derive(Debug)]
pub(crate) struct Search {
    query: Query,
    matches: u64,
    runs: Vec<Run>,
    through: Sequence,
    is_full: bool,
    /// How much was looked at since it was last asked whether to stop.
    unasked: usize,
    /// For lines that are not as people see them.
    room: Vec<u8>,
}

/// A search for every line is asked to stop after so many bytes, any other after what its pattern does in a moment.
const ASKED: usize = 1 << 20;

/// What a line is to somebody for whom it is not worth a look, beside its bytes.
const LINE: usize = 16;

impl Search {
    /// From behind this line on.
    pub(crate) fn new(query: Query, behind: Sequence) -> Self {
        let (runs, room) = (Vec::new(), Vec::new());
        Self { query, matches: 0, runs, through: behind, is_full: false, unasked: 0, room }
    }

    /// Looks at what comes next in the log. Breaks where as much was found as is wanted, or where it is to stop; then
    /// all lines up to [`Self::through`] were looked at.
    pub(crate) fn read(&mut self, block: &Block, stop: &dyn Fn() -> bool) -> ControlFlow<()> {
        let asked = self.query.pattern.as_ref().map_or(ASKED, Pattern::window);
        if let Content::Lines(lines) = &block.content {
            for (at, line) in (0..).zip(lines.iter()) {
                let at = block.first.plus(at);
                if self.matches(&line, stop) && self.found(at).is_break() {
                    self.is_full = true;
                    return ControlFlow::Break(());
                }
                self.through = at;
                if self.unasked >= asked {
                    self.unasked = 0;
                    if stop() {
                        return ControlFlow::Break(());
                    }
                }
            }
        }
        self.through = block.last();
        ControlFlow::Continue(())
    }

    /// A line that takes all the time there is does not: else nobody would get beyond it.
    fn matches(&mut self, line: &Line<'_>, stop: &dyn Fn() -> bool) -> bool {
        self.unasked += line.bytes.len() + LINE;
        if !self.query.sources.has(line.mark.source()) {
            return false;
        }
        let Some(pattern) = &mut self.query.pattern else { return true };
        pattern.is_in(ansi::visible(line.bytes, &mut self.room), stop)
    }

    fn found(&mut self, at: Sequence) -> ControlFlow<()> {
        let is_full = self.runs.len() >= self.query.limit;
        match self.runs.last_mut() {
            Some(run) if run.last.next() == at => run.last = at,
            Some(_) | None if is_full => return ControlFlow::Break(()),
            Some(_) | None => self.runs.push(Run { first: at, last: at }),
        }
        self.matches += 1;
        ControlFlow::Continue(())
    }

    /// How many lines match.
    pub(crate) const fn lines(&self) -> u64 {
        self.matches
    }

    /// Where they are.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The line that was looked at last, or a gap's.
    pub(crate) const fn through(&self) -> Sequence {
        self.through
    }

    /// Whether there may be more behind it, because no more was wanted.
    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Extra, LinesBuilder, Mark};

    fn block(first: u64, lines: &[(Source, &str)]) -> Block {
        let mut builder = LinesBuilder::default();
        for (source, text) in lines {
            builder.push(0, Mark::new(*source, 0), text.as_bytes(), Extra::default());
        }
        Block { first: Sequence::new(first), content: Content::Lines(builder.finish()) }
    }

    fn search(text: &str, sources: Sources, limit: usize) -> Search {
        let pattern = (!text.is_empty()).then(|| Pattern::new(text, Kind::Text { case: false }).unwrap());
        Search::new(Query { pattern, sources, limit }, Sequence::ZERO)
    }

    fn runs(search: &Search) -> Vec<(u64, u64)> {
        search.runs().iter().map(|run| (run.first.get(), run.last.get())).collect()
    }

    const NEVER: fn() -> bool = || false;

    const LINES: [(Source, &str); 6] = [
        (Source::Stdout, "Hit"),
        (Source::Stderr, "\x1b[1mh\x1b[31mi\x1b[0mt"),
        (Source::System, "miss"),
        (Source::Stdout, "a hit"),
        (Source::Stdout, "\x1b[1mmiss"),
        (Source::Stderr, "HIT"),
    ];

    #[test]
    fn lines_are_found_as_people_see_them_and_a_gap_ends_a_run() {
        let mut search = search("hit", Sources::ALL, 10);
        let gap = Content::Gap { last: Sequence::new(9), reason: "hit".into() };
        for block in [block(1, &LINES), Block { first: Sequence::new(7), content: gap }, block(10, &LINES)] {
            assert!(search.read(&block, &NEVER).is_continue());
        }
        assert_eq!(runs(&search), [(1, 2), (4, 4), (6, 6), (10, 11), (13, 13), (15, 15)]);
        assert_eq!((search.lines(), search.through().get(), search.is_full()), (8, 15, false));
    }

    #[test]
    fn a_search_for_nothing_finds_the_lines_of_a_stream() {
        let mut search = search("", Sources::default().with(Source::Stderr).with(Source::System), 10);
        assert!(search.read(&block(1, &LINES), &NEVER).is_continue());
        assert_eq!((runs(&search), search.lines()), (vec![(2, 3), (6, 6)], 3));
    }

    #[test]
    fn as_much_is_found_as_is_wanted_and_the_last_run_is_whole() {
        let mut search = search("hit", Sources::ALL, 2);
        assert!(search.read(&block(1, &LINES[..4]), &NEVER).is_continue());
        assert!(
            search.read(&block(5, &[(Source::Stdout, "hit"), (Source::Stdout, "x")]), &NEVER).is_continue()
        );
        assert!(search.read(&block(7, &LINES), &NEVER).is_break());
        assert_eq!(runs(&search), [(1, 2), (4, 5)]);
        assert_eq!((search.through().get(), search.is_full()), (6, true));
    }

    #[test]
    fn p6_a_search_stops_when_it_is_told_to_and_never_where_it_began() {
        let line = "x".repeat(ASKED);
        let lines = vec![(Source::Stdout, line.as_str()); 10];
        let mut search = search("y", Sources::ALL, 1);
        for stopped in 1..=3 {
            let rest = block(stopped, &lines);
            assert!(search.read(&rest, &|| true).is_break());
            assert_eq!((search.through().get(), search.is_full()), (stopped, false));
        }
    }
}
