//! A log-ingest of a test's own, and its HTTP API as a user sees it.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::service::{Service, answers};
use crate::{binary, port, wait};

/// A log that is not whole within this has lost something.
const COMPLETE_LIMIT: Duration = Duration::from_mins(2);

/// log-ingest on fixed ports and a fixed data directory, so that it can be killed and started again.
#[derive(Debug)]
pub struct Ingest {
    data_dir: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
    extra: Vec<String>,
    environment: Vec<(&'static str, OsString)>,
    service: Option<Service>,
}

impl Ingest {
    /// Starts one on `data_dir`, with more flags where a test wants them.
    pub async fn start(data_dir: &Path, extra: &[&str]) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), data_dir, extra).await
    }

    /// One without flags, under these variables.
    pub async fn start_under(data_dir: &Path, environment: Vec<(&'static str, OsString)>) -> Self {
        let mut ingest = Self::at(Ipv4Addr::LOCALHOST.into(), data_dir, &[]);
        ingest.environment = environment;
        ingest.resume().await;
        ingest
    }

    /// The same, taking lines in on an address of this machine that others than its own processes reach.
    pub async fn start_on(ip: IpAddr, data_dir: &Path, extra: &[&str]) -> Self {
        let mut ingest = Self::at(ip, data_dir, extra);
        ingest.resume().await;
        ingest
    }

    /// One that somebody else runs at these addresses: it can be asked, not started.
    pub fn elsewhere(grpc: SocketAddr, http: SocketAddr) -> Self {
        Self { grpc, http, ..Self::at(grpc.ip(), Path::new("/nonexistent"), &[]) }
    }

    fn at(ip: IpAddr, data_dir: &Path, extra: &[&str]) -> Self {
        let extra = extra.iter().map(ToString::to_string).collect();
        let (http, admin) = (port::free(), port::free());
        let grpc = SocketAddr::new(ip, port::free().port());
        let (data_dir, environment) = (data_dir.to_owned(), Vec::new());
        Self { data_dir, grpc, http, admin, extra, environment, service: None }
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary::path("log-ingest"));
        command.arg("--data-dir").arg(&self.data_dir);
        command.args(["--grpc-addr", &self.grpc.to_string(), "--http-addr", &self.http.to_string()]);
        command.args(["--admin-addr", &self.admin.to_string()]).args(&self.extra);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Starts it again after [`Ingest::kill`] or [`Ingest::terminate`].
    pub async fn resume(&mut self) {
        assert!(self.service.is_none(), "it runs already");
        let mut service = Service::start("log-ingest", self.command());
        service.logged("log-ingest listening").await;
        answers(self.grpc).await;
        self.service = Some(service);
    }

    /// Ends it by SIGKILL.
    pub async fn kill(&mut self) {
        self.service.take().expect("it runs").kill().await;
    }

    /// Ends it by SIGTERM.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.service.take().expect("it runs").terminate().await
    }

    /// The running process.
    pub fn service(&mut self) -> &mut Service {
        self.service.as_mut().expect("it runs")
    }

    /// Where gRPC is.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the page and the API are.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the admin HTTP is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What agents and clients are given.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// A URL of the page or the API.
    pub fn http_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// GET of a path of the API.
    pub async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let response = reqwest::get(self.http_url(path)).await.with_context(|| format!("GET {path}"))?;
        Ok(response.error_for_status()?.bytes().await?.to_vec())
    }

    /// GET of a JSON document of the API.
    pub async fn get_json(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.get(path).await?)?)
    }

    /// A task with its workers.
    pub async fn task(&self, task: &str) -> Result<Value> {
        self.get_json(&format!("/api/v1/tasks/{task}")).await
    }

    /// Every line of a worker as the API gives it, read page by page.
    pub async fn lines(&self, worker: &str) -> Result<Vec<Value>> {
        let mut lines: Vec<Value> = Vec::new();
        loop {
            let from = lines.last().map_or(1, |line| last_sequence(line) + 1);
            let page = self.get(&format!("/api/v1/workers/{worker}/logs?from={from}&limit=10000")).await?;
            let before = lines.len();
            for line in page.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                lines.push(serde_json::from_slice(line)?);
            }
            if lines.len() == before {
                return Ok(lines);
            }
        }
    }

    /// Waits until a worker's log is closed and whole, and gives the worker as the API shows it.
    pub async fn completed(&self, task: &str, worker: &str) -> Value {
        self.once(task, worker, "complete", |found| found["complete"] == true).await
    }

    /// Waits until a worker's log is closed, whole or not.
    pub async fn closed(&self, task: &str, worker: &str) -> Value {
        self.once(task, worker, "closed", |found| found["state"] == "closed").await
    }

    /// The same of a log that takes its time.
    pub async fn closed_within(&self, limit: Duration, task: &str, worker: &str) -> Value {
        self.once_within(limit, task, worker, "closed", |found| found["state"] == "closed").await
    }

    async fn once(&self, task: &str, worker: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.once_within(COMPLETE_LIMIT, task, worker, what, is).await
    }

    async fn once_within(
        &self,
        limit: Duration,
        task: &str,
        worker: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        wait::until(&format!("the log of {worker} is {what}"), limit, || async {
            let task = self.task(task).await.map_err(|error| format!("{error:#}"))?;
            let workers = task["workers"].as_array().cloned().unwrap_or_default();
            match workers.into_iter().find(|w| w["worker_id"] == worker) {
                Some(found) if is(&found) => Ok(found),
                found => Err(format!("{found:?}")),
            }
        })
        .await
    }
}

/// The last sequence that a line or a gap of the API stands for.
pub fn last_sequence(line: &Value) -> i64 {
    line["gap"]["last_sequence"].as_i64().or(line["sequence"].as_i64()).expect("a line has a sequence")
}
