//! Agents that wait for their commands to print: what each of them costs the server while nothing happens.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{LogBatch, LogResponse, WorkerRegistration};
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::process::rss_anon;
use crate::stats::Table;
use crate::target::Target;

/// Connections that are made at the same time.
const AT_ONCE: usize = 64;

/// Of one connection, with its registration, its stream and a first line.
const LIMIT: Duration = Duration::from_secs(30);

/// An open stream on a connection of its own.
struct Agent {
    _batches: mpsc::Sender<LogBatch>,
    _answers: Streaming<LogResponse>,
    _client: LogStreamingServiceClient<Channel>,
}

/// `agents` of them, each with one line stored.
pub(crate) async fn agents(table: &mut Table, dir: &TempDir, agents: usize) -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    ensure!(most > agents as u64 + 100, "only {most} files may be open: raise the hard limit");
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    let pid = ingest.service().pid();
    let before = rss_anon(pid)?;
    let url = ingest.url();
    let connected = stream::iter(0..agents).map(|number| connect(&url, number));
    let connected: Vec<Agent> = connected.buffer_unordered(AT_ONCE).try_collect().await?;
    // The bytes of the store's index and of the catalog are part of what an agent costs.
    let used = rss_anon(pid)?.saturating_sub(before);
    #[allow(clippy::cast_precision_loss, reason = "shown to one digit")]
    let each = used as f64 / 1024.0 / agents as f64;
    table
        .row(format!("{agents} idle agents"), format!("{each:.1} KiB of the server's memory each (RssAnon)"));
    table.mark(Target::IdleStream, each);
    drop(connected);
    ingest.terminate().await;
    Ok(())
}

async fn connect(url: &str, number: usize) -> Result<Agent> {
    let connected = tokio::time::timeout(LIMIT, async {
        let channel = Endpoint::from_shared(url.to_owned())?.buffer_size(4).connect().await?;
        let mut client = LogStreamingServiceClient::new(channel);
        let worker_id = format!("idle-{number}");
        let registration =
            WorkerRegistration { worker_id: worker_id.clone(), ..WorkerRegistration::default() };
        client.register_worker(registration.sealed()).await?;
        let (batches, outgoing) = mpsc::channel(1);
        let mut answers = client.stream_log_batches(ReceiverStream::new(outgoing)).await?.into_inner();
        let line = LogBatch {
            worker_id,
            first_sequence: 1,
            lengths: vec![100],
            data: vec![b'x'; 100].into(),
            ..LogBatch::default()
        };
        batches.send(line.sealed()).await?;
        answers.message().await?.context("no ACK")?;
        anyhow::Ok(Agent { _batches: batches, _answers: answers, _client: client })
    });
    connected.await.with_context(|| format!("agent {number} did not connect within {LIMIT:?}"))?
}
