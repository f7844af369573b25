//! The page in a real browser.

use std::process::Stdio;

use ottoscaler_tests::agent;
use ottoscaler_tests::ingest::Ingest;
use tokio::process::Command;

/// What a browser shows for `url` once its scripts have run.
async fn rendered(url: &str) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    chromium.args(["--virtual-time-budget=5000", "--dump-dom", url]);
    let run = chromium.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).output();
    let Ok(output) = run.await else {
        assert!(std::env::var_os("CI").is_none(), "CI has a browser");
        println!("skipped: chromium is not installed");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn the_page_lists_tasks_and_shows_a_log_as_text_only() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let mut command = agent::command(&ingest.url(), "shown-worker");
    let script = "echo visible line; echo '<img src=x onerror=\"document.title=1\">'; echo on stderr >&2";
    command.args(["--task-id", "shown-task", "--", "sh", "-c", script]);
    assert!(agent::output(command).await.status.success());
    ingest.completed("shown-task", "shown-worker").await;

    let Some(home) = rendered(&ingest.http_url("/")).await else { return };
    assert!(home.contains("shown-task"), "{home}");
    let Some(log) = rendered(&ingest.http_url("/#/workers/shown-worker")).await else { return };
    assert!(log.contains("visible line") && log.contains("on stderr"), "{log}");
    assert!(log.contains("&lt;img src=x") && !log.contains("<img"), "a log is text: {log}");
}

#[tokio::test]
async fn the_page_allows_no_script_but_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let response = reqwest::get(ingest.http_url("/")).await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
}
