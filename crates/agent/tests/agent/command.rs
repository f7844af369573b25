//! P8: the exit code is the command's, here with no server at all.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::process::{agent, argv, deaf, nowhere, output, signal, summary, until, wait};

const BRIEF: &[&str] = &["--flush-timeout", "200ms"];

#[tokio::test]
async fn p8_each_ending_keeps_its_code() {
    let endings: [(&[&str], i32); 6] = [
        (&["true"], 0),
        (&["sh", "-c", "echo broken >&2; exit 7"], 7),
        (&["/no/such/command"], 127),
        (&["/etc/hostname"], 126),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["sh", "-c", "kill -TERM $$"], 143),
    ];
    for (command, code) in endings {
        let output = output(argv(&nowhere(), BRIEF, command)).await;
        assert_eq!(output.status.code(), Some(code), "{command:?}: {output:?}");
    }
}

#[tokio::test]
async fn what_the_command_prints_is_mirrored_byte_for_byte() {
    let output = output(agent(&nowhere(), BRIEF, "printf 'a\\r\\377\\nno end'; echo err >&2")).await;
    assert_eq!(output.stdout, b"a\r\xff\nno end");
    // The agent's own log goes there as well.
    assert!(String::from_utf8_lossy(&output.stderr).lines().any(|line| line == "err"), "{output:?}");
}

#[tokio::test]
async fn sigterm_reaches_the_command_and_its_answer_is_the_code() {
    for (script, code) in [
        ("trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done", 5),
        ("echo ready; while :; do sleep 0.02; done", 143),
        ("trap '' TERM; echo ready; while :; do sleep 0.02; done", 137),
    ] {
        let flags = ["--flush-timeout", "200ms", "--grace-period", "200ms"];
        let mut child = agent(&nowhere(), &flags, script).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
        signal(&child, Signal::SIGTERM);
        assert_eq!(wait(&mut child).await.code(), Some(code), "{script}");
    }
}

/// As under nohup, or in the background of a script.
#[tokio::test]
async fn a_signal_that_the_agent_was_started_to_ignore_does_not_reach_the_command() {
    let script = "kill -HUP $PPID; kill -INT $PPID; sleep 0.3; kill -HUP $$; echo lives";
    let output = output(deaf(&nowhere(), BRIEF, script)).await;
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"lives\n"[..]), "{output:?}");
}

#[tokio::test]
async fn the_summary_says_how_it_ended_and_what_became_of_the_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let flags =
        ["--flush-timeout", "200ms", "--attempt", "3", "--task-id", "t", "--summary", path.to_str().unwrap()];
    output(agent(&nowhere(), &flags, "echo one; echo two >&2; kill -KILL $$")).await;
    let said = summary(&path);
    let expected = serde_json::json!({
        "phase": "flushed", "worker_id": "w", "task_id": "t", "attempt": 3, "exit_code": 137, "signal": 9,
        "timed_out": false, "lines": 2, "bytes": 8, "acked_sequence": 0, "complete": false,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&said[field], value, "{field}: {said}");
    }
    assert!(said["error"].is_string() && said["started_at"].is_string() && said["ended_at"].is_string());
}

#[tokio::test]
async fn a_command_that_runs_too_long_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let flags = ["--flush-timeout", "200ms", "--timeout", "200ms", "--summary", path.to_str().unwrap()];
    assert_eq!(output(agent(&nowhere(), &flags, "sleep 60")).await.status.code(), Some(143));
    assert_eq!(summary(&path)["timed_out"], true);
}

/// A grandchild that keeps the pipes open is waited for, for a bounded time.
#[tokio::test]
async fn pipes_that_others_hold_open_are_cut_after_the_pipe_grace() {
    let start = Instant::now();
    let flags = ["--flush-timeout", "200ms", "--pipe-grace", "300ms"];
    let output = output(agent(&nowhere(), &flags, "sleep 60 & exit 4")).await;
    assert_eq!(output.status.code(), Some(4));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

/// Nothing of the command is left behind, not even what has let go of its output.
#[tokio::test]
async fn what_the_command_left_running_is_killed() {
    let output = output(agent(&nowhere(), BRIEF, "sleep 60 >/dev/null 2>&1 & echo $!")).await;
    let pid = String::from_utf8(output.stdout).unwrap();
    let status = format!("/proc/{}/status", pid.trim());
    until("the process is gone", || {
        std::fs::read_to_string(&status).map_or(true, |status| status.contains("State:\tZ"))
    })
    .await;
}

#[tokio::test]
async fn bad_configuration_is_one_line_and_exit_64() {
    let flags: [&[&str]; 7] = [
        &["--ingest-url", "nowhere"],
        &["--worker-id", ""],
        &["--flush-timeout", "soon"],
        &["--buffer-limit", "1"],
        &["--when-full", "explode"],
        &["--max-line", "15"],
        &["--max-line", "1048577"],
    ];
    for flags in flags {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_otto-agent"));
        command.arg("run").args(flags).args(["--", "true"]);
        let output = output(command).await;
        assert_eq!(output.status.code(), Some(64), "{flags:?}: {output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(flags[0]) && text.lines().count() == 1, "{text}");
    }
}

#[tokio::test]
async fn a_password_in_a_url_is_not_repeated() {
    let url = "http://me:secret@ingest:50051";
    let mut by_variable = tokio::process::Command::new(env!("CARGO_BIN_EXE_otto-agent"));
    by_variable.args(["run", "--", "true"]).env("OTTO_INGEST_URL", url);
    for command in [argv(url, &[], &["true"]), by_variable] {
        let output = output(command).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(!said.contains("secret") && said.contains("no password"), "{said}");
    }
}

/// What the library says of it is a panic.
#[tokio::test]
async fn where_too_few_files_may_be_open_that_is_said_in_one_line() {
    for most in 6..12 {
        let inner = argv(&nowhere(), BRIEF, &["true"]);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"]).kill_on_drop(true);
        command.arg(inner.as_std().get_program()).args(inner.as_std().get_args());
        let output = output(command).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(70), "{most}: {said}");
        assert!(said.contains("ulimit -n") && said.lines().count() == 1, "{most}: {said}");
    }
}

#[tokio::test]
async fn install_copies_a_program_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_otto-agent");
    let mut install = tokio::process::Command::new(binary);
    install.arg("install").arg(dir.path());
    assert!(output(install).await.status.success());
    let mut copy = tokio::process::Command::new(dir.path().join("otto-agent"));
    copy.arg("--version");
    assert!(output(copy).await.status.success());
}
