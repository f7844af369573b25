//! What the scenarios share: one Docker with the images, one log-ingest that containers reach, and scalers, each
//! with a Redis and an installation of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ottoscaler_tests::docker_engine::DockerEngine;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::scaler::{self, Entry};
use ottoscaler_tests::service::Service;
use ottoscaler_tests::worker_images::{self, AGENT, BUSYBOX};
use ottoscaler_tests::{binary, wait};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::{RwLock, RwLockReadGuard};

/// What takes longer does not come any more; the machine may be busy with other things.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// Classes that scenarios name in their events.
const CLASSES: &str = r"
docker: { pids: 512 }
resourceClasses:
  tight: { docker: { memory: 48MiB } }
  closed: { docker: { readOnlyRoot: true } }
  root: { security: baseline }
";

/// Flags that a test wants unless it says otherwise. Ended containers go soon, though not before they were looked at; what does not start is given up soon.
const FLAGS: [&str; 6] = [
    "--worker-command=true",
    "--keep-ended=8s",
    "--grace-period=3s",
    "--drain-timeout=20s",
    "--image-grace=4s",
    "--docker-network=otto-workers",
];

/// Docker and log-ingest. Whoever restarts Docker has it alone.
pub(crate) struct Grounds {
    engine: RwLock<DockerEngine>,
    pub(crate) ingest: Ingest,
    pub(crate) dir: tempfile::TempDir,
    host: String,
}

impl Grounds {
    pub(crate) async fn start() -> Arc<Self> {
        // Building takes its time, and Docker would stand idle meanwhile.
        binary::path("ottoscaler");
        binary::static_agent();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("workers.yaml"), CLASSES).unwrap();
        let engine = DockerEngine::start().await;
        worker_images::make(async |name, files, config| engine.image(name, files, config).await, dir.path())
            .await;
        let ingest = Ingest::start_on(engine.ip(), &dir.path().join("data"), &[]).await;
        let host = engine.host();
        Arc::new(Self { engine: RwLock::new(engine), ingest, dir, host })
    }

    pub(crate) async fn engine(&self) -> RwLockReadGuard<'_, DockerEngine> {
        self.engine.read().await
    }

    /// Ends dockerd, gently or not, and starts it again.
    pub(crate) async fn restart(&self, gently: bool, flags: &[&str], meanwhile: impl AsyncFnOnce()) {
        let mut engine = self.engine.write().await;
        if gently {
            engine.terminate().await;
        } else {
            engine.kill().await;
        }
        meanwhile().await;
        engine.resume(flags).await;
    }

    fn classes(&self) -> PathBuf {
        self.dir.path().join("workers.yaml")
    }

    /// What Docker's command line prints.
    pub(crate) async fn docker(&self, args: &[&str]) -> String {
        self.engine().await.docker(args).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A scaler with what is its own.
pub(crate) struct Site {
    pub(crate) grounds: Arc<Grounds>,
    instance: String,
    ingest_url: String,
    extra: Vec<String>,
    redis: RedisServer,
    scaler: Option<Running>,
}

/// A scaler that runs.
pub(crate) struct Running {
    service: Service,
    admin: String,
}

impl Site {
    /// Starts one, with more flags.
    pub(crate) async fn start(grounds: &Arc<Grounds>, flags: &[&str]) -> Self {
        Self::start_with(grounds, &grounds.ingest.url(), flags).await
    }

    /// The same with another log-ingest.
    pub(crate) async fn start_with(grounds: &Arc<Grounds>, ingest_url: &str, flags: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut site = Self {
            grounds: Arc::clone(grounds),
            instance: format!("site-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
            ingest_url: ingest_url.to_owned(),
            extra: flags.iter().map(ToString::to_string).collect(),
            redis: RedisServer::start(Persistence::None).await,
            scaler: None,
        };
        site.resume_scaler().await;
        site
    }

    /// The command that starts one of its scalers.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary::path("ottoscaler"));
        command.args(["--runtime=docker", "--grpc-addr=127.0.0.1:0", "--admin-addr=127.0.0.1:0"]);
        command.arg(format!("--worker-image={BUSYBOX}"));
        command.args(["--redis-url", &self.redis.url(), "--ingest-url", &self.ingest_url]);
        // A flag wins.
        command.args(["--instance", &self.instance]).env("DOCKER_HOST", &self.grounds.host);
        command.arg("--worker-config").arg(self.grounds.classes());
        let name = |flag: &str| flag.split('=').next().unwrap_or(flag).to_owned();
        let given: Vec<String> = self.extra.iter().map(|flag| name(flag)).collect();
        let agent = format!("--agent-image={AGENT}");
        let usual = FLAGS.into_iter().chain([&*agent]).filter(|flag| !given.contains(&name(flag)));
        command.args(usual).args(&self.extra);
        command
    }

    /// Starts another scaler of the same installation.
    pub(crate) async fn another_scaler(&self) -> Running {
        let mut service = Service::start("ottoscaler", self.command());
        let fields = service.logged("ottoscaler listening").await;
        let admin = format!("http://{}", Service::address(&fields, "admin"));
        Running { service, admin }
    }

    /// Ends the scaler by SIGKILL.
    pub(crate) async fn kill_scaler(&mut self) {
        self.scaler.take().expect("it runs").service.kill().await;
    }

    /// Starts it again.
    pub(crate) async fn resume_scaler(&mut self) {
        assert!(self.scaler.is_none(), "it runs already");
        self.scaler = Some(self.another_scaler().await);
    }

    /// Asks for workers of a task.
    pub(crate) async fn submit(&self, task: &str, count: usize, more: &[(&str, &str)]) {
        let count = count.to_string();
        let mut fields = vec![("type", "scale_up"), ("task_id", task), ("worker_count", &count)];
        fields.extend(more);
        scaler::submit(&mut self.redis.connect().await, &fields).await;
    }

    /// Asks for so many fewer workers of a task that `keep` are left.
    pub(crate) async fn scale_down(&self, task: &str, keep: usize) {
        let keep = keep.to_string();
        let fields = [("type", "scale_down"), ("task_id", task), ("worker_count", &*keep)];
        scaler::submit(&mut self.redis.connect().await, &fields).await;
    }

    /// Waits until so many workers of a task are in a state, and gives their names.
    pub(crate) async fn are(&self, task: &str, count: usize, state: &str) -> Vec<String> {
        let redis = self.redis.connect().await;
        wait::until(&format!("{count} workers of {task} are {state}"), LIMIT, || async {
            let states = scaler::states(&mut redis.clone(), task).await;
            let found = states.iter().filter(|(_, entry)| entry["state"] == state);
            let names: Vec<_> = found.map(|(worker, _)| worker.clone()).collect();
            if names.len() == count { Ok(names) } else { Err(format!("{states:#?}")) }
        })
        .await
    }

    /// Waits until the only worker of a task has ended, and gives its name and last notification.
    pub(crate) async fn ended(&self, task: &str) -> (String, Entry) {
        let ended = scaler::ended(&self.redis.connect().await, task, 1).await;
        ended.into_iter().next().expect("one has ended")
    }

    /// Waits until a worker has said this.
    pub(crate) async fn has_said(&self, worker: &str, message: &str) {
        wait::until(&format!("{worker} says {message:?}"), LIMIT, || async {
            let lines = self.grounds.ingest.lines(worker).await.map_err(|error| format!("{error:#}"))?;
            let said = lines.iter().any(|line| line["message"] == message);
            if said { Ok(()) } else { Err(format!("{lines:?}")) }
        })
        .await;
    }

    /// Everything that a worker of a task has said, once its log is whole.
    pub(crate) async fn said(&self, task: &str, worker: &str) -> Vec<String> {
        self.grounds.ingest.completed(task, worker).await;
        let lines = self.grounds.ingest.lines(worker).await.unwrap();
        ottoscaler_tests::oracle::check_sequences(worker, &lines);
        lines.iter().map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until the only worker of a task waits for something that contains these words.
    pub(crate) async fn waits_for(&self, task: &str, words: &str) -> Value {
        let admin = &self.scaler.as_ref().expect("it runs").admin;
        wait::until(&format!("{task} waits for {words:?}"), LIMIT, || async {
            let answer = reqwest::get(format!("{admin}/tasks/{task}")).await.map_err(|e| e.to_string())?;
            let task: Value = answer.json().await.map_err(|error| error.to_string())?;
            let worker = task["workers"][0].clone();
            let waits = worker["waits_for"].as_str().is_some_and(|text| text.contains(words));
            if waits { Ok(worker) } else { Err(worker.to_string()) }
        })
        .await
    }

    /// Waits until the scaler is ready, or not.
    pub(crate) async fn is_ready(&self, ready: bool) {
        let admin = &self.scaler.as_ref().expect("it runs").admin;
        wait::until(&format!("ready: {ready}"), LIMIT, || async {
            let answer = reqwest::get(format!("{admin}/readyz")).await.map_err(|error| error.to_string())?;
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            if status.is_success() == ready { Ok(()) } else { Err(format!("{status}: {text}")) }
        })
        .await;
    }

    /// What selects whatever this installation has made.
    pub(crate) fn label(&self) -> String {
        format!("label=app.kubernetes.io/instance={}", self.instance)
    }

    /// Names of a kind of object that this installation has made for its workers.
    pub(crate) async fn names(&self, kind: &str) -> Vec<String> {
        let instance = self.label();
        let filters = ["--filter", &instance, "--filter", "label=app.kubernetes.io/component=worker"];
        let (list, format) = match kind {
            "container" => (&["ps", "--all"][..], "{{.Names}}"),
            _ => (&["volume", "ls"][..], "{{.Name}}"),
        };
        let args = [list, &filters, &["--format", format]].concat();
        self.grounds.docker(&args).await.lines().map(ToOwned::to_owned).collect()
    }

    /// Waits until nothing is left of a worker, or of any.
    pub(crate) async fn is_gone(&self, worker: Option<&str>) {
        wait::until(&format!("nothing is left of {worker:?}"), LIMIT, || async {
            let mut names = self.names("container").await;
            names.extend(self.names("volume").await);
            let left: Vec<_> =
                names.iter().filter(|name| worker.is_none_or(|worker| worker == *name)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    }
}
