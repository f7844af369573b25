//! What the test command `otto-chatter` prints: a pure function of seed, stream and number, so that
//! whoever reads the log afterwards knows what every byte has to be.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Which stream a line goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

/// A script of lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Script {
    /// Different seeds give different lines.
    pub seed: u64,
    /// Lines in all, over both streams.
    pub lines: u64,
}

/// One line in so many goes to stderr.
const STDERR_EVERY: u64 = 7;

impl Script {
    /// Which stream line `number` goes to.
    pub fn stream(self, number: u64) -> Stream {
        if number % STDERR_EVERY == STDERR_EVERY - 1 { Stream::Stderr } else { Stream::Stdout }
    }

    /// Lines that go to `stream`.
    pub fn count(self, stream: Stream) -> u64 {
        let to_stderr = self.lines / STDERR_EVERY;
        match stream {
            Stream::Stdout => self.lines - to_stderr,
            Stream::Stderr => to_stderr,
        }
    }

    /// The number of the line that is the one at `index` of `stream`, counted from 0.
    pub fn number(self, stream: Stream, index: u64) -> u64 {
        match stream {
            Stream::Stdout => index + index / (STDERR_EVERY - 1),
            Stream::Stderr => index * STDERR_EVERY + STDERR_EVERY - 1,
        }
    }

    /// Which one of its stream's lines line `number` is, counted from 0.
    pub fn index(self, number: u64) -> u64 {
        match self.stream(number) {
            Stream::Stdout => number - number / STDERR_EVERY,
            Stream::Stderr => number / STDERR_EVERY,
        }
    }

    /// The number that a line says it has; empty lines say nothing.
    pub fn number_in(self, line: &[u8]) -> Option<u64> {
        let text = line.strip_prefix(format!("{}:", self.seed).as_bytes())?;
        let digits = &text[..text.iter().position(|byte| *byte == b' ')?];
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// Line `number` with its newline: mostly about 100 bytes of text; some are empty, long, hold bytes
    /// that are not UTF-8, or rewrite themselves by carriage returns.
    pub fn append_line(self, number: u64, out: &mut Vec<u8>) {
        let mut random = SmallRng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9).wrapping_add(number));
        let kind = random.random_range(0..1000_u32);
        if kind >= 5 {
            out.extend_from_slice(format!("{}:{number} ", self.seed).as_bytes());
        }
        match kind {
            0..5 => {}
            5..10 => out.extend((0..40).map(|_| random.random_range(0x80..=0xFF_u8))),
            10..15 => (0..=100).step_by(10).for_each(|p| out.extend_from_slice(format!("\r{p}%").as_bytes())),
            15..17 => out.extend(std::iter::repeat_n(b'x', random.random_range(1_000..20_000))),
            _ => {
                let length = random.random_range(20..160);
                out.extend((0..length).map(|at| b'a' + u8::try_from((number + at) % 26).expect("below 26")));
            }
        }
        out.push(b'\n');
    }

    /// Everything that goes to `stream`.
    pub fn expected(self, stream: Stream) -> Vec<u8> {
        let mut out = Vec::new();
        for number in (0..self.lines).filter(|number| self.stream(*number) == stream) {
            self.append_line(number, &mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_places_of_lines_are_each_others_inverse() {
        let script = Script { seed: 3, lines: 100 };
        for stream in [Stream::Stdout, Stream::Stderr] {
            let numbers: Vec<_> =
                (0..script.lines).filter(|number| script.stream(*number) == stream).collect();
            assert_eq!(script.count(stream), numbers.len() as u64);
            for (index, number) in (0..).zip(numbers) {
                assert_eq!((script.number(stream, index), script.index(number)), (number, index));
            }
        }
    }

    #[test]
    fn a_line_that_is_not_empty_says_its_number() {
        let script = Script { seed: 3, lines: 5_000 };
        let mut empty = 0;
        for number in 0..script.lines {
            let mut line = Vec::new();
            script.append_line(number, &mut line);
            line.pop();
            empty += u64::from(line.is_empty());
            assert_eq!(script.number_in(&line), (!line.is_empty()).then_some(number));
        }
        assert!(empty > 0);
        assert_eq!(script.number_in(b"4:17 other"), None);
    }
}
