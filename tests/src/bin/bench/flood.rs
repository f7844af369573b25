//! In-process clients that send log-ingest as much as it takes, each worker over a connection of its own,
//! as agents do. They send what is encoded already, so that the machine is left to the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_response::Status;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{LogBatch, LogEntry, LogResponse, WorkerRegistration};
use prost::Message;
use prost::encoding::encode_varint;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::http2::{Call, MESSAGE_HEAD};
use crate::lines::Lines;

/// A block ends with so many lines or with so many bytes, whichever comes first.
pub(crate) const BLOCK_LINES: usize = 512;
pub(crate) const BLOCK_BYTES: usize = 64 << 10;

/// Entries that are sent in one go at least, as the peers' clients do it.
pub(crate) const LINE_BURST: u64 = 32;

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

impl Shape {
    /// The method that takes it.
    const fn path(self) -> &'static str {
        match self {
            Self::Entries => "/ottoscaler.v1.LogStreamingService/StreamLogs",
            Self::Batches(_) => "/ottoscaler.v1.LogStreamingService/StreamLogBatches",
        }
    }
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

/// Clients that are registered, each with its stream open.
pub(crate) struct Flood {
    load: Load,
    workers: Vec<(Call, String)>,
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
    /// Registers the workers of `load`, named after `name`.
    pub(crate) async fn connect(url: &str, name: &str, load: Load) -> Result<Self> {
        let addr = url.strip_prefix("http://").context("a plain url")?.parse()?;
        let workers = stream::iter(0..load.workers)
            .map(|number| connect(url, addr, format!("{name}-{number}"), load.shape))
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
        let shared = Arc::new(Semaphore::new(self.load.window));
        let depth = self.load.window / self.load.workers;
        let mut senders = JoinSet::new();
        for (call, worker) in self.workers {
            let pace = |window, burst| Pace { deadline, window, burst };
            match self.load.shape {
                Shape::Entries => {
                    let pace = pace(Arc::new(Semaphore::new(depth)), LINE_BURST);
                    senders.spawn(talk(call, Entries::new(&worker, &round), pace));
                }
                Shape::Batches(lines) => {
                    let batches = Batches::new(block(&round, lines, worker));
                    senders.spawn(talk(call, batches, pace(Arc::clone(&shared), 1)));
                }
            }
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

async fn connect(url: &str, addr: SocketAddr, worker: String, shape: Shape) -> Result<(Call, String)> {
    let registration = WorkerRegistration {
        worker_id: worker.clone(),
        task_id: "flood".into(),
        ..WorkerRegistration::default()
    };
    let mut client = LogStreamingServiceClient::connect(url.to_owned()).await?;
    client.register_worker(registration.sealed()).await?;
    Ok((Call::open(addr, shape.path()).await?, worker))
}

/// What a worker sends, numbered from 0.
trait Messages: Send + 'static {
    /// Lines of a message.
    fn lines(&self) -> u64;

    /// Appends a message with its head.
    fn encode(&mut self, number: u64, out: &mut Vec<u8>);

    /// How many messages are durable by what an answer says, if so many were before it.
    fn durable(&self, before: u64, answer: &LogResponse) -> Result<u64>;
}

/// One line a message, one answer each.
struct Entries {
    /// Encoded, but for their numbers.
    round: Vec<Vec<u8>>,
}

/// A block that is sent over and over.
struct Batches {
    block: LogBatch,
    /// The same, but for its number and its checksum.
    encoded: Vec<u8>,
}

/// Keys of fields: the number, and how the value is encoded.
mod key {
    pub(super) const ENTRY_SEQUENCE: u8 = 8 << 3;
    pub(super) const BATCH_FIRST: u8 = 2 << 3;
    pub(super) const BATCH_CRC32C: u8 = 10 << 3 | 5;
}

impl Entries {
    fn new(worker: &str, round: &[Bytes]) -> Self {
        let entry = |line: &Bytes| {
            let message = String::from_utf8_lossy(line).into_owned();
            LogEntry { worker_id: worker.to_owned(), message, ..LogEntry::default() }.encode_to_vec()
        };
        Self { round: round.iter().map(entry).collect() }
    }
}

impl Messages for Entries {
    fn lines(&self) -> u64 {
        1
    }

    fn encode(&mut self, number: u64, out: &mut Vec<u8>) {
        let at = usize::try_from(number).expect("far below") % self.round.len();
        message(out, |out| {
            out.extend_from_slice(&self.round[at]);
            out.push(key::ENTRY_SEQUENCE);
            encode_varint(number + 1, out);
        });
    }

    fn durable(&self, before: u64, answer: &LogResponse) -> Result<u64> {
        let durable = before + 1;
        ensure!(answer.status() == Status::Ack && answer.sequence == durable.cast_signed(), "{answer:?}");
        Ok(durable)
    }
}

impl Batches {
    fn new(block: LogBatch) -> Self {
        let encoded = block.encode_to_vec();
        Self { block, encoded }
    }
}

impl Messages for Batches {
    fn lines(&self) -> u64 {
        self.block.lengths.len() as u64
    }

    fn encode(&mut self, number: u64, out: &mut Vec<u8>) {
        let first = number * self.lines() + 1;
        self.block.first_sequence = first.cast_signed();
        message(out, |out| {
            out.extend_from_slice(&self.encoded);
            out.push(key::BATCH_FIRST);
            encode_varint(first, out);
            out.push(key::BATCH_CRC32C);
            out.extend_from_slice(&self.block.checksum().to_le_bytes());
        });
    }

    fn durable(&self, _before: u64, answer: &LogResponse) -> Result<u64> {
        ensure!(answer.status() == Status::Ack, "{answer:?}");
        Ok(answer.sequence.cast_unsigned() / self.lines())
    }
}

/// Appends what `write` writes, as a message with its head.
fn message(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; MESSAGE_HEAD]);
    write(out);
    let length = u32::try_from(out.len() - at - MESSAGE_HEAD).expect("a message is far below 4 GiB");
    out[at + 1..at + MESSAGE_HEAD].copy_from_slice(&length.to_be_bytes());
}

/// When to send.
struct Pace {
    deadline: Instant,
    window: Arc<Semaphore>,
    burst: u64,
}

impl Pace {
    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// As many bursts as there is room for now, in messages.
    fn room(&self) -> u64 {
        let mut room = 0;
        while let Ok(permit) = self.window.try_acquire_many(self.permits()) {
            permit.forget();
            room += self.burst;
        }
        room
    }

    /// Waits for room for a burst, and takes it. Cancel safe.
    async fn wait(&self) -> u64 {
        self.window.acquire_many(self.permits()).await.expect("it is never closed").forget();
        self.burst
    }

    fn give(&self, messages: u64) {
        self.window.add_permits(usize::try_from(messages).expect("as many as were taken"));
    }

    fn permits(&self) -> u32 {
        u32::try_from(self.burst).expect("some lines")
    }
}

/// Gives the messages and the lines that became durable.
async fn talk(mut call: Call, mut messages: impl Messages, pace: Pace) -> Result<(u64, u64)> {
    let (mut sent, mut durable, mut room, mut out) = (0, 0, 0, Vec::new());
    loop {
        let is_over = pace.is_over();
        if is_over {
            // It goes to the next one, who waits to hear of it.
            pace.give(room);
        } else {
            room += pace.room();
            out.clear();
            (sent..sent + room).for_each(|number| messages.encode(number, &mut out));
            call.send(&out).await?;
            sent += room;
        }
        room = 0;
        if sent == durable && is_over {
            return Ok((durable, durable * messages.lines()));
        }
        let before = durable;
        let heard = call.hear(|answer| {
            durable = messages.durable(durable, &LogResponse::decode(answer)?)?;
            Ok(())
        });
        tokio::select! {
            biased;
            heard = heard, if sent > before => heard?,
            taken = pace.wait(), if !is_over => room = taken,
        }
        pace.give(durable - before);
    }
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
