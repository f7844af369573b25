//! P6: the agent's memory, whatever its command prints.
//!
//! RssAnon is what counts against a container's limit and cannot be given back. The longer and harder forms
//! of this are the torture's; here are the two that a change to the agent breaks first.

use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::agent;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::wait;

const LIMIT: Duration = Duration::from_mins(2);

/// Under load, with default settings.
const LOADED_KIB: u64 = 32 << 10;

/// With a command that prints nothing.
const IDLE_KIB: u64 = 16 << 10;

fn anonymous_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Looks until the agent has ended; gives the most that it took.
async fn peak_kib(mut command: tokio::process::Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let (pid, mut peak) = (child.id().unwrap(), 0);
    let status = wait::until("the agent has ended", LIMIT, || {
        peak = anonymous_kib(pid).unwrap_or(0).max(peak);
        let ended = child.try_wait().unwrap();
        async move { ended.ok_or_else(|| "it runs".to_owned()) }
    })
    .await;
    assert!(status.success(), "{status}");
    assert!(peak > 0, "it was looked at");
    peak
}

/// 256 MiB of one line, which goes on in 4,096 entries.
#[tokio::test]
async fn p6_a_line_without_an_end_does_not_fill_the_agents_memory() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let mut command = agent::command(&ingest.url(), "endless");
    command.args(["--mirror", "false", "--flush-timeout", "2min", "--spool-dir"]).arg(dir.path());
    command.args(["--", "head", "-c", "256M", "/dev/zero"]);
    let peak = peak_kib(command).await;
    assert!(peak < LOADED_KIB, "the agent took {peak} KiB");
    let shown = ingest.completed("endless", "endless").await;
    assert_eq!((&shown["bytes"], &shown["lost"]), (&(256 << 20).into(), &0.into()), "{shown}");
}

/// The spool is in use, and full in the end.
#[tokio::test]
async fn p6_a_server_that_is_gone_does_not_fill_the_agents_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    ingest.kill().await;
    let mut command = agent::command(&ingest.url(), "alone");
    command.args(["--mirror", "false", "--flush-timeout", "0s", "--spool-limit", "64MiB", "--spool-dir"]);
    command.arg(dir.path()).args(["--", "sh", "-c", "yes 'a line of usual length' | head -c 200M"]);
    let peak = peak_kib(command).await;
    assert!(peak < LOADED_KIB, "the agent took {peak} KiB");
}

#[tokio::test]
async fn p6_an_agent_whose_command_is_silent_takes_hardly_any_memory() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let mut command = agent::command(&ingest.url(), "silent");
    command.args(["--", "sh", "-c", "sleep 1"]);
    let peak = peak_kib(command).await;
    assert!(peak < IDLE_KIB, "the agent took {peak} KiB");
}
