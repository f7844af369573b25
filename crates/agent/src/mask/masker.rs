//! One stream of a command's output: masked, and searched for values that the command itself wants masked.
//!
//! A line `::add-mask::VALUE` names one, as in GitHub's workflow commands; blanks may stand before it, as there.
//! It is known from there on, in both streams, and its own line is shown without it.

use std::sync::{Arc, LazyLock};

use memchr::{memchr, memmem, memrchr};

use super::Masks;
use super::redactor::{MARK, Redactor};
use super::secret::{LONGEST, decoded};

/// What such a line begins with.
const DIRECTIVE: &[u8] = b"::add-mask::";

/// With each byte of a value as `%XX`, and some blanks.
const LONGEST_DIRECTIVE: usize = DIRECTIVE.len() + 4 * LONGEST;

/// Who indents deeper than this does not mean it: what may become a directive is held back, and that is bounded.
const DEEPEST: usize = 256;

static INSIDE: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(DIRECTIVE));

/// Masks one stream.
#[derive(Debug)]
pub struct Masker {
    masks: Arc<Masks>,
    redactor: Redactor,
    line: Line,
    out: Vec<u8>,
    /// What could not be masked, and why, for the log.
    refused: Vec<String>,
}

/// Where in its line the stream is.
#[derive(Debug)]
enum Line {
    Start,
    Inside,
    /// So far it is a directive, or the beginning of one.
    Directive(Vec<u8>),
    /// Of a directive that is longer than any value: nothing of it is shown.
    Overlong,
}

impl Masker {
    /// Of a stream of which nothing was read.
    pub fn new(masks: Arc<Masks>) -> Self {
        let redactor = Redactor::new(Arc::clone(&masks));
        Self { masks, redactor, line: Line::Start, out: Vec::new(), refused: Vec::new() }
    }

    /// Takes the next bytes of the stream, and gives those that may be shown.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.may_have_directive(bytes) {
            if let Some(&last) = bytes.last() {
                self.line = if last == b'\n' { Line::Start } else { Line::Inside };
            }
            return self.redactor.feed(bytes);
        }
        self.out.clear();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (part, later) = rest.split_at(end);
            self.part(part);
            rest = later;
        }
        &self.out
    }

    /// Nothing more comes: gives what was held back.
    pub fn finish(&mut self) -> &[u8] {
        self.out.clear();
        if let Line::Directive(line) = std::mem::replace(&mut self.line, Line::Inside) {
            self.end_directive(&line);
        }
        self.out.extend_from_slice(self.redactor.finish());
        &self.out
    }

    /// What could not be masked since this was asked last.
    pub fn refused(&mut self) -> std::vec::Drain<'_, String> {
        self.refused.drain(..)
    }

    fn may_have_directive(&self, bytes: &[u8]) -> bool {
        let begins = match self.line {
            Line::Start => begins_like_directive(bytes),
            Line::Inside => false,
            Line::Directive(_) | Line::Overlong => true,
        };
        let ends = || memrchr(b'\n', bytes).is_some_and(|at| begins_like_directive(&bytes[at + 1..]));
        begins || ends() || INSIDE.find(bytes).is_some()
    }

    /// Takes a line, or what there is of it.
    fn part(&mut self, part: &[u8]) {
        let is_whole = part.ends_with(b"\n");
        let next = match std::mem::replace(&mut self.line, Line::Inside) {
            Line::Start if begins_like_directive(part) => self.directive(Vec::new(), part),
            Line::Directive(line) => self.directive(line, part),
            Line::Overlong => {
                self.out.extend_from_slice(if is_whole { b"\n" } else { b"" });
                Line::Overlong
            }
            Line::Start | Line::Inside => {
                self.out.extend_from_slice(self.redactor.feed(part));
                Line::Inside
            }
        };
        self.line = if is_whole { Line::Start } else { next };
    }

    fn directive(&mut self, mut line: Vec<u8>, part: &[u8]) -> Line {
        line.extend_from_slice(part);
        if line.ends_with(b"\n") || !begins_like_directive(&line) {
            self.end_directive(&line);
            return Line::Inside;
        }
        if line.len() <= LONGEST_DIRECTIVE {
            return Line::Directive(line);
        }
        self.out.extend_from_slice(self.redactor.finish());
        self.refused.push(format!("it is in a line of more than {} KiB", LONGEST_DIRECTIVE >> 10));
        self.out.extend_from_slice(&[DIRECTIVE, MARK].concat());
        Line::Overlong
    }

    /// Of a line of which all is there, or enough to see that it is none.
    fn end_directive(&mut self, line: &[u8]) {
        let (blanks, unindented) = line.split_at(indent(line));
        let value = unindented.strip_prefix(DIRECTIVE).filter(|_| blanks.len() <= DEEPEST);
        let Some(value) = value else {
            self.out.extend_from_slice(self.redactor.feed(line));
            return;
        };
        // No value goes on in such a line, so the one before it waits no longer.
        self.out.extend_from_slice(self.redactor.finish());
        if value.trim_ascii().is_empty() {
            self.out.extend_from_slice(line);
            return;
        }
        for value in decoded(value.trim_ascii()) {
            if let Err(why) = self.masks.add(&value) {
                self.refused.push(why.to_string());
            }
        }
        self.out.extend_from_slice(&[blanks, DIRECTIVE, MARK].concat());
        self.out.extend_from_slice(if line.ends_with(b"\n") { b"\n" } else { b"" });
    }
}

/// At the start of a line. Nothing begins like nothing.
fn begins_like_directive(bytes: &[u8]) -> bool {
    let indent = indent(bytes);
    let unindented = &bytes[indent..];
    let both = unindented.len().min(DIRECTIVE.len());
    !bytes.is_empty() && indent <= DEEPEST && unindented[..both] == DIRECTIVE[..both]
}

/// How many blanks a line begins with. No more are looked at than matter.
fn indent(line: &[u8]) -> usize {
    line.iter().take(DEEPEST + 1).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of one stream, read in pieces of `size` bytes.
    fn masked(input: &str, size: usize) -> (String, Vec<String>) {
        let mut masker = Masker::new(Arc::new(Masks::default()));
        let mut output = Vec::new();
        for chunk in input.as_bytes().chunks(size) {
            output.extend_from_slice(masker.feed(chunk));
        }
        output.extend_from_slice(masker.finish());
        let refused = masker.refused().collect();
        (String::from_utf8(output).unwrap(), refused)
    }

    #[test]
    fn a_command_names_a_value_and_it_vanishes_from_there_on() {
        let input = "hunter22\n::add-mask::hunter22\nhunter22 and aHVudGVyMjI=\nno ::add-mask::here\n";
        let expected = "hunter22\n::add-mask::***\n*** and ***=\nno ::add-mask::here\n";
        for size in 1..input.len() {
            assert_eq!(masked(input, size), (expected.to_owned(), vec![]), "in pieces of {size}");
        }
    }

    #[test]
    fn a_value_of_many_lines_is_written_in_one() {
        let (output, _) = masked("::add-mask::first line%0Asecond line\r\nsecond line, first line\n", 7);
        assert_eq!(output, "::add-mask::***\n***, ***\n");
    }

    #[test]
    fn one_that_is_indented_counts() {
        let input = "a\n \t::add-mask::hunter22\n  hunter22\n  ::add-mask::hunter33";
        for size in 1..input.len() {
            let expected = "a\n \t::add-mask::***\n  ***\n  ::add-mask::***";
            assert_eq!(masked(input, size), (expected.to_owned(), vec![]), "in pieces of {size}");
        }
    }

    #[test]
    fn what_only_begins_like_one_is_shown() {
        let far = format!("{}::add-mask::hunter22\nhunter22", " ".repeat(DEEPEST + 1));
        let blank = " ".repeat(2 * LONGEST_DIRECTIVE);
        assert_eq!(masked(&far, 100).0, far);
        assert_eq!(masked(&blank, 100).0, blank);
        for input in [
            ":\n",
            "::add-mas\n::add-maskhunter\n",
            "::add-mask::\n",
            "::add-mask",
            "::add-mask::  \nx",
            "  \n\t\n  ::add\n ",
        ] {
            for size in 1..=input.len() {
                assert_eq!(masked(input, size).0, input, "{input:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn one_without_a_newline_at_the_end_counts() {
        assert_eq!(masked("::add-mask::hunter22", 5).0, "::add-mask::***");
    }

    #[test]
    fn a_value_that_cannot_be_masked_is_not_shown_and_said() {
        let (output, refused) = masked("::add-mask::abc\nabc\n", 100);
        assert_eq!(output, "::add-mask::***\nabc\n");
        assert_eq!(refused.len(), 1);
        let long = format!("::add-mask::{}\nnext\n", "x".repeat(LONGEST_DIRECTIVE));
        let (output, refused) = masked(&long, 1000);
        assert_eq!((output.as_str(), refused.len()), ("::add-mask::***\nnext\n", 1));
    }

    #[test]
    fn what_waited_for_the_next_line_is_shown_before_it() {
        let before = "x".repeat(60);
        for directive in
            ["::add-mask::hunter33".to_owned(), format!("::add-mask::{}", "x".repeat(LONGEST_DIRECTIVE))]
        {
            let input = format!("::add-mask::hello0world123\n{before}aGVs\n{directive}\nno\n");
            let expected = format!("::add-mask::***\n{before}aGVs\n::add-mask::***\nno\n");
            for size in [1, 7, input.len()] {
                assert_eq!(masked(&input, size).0, expected, "in pieces of {size}");
            }
        }
    }

    #[test]
    fn both_streams_know_it() {
        let masks = Arc::new(Masks::default());
        let (mut stdout, mut stderr) = (Masker::new(Arc::clone(&masks)), Masker::new(masks));
        assert_eq!(stderr.feed(b"hunter22\n"), b"hunter22\n");
        assert_eq!(stdout.feed(b"::add-mask::hunter22\n"), b"::add-mask::***\n");
        assert_eq!(stderr.feed(b"hunter22\n"), b"***\n");
    }
}
