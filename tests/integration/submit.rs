//! `ottoscaler submit`: a task as if its command ran here.

use std::process::{Output, Stdio};
use std::time::Duration;

use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::scaler::Scaler;
use ottoscaler_tests::{binary, wait};
use tokio::process::Command;

/// What takes longer does not come any more.
const LIMIT: Duration = Duration::from_mins(2);

/// Everything that a task needs.
struct World {
    redis: RedisServer,
    ingest: Ingest,
    _scaler: Scaler,
    dir: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (redis, ingest) = tokio::join!(RedisServer::start(Persistence::None), Ingest::start(&data, &[]));
        let scaler = Scaler::start(&dir.path().join("state"), &redis.url(), &ingest.url(), &[]).await;
        Self { redis, ingest, _scaler: scaler, dir }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary::path("ottoscaler"));
        command.arg("submit").args(args).kill_on_drop(true).stdin(Stdio::null());
        command.env("REDIS_URL", self.redis.url()).env("OTTO_INGEST_URL", self.ingest.url());
        command
    }

    async fn submit(&self, args: &[&str]) -> Output {
        tokio::time::timeout(LIMIT, self.command(args).output()).await.expect("in time").unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_task_prints_what_its_command_prints_and_exits_as_it_does() {
    let world = World::start().await;
    let ran = world
        .submit(&["--env", "A=b c", "--", "sh", "-c", "echo \"$A\"; echo oh >&2; printf end; exit 3"])
        .await;
    assert_eq!((ran.status.code(), &*out(&ran)), (Some(3), "b c\nend"), "{ran:?}");
    assert!(err(&ran).contains("\noh\n") && err(&ran).contains("exited with 3"), "{ran:?}");

    let fine = world.submit(&["--", "true"]).await;
    assert_eq!((fine.status.code(), &*out(&fine)), (Some(0), ""), "{fine:?}");
    assert_eq!(err(&fine).lines().count(), 1, "the task's name, and nothing else: {fine:?}");
}

#[tokio::test]
async fn of_several_workers_each_line_says_whose_it_is_and_the_first_failure_counts() {
    let world = World::start().await;
    let ran =
        world.submit(&["--workers=3", "--", "sh", "-c", "echo hello; exit $((OTTO_WORKER_INDEX * 4))"]).await;
    let text = out(&ran);
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0 | hello", "1 | hello", "2 | hello"]);
    assert_eq!(ran.status.code(), Some(4), "{ran:?}");
}

#[tokio::test]
async fn what_is_expected_is_checked() {
    let world = World::start().await;
    let script = "echo a needle in hay; exit 64";
    for (flags, code) in [
        (&["--expect-exit=64", "--expect-line=needle"][..], 0),
        (&["--expect-exit=64", "--expect-line=pin"][..], 1),
        (&["--expect-exit=0"][..], 1),
        (&["--expect-line=needle"][..], 64),
    ] {
        let ran = world.submit(&[flags, &["--", "sh", "-c", script]].concat()).await;
        assert_eq!(ran.status.code(), Some(code), "{flags:?}: {ran:?}");
    }
}

#[tokio::test]
async fn p10_what_cannot_work_is_told_with_its_reason() {
    let world = World::start().await;
    // Only the scaler knows that it has no command of its own.
    let refused = world.submit(&[]).await;
    assert_eq!(refused.status.code(), Some(65), "{refused:?}");
    assert!(err(&refused).contains("command: the event names no command"), "{refused:?}");

    let misused = world.submit(&["--env=OTTO_X=1", "--", "true"]).await;
    assert_eq!(misused.status.code(), Some(64), "{misused:?}");
    let nowhere = world.submit(&["--redis-url=redis://127.0.0.1:1", "--", "true"]).await;
    assert_eq!(nowhere.status.code(), Some(69), "{nowhere:?}");
}

#[tokio::test]
async fn whoever_gives_up_leaves_the_task_running() {
    let world = World::start().await;
    let ran = world.submit(&["--task-id=long", "--wait=1s", "--", "sh", "-c", "sleep 3; echo done"]).await;
    assert_eq!(ran.status.code(), Some(75), "{ran:?}");
    let detached = world.submit(&["--task-id=short", "--detach", "--", "echo", "done"]).await;
    assert_eq!((detached.status.code(), &*out(&detached)), (Some(0), "short\n"));
    for task in ["long", "short"] {
        wait::until(&format!("{task} ends"), LIMIT, || async {
            let task = world.ingest.task(task).await.map_err(|error| format!("{error:#}"))?;
            let worker = &task["workers"][0];
            if worker["complete"] == true && worker["lines"] == 1 { Ok(()) } else { Err(task.to_string()) }
        })
        .await;
    }
}

#[tokio::test]
async fn p5_a_log_ingest_that_is_killed_costs_no_line_and_doubles_none() {
    let mut world = World::start().await;
    let go = world.dir.path().join("go");
    let script = format!("seq 1 50; while [ ! -e {} ]; do sleep 0.05; done; seq 51 100", go.display());
    let mut command = world.command(&["--task-id=t", "--", "sh", "-c", &script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    wait::until("the first lines are there", LIMIT, || async {
        let task = world.ingest.task("t").await.map_err(|error| format!("{error:#}"))?;
        if task["workers"][0]["lines"] == 50 { Ok(()) } else { Err(task.to_string()) }
    })
    .await;
    world.ingest.kill().await;
    world.ingest.resume().await;
    std::fs::write(go, "").unwrap();
    let ran = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("in time").unwrap();
    let wanted = (1..=100).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!((ran.status.code(), out(&ran)), (Some(0), wanted));
}
