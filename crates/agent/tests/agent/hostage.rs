//! P7: the command is not hostage to its log, nor to whoever reads the agent's own output.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use crate::process::{agent, nowhere, output, signal, until, wait};
use crate::server::Server;

/// More than any pipe holds, on both streams.
const LOUD: &str = "seq 200000; seq 200000 >&2; exit 6";

#[tokio::test]
async fn p7_p8_output_that_nobody_reads_holds_up_nothing() {
    let mut command = agent(&nowhere(), &["--flush-timeout", "200ms"], LOUD);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(wait(&mut child).await.code(), Some(6));
}

#[tokio::test]
async fn p7_p8_output_that_is_closed_holds_up_nothing() {
    let mut shell = tokio::process::Command::new("sh");
    let run = agent(&nowhere(), &["--flush-timeout", "200ms"], LOUD);
    shell
        .args(["-c", r#"exec "$0" "$@" >&- 2>&-"#])
        .arg(run.as_std().get_program())
        .args(run.as_std().get_args())
        .envs(run.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = shell.kill_on_drop(true).spawn().unwrap();
    assert_eq!(wait(&mut child).await.code(), Some(6));
}

#[tokio::test]
async fn p7_a_reader_that_goes_away_holds_up_nothing() {
    let mut command = agent(&nowhere(), &["--flush-timeout", "200ms"], LOUD);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(wait(&mut child).await.code(), Some(6));
}

#[tokio::test]
async fn p7_a_server_that_takes_connections_and_says_nothing_holds_nobody_beyond_the_flush_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let start = Instant::now();
    let output = output(agent(&url, &["--flush-timeout", "300ms"], "seq 1000; exit 6")).await;
    assert_eq!(output.status.code(), Some(6));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// With `block` the command waits for its log, by choice; but once it has ended, nobody waits for ever.
#[tokio::test]
async fn p8_a_full_buffer_that_blocks_does_not_keep_the_agent_from_ending() {
    let dir = tempfile::tempdir().unwrap();
    let ready = dir.path().join("ready");
    let flags = [
        "--flush-timeout",
        "300ms",
        "--pipe-grace",
        "200ms",
        "--when-full",
        "block",
        "--buffer-limit",
        "256KiB",
    ];
    let script = format!("touch {}; exec yes", ready.display());
    let mut child = agent(&nowhere(), &flags, &script).stdout(Stdio::null()).spawn().unwrap();
    until("the command runs", || ready.exists()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    signal(&child, Signal::SIGTERM);
    assert_eq!(wait(&mut child).await.code(), Some(143));
}

/// The same wait, cut short by a signal.
#[tokio::test]
async fn p8_a_signal_ends_the_wait_for_room_once_the_command_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (ready, ended) = (dir.path().join("ready"), dir.path().join("ended"));
    let flags = ["--flush-timeout", "60s", "--when-full", "block", "--buffer-limit", "256KiB"];
    let script = format!("trap : TERM; touch {}; yes; touch {}; exit 5", ready.display(), ended.display());
    let mut child = agent(&nowhere(), &flags, &script).stdout(Stdio::null()).spawn().unwrap();
    until("the command runs", || ready.exists()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    signal(&child, Signal::SIGTERM);
    until("the command ends", || ended.exists()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let start = Instant::now();
    signal(&child, Signal::SIGTERM);
    assert_eq!(wait(&mut child).await.code(), Some(5));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// A stream that never pauses must not keep the other from being read.
#[tokio::test]
async fn a_loud_stdout_does_not_starve_stderr() {
    let mut command =
        agent(&nowhere(), &["--flush-timeout", "200ms"], "yes & sleep 0.3; echo seen >&2; sleep 60");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let seen = async { while lines.next_line().await.unwrap().expect("stderr goes on") != "seen" {} };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("stderr was read");
}

/// Where the command waits for its log, its stdout is full whenever there is room to read, so that each
/// read takes all that a read can take. stderr has its turn all the same.
#[tokio::test]
async fn a_stdout_that_is_always_full_does_not_starve_stderr() {
    let server = Server::start([]).await;
    let flags = ["--flush-timeout", "200ms", "--when-full", "block", "--buffer-limit", "256KiB"];
    let script = "yes & sleep 0.3; echo seen >&2; sleep 60";
    let mut command = agent(&server.url, &flags, script);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let seen = async { while lines.next_line().await.unwrap().expect("stderr goes on") != "seen" {} };
    tokio::time::timeout(Duration::from_secs(3), seen).await.expect("stderr was read");
}
