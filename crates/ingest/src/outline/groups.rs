//! The groups of a log: which are open, and a bounded number of those that were.

use super::dialect::{Marker, Section};
use crate::line::Sequence;

/// Groups that are kept; others are counted.
const GROUPS: usize = 10_000;

/// Groups that may be open within each other. One more ends the innermost: nobody nests so deep, and some forget the
/// ends.
const DEPTH: usize = 16;

/// Bytes of a title.
const TITLE: usize = 256;

/// Bytes of a section's name that are told apart.
const NAME: usize = 128;

const NANOSECONDS: i64 = 1_000_000_000;

/// A group of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) first: Sequence,
    pub(crate) title: Box<str>,
    pub(crate) depth: u8,
    pub(crate) collapsed: bool,
    /// Unix nanoseconds.
    pub(crate) started_ns: i64,
    /// None while it is open.
    pub(crate) end: Option<End>,
}

/// Where a group ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) last: Sequence,
    /// Unix nanoseconds.
    pub(crate) at_ns: i64,
}

/// A group that is open.
#[derive(Clone, Debug)]
struct Open {
    /// Among those that are kept, if it is.
    index: Option<usize>,
    kind: Kind,
}

/// What ends a group.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Command,
    Section(Box<[u8]>),
    Header,
}

/// All of a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    kept: Vec<Group>,
    left_out: u64,
    titles: usize,
    /// The outermost first.
    open: Vec<Open>,
}

/// A line on which something is said about groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) line: Sequence,
    pub(super) time_ns: i64,
}

impl Groups {
    /// What a line says, behind all others.
    pub(super) fn read<'a>(&mut self, at: At, markers: impl Iterator<Item = Marker<'a>>) {
        let mut markers = markers.peekable();
        while let Some(marker) = markers.next() {
            match marker {
                Marker::Open { title } => self.begin(at, Kind::Command, title, true),
                Marker::Close => self.end_innermost(&Kind::Command, End { last: at.line, at_ns: at.time_ns }),
                Marker::SectionStart(section) => {
                    let at = At { time_ns: section.time_ns().unwrap_or(at.time_ns), ..at };
                    let title = if section.title.is_empty() { section.name } else { section.title };
                    self.begin(at, Kind::of(&section), title, section.collapsed);
                }
                Marker::SectionEnd(section) => {
                    // The line is the next section's head, where it is one.
                    let last = if markers.peek().is_some() { at.line.before() } else { at.line };
                    let at_ns = section.time_ns().unwrap_or(at.time_ns);
                    self.end_innermost(&Kind::of(&section), End { last, at_ns });
                }
                Marker::Header { title, collapsed } => {
                    let end = End { last: at.line.before(), at_ns: at.time_ns };
                    self.end_innermost(&Kind::Header, end);
                    self.begin(at, Kind::Header, title, collapsed);
                }
                Marker::ShowLast => self.show_last(),
            }
        }
    }

    fn begin(&mut self, at: At, kind: Kind, title: &[u8], collapsed: bool) {
        if self.open.len() == DEPTH {
            self.end_from(DEPTH - 1, End { last: at.line.before(), at_ns: at.time_ns });
        }
        let depth = u8::try_from(self.open.len()).expect("it is below DEPTH");
        let index = (self.kept.len() < GROUPS).then_some(self.kept.len());
        if index.is_some() {
            let title = shown(title);
            self.titles += title.len();
            let started_ns = at.time_ns;
            self.kept.push(Group { first: at.line, title, depth, collapsed, started_ns, end: None });
        } else {
            self.left_out += 1;
        }
        self.open.push(Open { index, kind });
    }

    /// Ends the innermost group of a kind, and those within it. Nothing happens where there is none.
    fn end_innermost(&mut self, kind: &Kind, end: End) {
        if let Some(at) = self.open.iter().rposition(|open| open.kind == *kind) {
            self.end_from(at, end);
        }
    }

    fn end_from(&mut self, outermost: usize, end: End) {
        for open in self.open.drain(outermost..) {
            if let Some(group) = open.index.and_then(|index| self.kept.get_mut(index)) {
                // What begins and ends on one line has that line.
                group.end = Some(End { last: end.last.max(group.first), ..end });
            }
        }
    }

    fn show_last(&mut self) {
        let last = self.open.iter().rfind(|open| open.kind == Kind::Header);
        if let Some(group) = last.and_then(|open| self.kept.get_mut(open.index?)) {
            group.collapsed = false;
        }
    }

    /// Those that are kept, in the order in which they begin.
    pub(super) fn kept(&self) -> &[Group] {
        &self.kept
    }

    /// How many others there were.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What they take up.
    pub(super) fn bytes(&self) -> usize {
        self.kept.capacity() * size_of::<Group>() + self.titles + self.open.len() * NAME
    }
}

impl Kind {
    fn of(section: &Section<'_>) -> Self {
        Self::Section(section.name[..section.name.len().min(NAME)].into())
    }
}

impl Section<'_> {
    fn time_ns(&self) -> Option<i64> {
        Some(i64::from(self.unix?) * NANOSECONDS)
    }
}

/// A title as it is shown: text, on one line, not too long.
fn shown(title: &[u8]) -> Box<str> {
    // Cut first: a line may be long.
    let text = String::from_utf8_lossy(&title[..title.len().min(TITLE)]);
    // A character that was cut is not there.
    let text = if title.len() > TITLE { text.trim_end_matches('\u{fffd}') } else { &text };
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.trim().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::dialect::markers;
    use super::*;

    /// A log of these lines, each a second after the one before.
    fn groups(lines: &[&str]) -> Groups {
        let mut groups = Groups::default();
        for (line, at) in lines.iter().zip(1_u32..) {
            let time_ns = i64::from(at) * NANOSECONDS;
            groups.read(At { line: Sequence::new(at.into()), time_ns }, markers(line.as_bytes()));
        }
        groups
    }

    /// First, last (0 for open), depth, title, seconds.
    fn told(groups: &Groups) -> Vec<(u64, u64, u8, &str, i64)> {
        let told = |group: &Group| {
            let (last, end_ns) = group.end.map_or((0, group.started_ns), |end| (end.last.get(), end.at_ns));
            (last, (end_ns - group.started_ns) / NANOSECONDS)
        };
        groups.kept().iter().map(|g| (g.first.get(), told(g).0, g.depth, &*g.title, told(g).1)).collect()
    }

    #[test]
    fn groups_within_groups_end_with_their_own_lines() {
        let lines = [
            "::group::outer",
            "x",
            "##[group]inner",
            "y",
            "##[endgroup]",
            "z",
            "::endgroup::",
            "::endgroup::",
        ];
        assert_eq!(told(&groups(&lines)), [(1, 7, 0, "outer", 6), (3, 5, 1, "inner", 2)]);
    }

    #[test]
    fn a_section_ends_by_its_name_with_its_own_clock_and_what_was_left_open_in_it_ends_too() {
        let lines = [
            "section_start:100:build\rBuild it",
            "::group::forgotten",
            "section_start:110:inner[collapsed=true]\r",
            "section_end:115:other\r",
            "section_end:160:build\r",
        ];
        let groups = groups(&lines);
        let inner = (3, 5, 2, "inner", 50);
        assert_eq!(told(&groups), [(1, 5, 0, "Build it", 60), (2, 5, 1, "forgotten", 158), inner]);
        assert!(groups.kept()[2].collapsed && !groups.kept()[0].collapsed);
    }

    #[test]
    fn sections_that_share_a_line_share_no_lines() {
        let lines =
            ["section_start:1:a\rA", "x", "section_end:3:a\rsection_start:4:b\rB", "section_end:9:b\r"];
        assert_eq!(told(&groups(&lines)), [(1, 2, 0, "A", 2), (3, 4, 0, "B", 5)]);
        let one = ["section_start:1:a\rsection_end:2:a\rsection_start:3:b\rB"];
        assert_eq!(told(&groups(&one)), [(1, 1, 0, "a", 1), (1, 0, 0, "B", 0)]);
    }

    #[test]
    fn a_header_ends_the_one_before_it_and_may_be_shown_later() {
        let lines = ["--- Build", "x", "~~~ Quiet", "^^^ +++", "+++ Test", "y"];
        let groups = groups(&lines);
        assert_eq!(told(&groups), [(1, 2, 0, "Build", 2), (3, 4, 0, "Quiet", 2), (5, 0, 0, "Test", 0)]);
        let collapsed: Vec<_> = groups.kept().iter().map(|group| group.collapsed).collect();
        assert_eq!(collapsed, [true, false, false]);
    }

    #[test]
    fn titles_are_short_and_text() {
        let long = format!("::group::{}", "가".repeat(200));
        let groups = groups(&["::group:: a\u{7}b\rc ", &long]);
        assert_eq!(&*groups.kept()[0].title, "abc");
        assert_eq!(&*groups.kept()[1].title, "가".repeat(TITLE / 3));
    }

    #[test]
    fn p6_a_million_groups_within_each_other_take_up_little() {
        let mut groups = Groups::default();
        for line in 1..=1_000_000 {
            let at = At { line: Sequence::new(line), time_ns: 0 };
            groups.read(at, markers(b"::group::one more"));
        }
        assert_eq!((groups.kept().len(), groups.left_out()), (GROUPS, 990_000));
        assert!(groups.kept().iter().all(|group| usize::from(group.depth) < DEPTH));
        assert!(groups.bytes() < 4 << 20, "{} bytes", groups.bytes());
    }

    #[test]
    fn groups_beyond_those_kept_still_end_their_own() {
        let mut lines = vec!["::group::kept"];
        lines.resize(2 * GROUPS + 1, "section_start:1:a\r");
        lines.iter_mut().skip(2).step_by(2).for_each(|line| *line = "section_end:2:a\r");
        lines.extend(["section_start:1:a\r", "section_end:2:a\r", "::endgroup::"]);
        let groups = groups(&lines);
        assert_eq!(groups.left_out(), 2);
        assert_eq!(told(&groups)[0].1, lines.len() as u64);
    }

    proptest! {
        #[test]
        fn groups_lie_within_each_other_or_apart(
            lines in prop::collection::vec(prop::sample::select(vec![
                "::group::g", "::endgroup::", "--- h", "+++ h", "^^^ +++", "section_start:1:a\r", "section_end:2:a\r",
                "section_start:1:b\r", "section_end:2:b\r", "section_end:3:a\rsection_start:4:b\r", "x",
            ]), 0..60)
        ) {
            let groups = groups(&lines);
            let spans: Vec<_> = told(&groups).into_iter().map(|(first, last, depth, ..)| {
                (first, if last == 0 { u64::MAX } else { last }, depth)
            }).collect();
            for (at, (first, last, depth)) in spans.iter().enumerate() {
                prop_assert!(first <= last);
                for (later, end, inner) in &spans[at + 1..] {
                    let within = later <= last;
                    prop_assert!(!within || (end <= last && inner > depth), "{spans:?}");
                }
            }
        }
    }
}
