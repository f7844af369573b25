//! One stream of bytes in, the same without secrets out.
//!
//! Where secrets overlap, all of them vanish behind one mark. Only bytes with which a secret may begin are
//! held back, and never across a newline, so that no whole line ever waits.

use std::sync::Arc;

use super::Masks;
use super::patterns::{At, Patterns};

/// Stands for a secret, however long that is.
pub(super) const MARK: &[u8] = b"***";

/// Hides the secrets of one stream.
#[derive(Debug)]
pub(super) struct Redactor {
    masks: Arc<Masks>,
    patterns: Arc<Patterns>,
    at: At,
    /// Read, and not yet given away.
    held: Vec<u8>,
    /// Secrets in what is held, in order, apart from each other.
    spans: Vec<Span>,
    out: Vec<u8>,
}

/// Bytes that are to vanish.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    /// Its mark was given away already, with the bytes before these.
    is_marked: bool,
}

impl Redactor {
    pub(super) fn new(masks: Arc<Masks>) -> Self {
        let patterns = masks.patterns();
        let at = patterns.start();
        Self { masks, patterns, at, held: Vec::new(), spans: Vec::new(), out: Vec::new() }
    }

    /// Takes the next bytes and gives those that are decided.
    pub(super) fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.learn();
        let (held, spans) = (self.held.len(), &mut self.spans);
        self.at =
            self.patterns.scan(self.at, bytes, |end, length| hide(spans, held + end - length, held + end));
        let decided = held + bytes.len() - self.patterns.undecided(self.at);
        if self.held.is_empty() && self.spans.is_empty() {
            self.held.extend_from_slice(&bytes[decided..]);
            return &bytes[..decided];
        }
        self.held.extend_from_slice(bytes);
        self.give(decided)
    }

    /// Nothing more comes: gives what was held back.
    pub(super) fn finish(&mut self) -> &[u8] {
        self.at = self.patterns.start();
        self.give(self.held.len())
    }

    /// The first bytes of what is held, with marks in place of secrets.
    fn give(&mut self, decided: usize) -> &[u8] {
        self.out.clear();
        let mut from = 0;
        let mut kept = Vec::new();
        for span in self.spans.drain(..) {
            if span.start < decided {
                self.out.extend_from_slice(&self.held[from..span.start]);
                self.out.extend_from_slice(if span.is_marked { &[] } else { MARK });
                from = span.end.min(decided);
            }
            if span.end > decided {
                kept.push(Span {
                    start: span.start.saturating_sub(decided),
                    end: span.end - decided,
                    is_marked: span.is_marked || span.start < decided,
                });
            }
        }
        self.out.extend_from_slice(&self.held[from..decided]);
        self.spans = kept;
        self.held.drain(..decided);
        &self.out
    }

    /// Values that were named meanwhile hold for everything that was not yet given away.
    fn learn(&mut self) {
        if self.masks.are(&self.patterns) {
            return;
        }
        self.patterns = self.masks.patterns();
        let spans = &mut self.spans;
        let start = self.patterns.start();
        self.at = self.patterns.scan(start, &self.held, |end, length| hide(spans, end - length, end));
    }
}

/// Adds what ends behind all that is hidden already.
fn hide(spans: &mut Vec<Span>, start: usize, end: usize) {
    let mut whole = Span { start, end, is_marked: false };
    while let Some(last) = spans.pop_if(|last| last.end > whole.start) {
        whole.start = whole.start.min(last.start);
        whole.end = whole.end.max(last.end);
        whole.is_marked |= last.is_marked;
    }
    spans.push(whole);
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

    #[test]
    fn a_value_that_is_named_later_holds_for_what_is_held_back() {
        let masks = Arc::new(Masks::default());
        masks.add(b"hunter22").unwrap();
        let mut redactor = Redactor::new(Arc::clone(&masks));
        assert_eq!(redactor.feed(b"hunter"), b"");
        masks.add(b"unteroffizier").unwrap();
        assert_eq!(redactor.feed(b"offizier\n"), b"h***\n");
    }
}
