//! What operators ask a service: health, readiness, metrics, version, and what is wrong with a flag.

use std::collections::BTreeSet;
use std::time::Duration;

use ottoscaler_tests::scaler::{ended, submit};
use ottoscaler_tests::{binary, wait};
use tokio::process::Command;

use crate::end_to_end::System;

const LIMIT: Duration = Duration::from_mins(1);

async fn run(program: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary::path(program)).args(args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_bad_flag_is_one_line_with_its_variable_and_exit_code_64() {
    for (program, args, variable) in [
        ("log-ingest", &["--grpc-addr", "nonsense"][..], "OTTO_GRPC_ADDR"),
        ("ottoscaler", &["--max-workers", "lots"], "OTTO_MAX_WORKERS"),
        ("otto-agent", &["run", "--flush-timeout", "soon", "--", "true"], "OTTO_FLUSH_TIMEOUT"),
    ] {
        let (code, _, stderr) = run(program, args).await;
        assert_eq!(code, Some(64), "{program}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{program}: {stderr}");
        assert!(
            stderr.contains(args[args.len().min(2) - 2 + usize::from(program == "otto-agent")]),
            "{stderr}"
        );
        assert!(stderr.contains(variable), "{program}: {stderr}");
    }
}

#[tokio::test]
async fn each_program_prints_version_and_commit() {
    for program in ["log-ingest", "ottoscaler", "otto-agent"] {
        let (code, stdout, _) = run(program, &["--version"]).await;
        assert_eq!(code, Some(0));
        assert!(stdout.contains(env!("CARGO_PKG_VERSION")) && stdout.contains('('), "{stdout}");
    }
}

#[tokio::test]
async fn services_are_live_ready_and_measured_and_the_healthcheck_agrees() {
    let mut system = System::start(&[]).await;
    let scaler = system.scaler.service().logged("ottoscaler listening").await;
    for (program, admin, metric) in [
        ("log-ingest", system.ingest.admin().to_string(), "otto_ingest_"),
        ("ottoscaler", scaler["admin"].as_str().unwrap().to_owned(), "otto_scaler_"),
    ] {
        let get = async |path: &str| reqwest::get(format!("http://{admin}{path}")).await.unwrap();
        assert_eq!(get("/livez").await.status(), 200);
        ottoscaler_tests::wait::until("it is ready", std::time::Duration::from_secs(10), || async {
            let response = get("/readyz").await;
            if response.status() == 200 { Ok(()) } else { Err(response.text().await.unwrap()) }
        })
        .await;
        let metrics = get("/metrics").await.text().await.unwrap();
        assert!(metrics.contains(metric) && metrics.ends_with("# EOF\n"), "{metrics}");
        let (code, _, stderr) = run(program, &["--admin-addr", &admin, "healthcheck"]).await;
        assert_eq!(code, Some(0), "{stderr}");
    }
    system.redis.kill().await;
    let admin = scaler["admin"].as_str().unwrap();
    ottoscaler_tests::wait::until("readiness names redis", std::time::Duration::from_secs(20), || async {
        let text = reqwest::get(format!("http://{admin}/readyz")).await.unwrap().text().await.unwrap();
        if text.contains("redis") { Ok(()) } else { Err(text) }
    })
    .await;
    let (code, _, stderr) = run("ottoscaler", &["--admin-addr", admin, "healthcheck"]).await;
    assert_ne!(code, Some(0));
    assert!(stderr.contains("redis"), "{stderr}");
}

/// The series of the scaler that are there, without their values.
async fn series(admin: &str) -> BTreeSet<String> {
    let text = reqwest::get(format!("http://{admin}/metrics")).await.unwrap().text().await.unwrap();
    let told = text.lines().filter(|line| line.starts_with("otto_scaler_"));
    told.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
}

/// An alert on what has increased never hears of a series that begins at 1.
#[tokio::test]
async fn every_series_that_an_alert_is_about_is_there_before_anything_happens() {
    let mut system = System::start(&[]).await;
    let scaler = system.scaler.service().logged("ottoscaler listening").await;
    let admin = scaler["admin"].as_str().unwrap();
    // Those of the stream are there once the leader has asked for them.
    let fresh = wait::until("it leads, and has asked", LIMIT, || async {
        let fresh = series(admin).await;
        if fresh.contains("otto_scaler_stream_lag{}") { Ok(fresh) } else { Err(format!("{fresh:#?}")) }
    })
    .await;
    let alerts =
        std::fs::read_to_string(binary::workspace().join("helm/ottoscaler/files/alerts.yaml")).unwrap();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named = alerts.split(|c: char| !is_word(c)).filter(|word| word.starts_with("otto_scaler_"));
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let is_it = |series: &&String| series.split('{').next() == Some(name);
        assert!(fresh.iter().any(|series| is_it(&series)), "{name}: {fresh:#?}");
    }

    let mut redis = system.redis.connect().await;
    submit(&mut redis, &[("type", "scale_up"), ("worker_count", "nonsense"), ("task_id", "bad")]).await;
    let good = [("type", "scale_up"), ("worker_count", "1"), ("task_id", "good"), ("command", "exit 3")];
    submit(&mut redis, &good).await;
    ended(&redis, "good", 1).await;
    let later = series(admin).await;
    let new: Vec<_> = later.difference(&fresh).collect();
    assert!(new.is_empty(), "these have begun with an event: {new:#?}");
}

#[tokio::test]
async fn the_agent_installs_itself_as_an_executable_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().to_str().unwrap();
    assert_eq!(run("otto-agent", &["install", target]).await.0, Some(0));
    assert_eq!(run("otto-agent", &["install", target]).await.0, Some(0), "again is fine");
    let copy = dir.path().join("otto-agent");
    let output = Command::new(copy).arg("--version").output().await.unwrap();
    assert!(output.status.success());
}

#[tokio::test]
async fn a_password_in_the_redis_url_reaches_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("redis://:sesame@{}", ottoscaler_tests::port::free());
    let mut scaler =
        ottoscaler_tests::scaler::Scaler::start(&dir.path().join("state"), &url, "http://127.0.0.1:9", &[])
            .await;
    scaler.service().logged("ottoscaler listening").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let log = scaler.service().log().join("\n");
    assert!(!log.contains("sesame"), "{log}");
}
