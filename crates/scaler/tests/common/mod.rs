//! A redis-server of a test's own, and an intake that reads from it.

#![allow(dead_code, reason = "each test program compiles this and uses a part of it")]
#![allow(missing_docs, unreachable_pub, reason = "only tests see it")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ottoscaler::controller::{Ended, Intake as Message};
use ottoscaler::event::{EventPolicy, RunDefaults};
use ottoscaler::intake::{Intake, IntakeConfig};
use ottoscaler::metrics::Metrics;
use ottoscaler::record::{Record, Store, StoreConfig};
use ottoscaler::redis_link::RedisLink;
use ottoscaler_kit::admin::Readiness;
use prometheus_client::registry::Registry;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub const LIMIT: Duration = Duration::from_secs(20);

/// A redis-server of a test's own; dropping it ends it.
pub struct Server {
    dir: tempfile::TempDir,
    pub port: u16,
    child: Child,
}

impl Server {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let server = Self { child: Self::spawn(&dir, port), dir, port };
        server.redis().await;
        server
    }

    pub fn spawn(dir: &tempfile::TempDir, port: u16) -> Child {
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always"]).arg("--dir").arg(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn resume(&mut self) {
        self.child = Self::spawn(&self.dir, self.port);
    }

    pub fn link(&self) -> RedisLink {
        RedisLink::new(&format!("redis://127.0.0.1:{}", self.port).parse().unwrap()).unwrap()
    }

    pub async fn redis(&self) -> MultiplexedConnection {
        until("redis answers", async || {
            let mut redis = self.link().reader(Duration::ZERO).await.ok()?;
            redis::cmd("PING").query_async::<String>(&mut redis).await.ok().map(|_| redis)
        })
        .await
    }

    pub fn store(&self) -> Store {
        self.store_that_keeps(Duration::from_hours(1))
    }

    pub fn store_that_keeps(&self, dedupe_period: Duration) -> Store {
        let config = StoreConfig {
            events: "events".into(),
            group: "group".into(),
            dead_letters: "dead".into(),
            dead_letter_limit: 1000,
            status: "status".into(),
            status_limit: 1000,
            record_prefix: "task:".into(),
            dedupe_period,
        };
        Store::new(self.link().commands().unwrap(), config)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped_before = self.child.wait();
    }
}

/// Asks again until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// An intake that runs until it is dropped, and what it told.
pub struct Running {
    pub told: mpsc::Receiver<Message>,
    pub readiness: Readiness,
    _tasks: JoinSet<anyhow::Result<Ended>>,
}

impl Running {
    pub fn start(server: &Server, max_deliveries: u64) -> Self {
        let (sender, told) = mpsc::channel(100);
        let config = IntakeConfig { consumer: "this".into(), max_deliveries, policy: policy() };
        let metrics = Metrics::register(&mut Registry::default());
        let readiness = Readiness::default();
        let intake =
            Intake::new(server.link(), server.store(), config, sender, metrics, readiness.condition("redis"));
        let mut tasks = JoinSet::new();
        tasks.spawn(intake.run(CancellationToken::new()));
        Self { told, readiness, _tasks: tasks }
    }

    /// The task of the next record.
    pub async fn recorded(&mut self) -> String {
        loop {
            match tokio::time::timeout(LIMIT, self.told.recv()).await.expect("in time").expect("it runs") {
                Message::Recorded(Record::Task(task)) => return task.spec().task_id.to_string(),
                Message::Recorded(Record::ScaleDown(_)) | Message::Reconnected => {}
            }
        }
    }
}

pub fn policy() -> EventPolicy {
    EventPolicy {
        run: RunDefaults::default(),
        timeout: Duration::from_hours(1),
        max_workers: NonZeroU32::new(10).unwrap(),
    }
}

pub async fn add(redis: &mut MultiplexedConnection, fields: &[(&str, &str)]) -> String {
    redis::cmd("XADD").arg("events").arg("*").arg(fields).query_async(redis).await.unwrap()
}

pub async fn add_task(redis: &mut MultiplexedConnection, task: &str) -> String {
    let fields = [("type", "scale_up"), ("pod_count", "2"), ("task_id", task), ("command", "true")];
    add(redis, &fields).await
}

pub async fn count(redis: &mut MultiplexedConnection, command: &str, key: &str) -> u64 {
    redis::cmd(command).arg(key).query_async(redis).await.unwrap()
}

pub async fn entries(redis: &mut MultiplexedConnection, stream: &str) -> Vec<BTreeMap<String, String>> {
    let answer: Vec<(String, BTreeMap<String, String>)> =
        redis::cmd("XRANGE").arg(stream).arg("-").arg("+").query_async(redis).await.unwrap();
    answer.into_iter().map(|(_, fields)| fields).collect()
}
