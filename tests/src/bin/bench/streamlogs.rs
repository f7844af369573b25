//! Lines of clients in other languages: one a message, numbered, sent ahead of their answers.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use ottoscaler_proto::v1::LogEntry;
use ottoscaler_proto::v1::log_response::Status;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::lines::LINE;
use crate::process::cpu;
use crate::stats::{Table, rate};

/// Entries that wait for their answers at the most.
const AHEAD: usize = 4096;

/// A client that takes longer has hung.
const LIMIT: Duration = Duration::from_mins(5);

/// `workers` clients send `lines` lines in all; the time ends with the last ACK.
pub(crate) async fn clients(table: &mut Table, dir: &TempDir, workers: u64, lines: u64) -> Result<()> {
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    let (url, pid) = (ingest.url(), ingest.service().pid());
    let (before, start) = (cpu(pid)?.own, Instant::now());
    let clients = (0..workers).map(|number| client(&url, number, lines / workers));
    tokio::time::timeout(LIMIT, try_join_all(clients)).await.context("a client hangs")??;
    table.row(
        format!("StreamLogs, one line of {LINE} B a message, {workers} workers"),
        format!(
            "{} durable lines; per CPU-second of ingest {}",
            rate(lines, start.elapsed()),
            rate(lines, cpu(pid)?.own.saturating_sub(before)),
        ),
    );
    ingest.terminate().await;
    Ok(())
}

async fn client(url: &str, number: u64, lines: u64) -> Result<()> {
    let mut client = LogStreamingServiceClient::connect(url.to_owned()).await?;
    let (sender, entries) = mpsc::channel(AHEAD);
    let mut answers = client.stream_logs(ReceiverStream::new(entries)).await?.into_inner();
    let entry = LogEntry {
        worker_id: format!("client-{number}"),
        task_id: "clients".into(),
        message: "x".repeat(LINE - 1),
        ..LogEntry::default()
    };
    let last = lines.cast_signed();
    let send = async {
        for sequence in 1..=last {
            sender.send(LogEntry { sequence, ..entry.clone() }).await.context("the stream has ended")?;
        }
        anyhow::Ok(())
    };
    let take = async {
        for sequence in 1..=last {
            let answer = answers.message().await?.context("the stream has ended")?;
            ensure!(answer.status() == Status::Ack && answer.sequence == sequence, "{answer:?}");
        }
        anyhow::Ok(())
    };
    tokio::try_join!(send, take)?;
    Ok(())
}
