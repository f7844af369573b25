//! The lines that are measured with: one of 100 bytes over and over, which is the reference, or a mixture
//! as builds print it.
//!
//! The mixture is made up after what build logs look like, not taken from one: it has the short lines of
//! progress, the paths and messages of compilers and tests around 80 bytes, long command lines, and rarely
//! a line of kilobytes, in the shares of [`MIXTURE`]. It is a pure function of its seed.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Bytes of a line of reference with its newline.
pub(crate) const LINE: usize = 100;

/// Lines after which a mixture repeats itself.
const ROUND: u64 = 8192;

/// One line of a mixture in so many holds a secret.
const SECRET_EVERY: u64 = 1000;

/// Values that are masked.
pub(crate) const SECRETS: usize = 32;

/// Which lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Lines {
    /// Each has 100 bytes.
    Reference,
    /// As builds print them.
    Ci,
}

/// Of a thousand lines, how many have how many bytes.
const MIXTURE: [(u32, std::ops::Range<usize>); 7] = [
    (60, 0..1),
    (230, 4..40),
    (440, 40..120),
    (190, 100..200),
    (68, 200..600),
    (10, 600..4_000),
    (2, 4_000..30_000),
];

/// What the lines of a mixture are made of.
const WORDS: [&str; 32] = [
    "Compiling",
    "warning:",
    "error:",
    "INFO",
    "test",
    "ok",
    "passed",
    "in",
    "target/debug/deps",
    "src/main.rs:42:7",
    "node_modules/.bin",
    "Downloading",
    "https://repo.example.org/maven2",
    "[100%]",
    "Building",
    "CXX",
    "object",
    "\u{1b}[32m✓\u{1b}[0m",
    "2026-01-01T00:00:00.000Z",
    "-Wall",
    "-O2",
    "--release",
    "sha256:",
    "0.42s",
    "PASS",
    "at",
    "java.lang.Thread.run(Thread.java:833)",
    "layer",
    "cached",
    "Step",
    "RUN",
    "done",
];

impl Lines {
    /// For a row of the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reference => "100-byte lines",
            Self::Ci => "lines of builds",
        }
    }

    /// Lines that are repeated for as long as it takes, each with its newline.
    pub(crate) fn round(self, seed: u64) -> Vec<Vec<u8>> {
        match self {
            Self::Reference => vec![reference()],
            Self::Ci => (0..ROUND).map(|number| mixed(seed, number)).collect(),
        }
    }

    /// Bytes of the average line with its newline.
    pub(crate) fn mean(self) -> u64 {
        let round = self.round(0);
        (round.iter().map(Vec::len).sum::<usize>() / round.len()) as u64
    }

    /// Lines of these lengths in percent and bytes: half, 99 of 100, the longest.
    pub(crate) fn lengths(self) -> [usize; 3] {
        let mut lengths: Vec<_> = self.round(0).iter().map(|line| line.len() - 1).collect();
        lengths.sort_unstable();
        let last = lengths.len() - 1;
        [lengths[last / 2], lengths[last * 99 / 100], lengths[last]]
    }
}

fn reference() -> Vec<u8> {
    let mut line = vec![b'x'; LINE - 1];
    line.push(b'\n');
    line
}

fn mixed(seed: u64, number: u64) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9).wrapping_add(number));
    let (_, lengths) =
        MIXTURE.choose_weighted(&mut random, |(share, _)| *share).expect("shares are positive");
    let length = random.random_range(lengths.clone());
    let mut line = Vec::with_capacity(length + 1);
    if number % SECRET_EVERY == SECRET_EVERY - 1 {
        let at = usize::try_from(number).expect("below a round") % SECRETS;
        line.extend_from_slice(format!("login --password {} ", secrets()[at]).as_bytes());
    }
    while line.len() < length {
        match random.random_range(0..4_u32) {
            0 => line.extend_from_slice(random.random_range(0..100_000_u32).to_string().as_bytes()),
            _ => line.extend_from_slice(WORDS.choose(&mut random).expect("there are words").as_bytes()),
        }
        line.push(b' ');
    }
    line.truncate(length);
    line.push(b'\n');
    line
}

/// Values as CI systems hand them out: 20 to 40 characters of no meaning.
pub(crate) fn secrets() -> Vec<String> {
    let mut random = SmallRng::seed_from_u64(32);
    let mut secret = |_| {
        let length = random.random_range(20..=40);
        (0..length).map(|_| char::from(random.sample(rand::distr::Alphanumeric))).collect()
    };
    (0..SECRETS).map(&mut secret).collect()
}
