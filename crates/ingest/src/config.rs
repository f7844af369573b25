//! Flags and environment of log-ingest.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand};
use ottoscaler_kit::net::parse_addr;
use ottoscaler_kit::size::{ByteSize, InvalidSize};
use ottoscaler_kit::telemetry::TelemetryArgs;
use ottoscaler_kit::time::parse_duration;
use tokio::sync::Semaphore;

use crate::metrics::Metrics;
use crate::retention::Limits;
use crate::space::Space;
use crate::store::disk::SEGMENT_BYTES;

/// Takes log lines from workers, keeps them on disk, and shows them live.
#[derive(Clone, Debug, Parser)]
#[command(name = "log-ingest", version = ottoscaler_kit::VERSION)]
pub struct Config {
    /// Where gRPC listens.
    #[arg(long, env = "OTTO_GRPC_ADDR", default_value = "127.0.0.1:50051", value_parser = parse_addr, help_heading = "Listeners")]
    pub grpc_addr: SocketAddr,
    /// Where the page and the HTTP API listen.
    #[arg(long, env = "OTTO_HTTP_ADDR", default_value = "127.0.0.1:8080", value_parser = parse_addr, help_heading = "Listeners")]
    pub http_addr: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` listen.
    #[arg(
        long,
        env = "OTTO_ADMIN_ADDR",
        default_value = "127.0.0.1:9092",
        value_parser = parse_addr,
        help_heading = "Listeners",
        global = true
    )]
    pub admin_addr: SocketAddr,
    /// Where logs are kept. One process at a time.
    #[arg(long, env = "OTTO_DATA_DIR", default_value = "./otto-data", help_heading = "Store")]
    pub data_dir: PathBuf,
    /// How logs are kept: `disk`, or `memory`, which forgets all at the end.
    #[arg(long, env = "OTTO_STORE", default_value = "disk", help_heading = "Store")]
    pub store: StoreKind,
    /// Room that is kept free on the disk: below it lines have to wait, and what is small still fits. 0 for none.
    #[arg(long, env = "OTTO_DISK_RESERVE", default_value_t = ByteSize::mib(256), help_heading = "Store")]
    pub disk_reserve: ByteSize,
    /// How long lines are kept. Default: for ever.
    #[arg(long, env = "OTTO_RETAIN_FOR", value_parser = parse_duration, help_heading = "Store")]
    pub retain_for: Option<Duration>,
    /// How large the store may grow before its oldest lines go. Default: as large as the disk; 256 MiB in memory.
    #[arg(long, env = "OTTO_RETAIN_BYTES", value_parser = parse_retain_bytes, help_heading = "Store")]
    pub retain_bytes: Option<ByteSize>,
    /// How much the lines of one task may take up in the store before its oldest go. Default: as much as all together.
    #[arg(long, env = "OTTO_RETAIN_TASK_BYTES", value_parser = parse_retain_bytes, help_heading = "Store")]
    pub retain_task_bytes: Option<ByteSize>,
    /// Bytes of one line; a longer one is refused and leaves a gap.
    #[arg(long, env = "OTTO_MAX_LINE", default_value_t = MAX_LINE, value_parser = parse_max_line, help_heading = "Limits")]
    pub max_line: ByteSize,
    /// Lines that wait for the disk, in bytes; beyond it clients are asked to come back.
    #[arg(long, env = "OTTO_QUEUE_LIMIT", default_value_t = ByteSize::mib(64), value_parser = parse_queue_limit, help_heading = "Limits")]
    pub queue_limit: ByteSize,
    /// Workers that the store may know; beyond it new ones are refused.
    #[arg(long, env = "OTTO_MAX_WORKERS", default_value_t = 100_000, value_parser = parse_count, help_heading = "Limits")]
    pub max_workers: usize,
    /// Readers at a time, of a log or of a task; beyond it readers are asked to come back. Each takes up to 1 MiB.
    #[arg(long, env = "OTTO_MAX_READERS", default_value_t = 1000, value_parser = parse_count, help_heading = "Limits")]
    pub max_readers: usize,
    /// Lines a second that one worker may send; its agent keeps to it, and what the command prints beyond it
    /// waits there. 0 for no limit.
    #[arg(long, env = "OTTO_RATE_LIMIT", default_value_t = 0, help_heading = "Limits")]
    pub rate_limit: u32,
    /// Lines a second that all workers of a task together may send; those beyond it are asked to come back.
    /// 0 for no limit.
    #[arg(long, env = "OTTO_TASK_RATE_LIMIT", default_value_t = 0, help_heading = "Limits")]
    pub task_rate_limit: u32,
    /// When a gRPC connection is ended, so that clients are spread anew over several servers; they go on where
    /// they were. Default: never.
    #[arg(long, env = "OTTO_MAX_CONNECTION_AGE", value_parser = parse_duration, help_heading = "Limits")]
    pub max_connection_age: Option<Duration>,
    /// How long SIGTERM waits for streams to end.
    #[arg(long, env = "OTTO_SHUTDOWN_TIMEOUT", default_value = "10s", value_parser = parse_duration)]
    pub shutdown_timeout: Duration,
    /// Of the service's own log.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
    /// Something else than serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// With the raw bytes, their text and what else an entry carries, the longest line is still a message that
/// gRPC clients take: 4 MiB, where they do not say otherwise.
const MAX_LINE: ByteSize = ByteSize::mib(1);

fn parse_max_line(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: InvalidSize| error.to_string())?;
    if size == ByteSize::bytes(0) || size > MAX_LINE {
        return Err(format!("expected a size from 1 B to {MAX_LINE}"));
    }
    Ok(size)
}

/// What waits is stored as one group, and one segment holds it: a place in it is a number of 32 bits, and what is stored
/// may take more than what waits.
const MAX_QUEUE: ByteSize = ByteSize::mib(1024);

fn parse_queue_limit(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: InvalidSize| error.to_string())?;
    if size == ByteSize::bytes(0) || size > MAX_QUEUE {
        return Err(format!("expected a size from 1 B to {MAX_QUEUE}"));
    }
    Ok(size)
}

/// Less would be nearly all of it what is known of workers.
const MIN_RETAINED: ByteSize = ByteSize::mib(16);

fn parse_retain_bytes(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: InvalidSize| error.to_string())?;
    if size < MIN_RETAINED {
        return Err(format!("expected a size from {MIN_RETAINED} on"));
    }
    Ok(size)
}

/// Memory that is full ends the process, and with it all that is kept there.
const RETAINED_IN_MEMORY: ByteSize = ByteSize::mib(256);

/// A store of limited size has at least so many segments: they go one by one.
const SEGMENTS_AT_LEAST: u64 = 16;

impl Config {
    /// How large a segment of the store grows.
    pub fn segment_bytes(&self) -> u64 {
        let wanted = self.retain_bytes.map_or(u64::MAX, |size| size.as_u64() / SEGMENTS_AT_LEAST);
        wanted.min(SEGMENT_BYTES)
    }

    /// How much is kept.
    pub fn retention(&self) -> Limits {
        let by_itself = (self.store == StoreKind::Memory).then_some(RETAINED_IN_MEMORY);
        Limits {
            age: self.retain_for,
            bytes: self.retain_bytes.or(by_itself).map(ByteSize::as_u64),
            task_bytes: self.retain_task_bytes.map(ByteSize::as_u64),
        }
    }

    /// What watches the disk, where logs are kept on one.
    pub fn space(&self, metrics: &Metrics) -> Option<Space> {
        let watch = || Space::new(self.data_dir.clone(), self.disk_reserve, metrics);
        (self.store == StoreKind::Disk).then(watch)
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    let count: NonZeroUsize = text.parse().map_err(|_| "expected a number from 1 on".to_owned())?;
    // Beyond it no permit could be counted; no machine has room for so many.
    if count.get() > Semaphore::MAX_PERMITS {
        return Err(format!("expected at most {}", Semaphore::MAX_PERMITS));
    }
    Ok(count.get())
}

/// Something else than serving.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// Asks the log-ingest at --admin-addr whether it is ready; exits 0 or 1.
    Healthcheck,
}

/// How logs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// In the data directory.
    Disk,
    /// Only while the process lives.
    Memory,
}

impl FromStr for StoreKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "disk" => Ok(Self::Disk),
            "memory" => Ok(Self::Memory),
            _ => Err("expected disk or memory".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place in a segment would not fit its 32 bits any more, after the group was stored.
    #[test]
    fn a_queue_that_no_segment_could_hold_is_refused_by_name() {
        let parse = |limit| Config::try_parse_from(["log-ingest", "--queue-limit", limit]);
        assert_eq!(parse("1GiB").unwrap().queue_limit, MAX_QUEUE);
        for limit in ["1025MiB", "4GiB", "0"] {
            let error = parse(limit).unwrap_err().to_string();
            assert!(
                error.contains("--queue-limit") && error.contains("from 1 B to 1GiB"),
                "{limit}: {error}"
            );
        }
    }
}
