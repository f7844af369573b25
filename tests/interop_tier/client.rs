//! One run of a client: the test is the producer of its lines, and reads what the server's answers were.

use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::ingest::Ingest;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};

use crate::programs::program;

/// A client that has not ended by then hangs.
const RUN_LIMIT: Duration = Duration::from_mins(2);

/// A running client.
pub(crate) struct Client {
    child: Child,
    stdin: ChildStdin,
}

impl Client {
    /// Starts the client of a language. Modes are `lock-step` and `pipelined`.
    pub(crate) fn start(language: &str, ingest: &Ingest, mode: &str, worker: &str) -> Self {
        let mut command = program(&format!("{language}-client"));
        command.args([&ingest.grpc().to_string(), mode, worker]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().expect("stdin is a pipe");
        Self { child, stdin }
    }

    /// Gives it lines, as fast as it takes them.
    pub(crate) async fn feed(&mut self, lines: &[String]) {
        for line in lines {
            self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        }
    }

    /// Says that there are no more lines, and gives what the answers were.
    pub(crate) async fn answers(self) -> Value {
        drop(self.stdin);
        let ended = tokio::time::timeout(RUN_LIMIT, self.child.wait_with_output());
        let output = ended.await.expect("the client ends").unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}
