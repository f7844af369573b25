use std::time::{Duration, Instant};

use ottoscaler_tests::ingest::Ingest;
use tokio::process::Command;
use tokio::time::sleep;

use crate::fleet::{Fleet, Load};
use crate::{Form, random_pause, seeded};

/// From one kill to the next.
const BETWEEN: Duration = Duration::from_secs(2);

/// P4 and P5 under load: 8 agents, the server killed every two seconds and gone for a random time.
#[tokio::test(flavor = "multi_thread")]
async fn p4_p5_p7_log_ingest_killed_at_random_moments_loses_doubles_and_reorders_nothing() {
    killed("ingest-killed", |_| {}).await;
}

/// The same with commands that are held back, as they are soon with so little room.
#[tokio::test(flavor = "multi_thread")]
async fn p4_p5_log_ingest_killed_while_commands_wait_for_it_loses_doubles_and_reorders_nothing() {
    let little = [("OTTO_WHEN_FULL", "block"), ("OTTO_BUFFER_LIMIT", "256KiB"), ("OTTO_SPOOL_LIMIT", "0")];
    killed("ingest-killed-block", |command| {
        command.envs(little);
    })
    .await;
}

async fn killed(task: &'static str, change: impl Fn(&mut Command)) {
    let mut random = seeded(task);
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    let load = Load::of(Form::of_environment(), 100_000, Duration::from_secs(20));
    let mut fleet = Fleet::start(&ingest.url(), task, load, change);
    let mut kills = 0;
    while fleet.age() < fleet.spread() && fleet.is_running() {
        let due = Instant::now() + BETWEEN;
        // Sooner by up to a second: kills that keep time could miss what happens once in a while.
        random_pause(&mut random, 0..1000).await;
        ingest.kill().await;
        random_pause(&mut random, 0..300).await;
        ingest.resume().await;
        kills += 1;
        sleep(due.saturating_duration_since(Instant::now())).await;
    }
    assert!(kills >= 8, "only {kills} kills came under load");
    fleet.end(&ingest, || format!("log-ingest killed {kills} times")).await;
}
