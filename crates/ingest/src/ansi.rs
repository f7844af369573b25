//! Escape sequences in lines: where they are, and what people see between them.
//!
//! Each byte is looked at twice at the most, whatever stands there. A sequence that does not end as it should hides
//! nothing: what comes behind its beginning is text.

mod style;

use memchr::{memchr, memchr2};

pub(crate) use style::Style;

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// What people see.
    Text(&'a [u8]),
    /// How what follows looks: the numbers between `ESC [` and `m`.
    Style(&'a [u8]),
    /// Any other sequence.
    Control,
}

/// The pieces of a line.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    /// Of these bytes, UTF-8 or not.
    pub(crate) const fn of(line: &'a [u8]) -> Self {
        Self(line)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let first = *self.0.first()?;
        let (length, token) = if first == ESC {
            sequence(self.0)
        } else {
            let length = memchr(ESC, self.0).unwrap_or(self.0.len());
            (length, Token::Text(&self.0[..length]))
        };
        self.0 = &self.0[length..];
        Some(token)
    }
}

/// The sequence that begins here, with an escape, and its length.
fn sequence(bytes: &[u8]) -> (usize, Token<'_>) {
    match bytes.get(1) {
        Some(b'[') => control_sequence(bytes),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => (string_length(bytes), Token::Control),
        Some(0x20..=0x2f) => {
            let between = run(&bytes[1..], 0x20..=0x2f);
            let last = bytes.get(1 + between).is_some_and(|byte| (0x30..=0x7e).contains(byte));
            (1 + between + usize::from(last), Token::Control)
        }
        Some(0x30..=0x7e) => (2, Token::Control),
        Some(_) | None => (1, Token::Control),
    }
}

/// `ESC [`, numbers, and a letter that says what they are.
fn control_sequence(bytes: &[u8]) -> (usize, Token<'_>) {
    let numbers = run(&bytes[2..], 0x30..=0x3f);
    let between = run(&bytes[2 + numbers..], 0x20..=0x2f);
    let end = 2 + numbers + between;
    let numbers = &bytes[2..2 + numbers];
    match bytes.get(end) {
        // With `<`, `=`, `>` or `?` in front it is about something else.
        Some(b'm') if between == 0 && !matches!(numbers.first(), Some(0x3c..=0x3f)) => {
            (end + 1, Token::Style(numbers))
        }
        Some(0x40..=0x7e) => (end + 1, Token::Control),
        Some(_) | None => (end, Token::Control),
    }
}

/// Of a sequence that holds a string, up to BEL or `ESC \`. Another escape ends it as well, and then, as where nothing
/// ends it, the string is text.
fn string_length(bytes: &[u8]) -> usize {
    let Some(at) = memchr2(BEL, ESC, &bytes[2..]) else { return 2 };
    let end = 2 + at;
    match (bytes[end], bytes.get(end + 1)) {
        (BEL, _) => end + 1,
        (_, Some(b'\\')) => end + 2,
        (_, _) => 2,
    }
}

/// How many bytes at the beginning are of this kind.
fn run(bytes: &[u8], kind: std::ops::RangeInclusive<u8>) -> usize {
    bytes.iter().take_while(|byte| kind.contains(byte)).count()
}

/// What people see of a line. What it has to be copied to, if it has, is `room`.
pub(crate) fn visible<'a>(line: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr(ESC, line).is_none() {
        return line;
    }
    room.clear();
    for token in Tokens::of(line) {
        if let Token::Text(text) = token {
            room.extend_from_slice(text);
        }
    }
    room
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(line: &str) -> String {
        String::from_utf8(visible(line.as_bytes(), &mut Vec::new()).to_vec()).unwrap()
    }

    /// A line, what people see of it, and how the line behind it begins.
    #[derive(serde::Deserialize)]
    struct Case {
        line: String,
        seen: String,
        style: String,
    }

    /// The page holds itself to the same: what is found has to be there to be shown, and colors to be as told.
    const CASES: &str = include_str!("../web/src/log/ansi.cases.json");

    #[test]
    fn people_see_what_stands_between_sequences_and_what_was_said_last_holds() {
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        assert!(cases.len() > 50, "{} cases", cases.len());
        for Case { line, seen: expected, style } in cases {
            assert_eq!(seen(&line), expected, "{line:?}");
            let mut after = Style::default();
            after.read(line.as_bytes());
            assert_eq!(after.to_string(), style, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn no_escape_is_left_and_what_is_left_is_in_order(
            line in prop::collection::vec(prop::sample::select(b"\x1b\x1b[]P\\\x07m0;?a \x80".to_vec()), 0..64)
        ) {
            let mut room = Vec::new();
            let seen = visible(&line, &mut room);
            prop_assert!(!seen.contains(&ESC));
            let mut rest = line.iter();
            prop_assert!(seen.iter().all(|byte| rest.any(|other| other == byte)));
        }
    }
}
