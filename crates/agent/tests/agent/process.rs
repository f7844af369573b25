//! Runs of the agent, none of which may last.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::{Child, Command};

/// An agent that has not ended by then hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Where nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// `otto-agent run` with these flags, about to run a shell script.
pub(crate) fn agent(url: &str, flags: &[&str], script: &str) -> Command {
    argv(url, flags, &["sh", "-c", script])
}

/// `otto-agent run` with these flags, about to run this command.
pub(crate) fn argv(url: &str, flags: &[&str], argv: &[&str]) -> Command {
    // A shell that runs the tests in its background has them ignore some signals, and the agent leaves those alone.
    started("--default-signal=HUP,INT,QUIT", url, flags, argv)
}

/// The same, about to run a shell script, and started to ignore what nohup and a background ignore.
pub(crate) fn deaf(url: &str, flags: &[&str], script: &str) -> Command {
    started("--ignore-signal=HUP,INT,QUIT", url, flags, &["sh", "-c", script])
}

fn started(signals: &str, url: &str, flags: &[&str], argv: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args([signals, env!("CARGO_BIN_EXE_otto-agent")]);
    command.args(["run", "--ingest-url", url, "--worker-id", "w"]).args(flags).arg("--").args(argv);
    command.env("OTTO_SPOOL_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/spools"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs it to its end and takes what it prints.
pub(crate) async fn output(mut command: Command) -> Output {
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    tokio::time::timeout(LIMIT, run).await.expect("the agent ends").unwrap()
}

/// Waits for its end, and takes what it prints.
pub(crate) async fn rest(child: Child) -> Output {
    tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("the agent ends").unwrap()
}

/// Waits for its end, and reads nothing of what it prints.
pub(crate) async fn wait(child: &mut Child) -> ExitStatus {
    tokio::time::timeout(LIMIT, child.wait()).await.expect("the agent ends").unwrap()
}

/// Sends it a signal.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = child.id().expect("it runs");
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Polls until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, poll).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// The summary that it wrote.
pub(crate) fn summary(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
