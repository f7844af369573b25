use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::scaler::{DEAD_LETTERS, Scaler, entries, states, submit};
use ottoscaler_tests::wait;
use rand::Rng;
use rand::rngs::SmallRng;
use redis::aio::MultiplexedConnection;

use crate::{random_pause, seeded};

const REQUESTS: usize = 150;
const REPEATS: usize = 50;
const KILLS: usize = 12;
const LIMIT: Duration = Duration::from_mins(3);

/// How many times the command of each worker ran.
fn runs(marks: &Path) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    for mark in std::fs::read_dir(marks).unwrap().map(Result::unwrap) {
        let count = std::fs::read_to_string(mark.path()).unwrap().lines().count();
        runs.insert(mark.file_name().into_string().unwrap(), count);
    }
    runs
}

/// 200 events, 50 of them repeats, in an order of their own.
fn events(random: &mut SmallRng) -> Vec<usize> {
    let mut order: Vec<_> = (0..REQUESTS).collect();
    for _ in 0..REPEATS {
        let repeated = random.random_range(0..REQUESTS);
        order.insert(random.random_range(0..=order.len()), repeated);
    }
    order
}

/// Request `number` asks for one to three workers.
fn workers(number: usize) -> usize {
    number % 3 + 1
}

async fn submit_all(mut redis: MultiplexedConnection, order: Vec<usize>, marks: &Path) {
    let command = format!("echo run >> {}/$OTTO_WORKER_ID; sleep 0.05", marks.display());
    for number in order {
        let (task, request) = (format!("task-{}", number % 40), format!("request-{number}"));
        let count = workers(number).to_string();
        let fields = [
            ("type", "scale_up"),
            ("worker_count", count.as_str()),
            ("task_id", &task),
            ("request_id", &request),
            ("command", &command),
        ];
        submit(&mut redis, &fields).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn ended_workers(redis: &MultiplexedConnection) -> BTreeMap<String, String> {
    let mut ended = BTreeMap::new();
    for task in 0..40 {
        for (worker, last) in states(&mut redis.clone(), &format!("task-{task}")).await {
            ended.insert(worker, last["state"].clone());
        }
    }
    ended
}

/// P1 and P2: each event has exactly its workers and each command ran once.
#[tokio::test(flavor = "multi_thread")]
async fn p1_p2_the_scaler_killed_at_random_moments_runs_each_command_of_200_events_once() {
    let mut random = seeded("scaler_killed");
    let dir = tempfile::tempdir().unwrap();
    let marks = dir.path().join("marks");
    std::fs::create_dir(&marks).unwrap();
    let server = RedisServer::start(Persistence::AppendOnly).await;
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let state = dir.path().join("state");
    let mut scaler = Scaler::start(&state, &server.url(), &ingest.url(), &["--max-workers", "8"]).await;
    let redis = server.connect().await;
    let order = events(&mut random);

    let kills = async {
        for _ in 0..KILLS {
            random_pause(&mut random, 50..900).await;
            scaler.kill().await;
            scaler.resume().await;
        }
    };
    tokio::join!(submit_all(redis.clone(), order, &marks), kills);

    let expected: usize = (0..REQUESTS).map(workers).sum();
    let ended = wait::until("all workers end", LIMIT, || async {
        let ended = ended_workers(&redis).await;
        let done = ended
            .values()
            .filter(|state| !["queued", "pending", "running"].contains(&state.as_str()))
            .count();
        if done == expected {
            Ok(ended)
        } else {
            Err(format!("{done} of {expected} ended, {} known", ended.len()))
        }
    })
    .await;
    let odd: Vec<_> = ended.iter().filter(|(_, state)| *state != "succeeded").collect();
    assert!(odd.is_empty(), "not succeeded: {odd:?}");
    let runs = runs(&marks);
    assert_eq!(runs.len(), expected, "each worker ran its command");
    let doubled: Vec<_> = runs.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "ran more than once: {doubled:?}");
    assert_eq!(ended.keys().collect::<Vec<_>>(), runs.keys().collect::<Vec<_>>());
    assert!(entries(&mut redis.clone(), DEAD_LETTERS).await.is_empty());
}
