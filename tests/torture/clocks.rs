use std::time::{Duration, Instant};

use ottoscaler_tests::fake_clock::FakeClock;
use ottoscaler_tests::ingest::Ingest;
use rand::Rng;
use tokio::time::sleep;

use crate::fleet::{Fleet, Load};
use crate::{Form, seeded};

/// From one jump to the next.
const BETWEEN: Duration = Duration::from_secs(2);

/// So far a clock jumps at the most, either way: hours, as where it was never set.
const FARTHEST: i64 = 30 * 3600;

/// Timestamps are shown, and nothing is decided by them: agents and log-ingest each have a clock of their own,
/// which jumps by hours, forth and back, and now and then log-ingest is killed, so that lines wait in spools.
#[tokio::test(flavor = "multi_thread")]
async fn p5_p7_clocks_that_jump_lose_double_reorder_and_hold_up_nothing() {
    let mut random = seeded("clocks");
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    std::fs::create_dir(&here).unwrap();
    std::fs::create_dir(&there).unwrap();
    let (Some(agents), Some(server)) = (FakeClock::new(&here), FakeClock::new(&there)) else {
        panic!("this test needs Debian's package faketime");
    };
    let mut ingest = Ingest::start_under(&dir.path().join("data"), server.environment()).await;
    let load = Load::of(Form::of_environment(), 50_000, Duration::from_secs(12));
    let mut fleet = Fleet::start(&ingest.url(), "clocks", load, |command| {
        command.envs(agents.environment());
    });
    let (mut jumps, mut kills) = (0, 0);
    while fleet.age() < fleet.spread() && fleet.is_running() {
        let due = Instant::now() + BETWEEN;
        agents.set(random.random_range(-FARTHEST..=FARTHEST));
        server.set(random.random_range(-FARTHEST..=FARTHEST));
        jumps += 1;
        if random.random_bool(0.3) {
            ingest.kill().await;
            sleep(BETWEEN / 2).await;
            ingest.resume().await;
            kills += 1;
        }
        sleep(due.saturating_duration_since(Instant::now())).await;
    }
    assert!(jumps >= 4, "only {jumps} jumps came under load");
    fleet.end(&ingest, || format!("clocks jumped {jumps} times, log-ingest killed {kills} times")).await;
}
