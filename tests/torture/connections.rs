use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::cutter::Cutter;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, oracle};
use rand::Rng;

use crate::seeded;

const AGENTS: u64 = 4;
const LINES: u64 = 50_000;

/// Cuts inside frames, in both directions, often before the answer to what was stored came back.
#[tokio::test(flavor = "multi_thread")]
async fn p5_connections_cut_at_random_byte_positions_lose_double_and_reorder_nothing() {
    let mut random = seeded("connections");
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let cutter = Cutter::start(ingest.grpc(), random.random(), 1_500_000).await;
    let runs = (0..AGENTS).map(|number| {
        let script = Script { seed: number, lines: LINES };
        let mut command = agent::chatter(&cutter.url(), "cut", &format!("cut-{number}"), script);
        command.args(["--spread-ms", "3000"]).env("OTTO_WHEN_FULL", "block");
        (format!("cut-{number}"), script, command.spawn().unwrap())
    });
    for (worker, script, mut child) in runs.collect::<Vec<_>>() {
        assert!(child.wait().await.unwrap().success(), "the command of {worker} succeeds");
        ingest.completed("cut", &worker).await;
        oracle::check(&worker, &ingest.lines(&worker).await.unwrap(), script);
    }
    assert!(cutter.cuts() >= 10, "only {} connections were cut", cutter.cuts());
}
