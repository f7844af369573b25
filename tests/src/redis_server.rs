//! A real redis-server of a test's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{port, wait};

/// What has not been answered by then will not be: a busy disk may take seconds for a sync, and the client's own limit is
/// half a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Redis that does not answer within this has failed to start; loading an append-only file counts.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Whether Redis survives its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// All is gone with the process.
    None,
    /// Append-only file, fsynced before each answer.
    AppendOnly,
}

/// A running redis-server. Dropping it kills it.
#[derive(Debug)]
pub struct RedisServer {
    addr: SocketAddr,
    dir: TempDir,
    persistence: Persistence,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub async fn start(persistence: Persistence) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), persistence).await
    }

    /// The same on an address of this machine that others than its own processes reach.
    pub async fn start_on(ip: IpAddr, persistence: Persistence) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let addr = SocketAddr::new(ip, port::free().port());
        let mut server = Self { addr, dir, persistence, child: None };
        server.resume().await;
        server
    }

    /// Where the scaler finds it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    /// Ends it as a crash would.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.expect("the process is there");
    }

    /// Starts it again, on the same port and data.
    pub async fn resume(&mut self) {
        let mut command = Command::new("redis-server");
        command.arg("--port").arg(self.addr.port().to_string()).args([
            "--save",
            "",
            "--protected-mode",
            "no",
        ]);
        command.arg("--bind").arg(self.addr.ip().to_string());
        command.arg("--dir").arg(self.dir.path()).args(["--daemonize", "no"]);
        if self.persistence == Persistence::AppendOnly {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.child = Some(command.spawn().expect("redis-server is installed"));
        wait::until("redis answers", START_LIMIT, || async {
            let mut connection = self.try_connect().await.map_err(|error| error.to_string())?;
            let ping: redis::RedisResult<String> = redis::cmd("PING").query_async(&mut connection).await;
            ping.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    async fn try_connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        connect(&self.url()).await
    }

    /// A connection to it.
    pub async fn connect(&self) -> MultiplexedConnection {
        self.try_connect().await.expect("redis answers")
    }
}

/// A connection to the Redis at an address, which waits for answers as long as they may take.
///
/// # Errors
///
/// Where nobody answers there.
pub async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_LIMIT));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}
