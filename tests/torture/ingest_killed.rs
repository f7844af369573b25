use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, oracle};
use tokio::process::Child;

use crate::{random_pause, seeded};

const AGENTS: u64 = 8;
const LINES: u64 = 125_000;
const KILLS: usize = 12;

/// Longer than the kills can take: 12 times at most 1.5 s, 0.3 s and a start.
const SPREAD_MS: &str = "25000";

fn start(ingest: &Ingest, number: u64) -> (String, Script, Child) {
    let worker = format!("tortured-{number}");
    let script = Script { seed: 1000 + number, lines: LINES };
    let mut command = agent::chatter(&ingest.url(), "torture", &worker, script);
    // Held back rather than dropped: a loss of any kind is a failure of this test.
    command.args(["--spread-ms", SPREAD_MS]);
    (worker, script, command.env("OTTO_WHEN_FULL", "block").spawn().unwrap())
}

/// P4 and P5 under load: 8 agents, 1,000,000 lines, the server killed at random moments.
#[tokio::test(flavor = "multi_thread")]
async fn p4_p5_p7_log_ingest_killed_at_random_moments_loses_doubles_and_reorders_nothing() {
    let mut random = seeded("ingest_killed");
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    let mut runs: Vec<_> = (0..AGENTS).map(|number| start(&ingest, number)).collect();
    for _ in 0..KILLS {
        random_pause(&mut random, 200..1500).await;
        let running =
            runs.iter_mut().filter_map(|run| run.2.try_wait().unwrap().is_none().then_some(())).count();
        assert!(running > 0, "the kills came under load");
        ingest.kill().await;
        random_pause(&mut random, 0..300).await;
        ingest.resume().await;
    }
    for (worker, script, child) in &mut runs {
        assert!(child.wait().await.unwrap().success(), "the command of {worker} succeeds");
        ingest.completed("torture", worker).await;
        oracle::check(worker, &ingest.lines(worker).await.unwrap(), *script);
    }
}
