//! NATS JetStream with file storage that is synced before each answer, spoken to in its text protocol.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::pipe::{Answer, Talk};

/// The answer to a request of its API takes no longer.
const API_LIMIT: Duration = Duration::from_secs(30);

/// How workers are spread over streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streams {
    /// One for all, with a subject for each.
    One,
    /// Each its own, so that one's sync does not wait for another's.
    PerWorker,
}

pub(super) fn command(addr: SocketAddr, dir: &Path) -> Result<Command> {
    let config = dir.join("nats.conf");
    let store = dir.join("store");
    let text = format!(
        "listen: \"{addr}\"\nping_interval: \"10m\"\njetstream {{\n  store_dir: \"{}\"\n  sync_interval: always\n  \
         max_file_store: 16GB\n}}\n",
        store.display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new("nats-server");
    command.arg("--config").arg(config);
    Ok(command)
}

/// Makes the streams for so many workers.
pub(super) async fn prepare(addr: SocketAddr, streams: Streams, workers: usize) -> Result<()> {
    match streams {
        Streams::One => create(addr, "logs", "log.*").await,
        Streams::PerWorker => {
            for worker in 0..workers {
                create(addr, &format!("logs-{worker}"), &format!("log.{worker}")).await?;
            }
            Ok(())
        }
    }
}

/// Makes one stream.
async fn create(addr: SocketAddr, name: &str, subjects: &str) -> Result<()> {
    let request = json!({"name": name, "subjects": [subjects], "storage": "file", "retention": "limits"});
    let request = request.to_string();
    let text = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB _INBOX.create 1\r\nPUB $JS.API.STREAM.CREATE.{name} _INBOX.create {}\r\n\
         {request}\r\n",
        request.len()
    );
    let mut stream = BufReader::new(TcpStream::connect(addr).await?);
    stream.write_all(text.as_bytes()).await?;
    let answer = async {
        let mut line = String::new();
        while !line.starts_with('{') {
            line.clear();
            ensure!(stream.read_line(&mut line).await? > 0, "nats-server hung up");
        }
        anyhow::Ok(serde_json::from_str::<Value>(&line)?)
    };
    let answer = tokio::time::timeout(API_LIMIT, answer).await.context("nats-server does not answer")??;
    ensure!(answer["error"].is_null(), "{answer}");
    Ok(())
}

/// What the worker's connection says, with `payload` in each message.
pub(super) fn talk(worker: usize, payload: &[u8]) -> Talk {
    let greeting = format!("CONNECT {{\"verbose\":false}}\r\nSUB _INBOX.{worker} 1\r\n");
    let mut message = format!("PUB log.{worker} _INBOX.{worker} {}\r\n", payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message.extend_from_slice(b"\r\n");
    Talk { greeting: greeting.into_bytes(), message, burst: 1, window: 1, answer }
}

/// An acknowledgement is a line of JSON; one of a failure begins with the error.
fn answer(line: &[u8]) -> Answer {
    if line.starts_with(b"{\"stream\"") {
        return Answer::Durable;
    }
    let usual: [&[u8]; 4] = [b"INFO ", b"MSG ", b"PING", b"+OK"];
    let is_usual = line.is_empty() || usual.iter().any(|start| line.starts_with(start));
    if is_usual { Answer::Other } else { Answer::Failed }
}
