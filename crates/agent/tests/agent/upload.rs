//! What is handed in afterwards, to servers that misbehave on purpose.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;
use tokio::process::Command;
use tonic::Status;

use crate::process::{agent, nowhere, output};
use crate::server::Server;

/// The spool of an agent that never reached its server: the numbers from 1 on.
async fn left_over(dir: &TempDir, lines: u32) -> PathBuf {
    let flags =
        ["--mirror", "false", "--flush-timeout", "100ms", "--spool-dir", dir.path().to_str().unwrap()];
    output(agent(&nowhere(), &flags, &format!("seq {lines}; exit 3"))).await;
    std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path()
}

async fn upload(server: &Server, flags: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_otto-agent"));
    command.args(["upload", "--ingest-url", &server.url, "--timeout", "20s"]).args(flags).arg(file);
    command.kill_on_drop(true);
    output(command).await
}

fn numbers(last: u32) -> Vec<String> {
    (1..=last).map(|number| number.to_string()).collect()
}

/// What was under way then may still hold the file.
#[tokio::test]
async fn p5_an_upload_that_was_answered_before_it_was_read_goes_on_under_its_own_lock() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let spool = left_over(&dir, 300_000).await;
    server.seen().refused_uploads = (0..5).map(|_| Status::unavailable("draining")).collect();
    let handed_in = upload(&server, &[], &spool).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    assert_eq!(server.seen().text(), numbers(300_000));
    assert_eq!(server.seen().completions[0].exit_code, 3);
}

/// Two kinds of refusal are no reason to believe either.
#[tokio::test]
async fn an_upload_that_is_refused_twice_in_each_of_two_ways_is_tried_again() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let spool = left_over(&dir, 10).await;
    let (unknown, invalid) = (|| Status::unimplemented("what?"), || Status::invalid_argument("no"));
    server.seen().refused_uploads = [unknown(), invalid(), invalid(), unknown()].into();
    let handed_in = upload(&server, &[], &spool).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    server.seen().refused_uploads = [unknown(), unknown(), unknown()].into();
    assert!(!upload(&server, &[], &spool).await.status.success());
}

#[tokio::test]
async fn a_log_of_which_lines_were_refused_is_ended_all_the_same() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let spool = left_over(&dir, 10).await;
    server.seen().dropped = 2;
    let handed_in = upload(&server, &[], &spool).await;
    let said = String::from_utf8_lossy(&handed_in.stderr).into_owned();
    assert!(!handed_in.status.success() && said.contains("refused 2 lines"), "{said}");
    assert_eq!(server.seen().completions.len(), 1);
}

#[tokio::test]
async fn a_file_is_the_same_run_for_as_long_as_its_content_and_its_lines_are_the_same() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let file = dir.path().join("build.log");
    let mut runs = Vec::new();
    for (content, worker, max_line) in [
        ("one\ntwo\n", "w", "64KiB"),
        ("one\ntwo\n", "w", "64KiB"),
        ("one\ntwo", "w", "64KiB"),
        ("one\ntwo\n", "v", "64KiB"),
        ("one\ntwo\n", "w", "32KiB"),
    ] {
        std::fs::write(&file, content).unwrap();
        upload(&server, &["--worker-id", worker, "--max-line", max_line], &file).await;
        runs.push(server.seen().registrations.pop().unwrap().incarnation);
    }
    assert_eq!(runs[0], runs[1]);
    runs.remove(0);
    assert!(runs.iter().enumerate().all(|(at, run)| !runs[..at].contains(run)), "{runs:?}");
    assert_eq!(server.seen().text(), ["one", "two"], "nothing is stored twice");
}
