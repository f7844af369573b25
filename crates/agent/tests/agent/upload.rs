//! What is handed in afterwards, to servers that misbehave on purpose.

use std::path::{Path, PathBuf};
use std::process::Output;

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::process::Command;
use tonic::Status;

use crate::process::{agent, nowhere, output, signal, until, wait};
use crate::server::Server;

/// The spool of an agent that never reached its server: the numbers from 1 on.
async fn left_over(dir: &TempDir, lines: u32) -> PathBuf {
    let flags =
        ["--mirror", "false", "--flush-timeout", "100ms", "--spool-dir", dir.path().to_str().unwrap()];
    output(agent(&nowhere(), &flags, &format!("seq {lines}; exit 3"))).await;
    std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path()
}

pub(crate) async fn upload(server: &Server, flags: &[&str], file: &Path) -> Output {
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
    let sessions = &server.seen().sessions;
    assert!(sessions.iter().all(|session| session == "the session"), "{sessions:?}");
}

/// Where the limit was changed between two attempts, the numbers would not be those of the same lines.
#[tokio::test]
async fn p5_a_file_is_never_cut_to_less_than_was_asked_for() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let file = dir.path().join("build.log");
    std::fs::write(&file, format!("{}\nlast\n", "x".repeat(40))).unwrap();
    server.seen().max_line = 32;
    let refused = upload(&server, &[], &file).await;
    assert!(!refused.status.success() && said(&refused).contains("pass --max-line=32"), "{refused:?}");
    assert!(server.seen().lines.is_empty());
    assert!(upload(&server, &["--max-line", "32"], &file).await.status.success());
    assert_eq!(server.seen().text(), ["x".repeat(32), "x".repeat(8), "last".to_owned()]);
}

/// As the scaler does with the volume of a worker whose agent was killed.
#[tokio::test]
async fn p5_each_spool_of_a_directory_is_handed_in_and_one_that_is_spoiled_holds_up_no_other() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let nothing = upload(&server, &[], dir.path()).await;
    assert!(nothing.status.success() && said(&nothing).contains("nothing was left"), "{nothing:?}");
    left_over(&dir, 10).await;
    // Names are taken in their order, and an agent's begins with a letter.
    std::fs::write(dir.path().join("0.spool"), "spoiled").unwrap();
    std::fs::write(dir.path().join("notes.txt"), "no spool\n").unwrap();
    let handed_in = upload(&server, &[], dir.path()).await;
    let last = said(&handed_in).lines().last().unwrap().to_owned();
    assert!(!handed_in.status.success() && last.contains("it is no spool"), "{handed_in:?}");
    assert_eq!(server.seen().text(), numbers(10));
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

/// As a server that restarts right then does.
#[tokio::test]
async fn a_log_that_the_server_cannot_end_yet_is_ended_a_moment_later() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let spool = left_over(&dir, 10).await;
    server.seen().refused_completions =
        [Status::unavailable("draining"), Status::data_loss("changed")].into();
    let handed_in = upload(&server, &[], &spool).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    assert_eq!(server.seen().completions.len(), 1);
    server.seen().refused_completions = [Status::not_found("what?")].into();
    let refused = upload(&server, &[], &spool).await;
    assert!(!refused.status.success() && said(&refused).contains("was not ended"), "{refused:?}");
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

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn what_was_handed_in_is_told_in_one_line() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let file = dir.path().join("build.log");
    std::fs::write(&file, "one\ntwo\nthree\n").unwrap();
    for (lines, duplicates) in [(3, 0), (0, 3)] {
        let told = said(&upload(&server, &["--worker-id", "mine"], &file).await);
        assert_eq!(told.lines().count(), 1, "{told}");
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let expected = serde_json::json!({
            "worker_id": "mine", "task_id": "mine", "lines": lines, "duplicates": duplicates, "missing": 0,
            "refused": 0, "complete": true,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&told[field], value, "{field}: {told}");
        }
    }
}

#[tokio::test]
async fn lines_that_a_spool_does_not_have_are_told_with_their_count() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let small = ["--spool-limit", "1MiB", "--buffer-limit", "256KiB", "--flush-timeout", "300ms"];
    let mut flags = vec!["--mirror", "false", "--spool-dir", dir.path().to_str().unwrap()];
    flags.extend(small);
    output(agent(&nowhere(), &flags, "seq 300000")).await;
    let spool = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    for _ in 0..2 {
        let told = said(&upload(&server, &[], &spool).await);
        let gaps = server.seen().lines.iter().filter(|line| line.is_err()).count();
        assert!(gaps > 0);
        if server.seen().completions.len() == 1 {
            assert!(told.contains(&format!("\"missing\":{gaps}")), "{told}");
            assert!(told.contains("lines are lost") && told.contains("not_in_spool"), "{told}");
        } else {
            assert!(told.contains("\"missing\":0"), "the server has all there is: {told}");
        }
    }
}

#[tokio::test]
async fn what_is_called_a_spool_and_is_none_is_refused_with_the_reason() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let file = dir.path().join("w-00000000.spool");
    let whole = std::fs::read(left_over(&TempDir::new().unwrap(), 3).await).unwrap();
    for (content, reason) in
        [(&b"one\n"[..], "does not begin as spools do"), (&whole[..100], "ends within its head")]
    {
        std::fs::write(&file, content).unwrap();
        let refused = upload(&server, &[], &file).await;
        assert!(!refused.status.success() && said(&refused).contains(reason), "{reason}: {refused:?}");
    }
    assert!(server.seen().registrations.is_empty());
}

/// Its agent was killed right after it had made it.
#[tokio::test]
async fn an_empty_spool_is_nothing_left_over() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let file = dir.path().join("w-00000000.spool");
    std::fs::write(&file, "").unwrap();
    let nothing = upload(&server, &[], &file).await;
    assert!(nothing.status.success() && said(&nothing).contains("nothing to hand in"), "{nothing:?}");
    let refused = upload(&server, &["--exit-code", "1"], &file).await;
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");
    assert!(said(&refused).contains("--exit-code"), "{refused:?}");
    assert!(server.seen().registrations.is_empty());
}

#[tokio::test]
async fn a_pipe_is_refused_with_the_reason() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let refused = upload(&server, &[], &pipe).await;
    assert!(!refused.status.success() && said(&refused).contains("no file"), "{refused:?}");
}

/// What comes from the environment may be there for something else.
#[tokio::test]
async fn flags_that_a_spool_would_not_heed_are_refused() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let spool = left_over(&dir, 3).await;
    for flag in ["--worker-id", "--task-id", "--mask-env"] {
        let refused = upload(&server, &[flag, "other"], &spool).await;
        assert_eq!(refused.status.code(), Some(64), "{refused:?}");
        assert!(said(&refused).contains(flag), "{refused:?}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_otto-agent"));
    command.args(["upload", "--ingest-url", &server.url]).arg(&spool).env("OTTO_WORKER_ID", "other");
    let handed_in = output(command).await;
    assert!(handed_in.status.success() && said(&handed_in).contains("\"worker_id\":\"w\""), "{handed_in:?}");
}

/// Nobody named the log, either.
#[tokio::test]
async fn p5_an_upload_of_a_file_that_was_killed_goes_on_when_it_is_handed_in_again() {
    let (server, dir) = (Server::start([]).await, TempDir::new().unwrap());
    let file = dir.path().join("build.log");
    std::fs::write(&file, numbers(1000).join("\n")).unwrap();
    server.seen().is_mute_to_uploads = true;
    let mut command = Command::new(env!("CARGO_BIN_EXE_otto-agent"));
    command.args(["upload", "--ingest-url", &server.url]).arg(&file).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    until("lines are stored", || !server.seen().lines.is_empty()).await;
    signal(&child, Signal::SIGTERM);
    assert!(!wait(&mut child).await.success());
    assert!(server.seen().completions.is_empty());

    server.seen().is_mute_to_uploads = false;
    let handed_in = upload(&server, &[], &file).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    let seen = server.seen();
    assert_eq!(seen.text(), numbers(1000));
    let runs: Vec<_> = seen.registrations.iter().map(|run| (&run.worker_id, &run.incarnation)).collect();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(seen.completions.len(), 1);
}
