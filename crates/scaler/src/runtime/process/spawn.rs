//! The agent's command line and environment.
//!
//! A worker gets nothing of the scaler's environment but what any program needs: what configures the
//! scaler (a Redis URL with its password, for one) must not reach a command.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ottoscaler_kit::time::show_duration;
use tokio::process::{Child, Command};

use super::dir::WorkerDir;
use super::leftovers::WORKER_DIR;
use crate::record::WorkerSpec;
use crate::runtime::environment::environment;

/// What a worker takes over from the scaler's environment.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// How agents are started.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The program.
    pub binary: PathBuf,
    /// Where it sends lines.
    pub ingest_url: String,
    /// Between SIGTERM and SIGKILL for a command.
    pub grace_period: Duration,
    /// How long it may take to deliver the lines once the command has ended.
    pub drain_timeout: Duration,
}

impl AgentConfig {
    /// Starts the agent of a worker, in a process group of its own: a signal to the scaler's is not
    /// for the workers. It outlives the scaler.
    pub(super) fn spawn(&self, dir: &WorkerDir, spec: &WorkerSpec) -> io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(dir.agent_log())?;
        let mut command = Command::new(&self.binary);
        command.arg("run").args(self.flags(dir, spec)).arg("--").args(spec.request.run.command.words());
        command.env_clear().envs(inherited()).envs(environment(spec)).env(WORKER_DIR, dir.path());
        command.current_dir(dir.work()).process_group(0).kill_on_drop(false);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn()
    }

    /// Starts the hand-in of a spool that a worker's agent left behind. It ends with whoever waits for it.
    pub(super) fn upload(&self, spool: &Path, log: File) -> io::Result<Child> {
        let mut command = Command::new(&self.binary);
        command.arg("upload").arg(format!("--ingest-url={}", self.ingest_url));
        command.arg(format!("--timeout={}", show_duration(self.drain_timeout))).arg("--").arg(spool);
        command.env_clear().envs(inherited()).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn()
    }

    /// Each flag as one word, so that no value can be taken for a flag.
    fn flags(&self, dir: &WorkerDir, spec: &WorkerSpec) -> Vec<std::ffi::OsString> {
        let mut run_dir = std::ffi::OsString::from("--run-dir=");
        run_dir.push(dir.path());
        let mut summary = std::ffi::OsString::from("--summary=");
        summary.push(dir.summary());
        // What an agent leaves there is found by whoever looks at its worker, and goes with it: when its log
        // is settled (P9).
        let mut spool = std::ffi::OsString::from("--spool-dir=");
        spool.push(dir.spool());
        let mut flags = vec![run_dir, summary, spool];
        flags.extend(
            [
                "--mirror=false".to_owned(),
                format!("--worker-id={}", spec.worker_id),
                format!("--task-id={}", spec.identity.task_id),
                format!("--attempt={}", spec.identity.attempt),
                format!("--ingest-url={}", self.ingest_url),
                format!("--timeout={}", show_duration(spec.request.clocks.run)),
                format!("--grace-period={}", show_duration(self.grace_period)),
                format!("--flush-timeout={}", show_duration(self.drain_timeout)),
            ]
            .map(Into::into),
        );
        flags
    }
}

fn inherited() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing;

    #[test]
    fn p9_lines_that_an_agent_leaves_lie_in_the_directory_of_its_worker() {
        let agent = AgentConfig {
            binary: "otto-agent".into(),
            ingest_url: "http://127.0.0.1:9".to_owned(),
            grace_period: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(1),
        };
        let flags = agent.flags(&WorkerDir::new("/state/workers/w".into()), &testing::worker_spec("t", "r"));
        assert!(flags.contains(&"--spool-dir=/state/workers/w/spool".into()), "{flags:?}");
    }
}
