//! What operators ask a service: health, readiness, metrics, version, and what is wrong with a flag.

use ottoscaler_tests::binary;
use tokio::process::Command;

use crate::end_to_end::System;

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
