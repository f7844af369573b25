//! How long a line waits for its ACK at 1,000 lines a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use ottoscaler_proto::v1::LogEntry;
use ottoscaler_proto::v1::log_response::Status;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::commits;
use crate::disk::Meanwhile;
use crate::stats::{Durations, Table};
use crate::target::Target;

/// The rate of the measurement: one line a millisecond.
const INTERVAL: Duration = Duration::from_millis(1);

/// Sends `lines` lines, one each [`INTERVAL`], and compares the p99 of their ACKs with fdatasync's at the same time.
pub(crate) async fn latency(table: &mut Table, dir: &TempDir, lines: u64) -> Result<()> {
    let mut ingest = Ingest::start(&dir.path().join("ack"), &[]).await;
    let mut client = LogStreamingServiceClient::connect(ingest.url()).await?;
    let (entries, receiver) = mpsc::channel(4096);
    let mut responses = client.stream_logs(ReceiverStream::new(receiver)).await?.into_inner();
    let mut ticks = tokio::time::interval(INTERVAL);
    let (mut sent, mut waiting) = (0_u64, VecDeque::new());
    let mut durations = Durations::new();
    let disk = Meanwhile::start(dir)?;
    while sent < lines || !waiting.is_empty() {
        tokio::select! {
            _ = ticks.tick(), if sent < lines => {
                sent += 1;
                waiting.push_back(Instant::now());
                entries.send(line(sent.cast_signed())).await?;
            }
            response = responses.message() => {
                let response = response?.context("the stream ended")?;
                ensure!(response.status() == Status::Ack, "{response:?}");
                let since: Instant = waiting.pop_front().context("an ACK for each line")?;
                durations.record(since.elapsed());
            }
        }
    }
    let fdatasync = disk.stop(table)?;
    table.row("line → ACK at 1,000 lines/s", durations.to_string());
    table.row("of it the server's commits, write and fdatasync", commits::said(&ingest).await?);
    table.mark(Target::AckLatency, durations.p99_beyond(fdatasync));
    ingest.terminate().await;
    Ok(())
}

fn line(sequence: i64) -> LogEntry {
    LogEntry { worker_id: "ack".into(), message: "x".repeat(99), sequence, ..LogEntry::default() }
}
