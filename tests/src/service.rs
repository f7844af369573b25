//! One running process of a service: its log, its addresses, and the ways to end it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::wait;

/// A service that does not start within this has failed.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A service that does not stop within this after SIGTERM has failed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// So many of the last log lines are kept for assertions and for messages of failures.
const LOG_LINES: usize = 2_000;

/// A running service whose log is JSON on stderr. Dropping it kills it.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    reader: JoinHandle<()>,
}

impl Service {
    /// Starts `command`; `name` is for messages.
    #[allow(clippy::disallowed_methods, reason = "the reader is owned by the service and ends with its pipe")]
    pub fn start(name: &'static str, mut command: Command) -> Self {
        command.env("OTTO_LOG_FORMAT", "json").stdin(Stdio::null()).stdout(Stdio::null());
        let mut child =
            command.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
        let sink = Arc::clone(&log);
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = sink.lock().expect("no holder panics");
                log.push_back(line);
                if log.len() > LOG_LINES {
                    log.pop_front();
                }
            }
        });
        Self { name, child, log, reader }
    }

    /// The log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no holder panics").iter().cloned().collect()
    }

    /// Waits for a log line with this message and gives its fields.
    pub async fn logged(&mut self, message: &str) -> Value {
        let start = std::time::Instant::now();
        loop {
            if let Some(fields) = self.find(message) {
                return fields;
            }
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(
                ended.is_none() && start.elapsed() < START_LIMIT,
                "{} did not log {message:?} (ended: {ended:?}):\n{}",
                self.name,
                self.log().join("\n")
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn find(&self, message: &str) -> Option<Value> {
        let parsed = self.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        parsed.into_iter().find(|fields| fields["message"] == message)
    }

    /// An address among the fields of a start line.
    pub fn address(fields: &Value, field: &str) -> SocketAddr {
        let text = fields[field].as_str().unwrap_or_else(|| panic!("no {field} in {fields}"));
        text.parse().unwrap_or_else(|_| panic!("{field} is no address: {text}"))
    }

    /// The process id.
    pub fn pid(&self) -> Pid {
        let id = self.child.id().expect("the process has not been waited for");
        Pid::from_raw(i32::try_from(id).expect("a pid fits"))
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Ends it as a power cut of the process would.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the process is there");
    }

    /// Asks it to stop, and waits until it has.
    pub async fn terminate(self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> ExitStatus {
        let waited = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        let status =
            waited.unwrap_or_else(|_| panic!("{} did not stop:\n{}", self.name, self.log().join("\n")));
        let _log_is_read_to_its_end = (&mut self.reader).await;
        status.expect("a child can be waited for")
    }

    /// Like [`Service::ended`], with the log.
    pub async fn ended_with_log(mut self) -> (ExitStatus, String) {
        let waited = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        let status =
            waited.unwrap_or_else(|_| panic!("{} did not stop", self.name)).expect("can be waited for");
        let _log_is_read_to_its_end = (&mut self.reader).await;
        (status, self.log().join("\n"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }
}

/// Waits until something answers on `addr`.
pub async fn answers(addr: SocketAddr) {
    wait::until("a listener answers", START_LIMIT, || async {
        tokio::net::TcpStream::connect(addr).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}
