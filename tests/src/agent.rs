//! Runs of otto-agent.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::binary;
use crate::chatter::Script;

/// An agent that has not ended by then hangs.
const RUN_LIMIT: Duration = Duration::from_mins(3);

/// The agent with its flags, before `--` and the command.
pub fn command(ingest_url: &str, worker: &str) -> Command {
    let mut command = Command::new(binary::path("otto-agent"));
    command.args(["run", "--ingest-url", ingest_url, "--worker-id", worker]);
    // For those tests that do not look at it; what is left there goes with the build.
    command.env("OTTO_SPOOL_DIR", binary::path("spools-of-tests"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs to the end and gives what it printed.
pub async fn output(mut command: Command) -> Output {
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    tokio::time::timeout(RUN_LIMIT, run).await.expect("the agent ends").expect("the agent starts")
}

/// An agent that runs a chatter script and prints nothing itself.
pub fn chatter(ingest_url: &str, task: &str, worker: &str, script: Script) -> Command {
    let mut command = command(ingest_url, worker);
    command.args(["--task-id", task, "--mirror", "false", "--flush-timeout", "5min", "--"]);
    command.arg(binary::path("otto-chatter"));
    command.args(["--seed", &script.seed.to_string(), "--lines", &script.lines.to_string()]);
    command
}

/// Reads a summary file.
pub fn summary(path: &Path) -> Value {
    let text = std::fs::read(path).expect("the agent wrote its summary");
    serde_json::from_slice(&text).expect("the summary is JSON")
}
