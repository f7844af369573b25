//! Kills and cuts at random moments under load, compared byte for byte. Each test prints its seed;
//! `OTTO_TEST_SEED` replays it.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod connections;
mod ingest_killed;
mod redis_killed;
mod scaler_killed;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

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
