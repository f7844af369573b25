//! P6 and P7: every buffer has an end, and what happens there is said.

use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, binary, oracle, port};

/// Peak resident memory of a process in KiB.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The command prints 200 MB while nobody takes them; it is neither stopped nor slowed for good, memory
/// stays bounded, and the server that comes at last is told what is missing.
#[tokio::test]
async fn p6_p7_an_agent_without_a_server_drops_the_oldest_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    ingest.kill().await;
    let (summary, done) = (dir.path().join("summary.json"), dir.path().join("done"));
    let mut command = agent::command(&ingest.url(), "loud");
    command.args(["--buffer-limit", "4MiB", "--spool-limit", "16MiB", "--mirror", "false"]);
    command.arg("--spool-dir").arg(dir.path().join("spool")).args(["--flush-timeout", "60s", "--summary"]);
    let script = format!("yes {} | head -n 2000000; touch {}", "x".repeat(99), done.display());
    let mut child =
        command.arg(&summary).args(["--", "sh", "-c", &script]).stdout(Stdio::null()).spawn().unwrap();
    ottoscaler_tests::wait::until("the command has ended", Duration::from_mins(2), || async {
        if done.exists() { Ok(()) } else { Err("it runs".to_owned()) }
    })
    .await;
    let peak = peak_kib(child.id().unwrap()).unwrap();
    assert!(peak < 48 * 1024, "the agent used {peak} KiB with a buffer of 4 MiB");
    ingest.resume().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));

    let shown = ingest.closed("loud", "loud").await;
    assert_eq!(shown["complete"], false, "{shown}");
    let lines = ingest.lines("loud").await.unwrap();
    let gaps: Vec<_> = lines.iter().filter(|line| !line["gap"].is_null()).collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap["gap"]["reason"] == "buffer_full"), "{gaps:?}");
    let lost: i64 = gaps
        .iter()
        .map(|gap| ottoscaler_tests::ingest::last_sequence(gap) - gap["sequence"].as_i64().unwrap() + 1)
        .sum();
    let printed = lines.iter().filter(|line| line["source"] == "stdout" && line["gap"].is_null()).count();
    assert_eq!(lost + i64::try_from(printed).unwrap(), 2_000_000, "each line is there or in a gap");
    assert_eq!(shown["lost"].as_i64(), Some(lost), "{shown}");
    assert_eq!(agent::summary(&summary)["dropped"].as_i64(), Some(lost));
}

#[tokio::test]
async fn p6_block_holds_the_command_back_instead_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    ingest.kill().await;
    let script = Script { seed: 21, lines: 100_000 };
    let mut command = agent::command(&ingest.url(), "patient");
    command.args(["--buffer-limit", "1MiB", "--spool-limit", "1MiB", "--when-full", "block"]);
    command.arg("--spool-dir").arg(dir.path().join("spool")).args(["--mirror", "false", "--"]);
    command.arg(binary::path("otto-chatter")).args(["--seed", "21", "--lines", "100000"]);
    let mut child = command.spawn().unwrap();
    // The chatter writes five times the limits: it cannot end before somebody takes its lines.
    let early = tokio::time::timeout(Duration::from_secs(1), child.wait()).await;
    assert!(early.is_err(), "the command was not held back");
    ingest.resume().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    ingest.completed("patient", "patient").await;
    oracle::check("patient", &ingest.lines("patient").await.unwrap(), script);
}

/// A server that is there but never answers must not hold the agent beyond its deadline.
#[tokio::test]
async fn p7_a_server_that_never_answers_holds_nobody_beyond_the_flush_timeout() {
    let addr = port::free();
    let silent = tokio::net::TcpListener::bind(addr).await.unwrap();
    let mut command = agent::command(&format!("http://{addr}"), "ignored");
    command.args(["--flush-timeout", "500ms", "--", "sh", "-c", "seq 1000; exit 6"]);
    let output = agent::output(command).await;
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    drop(silent);
}

#[tokio::test]
async fn a_line_of_any_length_arrives_whole_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let mut command = agent::command(&ingest.url(), "long");
    let script = "head -c 5000000 /dev/zero | tr '\\0' x; echo; printf 'no end'";
    command.args(["--mirror", "false", "--", "sh", "-c", script]);
    assert!(agent::output(command).await.status.success());
    ingest.completed("long", "long").await;
    let text = ingest.get("/api/v1/workers/long/log.txt").await.unwrap();
    let mut expected = vec![b'x'; 5_000_000];
    expected.extend_from_slice(b"\nno end");
    assert!(text == expected, "{} bytes instead of {}", text.len(), expected.len());
}

/// With default settings: a live server is waited for before anything is dropped.
#[tokio::test]
async fn p6_a_command_faster_than_a_live_server_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let mut command = agent::command(&ingest.url(), "fast");
    command.args(["--mirror", "false", "--flush-timeout", "120s", "--", "seq", "1000000"]);
    assert!(agent::output(command).await.status.success());
    let shown = ingest.completed("fast", "fast").await;
    assert_eq!((&shown["lines"], &shown["lost"]), (&1_000_000.into(), &0.into()), "{shown}");
}
