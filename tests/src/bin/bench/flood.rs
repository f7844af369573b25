//! In-process clients that send log-ingest as much as it takes, each worker over a connection of its own,
//! as agents do. They send what is prepared and copy nothing, so that the machine is left to the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http::uri::PathAndQuery;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_response::Status;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{LogBatch, LogResponse, WorkerRegistration};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tonic::Streaming;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::lines::Lines;

/// A block ends with so many lines or with so many bytes, whichever comes first.
pub(crate) const BLOCK_LINES: usize = 512;
pub(crate) const BLOCK_BYTES: usize = 64 << 10;

/// Entries that are handed to HTTP/2 in one go.
const BURST: u64 = 32;

/// Connections that are made at a time.
const CONNECTING: usize = 32;

/// What was sent is answered within this, or never.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// How lines are put into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// StreamLogs: one line a message, one answer each.
    Entries,
    /// StreamLogBatches: so many lines a message at the most.
    Batches(usize),
}

/// What workers send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) workers: usize,
    pub(crate) shape: Shape,
    pub(crate) lines: Lines,
    /// Messages that wait for their answers at the most, of all workers together: what a server has in hand is
    /// then the same, however many send it.
    pub(crate) window: usize,
}

/// What became durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flooded {
    pub(crate) lines: u64,
    pub(crate) messages: u64,
    pub(crate) took: Duration,
}

/// Clients that are connected and registered.
pub(crate) struct Flood {
    load: Load,
    workers: Vec<(Channel, String)>,
}

impl Load {
    /// In blocks, of which some 6 MiB are in flight.
    pub(crate) fn blocks(workers: usize) -> Self {
        Self { workers, shape: Shape::Batches(BLOCK_LINES), lines: Lines::Reference, window: 128 }
    }

    /// One line a message, so many of each worker in flight.
    pub(crate) fn entries(workers: usize, depth: usize) -> Self {
        Self { workers, shape: Shape::Entries, lines: Lines::Reference, window: workers * depth }
    }
}

impl Flood {
    /// Connects the workers of `load`, named after `name`.
    pub(crate) async fn connect(url: &str, name: &str, load: Load) -> Result<Self> {
        let workers = stream::iter(0..load.workers)
            .map(|number| register(url, format!("{name}-{number}")))
            .buffered(CONNECTING)
            .try_collect()
            .await?;
        Ok(Self { load, workers })
    }

    /// Sends for `time`, and waits until everything that was sent is durable.
    pub(crate) async fn run(self, time: Duration) -> Result<Flooded> {
        let start = Instant::now();
        let deadline = start + time;
        let round: Arc<[Bytes]> = self.load.lines.round(1).into_iter().map(without_newline).collect();
        let window = Arc::new(Semaphore::new(self.load.window));
        let mut senders = JoinSet::new();
        for (channel, worker) in self.workers {
            let pace = Pace { deadline, window: Arc::clone(&window), burst: 1 };
            match self.load.shape {
                Shape::Entries => senders.spawn(send_entries(channel, worker, Arc::clone(&round), pace)),
                Shape::Batches(lines) => {
                    senders.spawn(send_batches(channel, block(&round, lines, worker), pace))
                }
            };
        }
        let mut flooded = Flooded { lines: 0, messages: 0, took: Duration::ZERO };
        let all = async {
            while let Some(sender) = senders.join_next().await {
                let (messages, lines) = sender??;
                flooded.messages += messages;
                flooded.lines += lines;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(time + DRAIN_LIMIT, all).await.context("the server does not answer")??;
        flooded.took = start.elapsed();
        Ok(flooded)
    }
}

fn without_newline(mut line: Vec<u8>) -> Bytes {
    line.pop();
    line.into()
}

async fn register(url: &str, worker: String) -> Result<(Channel, String)> {
    let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
    let registration = WorkerRegistration {
        worker_id: worker.clone(),
        task_id: "flood".into(),
        ..WorkerRegistration::default()
    };
    LogStreamingServiceClient::new(channel.clone()).register_worker(registration.sealed()).await?;
    Ok((channel, worker))
}

/// LogEntry, of which a copy costs no memory: strings and bytes are the same on the wire.
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    worker_id: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    message: Bytes,
    #[prost(int64, tag = "8")]
    sequence: i64,
}

/// When to send.
#[derive(Clone)]
struct Pace {
    deadline: Instant,
    window: Arc<Semaphore>,
    burst: u64,
}

impl Pace {
    /// The messages 0, 1, … until the deadline, as far as the window has room for them.
    fn messages<T: Send + 'static>(
        self,
        make: impl Fn(u64) -> T + Clone + Send + 'static,
    ) -> impl Stream<Item = T> + Send + 'static {
        let Self { deadline, window, burst } = self;
        let bursts = stream::unfold(0, move |next| {
            let window = Arc::clone(&window);
            async move {
                let room = window.acquire_many(u32::try_from(burst).expect("some lines")).await;
                let room = room.expect("it is never closed");
                // What is not used after the deadline goes to the next one, who waits to hear of it.
                (Instant::now() < deadline).then(|| {
                    room.forget();
                    (next, next + burst)
                })
            }
        });
        bursts.flat_map(move |first| stream::iter((first..first + burst).map(make.clone())))
    }
}

/// Gives the messages and the lines that became durable.
async fn send_entries(
    channel: Channel,
    worker: String,
    round: Arc<[Bytes]>,
    pace: Pace,
) -> Result<(u64, u64)> {
    let pace = Pace { burst: BURST, ..pace };
    let window = Arc::clone(&pace.window);
    let worker = Bytes::from(worker);
    let entries = pace.messages(move |at| Entry {
        worker_id: worker.clone(),
        message: round[usize::try_from(at).expect("far below") % round.len()].clone(),
        sequence: at.cast_signed() + 1,
    });
    let mut responses = call(channel, "/ottoscaler.v1.LogStreamingService/StreamLogs", entries).await?;
    let mut acked = 0;
    while let Some(response) = responses.message().await? {
        acked += 1;
        ensure!(response.status() == Status::Ack && response.sequence == acked, "{response:?}");
        if acked.cast_unsigned() % BURST == 0 {
            window.add_permits(usize::try_from(BURST)?);
        }
    }
    Ok((acked.cast_unsigned(), acked.cast_unsigned()))
}

/// A block of at most `lines` lines, which is sent over and over.
fn block(round: &[Bytes], lines: usize, worker: String) -> LogBatch {
    let mut data = Vec::new();
    let mut lengths = Vec::new();
    for line in round.iter().cycle().take(lines) {
        if !lengths.is_empty() && data.len() + line.len() > BLOCK_BYTES {
            break;
        }
        data.extend_from_slice(line);
        lengths.push(u32::try_from(line.len()).expect("a line is far below 4 GiB"));
    }
    LogBatch {
        worker_id: worker,
        base_time_ns: 1_700_000_000_000_000_000,
        time_deltas_ns: vec![1000; lengths.len()],
        lengths,
        data: data.into(),
        ..LogBatch::default()
    }
}

/// Gives the messages and the lines that became durable.
async fn send_batches(channel: Channel, block: LogBatch, pace: Pace) -> Result<(u64, u64)> {
    let window = Arc::clone(&pace.window);
    let lines = block.lengths.len() as u64;
    let batches = pace.messages(move |at| {
        let first_sequence = (at * lines).cast_signed() + 1;
        LogBatch { first_sequence, ..block.clone() }.sealed()
    });
    let mut responses = call(channel, "/ottoscaler.v1.LogStreamingService/StreamLogBatches", batches).await?;
    let mut acked = 0;
    while let Some(response) = responses.message().await? {
        ensure!(response.status() == Status::Ack, "{response:?}");
        let now = response.sequence.cast_unsigned() / lines;
        window.add_permits(usize::try_from(now - acked)?);
        acked = now;
    }
    Ok((acked, acked * lines))
}

/// The generated client would ask for the generated messages.
async fn call<T: prost::Message + Send + 'static>(
    channel: Channel,
    path: &'static str,
    messages: impl Stream<Item = T> + Send + 'static,
) -> Result<Streaming<LogResponse>> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await?;
    let codec = ProstCodec::<T, LogResponse>::default();
    let call = grpc.streaming(tonic::Request::new(messages), PathAndQuery::from_static(path), codec);
    Ok(call.await?.into_inner())
}
