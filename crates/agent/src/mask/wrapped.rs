//! Base64 that goes on behind a line break, as `base64` and `openssl` write it: what of a form was seen in the lines
//! before, pure.
//!
//! Whatever is encoded in front of a value decides where a break cuts it, so the forms themselves cannot hold the
//! breaks. Where a line ends in a long run of base64's characters, what is known of that run is kept over the break, and
//! only as long as a form may have begun before it is every byte looked at. All other lines cost a look at their ends.

use memchr::memchr;

use super::patterns::{At, Patterns};

/// A line that was broken has at least so many characters of base64 before the break. Those that usual programs break
/// have 64 or 76, less what somebody printed before the first of them.
const SHORTEST_LINE: usize = 16;

/// A line waits for the next one only where at least so many of its last characters may be the beginning of a form:
/// fewer are that by chance. They stay, if what follows shows that they were.
const SHORTEST_BEGINNING: usize = 4;

/// What was given away of a form before a break, and the break.
pub(super) const LONGEST_GIVEN: usize = SHORTEST_BEGINNING - 1 + b"\r\n".len();

/// Where one stream is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wrapped {
    /// Behind the run of base64's characters at which the stream stands, as if it had no breaks.
    at: At,
    /// So many of these are in this line.
    in_line: usize,
    /// Behind the carriage return that ends the line.
    is_returned: bool,
}

impl Wrapped {
    /// Before any byte.
    pub(super) fn new(patterns: &Patterns) -> Self {
        Self { at: patterns.start(), in_line: 0, is_returned: false }
    }

    /// In the midst of a stream, where nobody knows any more what was before: that may have been a line that was broken.
    pub(super) fn amid(patterns: &Patterns) -> Self {
        Self { in_line: SHORTEST_LINE, ..Self::new(patterns) }
    }

    /// Takes the next bytes, and tells where a form ends that began in a line before: behind which of these bytes, and
    /// how many characters the longest has that does.
    pub(super) fn pass(&mut self, patterns: &Patterns, bytes: &[u8], mut found: impl FnMut(usize, usize)) {
        if patterns.longest_breakable() == 0 {
            return;
        }
        let mut done = 0;
        while done < bytes.len() {
            if !self.reaches_back(patterns) {
                done += self.skip(patterns, &bytes[done..]);
                continue;
            }
            let characters = self.step(patterns, bytes[done]);
            done += 1;
            if characters > self.in_line {
                found(done, characters);
            }
        }
    }

    /// So many of the last characters may be the beginning of a form that goes over a break, and are to wait for what
    /// comes.
    pub(super) fn undecided(&self, patterns: &Patterns) -> usize {
        match patterns.breakable(self.at) {
            begun if !self.reaches_back(patterns) || begun == 0 => 0,
            begun if begun < SHORTEST_BEGINNING && self.is_returned => 0,
            begun if begun < SHORTEST_BEGINNING => begun.min(self.in_line),
            begun => begun,
        }
    }

    /// Whether a form may have begun in a line before.
    fn reaches_back(&self, patterns: &Patterns) -> bool {
        self.is_returned || patterns.breakable(self.at) > self.in_line
    }

    /// Gives the length of the longest form that ends behind this byte.
    fn step(&mut self, patterns: &Patterns, byte: u8) -> usize {
        let may_break = self.in_line >= SHORTEST_LINE;
        match byte {
            b'\n' if may_break => (self.in_line, self.is_returned) = (0, false),
            b'\r' if may_break && !self.is_returned => self.is_returned = true,
            _ if is_base64(byte) && !self.is_returned => {
                self.in_line += 1;
                let (at, longest) = patterns.step(self.at, byte);
                self.at = at;
                return longest;
            }
            _ => *self = Self::new(patterns),
        }
        0
    }

    /// Passes over the rest of the line, of which every form that ends in it has begun in it. Gives its length.
    fn skip(&mut self, patterns: &Patterns, bytes: &[u8]) -> usize {
        let end = memchr(b'\n', bytes);
        let line = &bytes[..end.unwrap_or(bytes.len())];
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        // What stands before so many characters makes no difference.
        let most = patterns.longest_breakable().max(SHORTEST_LINE);
        let run = text.iter().rev().take(most).take_while(|&&byte| is_base64(byte)).count();
        if run < text.len() || self.in_line == 0 {
            *self = Self::new(patterns);
        }
        let may_break = self.in_line + run >= SHORTEST_LINE;
        if may_break || text.len() == bytes.len() {
            self.at = patterns.scan(self.at, &text[text.len() - run..], |_, _| {});
            self.in_line += run;
        }
        match end {
            Some(_) if may_break => self.in_line = 0,
            None if text.len() == line.len() || may_break => self.is_returned = text.len() < line.len(),
            _ => *self = Self::new(patterns),
        }
        end.map_or(bytes.len(), |end| end + 1)
    }
}

/// How many bytes the last characters take, with the breaks between and behind them. `backwards` are the bytes from the
/// last one on.
pub(super) fn with_breaks<'a>(backwards: impl Iterator<Item = &'a u8>, characters: usize) -> usize {
    let mut left = characters;
    let is_of_them = |byte: &&u8| {
        let is_of_them = left > 0;
        left = left.saturating_sub(usize::from(!matches!(byte, b'\r' | b'\n')));
        is_of_them
    };
    backwards.take_while(is_of_them).count()
}

/// Of either alphabet.
const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::encodings::{Breaks, Forms};

    fn patterns() -> Patterns {
        Patterns::new(&Forms::from([(b"ABCDEFGHIJKL".to_vec(), Breaks::Anywhere)]))
    }

    /// What was found, what waits at the end, both of a stream that is read in pieces of this size.
    fn passed(text: &str, size: usize) -> (Vec<(usize, usize)>, usize) {
        let patterns = patterns();
        let (mut wrapped, mut found, mut before) = (Wrapped::new(&patterns), Vec::new(), 0);
        for part in text.as_bytes().chunks(size) {
            wrapped.pass(&patterns, part, |end, characters| found.push((before + end, characters)));
            before += part.len();
        }
        (found, wrapped.undecided(&patterns))
    }

    #[test]
    fn a_form_is_found_over_the_breaks_of_long_lines_however_it_is_read() {
        let line = "0123456789012345";
        for (text, expected) in [
            (format!("{line}ABCDEF\nGHIJKL"), vec![(29, 12)]),
            (format!("{line}ABCDEF\r\nGHIJKL\n"), vec![(30, 12)]),
            (format!("{line}A\nBCDEFGHIJKL"), vec![(29, 12)]),
            (format!("say: {line}ABCDEF\nGHIJKL"), vec![(34, 12)]),
            (format!("{line}ABCDEFGHIJKL\n{line}"), vec![]),
            (format!("{line}ABCDEF\n\nGHIJKL"), vec![]),
            (format!("{line}ABCDEF\r\rGHIJKL"), vec![]),
            (format!("{line}ABCDEF \nGHIJKL"), vec![]),
            (format!("{line}ABCDEF\n GHIJKL"), vec![]),
            ("too short ABCDEF\nGHIJKL".to_owned(), vec![]),
        ] {
            for size in 1..=text.len() {
                assert_eq!(passed(&text, size).0, expected, "{text:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_line_waits_only_where_a_form_may_have_begun_in_it() {
        for (text, waits) in [
            ("0123456789012345ABCD\n", 4),
            ("0123456789012345ABCD\r", 4),
            ("0123456789012345ABC\n", 0),
            ("0123456789012345ABC\r\n", 0),
            ("0123456789012345ABC\nD", 4),
            ("0123456789012345A\nBC", 2),
            ("0123456789012345ABCX\n", 0),
            ("0123456789012345ABCDEFGHIJKL\n", 0),
            ("0123456789012345ABCDEF\nGHIJKL\n", 0),
            ("0123456789 ABCDEFGH\n", 0),
            ("0123456789012345ABCD\nE\n", 0),
        ] {
            for size in 1..=text.len() {
                assert_eq!(passed(text, size).1, waits, "{text:?} in pieces of {size}");
            }
        }
    }
}
