//! What is down, taken, full or torn: a clear line, a retry or an exit, and nothing acknowledged lost.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::scaler::{Scaler, ended, submit};
use ottoscaler_tests::service::Service;
use ottoscaler_tests::small_disk::SmallDisk;
use ottoscaler_tests::{agent, oracle, port, wait};
use tokio::process::Command;

use crate::end_to_end::System;

const ONE: [(&str, &str); 4] =
    [("type", "scale_up"), ("worker_count", "1"), ("task_id", "one"), ("command", "echo fine")];

#[tokio::test]
async fn a_scaler_that_starts_before_redis_waits_for_it() {
    let mut redis_server = RedisServer::start(Persistence::AppendOnly).await;
    redis_server.kill().await;
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let mut scaler = Scaler::start(&dir.path().join("state"), &redis_server.url(), &ingest.url(), &[]).await;
    assert!(scaler.service().is_running());
    redis_server.resume().await;
    let mut redis = redis_server.connect().await;
    submit(&mut redis, &ONE).await;
    ended(&redis, "one", 1).await;
}

#[tokio::test]
async fn p1_redis_that_restarts_or_forgets_everything_is_survived() {
    let mut system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    submit(&mut redis, &ONE).await;
    ended(&redis, "one", 1).await;
    system.redis.kill().await;
    system.redis.resume().await;
    let mut redis = system.redis.connect().await;
    submit(
        &mut redis,
        &[("type", "scale_up"), ("worker_count", "1"), ("task_id", "two"), ("command", "true")],
    )
    .await;
    ended(&redis, "two", 1).await;
    // The consumer group is gone as well: NOGROUP.
    let _: () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    submit(
        &mut redis,
        &[("type", "scale_up"), ("worker_count", "1"), ("task_id", "three"), ("command", "true")],
    )
    .await;
    ended(&redis, "three", 1).await;
}

#[tokio::test]
async fn p7_an_ingest_that_comes_late_gets_every_line_and_the_command_did_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    ingest.kill().await;
    let summary = dir.path().join("summary.json");
    let script = Script { seed: 5, lines: 2_000 };
    let mut command = agent::command(&ingest.url(), "early");
    command.args(["--mirror", "false", "--flush-timeout", "60s", "--summary"]).arg(&summary).arg("--");
    command.arg(ottoscaler_tests::binary::path("otto-chatter"));
    command.args(["--seed", "5", "--lines", "2000"]);
    let mut child = command.spawn().unwrap();
    wait::until("the command has ended", Duration::from_secs(30), || async {
        let text = std::fs::read(&summary).map_err(|error| error.to_string())?;
        let summary: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if summary["phase"] == "ended" { Ok(()) } else { Err(summary.to_string()) }
    })
    .await;
    ingest.resume().await;
    assert!(child.wait().await.unwrap().success());
    ingest.completed("early", "early").await;
    oracle::check("early", &ingest.lines("early").await.unwrap(), script);
    assert_eq!(agent::summary(&summary)["complete"], true);
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line_with_the_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    for flag in ["--grpc-addr", "--http-addr", "--admin-addr"] {
        let mut command = Command::new(ottoscaler_tests::binary::path("log-ingest"));
        command.arg("--data-dir").arg(dir.path());
        for other in ["--grpc-addr", "--http-addr", "--admin-addr"] {
            command.args([other, if other == flag { &addr } else { "127.0.0.1:0" }]);
        }
        let (status, log) = Service::start("log-ingest", command).ended_with_log().await;
        assert!(!status.success());
        assert!(log.contains(flag) && log.contains(&addr), "{log}");
    }
}

#[tokio::test]
async fn a_second_ingest_on_the_same_data_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Ingest::start(dir.path(), &[]).await;
    let (status, log) = start_on(dir.path()).ended_with_log().await;
    assert!(!status.success());
    assert!(log.contains(&dir.path().display().to_string()) && log.contains("another"), "{log}");
}

/// log-ingest on its own ports.
fn start_on(data_dir: &Path) -> Service {
    let mut command = Command::new(ottoscaler_tests::binary::path("log-ingest"));
    command.arg("--data-dir").arg(data_dir);
    for flag in ["--grpc-addr", "--http-addr", "--admin-addr"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    Service::start("log-ingest", command)
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the directory has to be: root too cannot write into it.
    let path = dir.path().join("data");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    let (status, log) = start_on(&path).ended_with_log().await;
    assert!(!status.success());
    assert!(log.contains(&path.display().to_string()), "{log}");
}

#[tokio::test]
async fn a_second_scaler_on_the_same_state_directory_is_refused() {
    let mut system = System::start(&[]).await;
    let (status, log) = Service::start("ottoscaler", system.scaler.command()).ended_with_log().await;
    assert!(!status.success());
    assert!(log.contains("state"), "{log}");
    assert!(system.scaler.service().is_running());
}

/// Runs one short worker and gives its lines.
async fn ship(ingest: &Ingest, worker: &str, script: Script) {
    let output = agent::output(agent::chatter(&ingest.url(), worker, worker, script)).await;
    assert!(output.status.success(), "{output:?}");
    ingest.completed(worker, worker).await;
}

#[tokio::test]
async fn p4_a_store_with_a_torn_tail_opens_without_what_was_torn_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    let script = Script { seed: 8, lines: 500 };
    ship(&ingest, "before", script).await;
    ingest.kill().await;
    let segment = newest_segment(dir.path());
    let mut bytes = std::fs::read(&segment).unwrap();
    // Half a record, as a power cut would leave it.
    bytes.extend_from_slice(&[0x21; 37]);
    std::fs::write(&segment, bytes).unwrap();
    ingest.resume().await;
    oracle::check("before", &ingest.lines("before").await.unwrap(), script);
    ship(&ingest, "after", script).await;
    oracle::check("after", &ingest.lines("after").await.unwrap(), script);
}

/// The file of the store that was written last.
fn newest_segment(dir: &Path) -> std::path::PathBuf {
    let mut stack = vec![dir.to_owned()];
    let mut files = Vec::new();
    while let Some(next) = stack.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                stack.push(entry.path());
            } else if entry.metadata().unwrap().len() > 0 && entry.file_name() != "lock" {
                files.push((entry.metadata().unwrap().modified().unwrap(), entry.path()));
            }
        }
    }
    files.into_iter().max().expect("the store has a file").1
}

#[tokio::test]
async fn p4_a_full_disk_holds_lines_back_and_loses_none() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    // Without a reserve it is the disk itself that refuses.
    let ingest = Ingest::start(&disk.path().join("data"), &["--disk-reserve", "0"]).await;
    let script = Script { seed: 13, lines: 60_000 };
    let mut command = agent::chatter(&ingest.url(), "big", "big", script);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait::until("the server says that the disk is full", Duration::from_secs(30), || async {
        let metrics =
            reqwest::get(format!("http://{}/metrics", ingest.admin())).await.unwrap().text().await.unwrap();
        let full = metrics.lines().any(|line| line.contains("disk_full") && !line.ends_with(" 0"));
        if full { Ok(()) } else { Err(metrics) }
    })
    .await;
    assert!(child.try_wait().unwrap().is_none(), "the agent waits");
    let readable = ingest.lines("big").await.unwrap();
    oracle::check_sequences("big", &readable);
    disk.grow("64m");
    assert!(child.wait().await.unwrap().success());
    ingest.completed("big", "big").await;
    oracle::check("big", &ingest.lines("big").await.unwrap(), script);
}

#[tokio::test]
async fn p4_a_disk_that_is_nearly_full_holds_lines_back_and_still_takes_what_is_small() {
    let Some(disk) = SmallDisk::mount("12m") else { return };
    let ingest = Ingest::start(&disk.path().join("data"), &["--disk-reserve", "8MiB"]).await;
    ship(&ingest, "before", Script { seed: 2, lines: 10 }).await;
    let script = Script { seed: 13, lines: 60_000 };
    let mut command = agent::chatter(&ingest.url(), "big", "big", script);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait::until("lines are held back", Duration::from_secs(30), || async {
        let refused = metric(&ingest, "otto_ingest_retries_total{reason=\"disk_full\"}").await;
        if refused > 0.0 { Ok(()) } else { Err("none is refused".to_owned()) }
    })
    .await;
    let free = metric(&ingest, "otto_ingest_disk_free_bytes").await;
    // What is written between two looks at the disk goes beyond.
    assert!(free > f64::from(4 << 20), "{free} bytes are left of the reserve");
    // A worker without lines registers and completes: that is small.
    let output = agent::output({
        let mut command = agent::command(&ingest.url(), "small");
        command.args(["--task-id", "small", "--", "true"]);
        command
    })
    .await;
    assert!(output.status.success(), "{output:?}");
    ingest.completed("small", "small").await;
    oracle::check_sequences("big", &ingest.lines("big").await.unwrap());
    assert!(child.try_wait().unwrap().is_none(), "the agent waits");
    disk.grow("64m");
    assert!(child.wait().await.unwrap().success());
    ingest.completed("big", "big").await;
    oracle::check("big", &ingest.lines("big").await.unwrap(), script);
}

/// A file that was removed takes lines like any other, and they are gone with the process.
#[tokio::test]
async fn p4_a_data_directory_that_is_removed_gets_no_line_acknowledged_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut ingest = Ingest::start(&data, &[]).await;
    let mut command = agent::chatter(&ingest.url(), "w", "w", Script { seed: 21, lines: 50_000 });
    command.args(["--spread-ms", "20000"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let refused = || metric(&ingest, "otto_ingest_retries_total{reason=\"store_gone\"}");
    let stored = || metric(&ingest, "otto_ingest_lines_total");
    wait::until("some lines are stored", Duration::from_secs(20), || async {
        if stored().await > 100.0 { Ok(()) } else { Err("none is".to_owned()) }
    })
    .await;

    std::fs::remove_dir_all(&data).unwrap();
    wait::until("lines are refused", Duration::from_secs(20), || async {
        if refused().await > 0.0 { Ok(()) } else { Err("none is refused".to_owned()) }
    })
    .await;

    let (lines, before) = (stored().await, refused().await);
    wait::until("more lines are refused", Duration::from_secs(20), || async {
        if refused().await > before { Ok(()) } else { Err("no more are".to_owned()) }
    })
    .await;
    assert!(stored().await <= lines, "and none is stored");
    assert!(metric(&ingest, "otto_ingest_store_gone").await > 0.0);
    let ready = reqwest::get(format!("http://{}/readyz", ingest.admin())).await.unwrap();
    assert_eq!(ready.status(), 503);
    let said = ready.text().await.unwrap();
    assert!(said.contains("data directory") && said.contains("restart log-ingest"), "{said}");
    let told =
        ingest.service().log().iter().filter(|line| line.contains("no line is taken any more")).count();
    assert_eq!(told, 1, "it is told once");
    child.kill().await.unwrap();
}

/// What a metric of log-ingest says now; 0 where there is none.
async fn metric(ingest: &Ingest, name: &str) -> f64 {
    let metrics =
        reqwest::get(format!("http://{}/metrics", ingest.admin())).await.unwrap().text().await.unwrap();
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_default()
}

#[tokio::test]
async fn sigterm_drains_and_what_agents_still_have_arrives_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    let script = Script { seed: 3, lines: 20_000 };
    let mut command = agent::chatter(&ingest.url(), "drained", "drained", script);
    command.args(["--spread-ms", "2000"]);
    let mut child = command.spawn().unwrap();
    wait::until("some lines are there", Duration::from_secs(20), || async {
        match ingest.lines("drained").await {
            Ok(lines) if lines.len() > 100 => Ok(()),
            other => Err(format!("{:?}", other.map(|lines| lines.len()))),
        }
    })
    .await;
    assert_eq!(ingest.terminate().await.code(), Some(0));
    ingest.resume().await;
    assert!(child.wait().await.unwrap().success());
    ingest.completed("drained", "drained").await;
    oracle::check("drained", &ingest.lines("drained").await.unwrap(), script);
}

#[tokio::test]
async fn an_ingest_url_where_nobody_listens_does_not_stop_the_scaler() {
    let dir = tempfile::tempdir().unwrap();
    let redis_server = RedisServer::start(Persistence::None).await;
    let nowhere = format!("http://{}", port::free());
    let flags = ["--drain-timeout", "300ms"];
    let _scaler = Scaler::start(&dir.path().join("state"), &redis_server.url(), &nowhere, &flags).await;
    let mut redis = redis_server.connect().await;
    submit(&mut redis, &ONE).await;
    assert_eq!(ended(&redis, "one", 1).await.values().next().unwrap()["state"], "succeeded");
}
