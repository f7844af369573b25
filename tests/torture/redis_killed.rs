use std::time::Duration;

use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::redis_server::{Persistence, RedisServer, connect};
use ottoscaler_tests::scaler::{EVENTS, Scaler, ended, states};

use crate::{random_pause, seeded};

const EVENTS_IN_ALL: usize = 100;
const KILLS: usize = 10;

/// A producer that repeats an XADD whose answer it did not see, under the same request id.
async fn submit(url: &str, number: usize, marks: &std::path::Path) {
    let command = format!("echo run >> {}/$OTTO_WORKER_ID", marks.display());
    let request = format!("request-{number}");
    let fields = [
        ("type", "scale_up"),
        ("worker_count", "1"),
        ("task_id", "survivor"),
        ("request_id", request.as_str()),
        ("command", command.as_str()),
    ];
    loop {
        if let Ok(mut redis) = connect(url).await {
            let added: redis::RedisResult<String> =
                redis::cmd("XADD").arg(EVENTS).arg("*").arg(&fields).query_async(&mut redis).await;
            if added.is_ok() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// P1 and P2 with Redis itself killed: its append-only file is the truth, before and after.
#[tokio::test(flavor = "multi_thread")]
async fn p1_p2_redis_killed_at_random_moments_loses_no_event_and_doubles_no_worker() {
    let mut random = seeded("redis_killed");
    let dir = tempfile::tempdir().unwrap();
    let marks = dir.path().join("marks");
    std::fs::create_dir(&marks).unwrap();
    let mut server = RedisServer::start(Persistence::AppendOnly).await;
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let state = dir.path().join("state");
    let _scaler = Scaler::start(&state, &server.url(), &ingest.url(), &["--max-workers", "8"]).await;

    let url = server.url();
    let submissions = async {
        for number in 0..EVENTS_IN_ALL {
            submit(&url, number, &marks).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let kills = async {
        for _ in 0..KILLS {
            random_pause(&mut random, 100..900).await;
            server.kill().await;
            random_pause(&mut random, 0..200).await;
            server.resume().await;
        }
    };
    tokio::join!(submissions, kills);

    let redis = server.connect().await;
    for (worker, last) in ended(&redis, "survivor", EVENTS_IN_ALL).await {
        assert_eq!(last["state"], "succeeded", "{worker}: {last:?}");
        let runs = std::fs::read_to_string(marks.join(&worker)).unwrap();
        assert_eq!(runs.lines().count(), 1, "{worker} ran more than once");
    }
    assert_eq!(states(&mut redis.clone(), "survivor").await.len(), EVENTS_IN_ALL);
}
