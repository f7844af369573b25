//! An ottoscaler of a test's own, with the process runtime.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use tokio::process::Command;

use crate::service::Service;
use crate::{binary, wait};

/// The stream that events are put on.
pub const EVENTS: &str = "otto:scale:events";
/// The stream of dead letters.
pub const DEAD_LETTERS: &str = "otto:scale:events:dlq";
/// The stream of notifications.
pub const STATUS: &str = "otto:scale:status";

/// A worker that has not ended by then hangs.
const END_LIMIT: Duration = Duration::from_mins(2);

/// The states after which nothing more happens to a worker.
const ENDED: [&str; 4] = ["succeeded", "failed", "cancelled", "lost"];

/// ottoscaler on a fixed state directory, so that it can be killed and started again.
#[derive(Debug)]
pub struct Scaler {
    state_dir: PathBuf,
    redis_url: String,
    ingest_url: String,
    extra: Vec<String>,
    service: Option<Service>,
}

impl Scaler {
    /// Starts one.
    pub async fn start(state_dir: &Path, redis_url: &str, ingest_url: &str, extra: &[&str]) -> Self {
        let extra = extra.iter().map(ToString::to_string).collect();
        let (redis_url, ingest_url) = (redis_url.to_owned(), ingest_url.to_owned());
        let mut scaler =
            Self { state_dir: state_dir.to_owned(), redis_url, ingest_url, extra, service: None };
        scaler.resume().await;
        scaler
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary::path("ottoscaler"));
        command.args(["--runtime", "process", "--grpc-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
        command.args(["--redis-url", &self.redis_url, "--ingest-url", &self.ingest_url]);
        command.arg("--state-dir").arg(&self.state_dir).args(&self.extra);
        command
    }

    /// Starts it again after [`Scaler::kill`] or [`Scaler::terminate`].
    pub async fn resume(&mut self) {
        assert!(self.service.is_none(), "it runs already");
        let mut service = Service::start("ottoscaler", self.command());
        service.logged("ottoscaler listening").await;
        self.service = Some(service);
    }

    /// Ends it by SIGKILL; its workers carry on.
    pub async fn kill(&mut self) {
        self.service.take().expect("it runs").kill().await;
    }

    /// Ends it by SIGTERM; its workers carry on.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.service.take().expect("it runs").terminate().await
    }

    /// The running process.
    pub fn service(&mut self) -> &mut Service {
        self.service.as_mut().expect("it runs")
    }

    /// A file in a worker's directory.
    pub fn worker_file(&self, worker: &str, file: &str) -> PathBuf {
        self.state_dir.join("workers").join(worker).join(file)
    }
}

/// Puts an event on the stream and gives its id.
pub async fn submit(redis: &mut MultiplexedConnection, fields: &[(&str, &str)]) -> String {
    redis::cmd("XADD").arg(EVENTS).arg("*").arg(fields).query_async(redis).await.expect("XADD works")
}

/// An entry of a stream: its fields as text.
pub type Entry = BTreeMap<String, String>;

/// All entries of a stream, oldest first.
pub async fn entries(redis: &mut MultiplexedConnection, stream: &str) -> Vec<Entry> {
    let reply: StreamRangeReply =
        redis::cmd("XRANGE").arg(stream).arg("-").arg("+").query_async(redis).await.expect("XRANGE works");
    let text = |value: redis::Value| redis::from_redis_value::<String>(value).unwrap_or_default();
    reply.ids.into_iter().map(|id| id.map.into_iter().map(|(k, v)| (k, text(v))).collect()).collect()
}

/// What the status stream says last of each worker of a task.
pub async fn states(redis: &mut MultiplexedConnection, task: &str) -> BTreeMap<String, Entry> {
    let of_task = entries(redis, STATUS).await.into_iter().filter(|entry| entry["task_id"] == task);
    of_task.map(|entry| (entry["worker_id"].clone(), entry)).collect()
}

/// Waits until `count` workers of a task have ended, and gives the last notification of each.
pub async fn ended(redis: &MultiplexedConnection, task: &str, count: usize) -> BTreeMap<String, Entry> {
    wait::until(&format!("{count} workers of {task} end"), END_LIMIT, || async {
        let states = states(&mut redis.clone(), task).await;
        let ended = states.values().filter(|entry| ENDED.contains(&entry["state"].as_str())).count();
        if states.len() == count && ended == count { Ok(states) } else { Err(format!("{states:#?}")) }
    })
    .await
}
