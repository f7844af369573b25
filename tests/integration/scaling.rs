//! P1–P3 on the process runtime: each event's workers, once.

use std::path::Path;
use std::time::Duration;

use ottoscaler_tests::scaler::{Scaler, ended, states, submit};
use ottoscaler_tests::wait;
use redis::aio::MultiplexedConnection;

use crate::end_to_end::System;

const LIMIT: Duration = Duration::from_secs(30);

/// A command that leaves a line in `marks` for each run.
fn marking(marks: &Path, then: &str) -> String {
    format!("echo run >> {}; {then}", marks.display())
}

fn runs(marks: &Path) -> usize {
    std::fs::read_to_string(marks).map_or(0, |text| text.lines().count())
}

async fn count_in_state(redis: &MultiplexedConnection, task: &str, state: &str) -> usize {
    states(&mut redis.clone(), task).await.values().filter(|entry| entry["state"] == state).count()
}

pub(crate) async fn until_state(redis: &MultiplexedConnection, task: &str, state: &str, count: usize) {
    wait::until(&format!("{count} workers {state}"), LIMIT, || async {
        let now = count_in_state(redis, task, state).await;
        if now == count { Ok(()) } else { Err(format!("{now}")) }
    })
    .await;
}

#[tokio::test]
async fn p2_the_same_request_delivered_again_gives_the_same_workers_once() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    let marks = system.dir.path().join("marks");
    let command = marking(&marks, "true");
    let fields = [
        ("type", "scale_up"),
        ("worker_count", "2"),
        ("task_id", "again"),
        ("request_id", "r-1"),
        ("command", command.as_str()),
    ];
    submit(&mut redis, &fields).await;
    submit(&mut redis, &fields).await;
    ended(&redis, "again", 2).await;
    submit(&mut redis, &fields).await;
    let barrier = [("type", "scale_up"), ("worker_count", "1"), ("task_id", "barrier"), ("command", "true")];
    submit(&mut redis, &barrier).await;
    ended(&redis, "barrier", 1).await;
    assert_eq!(states(&mut redis, "again").await.len(), 2);
    assert_eq!(runs(&marks), 2);
}

#[tokio::test]
async fn a_second_request_adds_workers_to_its_task() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    for request in ["a", "b"] {
        let fields = [
            ("type", "scale_up"),
            ("worker_count", "2"),
            ("task_id", "grows"),
            ("request_id", request),
            ("command", "true"),
        ];
        submit(&mut redis, &fields).await;
    }
    ended(&redis, "grows", 4).await;
}

/// P3: what runs is derived from what is there, so the limit holds at every moment and no slot leaks.
#[tokio::test]
async fn p3_never_more_workers_run_than_the_limit_and_all_get_their_turn() {
    let system = System::start(&["--max-workers", "2"]).await;
    let mut redis = system.redis.connect().await;
    let gauge = system.dir.path().join("gauge");
    std::fs::create_dir(&gauge).unwrap();
    let command = format!(
        "touch {0}/$OTTO_WORKER_ID; ls {0} | wc -l; sleep 0.1; rm {0}/$OTTO_WORKER_ID",
        gauge.display()
    );
    let fields = [("type", "scale_up"), ("worker_count", "8"), ("task_id", "many"), ("command", &*command)];
    submit(&mut redis, &fields).await;
    for worker in ended(&redis, "many", 8).await.keys() {
        system.ingest.completed("many", worker).await;
        let seen = system.ingest.get(&format!("/api/v1/workers/{worker}/log.txt")).await.unwrap();
        let seen: u32 = String::from_utf8(seen).unwrap().trim().parse().unwrap();
        assert!(seen <= 2, "{worker} saw {seen} running workers");
    }
}

/// P1: a killed scaler loses nothing, and the next one adopts what runs.
#[tokio::test]
async fn p1_a_restarted_scaler_adopts_running_workers_and_finishes_the_rest() {
    let mut system = System::start(&["--max-workers", "2"]).await;
    let mut redis = system.redis.connect().await;
    let (marks, gate) = (system.dir.path().join("marks"), system.dir.path().join("gate"));
    let command = marking(&marks, &format!("while [ ! -e {} ]; do sleep 0.02; done; exit 3", gate.display()));
    let fields =
        [("type", "scale_up"), ("worker_count", "4"), ("task_id", "adopted"), ("command", &*command)];
    submit(&mut redis, &fields).await;
    until_state(&redis, "adopted", "running", 2).await;
    system.scaler.kill().await;
    std::fs::write(&gate, "").unwrap();
    system.scaler.resume().await;
    for last in ended(&redis, "adopted", 4).await.values() {
        assert_eq!((&*last["state"], &*last["exit_code"]), ("failed", "3"), "{last:?}");
    }
    assert_eq!(runs(&marks), 4, "each command ran once");
}

#[tokio::test]
async fn sigterm_leaves_the_workers_running_and_exits_0() {
    let mut system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    let gate = system.dir.path().join("gate");
    let command = format!("while [ ! -e {} ]; do sleep 0.02; done", gate.display());
    submit(
        &mut redis,
        &[("type", "scale_up"), ("worker_count", "1"), ("task_id", "on"), ("command", &*command)],
    )
    .await;
    until_state(&redis, "on", "running", 1).await;
    assert_eq!(system.scaler.terminate().await.code(), Some(0));
    system.scaler.resume().await;
    std::fs::write(&gate, "").unwrap();
    assert_eq!(ended(&redis, "on", 1).await.values().next().unwrap()["state"], "succeeded");
}

#[tokio::test]
async fn scale_down_cancels_what_waits_first_and_then_the_youngest() {
    let system = System::start(&["--max-workers", "2", "--grace-period", "5s"]).await;
    let mut redis = system.redis.connect().await;
    let command = "trap 'exit 0' TERM; while :; do sleep 0.02; done";
    submit(
        &mut redis,
        &[("type", "scale_up"), ("worker_count", "4"), ("task_id", "down"), ("command", command)],
    )
    .await;
    until_state(&redis, "down", "running", 2).await;
    submit(&mut redis, &[("type", "scale_down"), ("task_id", "down"), ("worker_count", "1")]).await;
    until_state(&redis, "down", "cancelled", 3).await;
    assert_eq!(count_in_state(&redis, "down", "running").await, 1);
    submit(&mut redis, &[("type", "scale_down"), ("task_id", "down")]).await;
    until_state(&redis, "down", "cancelled", 4).await;
}

#[tokio::test]
async fn a_scale_down_does_not_touch_what_came_after_it() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    submit(&mut redis, &[("type", "scale_down"), ("task_id", "later")]).await;
    submit(
        &mut redis,
        &[("type", "scale_up"), ("worker_count", "2"), ("task_id", "later"), ("command", "true")],
    )
    .await;
    for last in ended(&redis, "later", 2).await.values() {
        assert_eq!(last["state"], "succeeded");
    }
}

#[tokio::test]
async fn a_worker_that_runs_too_long_is_a_policy_failure() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    let fields = [
        ("type", "scale_up"),
        ("worker_count", "1"),
        ("task_id", "long"),
        ("timeout_seconds", "1"),
        ("command", "while :; do sleep 0.02; done"),
    ];
    submit(&mut redis, &fields).await;
    let last = ended(&redis, "long", 1).await.into_values().next().unwrap();
    assert_eq!((&*last["state"], &*last["class"]), ("failed", "policy"), "{last:?}");
}

#[tokio::test]
async fn a_worker_whose_agent_was_killed_is_lost_and_not_run_again() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    let marks = system.dir.path().join("marks");
    let command = marking(&marks, "while :; do sleep 0.02; done");
    submit(
        &mut redis,
        &[("type", "scale_up"), ("worker_count", "1"), ("task_id", "gone"), ("command", &*command)],
    )
    .await;
    until_state(&redis, "gone", "running", 1).await;
    let worker = states(&mut redis, "gone").await.into_keys().next().unwrap();
    kill_agent(&system.scaler, &worker);
    let last = ended(&redis, "gone", 1).await.into_values().next().unwrap();
    assert_eq!((&*last["state"], &*last["class"]), ("lost", "infra"), "{last:?}");
    assert_eq!(runs(&marks), 1);
}

/// Kills the agent and, as a container's end would, the command with it.
pub(crate) fn kill_agent(scaler: &Scaler, worker: &str) {
    let started = std::fs::read(scaler.worker_file(worker, "started")).unwrap();
    let started: serde_json::Value = serde_json::from_slice(&started).unwrap();
    let agent = i32::try_from(started["pid"].as_i64().unwrap()).unwrap();
    let children = std::fs::read_to_string(format!("/proc/{agent}/task/{agent}/children")).unwrap();
    let kill = |pid, signal| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
    kill(agent, nix::sys::signal::Signal::SIGKILL).unwrap();
    for child in children.split_whitespace() {
        kill(-child.parse::<i32>().unwrap(), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}
