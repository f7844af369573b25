//! One compose file on a Docker of the tests' own, and what its user does with it.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use ottoscaler_tests::docker_engine::DockerEngine;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{binary, kube_tools, port, wait};
use tokio::process::Command;

use crate::images;

/// What takes longer does not come any more; the machine may be busy with other things.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);

/// The file with Docker's socket.
pub(crate) const DOCKER: &str = "compose.yaml";
/// The file without.
pub(crate) const PROCESS: &str = "compose.process.yaml";

/// See the module.
pub(crate) struct Stack {
    pub(crate) engine: DockerEngine,
    /// What readers see. Its address stays the same for all files.
    pub(crate) ingest: Ingest,
    /// Which file.
    pub(crate) file: &'static str,
    _dir: tempfile::TempDir,
}

impl Stack {
    /// A Docker that has the images, and runs nothing yet.
    pub(crate) async fn prepare() -> Self {
        // Building takes its time, and Docker would stand idle meanwhile.
        binary::static_agent();
        let (dir, plugin) = (tempfile::tempdir().unwrap(), plugin("scripts/compose-tools"));
        let engine = DockerEngine::start().await;
        engine.plugin(&plugin);
        images::make(&engine, dir.path()).await;
        Self { engine, ingest: Ingest::elsewhere(port::free(), port::free()), file: DOCKER, _dir: dir }
    }

    /// `docker compose` with this file.
    pub(crate) fn compose(&self, args: &[&str]) -> Command {
        let mut command = self.engine.client(kube_tools::on_path("docker").unwrap());
        command
            .args(["compose", "--file"])
            .arg(binary::workspace().join("docker").join(self.file))
            .args(args);
        // Nothing that whoever runs this has set for a system of theirs.
        command.env("COMPOSE_DISABLE_ENV_FILE", "1");
        for variable in settings().chain(["COMPOSE_PROJECT_NAME", "COMPOSE_FILE"]) {
            command.env_remove(variable);
        }
        command.env("DOCKER_SOCKET", self.engine.socket());
        command.env("OTTO_PAGE_PORT", self.ingest.http().port().to_string());
        command.env("OTTO_GRPC_PORT", self.ingest.grpc().port().to_string());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What a command that has to succeed prints.
    pub(crate) async fn succeed(&self, args: &[&str]) -> String {
        succeed(self.compose(args)).await
    }

    /// The README's first command.
    pub(crate) async fn up(&self) {
        self.succeed(&["up", "--detach", "--wait"]).await;
    }

    /// The README's second command, begun.
    pub(crate) fn submit(&self, args: &[&str]) -> Command {
        self.compose(&[&["run", "--rm", "--no-TTY", "submit"], args].concat())
    }

    /// Whether the scaler has Docker's socket.
    pub(crate) fn has_socket(&self) -> bool {
        self.file == DOCKER
    }

    /// Waits until each service is healthy, without doing anything for it.
    pub(crate) async fn recovers(&self) {
        let args =
            ["ps", "--filter", "health=healthy", "--format", "{{.Label \"com.docker.compose.service\"}}"];
        wait::until("each service is healthy", LIMIT, || async {
            let healthy = self.engine.docker(&args).await?;
            let mut healthy: Vec<_> = healthy.lines().collect();
            healthy.sort_unstable();
            if healthy == ["log-ingest", "redis", "scaler"] { Ok(()) } else { Err(format!("{healthy:?}")) }
        })
        .await;
    }

    /// The container of a service.
    pub(crate) async fn container(&self, service: &str) -> String {
        self.succeed(&["ps", "--all", "--quiet", service]).await.trim().to_owned()
    }

    /// What Docker says of a container.
    pub(crate) async fn inspect(&self, container: &str, format: &str) -> String {
        let said = self.engine.docker(&["inspect", "--format", format, container]).await;
        said.unwrap_or_else(|error| panic!("{error}")).trim().to_owned()
    }

    /// Names of a task's workers that have come to log-ingest, the oldest attempt first.
    pub(crate) async fn workers(&self, task: &str) -> Vec<String> {
        let task = self.ingest.task(task).await.unwrap_or_default();
        let workers = task["workers"].as_array().cloned().unwrap_or_default();
        let names = workers.iter().map(|worker| worker["worker_id"].as_str().unwrap().to_owned());
        // That of the scaler's own words is no worker's.
        let mut names: Vec<_> = names.filter(|name| name.starts_with("otto-agent-")).collect();
        names.sort_unstable();
        names
    }

    /// Waits until a task's newest worker has said this, and gives its name.
    pub(crate) async fn has_said(&self, task: &str, message: &str) -> String {
        self.has_said_any(task, &[message]).await
    }

    /// The same of any of these.
    pub(crate) async fn has_said_any(&self, task: &str, messages: &[&str]) -> String {
        wait::until(&format!("{task} says one of {messages:?}"), LIMIT, || async {
            let worker = self.workers(task).await.pop().ok_or("no worker")?;
            let lines = self.ingest.lines(&worker).await.map_err(|error| format!("{error:#}"))?;
            if lines.iter().any(|line| messages.iter().any(|message| line["message"] == *message)) {
                Ok(worker)
            } else {
                Err(format!("{lines:?}"))
            }
        })
        .await
    }

    /// The words of containers, for messages.
    pub(crate) async fn logs(&self) -> String {
        let output = self.compose(&["logs", "--no-color", "--tail", "40"]).output().await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A test that fails says what the services and the workers have said.
impl Drop for Stack {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let workers = ["ps", "--all", "--format", "{{.Names}} {{.Status}}"];
        let mut docker = self.engine.client(kube_tools::on_path("docker").unwrap());
        docker.args(workers);
        let mut logs = self.compose(&["logs", "--no-color", "--tail", "60"]);
        for command in [&mut docker, &mut logs] {
            if let Ok(output) = command.as_std_mut().output() {
                eprintln!(
                    "{}{}",
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
}

/// The plugin of Docker's command line that a script finds, or builds.
pub(crate) fn plugin(script: &str) -> PathBuf {
    let output = std::process::Command::new(binary::workspace().join(script)).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Runs a command to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    output.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {command:?}")).unwrap()
}

/// Runs a command that has to succeed, and gives what it prints.
pub(crate) async fn succeed(command: Command) -> String {
    let shown = format!("{:?}", command.as_std());
    let output = output(command).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}: {}\n{error}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What the files take from a shell.
fn settings() -> impl Iterator<Item = &'static str> {
    include_str!("../../docker/.env.example")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once('=')?.0))
}
