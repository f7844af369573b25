//! log-ingest beside Redis Streams and NATS JetStream: the same lines, in the same messages, from as many
//! connections, each on the same disk and each synced before its answer. They take turns, and the median of
//! the rounds counts.

mod nats;
mod pipe;
mod redis;
mod server;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nix::unistd::Pid;
use ottoscaler_tests::ingest::Ingest;
use tempfile::TempDir;

use crate::flood::{BLOCK_BYTES, BLOCK_LINES, Flood, LINE_BURST, Load};
use crate::limits::version;
use crate::lines::{LINE, Lines};
use crate::process::{Peak, cpu};
use crate::stats::{Table, mib, per_second, short};
use crate::target::Target;
use nats::Streams;
use pipe::Talk;
use server::Server;

/// Workers, each on a connection of its own.
const WORKERS: usize = 32;

/// Blocks of one worker that wait for their answers.
const BLOCK_WINDOW: u64 = 4;

/// Who takes the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taker {
    Ours(Depth),
    Redis(Depth),
    JetStream(Streams),
}

/// Lines that each connection has in flight, where a message is a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// As many as bring more.
    Deep,
    /// What redis-benchmark is usually run with. Then the disk's sync decides, and hardly the server.
    Usual,
}

impl Depth {
    const fn messages(self) -> u64 {
        match self {
            Self::Deep => 1024,
            Self::Usual => 64,
        }
    }
}

impl Taker {
    /// The last two are for messages of a line.
    const ALL: [Self; 6] = [
        Self::Ours(Depth::Deep),
        Self::Redis(Depth::Deep),
        Self::JetStream(Streams::One),
        Self::JetStream(Streams::PerWorker),
        Self::Ours(Depth::Usual),
        Self::Redis(Depth::Usual),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours(_) => "log-ingest",
            Self::Redis(_) => "Redis Streams, appendfsync always",
            Self::JetStream(Streams::One) => "JetStream, sync always, one stream",
            Self::JetStream(Streams::PerWorker) => "JetStream, sync always, a stream a worker",
        }
    }
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Line,
    Block,
}

impl Message {
    const fn name(self) -> &'static str {
        match self {
            Self::Line => "a line a message",
            Self::Block => "64 KiB or 512 lines a message",
        }
    }

    /// Who takes part.
    fn takers(self) -> &'static [Taker] {
        match self {
            Self::Line => &Taker::ALL,
            Self::Block => &Taker::ALL[..4],
        }
    }

    /// Messages that each worker has in flight.
    const fn window(self, taker: Taker) -> u64 {
        match (self, taker) {
            (Self::Line, Taker::Ours(depth) | Taker::Redis(depth)) => depth.messages(),
            (Self::Line, Taker::JetStream(_)) => Depth::Usual.messages(),
            (Self::Block, _) => BLOCK_WINDOW,
        }
    }

    const fn lines(self) -> usize {
        match self {
            Self::Line => 1,
            Self::Block if BLOCK_BYTES / LINE < BLOCK_LINES => BLOCK_BYTES / LINE,
            Self::Block => BLOCK_LINES,
        }
    }

    /// Lines are separated by newlines, as there is nothing else to separate them.
    fn payload(self) -> Vec<u8> {
        let mut payload = Lines::Reference.round(0)[0].repeat(self.lines());
        payload.pop();
        payload
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Lines a second by the clock.
    wall: f64,
    /// Lines a CPU-second of the server's.
    cpu: f64,
    /// The server's memory at its peak.
    memory: u64,
}

/// Measures in `rounds` rounds, each for `time`.
pub(crate) async fn compare(table: &mut Table, dir: &TempDir, rounds: usize, time: Duration) -> Result<()> {
    for program in ["redis-server", "nats-server"] {
        table.row(format!("version of {program}"), version(program).await?);
    }
    for message in [Message::Line, Message::Block] {
        let mut samples = vec![Vec::new(); message.takers().len()];
        for _ in 0..rounds {
            for (taker, samples) in message.takers().iter().zip(&mut samples) {
                samples.push(sample(dir.path(), *taker, message, time).await?);
            }
        }
        let medians: Vec<_> = samples.iter().map(|samples| median(samples)).collect();
        for (taker, median) in message.takers().iter().zip(&medians) {
            table.row(
                format!(
                    "{}, {WORKERS} workers, {}, {} in flight a worker",
                    taker.name(),
                    message.name(),
                    message.window(*taker)
                ),
                format!(
                    "{} durable lines; per CPU-second of the server: {}; its memory (RssAnon) at most {:.0} MiB",
                    short(median.wall),
                    short(median.cpu),
                    mib(median.memory)
                ),
            );
        }
        ratios(table, &medians);
    }
    Ok(())
}

/// Ours through theirs, with as much in flight on both sides; of the two ways to use JetStream, the better one counts.
fn ratios(table: &mut Table, medians: &[Sample]) {
    let [deep, redis, one, per_worker, usual @ ..] = medians else { unreachable!("each message has these") };
    let jetstream = Sample {
        wall: one.wall.max(per_worker.wall),
        cpu: one.cpu.max(per_worker.cpu),
        memory: one.memory.min(per_worker.memory),
    };
    let mut mark = |ours: &Sample, theirs: &Sample, [wall, cpu]: [Target; 2]| {
        table.mark(wall, ours.wall / theirs.wall);
        table.mark(cpu, ours.cpu / theirs.cpu);
    };
    if let [usual, usual_redis] = usual {
        mark(deep, redis, [Target::RedisEntries, Target::RedisEntriesCpu]);
        mark(usual, usual_redis, [Target::RedisFewEntries, Target::RedisFewEntriesCpu]);
        mark(usual, &jetstream, [Target::JetStreamEntries, Target::JetStreamEntriesCpu]);
    } else {
        mark(deep, redis, [Target::RedisBlocks, Target::RedisBlocksCpu]);
        mark(deep, &jetstream, [Target::JetStreamBlocks, Target::JetStreamBlocksCpu]);
    }
}

/// Each figure by itself: the sample that is slow by the clock need not be the one that costs most.
fn median(samples: &[Sample]) -> Sample {
    let middle = |of: fn(&Sample) -> f64| {
        let mut figures: Vec<_> = samples.iter().map(of).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let memory = samples.iter().map(|sample| sample.memory).max().unwrap_or_default();
    Sample { wall: middle(|sample| sample.wall), cpu: middle(|sample| sample.cpu), memory }
}

async fn sample(disk: &Path, taker: Taker, message: Message, time: Duration) -> Result<Sample> {
    match taker {
        Taker::Ours(depth) => ours(disk, message, depth, time).await,
        Taker::Redis(depth) => {
            let server = Server::start(disk, |addr, dir| Ok(redis::command(addr, dir))).await?;
            theirs(server, message, depth, redis::talk, time).await
        }
        Taker::JetStream(streams) => {
            let server = Server::start(disk, nats::command).await?;
            nats::prepare(server.addr, streams, WORKERS).await?;
            theirs(server, message, Depth::Usual, nats::talk, time).await
        }
    }
}

async fn ours(disk: &Path, message: Message, depth: Depth, time: Duration) -> Result<Sample> {
    let data = tempfile::tempdir_in(disk)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    let load = match message {
        Message::Line => Load::entries(WORKERS, usize::try_from(depth.messages())?),
        Message::Block => Load { window: WORKERS * usize::try_from(BLOCK_WINDOW)?, ..Load::blocks(WORKERS) },
    };
    let flood = Flood::connect(&ingest.url(), "peer", load).await?;
    let cost = Cost::from_now(ingest.service().pid())?;
    let flooded = flood.run(time).await?;
    let sample = cost.sample(flooded.lines, flooded.took)?;
    ingest.terminate().await;
    Ok(sample)
}

async fn theirs(
    server: Server,
    message: Message,
    depth: Depth,
    talk: fn(usize, &[u8]) -> Talk,
    time: Duration,
) -> Result<Sample> {
    let (burst, window) = match message {
        Message::Line => (LINE_BURST, depth.messages()),
        Message::Block => (1, BLOCK_WINDOW),
    };
    let payload = message.payload();
    let talks = (0..WORKERS).map(|worker| Talk { burst, window, ..talk(worker, &payload) }).collect();
    let cost = Cost::from_now(server.pid()?)?;
    let (messages, took) = pipe::flood(server.addr, talks, time).await?;
    let sample = cost.sample(messages * message.lines() as u64, took)?;
    server.stop().await?;
    Ok(sample)
}

/// What a server has used from a moment on.
struct Cost {
    pid: Pid,
    before: Duration,
    peak: Peak,
}

impl Cost {
    fn from_now(pid: Pid) -> Result<Self> {
        Ok(Self { pid, before: cpu(pid)?.own, peak: Peak::of(pid) })
    }

    fn sample(&self, lines: u64, took: Duration) -> Result<Sample> {
        let used = cpu(self.pid)?.own.saturating_sub(self.before);
        Ok(Sample { wall: per_second(lines, took), cpu: per_second(lines, used), memory: self.peak.bytes() })
    }
}
