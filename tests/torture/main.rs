//! Kills, cuts and worse at random moments under load, compared byte for byte. Each test prints its seed;
//! `OTTO_TEST_SEED` replays it.
//!
//! Each has two forms, which differ in numbers alone: the short one is a tier of `scripts/test`; the long one
//! (`OTTO_TORTURE=long`, best with release binaries: `just torture`) takes at least two minutes and five million
//! lines, and ten minutes where memory is looked at.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod agents_killed;
mod clocks;
mod connections;
mod fleet;
mod ingest_killed;
mod memory;
mod redis_killed;
mod scaler_killed;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// How much a test does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Short,
    Long,
}

impl Form {
    fn of_environment() -> Self {
        match std::env::var("OTTO_TORTURE").as_deref() {
            Ok("long") => Self::Long,
            Ok("short") | Err(_) => Self::Short,
            Ok(other) => panic!("OTTO_TORTURE is short or long, not {other}"),
        }
    }

    fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// Random numbers whose seed is printed, and taken from `OTTO_TEST_SEED` where it is set.
fn seeded(test: &str) -> SmallRng {
    let given = std::env::var("OTTO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| rand::rng().random());
    println!("{test}: OTTO_TEST_SEED={seed}");
    SmallRng::seed_from_u64(seed)
}

/// Waits a random time: the moment of a kill is what these tests choose at random.
async fn random_pause(random: &mut SmallRng, millis: std::ops::Range<u64>) {
    tokio::time::sleep(std::time::Duration::from_millis(random.random_range(millis))).await;
}
