//! A text or a regular expression, and whether a line holds it.
//!
//! Regular expressions have no back references, so that a look takes time in proportion to the line. The factor is the
//! size of the pattern, which is bounded as well.

use regex_automata::Input;
use regex_automata::meta::{BuildError, Cache, Regex};
use regex_automata::util::syntax;
use thiserror::Error;

/// Bytes of a pattern: more than anybody types.
const PATTERN: usize = 1000;

/// Bytes of what a pattern is made into: enough for a few classes of all letters there are, and a hundredth of what a
/// line of 1 MiB could be made to cost.
const COMPILED: usize = 256 << 10;

/// Bytes that one regular expression may take up while it runs. Beyond it, it begins anew, and at last does without.
const RUNNING: usize = 4 << 20;

/// A longer line is looked at in parts of this size, so that there is a moment to stop between them.
const WINDOW: usize = 16 << 10;

/// As much of one part is in the next one too. A longer match may be missed where it lies in both.
const OVERLAP: usize = 4 << 10;

/// How a pattern is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it stands there.
    Text {
        /// Whether capitals are other letters.
        case: bool,
    },
    /// As a regular expression, in which `(?i)` may stand.
    Expression {
        /// The same.
        case: bool,
    },
}

/// Why nothing can be looked for.
#[derive(Debug, Error)]
pub(crate) enum InvalidPattern {
    #[error("has {0} bytes, and may have {PATTERN}")]
    TooLong(usize),
    #[error("{0}")]
    Syntax(String),
    #[error("would take up more memory than a search may; make it smaller")]
    TooLarge,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    cache: Cache,
}

impl Pattern {
    /// Of what somebody typed.
    pub(crate) fn new(text: &str, kind: Kind) -> Result<Self, InvalidPattern> {
        if text.len() > PATTERN {
            return Err(InvalidPattern::TooLong(text.len()));
        }
        let (expression, case) = match kind {
            Kind::Text { case } => (regex_syntax::escape(text), case),
            Kind::Expression { case } => (text.to_owned(), case),
        };
        // Lines need not be UTF-8. What matches nothing at all is found between any two bytes.
        let syntax = syntax::Config::new().case_insensitive(!case).utf8(false);
        let limits = Regex::config()
            .utf8_empty(false)
            .nfa_size_limit(Some(COMPILED))
            .onepass_size_limit(Some(COMPILED))
            .hybrid_cache_capacity(RUNNING);
        let built = Regex::builder().syntax(syntax).configure(limits).build(&expression);
        let regex = built.map_err(|error| InvalidPattern::from(&error))?;
        let cache = regex.create_cache();
        Ok(Self { regex, cache })
    }

    /// Whether a line holds it. Where it is to stop in the midst of the line, what it has not seen does not.
    pub(crate) fn is_in(&mut self, line: &[u8], stop: &dyn Fn() -> bool) -> bool {
        let mut start = 0;
        loop {
            let end = line.len().min(start + WINDOW);
            // What stands around the window is looked at for `^`, `$` and `\b`.
            let window = Input::new(line).range(start..end).earliest(true);
            if self.regex.search_half_with(&mut self.cache, &window).is_some() {
                return true;
            }
            if end == line.len() || stop() {
                return false;
            }
            start = end - OVERLAP;
        }
    }
}

impl From<&BuildError> for InvalidPattern {
    fn from(error: &BuildError) -> Self {
        match error.syntax_error() {
            Some(syntax) => Self::Syntax(syntax.to_string()),
            None => Self::TooLarge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(text: &str, kind: Kind, line: &[u8]) -> bool {
        Pattern::new(text, kind).unwrap().is_in(line, &|| false)
    }

    #[test]
    fn a_text_is_found_as_it_stands_there_and_an_expression_as_it_is_meant() {
        let (text, exact) = (Kind::Text { case: false }, Kind::Text { case: true });
        let (expression, strict) = (Kind::Expression { case: false }, Kind::Expression { case: true });
        let cases: [(&str, Kind, &[u8], bool); 16] = [
            ("a.b", text, b"xA.By", true),
            ("a.b", text, b"acb", false),
            ("a.b", exact, b"A.b", false),
            ("a.b", expression, b"ACB", true),
            ("a.b", strict, b"ACB", false),
            ("(?i)a.b", strict, b"ACB", true),
            ("^a.*z$", strict, b"a to z", true),
            ("^to", strict, b"a to z", false),
            ("Ä", text, "ä".as_bytes(), true),
            ("가", text, "나가".as_bytes(), true),
            (r"\bword\b", strict, b"a word.", true),
            (r"\d{3}", strict, b"12x345", true),
            ("tail", text, b"\xff\xfe\x80tail", true),
            (".$", strict, b"\xff", false),
            ("", text, b"", true),
            ("(", text, b"(", true),
        ];
        for (pattern, kind, line, expected) in cases {
            assert_eq!(is_in(pattern, kind, line), expected, "{pattern:?} {kind:?}");
        }
    }

    #[test]
    fn what_cannot_be_looked_for_says_why() {
        let why = |text: &str| Pattern::new(text, Kind::Expression { case: true }).unwrap_err().to_string();
        assert!(why("a(b").contains("unclosed group"), "{}", why("a(b"));
        assert!(why(r"(a)\1").contains("backreferences are not supported"), "{}", why(r"(a)\1"));
        assert!(why(&"x".repeat(1001)).contains("1001 bytes"));
        assert!(why(r"(\w{100}){100}").contains("more memory"), "{}", why(r"(\w{100}){100}"));
    }

    #[test]
    fn a_long_line_is_looked_at_as_a_whole() {
        let line =
            [vec![b'x'; WINDOW - 3], b"needle".to_vec(), vec![b'y'; 3 * WINDOW], b"end".to_vec()].concat();
        let exact = Kind::Expression { case: true };
        for (pattern, expected) in [
            ("needle", true),
            ("yend$", true),
            ("^x+needle", false),
            ("^y", false),
            ("x$", false),
            ("^xxx", true),
        ] {
            // The third needs more of the line than one part and what the next has of it.
            assert_eq!(is_in(pattern, exact, &line), expected, "{pattern}");
        }
    }

    #[test]
    fn p6_no_pattern_takes_long_from_one_moment_to_stop_to_the_next() {
        let line = vec![b'a'; 1 << 20];
        let patterns = [
            "(x+x+)+y",
            "(a?){200}b",
            "(a*)*b",
            r"(a|aa|aaa|\w){1,3}$x",
            "(.*a){30}z",
            "[ab]*a[ab]{150}c",
        ];
        for pattern in patterns {
            let mut slow = Pattern::new(pattern, Kind::Expression { case: true }).unwrap();
            let began = std::time::Instant::now();
            slow.is_in(&line, &|| began.elapsed().as_millis() > 100);
            // Not optimised, on a busy machine.
            assert!(began.elapsed().as_secs() < 10, "{pattern}: {:?}", began.elapsed());
        }
    }
}
