//! What the test command `otto-chatter` prints: a pure function of seed, stream and number, so that
//! whoever reads the log afterwards knows what every byte has to be.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Which stream a line goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A script of lines.
#[derive(Clone, Copy, Debug)]
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
