//! How the lines look with which each part of a log begins, so that nobody has to read what comes before it.

use crate::ansi::Style;
use crate::line::Sequence;

/// Lines of a part. The page reads as many at a time.
const LINES: u64 = 512;

/// Beyond five million lines, all of them in color, lines begin plain.
const STYLES: usize = 10_000;

/// The look of the line that comes next, and of those before it with which a part began.
#[derive(Clone, Debug, Default)]
pub(super) struct Styles {
    now: Style,
    kept: Vec<(Sequence, Style)>,
}

impl Styles {
    /// A line, behind all others.
    pub(super) fn line(&mut self, at: Sequence, has_sequences: bool, line: &[u8]) {
        self.keep(at, at);
        if has_sequences {
            self.now.read(line);
        }
    }

    /// Lines that nobody knows. The part that begins in their midst and has lines behind them begins as if there were
    /// none.
    pub(super) fn gap(&mut self, first: Sequence, last: Sequence) {
        self.keep(first, last);
    }

    /// Where a part begins with one of these lines, the last such one.
    fn keep(&mut self, first: Sequence, last: Sequence) {
        let begins = Sequence::new(last.get().saturating_sub(1) / LINES * LINES + 1);
        if begins >= first && !self.now.is_plain() && self.kept.len() < STYLES {
            self.kept.push((begins, self.now));
        }
    }

    /// Where parts begin that do not begin plain, and how.
    pub(super) fn kept(&self) -> &[(Sequence, Style)] {
        &self.kept
    }

    /// What they take up.
    pub(super) fn bytes(&self) -> usize {
        self.kept.capacity() * size_of::<(Sequence, Style)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(styles: &mut Styles, at: u64, line: &str) {
        styles.line(Sequence::new(at), true, line.as_bytes());
    }

    fn kept(styles: &Styles) -> Vec<(u64, String)> {
        styles.kept().iter().map(|(at, style)| (at.get(), style.to_string())).collect()
    }

    #[test]
    fn parts_that_begin_in_color_say_so_and_no_others() {
        let mut styles = Styles::default();
        read(&mut styles, 1, "\x1b[31mred from here on");
        (2..=1024).for_each(|at| read(&mut styles, at, "red"));
        read(&mut styles, 1025, "\x1b[1mred and bold from here on");
        (1026..=1536).for_each(|at| read(&mut styles, at, "\x1b[0m"));
        read(&mut styles, 1537, "plain");
        assert_eq!(kept(&styles), [(513, "31".to_owned()), (1025, "31".to_owned())]);
    }

    #[test]
    fn p6_a_gap_of_any_length_is_one_look() {
        let mut styles = Styles::default();
        read(&mut styles, 1, "\x1b[31m");
        styles.gap(Sequence::new(2), Sequence::new(1 << 52));
        styles.gap(Sequence::new((1 << 52) + 1), Sequence::new((1 << 52) + 3));
        read(&mut styles, (1 << 52) + 4, "red");
        let begins = |last: u64| (last - 1) / 512 * 512 + 1;
        assert_eq!(kept(&styles), [(begins(1 << 52), "31".to_owned()), ((1 << 52) + 1, "31".to_owned())]);
    }
}
