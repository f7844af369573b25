//! Follows the logs of a task, live, until so many of its workers have ended:
//!
//! ```text
//! cargo run -p ottoscaler-proto --example tail -- task-123 3
//! ```
//!
//! The server is `OTTO_INGEST_URL`, by default `http://127.0.0.1:50051`.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use tonic::Code;

use ottoscaler_proto::v1::log_query_service_client::LogQueryServiceClient;
use ottoscaler_proto::v1::tail_request::Of;
use ottoscaler_proto::v1::{LogEntry, TailRequest, TailResponse, WorkerEnd};

/// One colour for each worker that has been seen, over and over.
const COLOURS: [u8; 6] = [36, 33, 35, 32, 34, 31];

struct Terminal {
    colours: bool,
    workers: Vec<String>,
}

impl Terminal {
    /// The end of a worker's name tells it apart, in a colour of its own.
    fn prefix(&mut self, worker: &str) -> String {
        let known = self.workers.iter().position(|known| known == worker);
        let index = known.unwrap_or_else(|| {
            self.workers.push(worker.to_owned());
            self.workers.len() - 1
        });
        let name: Vec<_> = worker.rsplitn(3, '-').take(2).collect();
        let name = format!("{}-{}", name.last().unwrap_or(&"").get(..6).unwrap_or(""), name[0]);
        if !self.colours {
            return format!("{name} |");
        }
        format!("\x1b[{}m{name} |\x1b[0m", COLOURS[index % COLOURS.len()])
    }

    fn line(&mut self, entry: &LogEntry) -> Vec<u8> {
        let mut line = format!("{} ", self.prefix(&entry.worker_id)).into_bytes();
        match &entry.gap {
            Some(gap) => {
                let (first, last, reason) = (entry.sequence, gap.last_sequence, &gap.reason);
                line.extend(format!("[lines {first} to {last} are missing: {reason}]").into_bytes());
            }
            None if entry.source == "stderr" && self.colours => {
                line.extend(format!("\x1b[31m{}\x1b[0m", entry.message).into_bytes());
            }
            None if entry.raw.is_empty() => line.extend_from_slice(entry.message.as_bytes()),
            None => line.extend_from_slice(&entry.raw),
        }
        line.push(b'\n');
        line
    }

    fn end(&mut self, end: &WorkerEnd) -> Vec<u8> {
        let whole = if end.complete { "complete" } else { "NOT complete" };
        let prefix = self.prefix(&end.worker_id);
        format!("{prefix} -- exit code {}, {} lines, log {whole}\n", end.exit_code, end.last_sequence)
            .into_bytes()
    }
}

fn show(terminal: &mut Terminal, piece: &TailResponse) -> Result<()> {
    let mut text: Vec<u8> = piece.entries.iter().flat_map(|entry| terminal.line(entry)).collect();
    text.extend(piece.end.iter().flat_map(|end| terminal.end(end)));
    std::io::stdout().write_all(&text).context("cannot write to the terminal")
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let task = args.next().context("usage: tail TASK [WORKERS]")?;
    let expected_workers =
        args.next().map_or(Ok(0), |number| number.parse()).context("WORKERS is a number")?;
    let url = std::env::var("OTTO_INGEST_URL").unwrap_or("http://127.0.0.1:50051".to_owned());

    let mut client = LogQueryServiceClient::connect(url.clone())
        .await
        .with_context(|| format!("cannot connect to {url}"))?;
    let request =
        TailRequest { of: Some(Of::TaskId(task)), follow: true, expected_workers, ..TailRequest::default() };
    let mut stream = client.tail_logs(request).await?.into_inner();
    let mut terminal = Terminal { colours: std::io::stdout().is_terminal(), workers: Vec::new() };
    loop {
        match stream.message().await {
            Ok(Some(piece)) => show(&mut terminal, &piece)?,
            Ok(None) => return Ok(()),
            Err(status) if status.code() == Code::Unavailable => {
                anyhow::bail!("the server went away: {status}")
            }
            Err(status) => return Err(status.into()),
        }
    }
}
