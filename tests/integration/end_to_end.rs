//! XADD → scaler → agent → log-ingest → a reader.

use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::scaler::{DEAD_LETTERS, EVENTS, Scaler, ended, entries, submit};
use ottoscaler_tests::{binary, oracle};
use serde_json::json;

/// All services on directories of their own.
pub(crate) struct System {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) redis: RedisServer,
    pub(crate) ingest: Ingest,
    pub(crate) scaler: Scaler,
}

impl System {
    pub(crate) async fn start(scaler_flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let redis = RedisServer::start(Persistence::AppendOnly).await;
        let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
        let state = dir.path().join("state");
        let scaler = Scaler::start(&state, &redis.url(), &ingest.url(), scaler_flags).await;
        Self { dir, redis, ingest, scaler }
    }
}

fn chatter_command(script: Script, exit: u8) -> String {
    let program = binary::path("otto-chatter");
    let (seed, lines, exit) = (script.seed.to_string(), script.lines.to_string(), exit.to_string());
    json!([program, "--seed", seed, "--lines", lines, "--exit", exit]).to_string()
}

#[tokio::test]
async fn an_event_becomes_workers_whose_every_line_reaches_a_reader() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    let script = Script { seed: 42, lines: 5_000 };
    let command = chatter_command(script, 7);
    let fields = [("type", "scale_up"), ("worker_count", "3"), ("task_id", "e2e/1"), ("command", &command)];
    submit(&mut redis, &fields).await;

    let workers = ended(&redis, "e2e/1", 3).await;
    for (worker, last) in &workers {
        assert_eq!(
            (&*last["state"], &*last["class"], &*last["exit_code"]),
            ("failed", "user", "7"),
            "{last:?}"
        );
        let shown = system.ingest.completed("e2e%2F1", worker).await;
        assert_eq!(shown["exit_code"], 7);
        oracle::check(worker, &system.ingest.lines(worker).await.unwrap(), script);
    }
    let task = system.ingest.task("e2e%2F1").await.unwrap();
    assert_eq!(task["workers"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_worker_knows_its_context_and_not_the_secrets_of_the_scaler() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    let fields = [
        ("type", "scale_up"),
        ("target_replicas", "1"),
        ("job_id", "context"),
        ("command", "env | sort"),
        ("env", r#"{"GREETING":"hello world"}"#),
        ("repository", "https://example.org/repo.git"),
        ("commit_sha", "0123abcd"),
        ("flavour", "vanilla"),
    ];
    submit(&mut redis, &fields).await;
    let workers = ended(&redis, "context", 1).await;
    let worker = workers.keys().next().unwrap();
    system.ingest.completed("context", worker).await;
    let printed = system.ingest.get(&format!("/api/v1/workers/{worker}/log.txt")).await.unwrap();
    let printed = String::from_utf8(printed).unwrap();
    for expected in [
        "GREETING=hello world",
        "OTTO_REPOSITORY=https://example.org/repo.git",
        "OTTO_COMMIT_SHA=0123abcd",
        "OTTO_TASK_ID=context",
        "OTTO_WORKER_INDEX=0",
        "OTTO_WORKER_COUNT=1",
    ] {
        assert!(printed.lines().any(|line| line == expected), "no {expected:?} in {printed}");
    }
    assert!(
        printed.lines().any(|line| line.starts_with("OTTO_METADATA=") && line.contains("vanilla")),
        "{printed}"
    );
    assert!(!printed.contains("REDIS_URL"), "{printed}");
    assert!(!printed.contains(&system.redis.url()), "{printed}");
}

/// The form that has been documented for years names no command: the configured default runs.
#[tokio::test]
async fn the_minimal_event_runs_the_configured_default_command() {
    let system = System::start(&["--worker-command", "echo default ran"]).await;
    let mut redis = system.redis.connect().await;
    submit(&mut redis, &[("type", "scale_up"), ("pod_count", "3"), ("task_id", "task-123")]).await;
    let workers = ended(&redis, "task-123", 3).await;
    for (worker, last) in workers {
        assert_eq!(last["state"], "succeeded");
        assert!(worker.starts_with("otto-agent-task-123-"), "{worker}");
        system.ingest.completed("task-123", &worker).await;
        let printed = system.ingest.get(&format!("/api/v1/workers/{worker}/log.txt")).await.unwrap();
        assert_eq!(String::from_utf8(printed).unwrap(), "default ran\n");
    }
    assert_eq!(entries(&mut redis, EVENTS).await.len(), 0, "recorded events leave the stream");
    assert_eq!(entries(&mut redis, DEAD_LETTERS).await.len(), 0);
}
