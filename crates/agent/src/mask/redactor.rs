//! One stream of bytes in, the same without secrets out.
//!
//! Where secrets overlap, all of them vanish behind one mark in each line. Only bytes with which a secret may begin are
//! held back, and with them a whole line only where base64 may go on in the next one.

use std::sync::Arc;

use super::Masks;
use super::patterns::{At, Patterns};
use super::wrapped::{LONGEST_GIVEN, Wrapped, with_breaks};

/// Stands for a secret, however long that is.
pub(super) const MARK: &[u8] = b"***";

/// Hides the secrets of one stream.
#[derive(Debug)]
pub(super) struct Redactor {
    masks: Arc<Masks>,
    patterns: Arc<Patterns>,
    at: At,
    wrapped: Wrapped,
    /// Read, and not yet given away.
    held: Vec<u8>,
    /// The last bytes before these, of which base64 may go on behind a break.
    given: Vec<u8>,
    /// Secrets in what is held, in order, apart from each other.
    spans: Vec<Span>,
    out: Vec<u8>,
}

/// Bytes that are to vanish.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    /// The mark of its first line was given away already, with the bytes before these.
    is_marked: bool,
}

impl Redactor {
    pub(super) fn new(masks: Arc<Masks>) -> Self {
        let patterns = masks.patterns();
        let (at, wrapped) = (patterns.start(), Wrapped::new(&patterns));
        Self {
            masks,
            patterns,
            at,
            wrapped,
            held: Vec::new(),
            given: Vec::new(),
            spans: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Takes the next bytes and gives those that are decided.
    pub(super) fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.learn();
        let held = std::mem::take(&mut self.held);
        let decided = held.len() + bytes.len() - self.look(&held, bytes);
        self.held = held;
        if self.held.is_empty() && self.spans.is_empty() {
            self.held.extend_from_slice(&bytes[decided..]);
            remember(&mut self.given, &bytes[..decided]);
            return &bytes[..decided];
        }
        self.held.extend_from_slice(bytes);
        self.give(decided)
    }

    /// Nothing more comes: gives what was held back.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.learn();
        self.begin();
        self.give(self.held.len());
        self.given.clear();
        &self.out
    }

    fn begin(&mut self) {
        (self.at, self.wrapped) = (self.patterns.start(), Wrapped::new(&self.patterns));
    }

    /// Finds the secrets in the next bytes, behind what is held. Gives how many of the last bytes are not decided.
    fn look(&mut self, held: &[u8], bytes: &[u8]) -> usize {
        let (before, spans) = (held.len(), &mut self.spans);
        let found = |end, length| hide(spans, before + end - length, before + end);
        self.at = self.patterns.scan(self.at, bytes, found);
        let length_of = |end: usize, characters| {
            with_breaks(bytes[..end].iter().rev().chain(held.iter().rev()), characters)
        };
        let found = |end, characters| {
            hide(&mut self.spans, before + end - length_of(end, characters), before + end);
        };
        self.wrapped.pass(&self.patterns, bytes, found);
        let undecided = self.wrapped.undecided(&self.patterns);
        self.patterns.undecided(self.at).max(length_of(bytes.len(), undecided))
    }

    /// The first bytes of what is held, with marks in place of secrets.
    fn give(&mut self, decided: usize) -> &[u8] {
        self.out.clear();
        let mut from = 0;
        let mut kept = Vec::new();
        for mut span in self.spans.drain(..) {
            if span.start < decided {
                self.out.extend_from_slice(&self.held[from..span.start]);
                from = span.end.min(decided);
                let hidden = &self.held[span.start..from];
                mark(&mut self.out, hidden, span.is_marked);
                span.is_marked = !hidden.ends_with(b"\n");
            }
            if span.end > decided {
                let (start, end) = (span.start.saturating_sub(decided), span.end - decided);
                kept.push(Span { start, end, ..span });
            }
        }
        self.out.extend_from_slice(&self.held[from..decided]);
        self.spans = kept;
        remember(&mut self.given, &self.held[..decided]);
        self.held.drain(..decided);
        &self.out
    }

    /// Values that were named meanwhile hold for everything that was not yet given away.
    fn learn(&mut self) {
        if self.masks.are(&self.patterns) {
            return;
        }
        self.patterns = self.masks.patterns();
        // What is held begins where a secret may, and its line before that; base64 may have begun before a break.
        (self.at, self.wrapped) = (self.patterns.start(), Wrapped::amid(&self.patterns));
        self.wrapped.pass(&self.patterns, &self.given, |_, _| {});
        let held = std::mem::take(&mut self.held);
        self.look(&[], &held);
        self.held = held;
    }
}

/// Keeps the last bytes that were given away.
fn remember(given: &mut Vec<u8>, bytes: &[u8]) {
    given.extend_from_slice(&bytes[bytes.len().saturating_sub(LONGEST_GIVEN)..]);
    given.drain(..given.len().saturating_sub(LONGEST_GIVEN));
}

/// Stands for what is hidden, line by line: a break stays one.
fn mark(out: &mut Vec<u8>, hidden: &[u8], mut is_marked: bool) {
    for line in hidden.split_inclusive(|byte| *byte == b'\n') {
        let secret = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(line.len());
        out.extend_from_slice(if secret == 0 || is_marked { &[] } else { MARK });
        out.extend_from_slice(&line[secret..]);
        is_marked = false;
    }
}

/// Adds to what is hidden already. What only touches it stays apart.
fn hide(spans: &mut Vec<Span>, start: usize, end: usize) {
    let first = spans.partition_point(|span| span.end <= start);
    let behind = spans.partition_point(|span| span.start < end);
    let overlapped = &spans[first..behind];
    let whole = Span {
        start: overlapped.first().map_or(start, |span| span.start.min(start)),
        end: overlapped.last().map_or(end, |span| span.end.max(end)),
        is_marked: overlapped.iter().any(|span| span.is_marked),
    };
    spans.splice(first..behind, [whole]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], chunks: &[&str]) -> Vec<String> {
        let masks = Arc::new(Masks::default());
        for secret in secrets {
            masks.add(secret.as_bytes()).unwrap();
        }
        let mut redactor = Redactor::new(masks);
        let mut given: Vec<_> = chunks.iter().map(|chunk| text(redactor.feed(chunk.as_bytes()))).collect();
        given.push(text(redactor.finish()));
        given
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_secret_vanishes_wherever_it_is_cut() {
        let line = "user: hunter22 logs in\n";
        for at in 0..line.len() {
            let given = masked(&["hunter22"], &[&line[..at], &line[at..]]).concat();
            assert_eq!(given, "user: *** logs in\n", "cut at {at}");
        }
    }

    #[test]
    fn only_what_may_go_on_is_held_back() {
        assert_eq!(masked(&["hunter22"], &["a hun", "ter\n", "hunt"]), ["a ", "hunter\n", "", "hunt"]);
    }

    #[test]
    fn secrets_that_overlap_vanish_together() {
        assert_eq!(masked(&["abcdef", "defghi"], &["xabcdefghiy"]).concat(), "x***y");
        assert_eq!(masked(&["abcdef", "defghi"], &["xabcdefg", "hiy"]).concat(), "x***y");
        assert_eq!(masked(&["abcdef", "defghi"], &["xabcdefg", "h-y"]).concat(), "x***gh-y");
        assert_eq!(masked(&["bcde", "abcdefgh"], &["xabcde", "fgh"]).concat(), "x***");
        assert_eq!(masked(&["abab"], &["ababab", "ab-"]).concat(), "***-");
        assert_eq!(masked(&["abcd", "dcba"], &["abcdcba"]).concat(), "***");
        assert_eq!(masked(&["abcd", "efgh"], &["abcdefgh"]).concat(), "******");
    }

    /// The base64 of a value behind 60 characters, of which a line has 64.
    #[test]
    fn a_break_stays_where_it_is_and_what_is_hidden_has_a_mark_in_each_line() {
        let before = "x".repeat(60);
        for end in ["\n", "\r\n"] {
            let text = format!("{before}aGVs{end}bG8wd29ybGQxMjM...\nno secret");
            let expected = format!("{before}***{end}***...\nno secret");
            for size in 1..=text.len() {
                let chunks: Vec<_> =
                    text.as_bytes().chunks(size).map(str::from_utf8).map(Result::unwrap).collect();
                assert_eq!(masked(&["hello0world123"], &chunks).concat(), expected, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_line_that_may_go_on_waits_and_no_other() {
        let before = "x".repeat(60);
        let (begun, other) = (format!("{before}aGVs\n"), format!("{before}aGV\n"));
        assert_eq!(masked(&["hello0world123"], &[&begun, "no\n"]), [&*before, "aGVs\nno\n", ""]);
        assert_eq!(masked(&["hello0world123"], &[&other, "no\n"]), [&*other, "no\n", ""]);
    }

    /// Wherever that is: as by the other stream of the command, which names its own. Up to three characters of base64
    /// at the end of a line may be given away before it is known that they are a value's, and nothing that follows them.
    #[test]
    fn a_value_that_is_named_in_the_midst_of_another_ones_base64_does_not_let_that_through() {
        for (shown, end) in (60..64).flat_map(|shown| [(shown, "\n"), (shown, "\r\n")]) {
            let (before, encoded) = ("x".repeat(shown), "aGVsbG8wd29ybGQxMjM");
            let (first, rest) = encoded.split_at(64 - shown);
            let log = format!("{before}{first}{end}{rest}...\nno secret");
            for at in 0..=log.len() {
                let masks = Arc::new(Masks::default());
                masks.add(b"hello0world123").unwrap();
                let mut redactor = Redactor::new(Arc::clone(&masks));
                let mut given = redactor.feed(&log.as_bytes()[..at]).to_vec();
                masks.add(b"hunter22").unwrap();
                given.extend_from_slice(redactor.feed(&log.as_bytes()[at..]));
                given.extend_from_slice(redactor.finish());
                let given = text(&given);
                // Four characters in all, on both sides of the break, are worth to wait for.
                let read = first.len() + at.saturating_sub(64 + end.len());
                let is_given = at > 64 && read < 4;
                let beginning = if is_given { first } else { "***" };
                let expected = format!("{before}{beginning}{end}***...\nno secret");
                assert_eq!(given, expected, "{first} before a break, named behind {at} bytes");
            }
        }
    }

    #[test]
    fn a_value_that_is_named_later_holds_for_what_is_held_back() {
        let masks = Arc::new(Masks::default());
        masks.add(b"hunter22").unwrap();
        let mut redactor = Redactor::new(Arc::clone(&masks));
        assert_eq!(redactor.feed(b"hunter"), b"");
        masks.add(b"unteroffizier").unwrap();
        assert_eq!(redactor.feed(b"offizier\n"), b"h***\n");
    }

    #[test]
    fn a_value_that_is_named_later_holds_for_what_is_held_back_to_the_end() {
        let masks = Arc::new(Masks::default());
        masks.add(b"postgres://u:hunter22@db").unwrap();
        let mut redactor = Redactor::new(Arc::clone(&masks));
        assert_eq!(redactor.feed(b"postgres://u:hunter22@"), b"");
        masks.add(b"hunter22").unwrap();
        assert_eq!(text(redactor.finish()), "postgres://u:***@");
    }
}
