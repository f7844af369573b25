//! Replicas of an ottoscaler of a test's own, with the kubernetes runtime, in a namespace of their own.

use std::path::PathBuf;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::process::Command;

use crate::binary;
use crate::kube_api::{KubeApi, SCALER};
use crate::service::Service;

/// The flags that a test wants unless it says otherwise: an agent image that no kubelet will pull,
/// workers that go as soon as they may.
const FLAGS: [&str; 8] = [
    "--runtime=kubernetes",
    "--grpc-addr=127.0.0.1:0",
    "--admin-addr=127.0.0.1:0",
    "--agent-image=otto-agent:test",
    "--worker-image=busybox:test",
    "--keep-ended=0s",
    "--worker-command=echo hello",
    "--lease-duration=4s",
];

/// How replicas are started.
#[derive(Clone, Debug)]
pub struct KubeScaler {
    kubeconfig: PathBuf,
    redis_url: String,
    ingest_url: String,
    extra: Vec<String>,
}

/// One of them. Dropping it kills it.
#[derive(Debug)]
pub struct Replica {
    service: Service,
    admin: String,
}

impl KubeScaler {
    /// Replicas that speak to `api` as the user that only has the scaler's rights.
    pub fn new(api: &KubeApi, namespace: &str, redis_url: &str, ingest_url: &str) -> Self {
        Self::by_kubeconfig(api.kubeconfig(SCALER, namespace), redis_url, ingest_url)
    }

    /// Replicas that find the API server by this file.
    pub fn by_kubeconfig(kubeconfig: PathBuf, redis_url: &str, ingest_url: &str) -> Self {
        Self {
            kubeconfig,
            redis_url: redis_url.to_owned(),
            ingest_url: ingest_url.to_owned(),
            extra: Vec::new(),
        }
    }

    /// The same with more flags; a later one wins.
    #[must_use]
    pub fn with(mut self, flags: &[&str]) -> Self {
        self.extra.extend(flags.iter().map(ToString::to_string));
        self
    }

    /// The command that starts one. Flags that are given again replace those of all tests.
    pub fn command(&self) -> Command {
        let name = |flag: &str| flag.split('=').next().unwrap_or(flag).to_owned();
        let given: Vec<String> = self.extra.iter().map(|flag| name(flag)).collect();
        let mut command = Command::new(binary::path("ottoscaler"));
        command.args(FLAGS.iter().filter(|flag| !given.contains(&name(flag)))).args(&self.extra);
        command.args(["--redis-url", &self.redis_url, "--ingest-url", &self.ingest_url]);
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Starts one, which may or may not come to lead.
    pub async fn start(&self) -> Replica {
        let mut service = Service::start("ottoscaler", self.command());
        let fields = service.logged("ottoscaler listening").await;
        let admin = format!("http://{}", Service::address(&fields, "admin"));
        Replica { service, admin }
    }

    /// Starts one and waits until it leads.
    pub async fn lead(&self) -> Replica {
        let mut replica = self.start().await;
        replica.leads().await;
        replica
    }
}

impl Replica {
    /// Waits until it leads.
    pub async fn leads(&mut self) {
        self.service.logged("leading").await;
    }

    /// Its process.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// Ends it by SIGKILL.
    pub async fn kill(self) {
        self.service.kill().await;
    }

    /// Ends it by SIGTERM.
    pub async fn terminate(self) -> ExitStatus {
        self.service.terminate().await
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.service.signal(signal);
    }

    /// What its admin HTTP answers, as status and text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{path}", self.admin)).await.expect("its admin HTTP answers");
        (answer.status().as_u16(), answer.text().await.expect("an answer has a body"))
    }

    /// What it says of a task.
    pub async fn explain(&self, task: &str) -> Result<Value, String> {
        match self.get(&format!("/tasks/{task}")).await {
            (200, text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
            (status, text) => Err(format!("{status}: {text}")),
        }
    }

    /// The value of a metric without labels, or with exactly these.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        line.unwrap_or_default()
    }

    /// A bound on a quantile of a histogram without labels, in its own unit.
    pub async fn quantile(&self, name: &str, quantile: f64) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let prefix = format!("{name}_bucket{{le=\"");
        let buckets = text.lines().filter_map(|line| {
            let (bound, count) = line.strip_prefix(&prefix)?.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.parse().ok()?))
        });
        let buckets: Vec<(f64, f64)> = buckets.collect();
        let all = buckets.last().map_or(0.0, |(_, count)| *count);
        buckets.iter().find(|(_, count)| *count >= all * quantile).map_or(f64::NAN, |(bound, _)| *bound)
    }

    /// A field of its `/proc` status, in MiB.
    pub fn status_mib(&self, field: &str) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.service.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        kib.expect("a field in kB") / 1024.0
    }

    /// Seconds of CPU that it has used.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.service.pid())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        // utime and stime, counted from behind the name; in hundredths of a second on every Linux here.
        [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}
