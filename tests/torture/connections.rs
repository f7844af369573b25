//! Connections that suffer what networks do to them.

use std::time::Duration;

use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::mischief::{Mischief, Proxy};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::fleet::{Fleet, Load};
use crate::{Form, seeded};

/// Of each agent in the short form.
const LINES: u64 = 50_000;
const SPREAD: Duration = Duration::from_secs(4);

/// Agents behind a proxy that chooses for each connection. Nothing is lost, doubled or reordered; at least so
/// much was done to them.
async fn suffer(
    task: &'static str,
    flags: &[&str],
    at_least: u64,
    choose: impl FnMut(&mut SmallRng) -> Mischief + Send + 'static,
) {
    let mut random = seeded(task);
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), flags).await;
    let proxy = Proxy::start(ingest.grpc(), random.random(), choose).await;
    let fleet = Fleet::start(&proxy.url(), task, Load::of(Form::of_environment(), LINES, SPREAD), |_| {});
    let suffered = || {
        format!(
            "{} connections, {} times cut, held back, half open or a bit flipped",
            proxy.connections(),
            proxy.deeds()
        )
    };
    fleet.end(&ingest, suffered).await;
    assert!(proxy.deeds() >= at_least, "that happened only {} times", proxy.deeds());
}

/// Cuts inside frames, in both directions, often before the answer to what was stored came back.
#[tokio::test(flavor = "multi_thread")]
async fn p5_connections_cut_at_random_byte_positions_lose_double_and_reorder_nothing() {
    suffer("cuts", &[], 20, |random| Mischief::Cut { after: random.random_range(1..=1_500_000) }).await;
}

/// A network that is far or shared: connections whose pieces take up to 300 ms each way, or that carry 2 MB/s
/// or less, until a cut, or the age that the server allows, gives their agents other ones.
#[tokio::test(flavor = "multi_thread")]
async fn p5_connections_delayed_and_throttled_lose_double_and_reorder_nothing() {
    let slow = |random: &mut SmallRng| match random.random_range(0..4) {
        0 | 1 => Mischief::Delay { up_to: Duration::from_millis(random.random_range(1..=300)) },
        2 => Mischief::Throttle { bytes_per_second: random.random_range(700_000..=2_000_000) },
        _ => Mischief::Cut { after: random.random_range(500_000..=3_000_000) },
    };
    suffer("delays-and-throttles", &["--max-connection-age", "3s"], 5, slow).await;
}

/// Whoever is at the other end has vanished without a word. Both ends have to find out by themselves, which
/// takes 30 s, and what the older of two connections held back must not come in between.
#[tokio::test(flavor = "multi_thread")]
async fn p5_p7_half_open_connections_lose_double_and_reorder_nothing() {
    let mut number = 0;
    // Of the short form's agents half have to find out once, the others not at all.
    let halves = Form::of_environment().pick(8, u64::MAX);
    let half_open = move |random: &mut SmallRng| {
        number += 1;
        if number <= halves && number % 2 == 0 {
            Mischief::HalfOpen { after: random.random_range(1..=2_000_000) }
        } else {
            Mischief::Cut { after: random.random_range(10_000_000..=30_000_000) }
        }
    };
    suffer("half-open-connections", &[], 4, half_open).await;
}

/// TCP's own checksum misses some of the bits that change. Ours does not: what is stored is right.
#[tokio::test(flavor = "multi_thread")]
async fn p5_bits_that_change_on_the_way_lose_double_and_reorder_nothing() {
    let flip = |random: &mut SmallRng| Mischief::Flip {
        requests: random.random_range(200_000..=2_000_000),
        answers: random.random_range(1_000..=20_000),
    };
    suffer("flipped-bits", &[], 20, flip).await;
}
