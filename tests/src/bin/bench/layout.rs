//! What a line costs in each layout that a batch could have: encode, decode and check on one core, and bytes.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use nix::sys::resource::{UsageWho, getrusage};
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::{LineSource, LogBatch};
use prost::Message;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::stats::Table;

/// Lines of one batch: about 64 KiB of a build's output.
const LINES: usize = 800;

/// One line, as it is read from the command.
struct Line {
    delta_ns: i64,
    source: LineSource,
    text: String,
}

/// A line as a message of its own.
#[derive(Clone, PartialEq, Message)]
struct LineMessage {
    #[prost(sint64, tag = "1")]
    delta_ns: i64,
    #[prost(int32, tag = "2")]
    source: i32,
    #[prost(uint32, tag = "3")]
    flags: u32,
    #[prost(bytes = "bytes", tag = "4")]
    data: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct Messages {
    #[prost(string, tag = "1")]
    worker_id: String,
    #[prost(int64, tag = "2")]
    first_sequence: i64,
    #[prost(message, repeated, tag = "3")]
    lines: Vec<LineMessage>,
    #[prost(fixed32, tag = "10")]
    crc32c: u32,
}

/// Columns of fixed width, each one field of bytes: nothing is decoded, only looked at.
#[derive(Clone, PartialEq, Message)]
struct Fixed {
    #[prost(string, tag = "1")]
    worker_id: String,
    #[prost(int64, tag = "2")]
    first_sequence: i64,
    #[prost(int64, tag = "3")]
    base_time_ns: i64,
    #[prost(bytes = "bytes", tag = "4")]
    time_deltas_ns: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    lengths: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    marks: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    data: Bytes,
    #[prost(fixed32, tag = "10")]
    crc32c: u32,
}

/// Times and lengths of all lines, their marks, and their bytes: what the server works with.
type Columns = (Vec<i64>, Vec<u32>, Vec<u8>, Bytes);

/// A way to lay lines out.
struct Layout {
    name: &'static str,
    encode: fn(&[Line]) -> Bytes,
    decode: fn(Bytes) -> Result<Columns>,
}

const LAYOUTS: [Layout; 3] = [
    Layout { name: "packed columns (LogBatch)", encode: encode_columns, decode: decode_columns },
    Layout { name: "a message a line", encode: encode_messages, decode: decode_messages },
    Layout { name: "columns of fixed width", encode: encode_fixed, decode: decode_fixed },
];

/// Each layout, `times` batches of it.
pub(crate) fn layouts(table: &mut Table, times: u32) -> Result<()> {
    let lines = lines();
    let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
    for layout in LAYOUTS {
        let encoded = (layout.encode)(&lines);
        let (deltas, lengths, _, data) = (layout.decode)(encoded.clone())?;
        ensure!(deltas.len() == LINES && lengths.len() == LINES && data.len() == bytes, "{}", layout.name);
        let encode = per_line(times, || drop(black_box((layout.encode)(black_box(&lines)))))?;
        let decode = per_line(times, || drop(black_box((layout.decode)(black_box(encoded.clone())))))?;
        let packed = zstd::bulk::compress(&encoded, 1).context("zstd")?;
        table.row(
            format!("layout: {}", layout.name),
            format!(
                "encode {encode:.1} ns, decode and check {decode:.1} ns a line; {:.1} B a line beside its {:.0}, with zstd {:.1} B in all",
                share(encoded.len() - bytes),
                share(bytes),
                share(packed.len()),
            ),
        );
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "shown to one digit")]
fn share(bytes: usize) -> f64 {
    bytes as f64 / LINES as f64
}

/// CPU time of this thread for one line, in nanoseconds.
fn per_line(times: u32, mut work: impl FnMut()) -> Result<f64> {
    work();
    let before = cpu()?;
    for _ in 0..times {
        work();
    }
    #[allow(clippy::cast_precision_loss, reason = "shown to one digit")]
    let lines = LINES as f64 * f64::from(times);
    Ok(cpu()?.saturating_sub(before).as_secs_f64() * 1e9 / lines)
}

fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let micros =
        [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(u64::try_from(micros[0] + micros[1])?))
}

/// As a build prints them: a few in one read, then nothing for a while.
fn lines() -> Vec<Line> {
    let mut random = SmallRng::seed_from_u64(5);
    let line = |at: usize| {
        let delta_ns = if random.random_bool(0.2) { random.random_range(1_000..3_000_000) } else { 0 };
        let source = if random.random_bool(0.05) { LineSource::Stderr } else { LineSource::Stdout };
        let rest: String =
            (0..random.random_range(5..130)).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
        Line { delta_ns, source, text: format!("   Compiling step {at} v1.{at}.0 ({rest})") }
    };
    (0..LINES).map(line).collect()
}

fn joined(lines: &[Line]) -> Bytes {
    lines.iter().flat_map(|line| line.text.bytes()).collect::<Vec<_>>().into()
}

fn encode_columns(lines: &[Line]) -> Bytes {
    let batch = LogBatch {
        worker_id: "worker-1".into(),
        first_sequence: 1_000_000,
        base_time_ns: 1_700_000_000_000_000_000,
        time_deltas_ns: lines.iter().map(|line| line.delta_ns).collect(),
        lengths: lines.iter().map(|line| length(&line.text)).collect(),
        sources: lines.iter().map(|line| line.source.into()).collect(),
        flags: vec![0],
        data: joined(lines),
        ..LogBatch::default()
    };
    batch.sealed().encode_to_vec().into()
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).expect("lines are short")
}

fn decode_columns(bytes: Bytes) -> Result<Columns> {
    let batch = LogBatch::decode(bytes)?;
    ensure!(batch.is_intact(), "checksum");
    let times = summed(batch.base_time_ns, batch.time_deltas_ns.iter().copied());
    let marks = batch.sources.iter().map(|source| source.to_le_bytes()[0]).collect();
    Ok((times, batch.lengths, marks, batch.data))
}

fn summed(base: i64, deltas: impl Iterator<Item = i64>) -> Vec<i64> {
    let sum = |time: &mut i64, delta: i64| {
        *time = time.wrapping_add(delta);
        Some(*time)
    };
    deltas.scan(base, sum).collect()
}

fn encode_messages(lines: &[Line]) -> Bytes {
    let message = |line: &Line| LineMessage {
        delta_ns: line.delta_ns,
        source: line.source.into(),
        flags: 0,
        data: line.text.clone().into(),
    };
    let lines: Vec<_> = lines.iter().map(message).collect();
    let crc32c = lines.iter().fold(0, |sum, line| crc32c::crc32c_append(sum, &line.data));
    let batch = Messages { worker_id: "worker-1".into(), first_sequence: 1_000_000, lines, crc32c };
    batch.encode_to_vec().into()
}

fn decode_messages(bytes: Bytes) -> Result<Columns> {
    let batch = Messages::decode(bytes)?;
    let sum = batch.lines.iter().fold(0, |sum, line| crc32c::crc32c_append(sum, &line.data));
    ensure!(sum == batch.crc32c, "checksum");
    let times = summed(0, batch.lines.iter().map(|line| line.delta_ns));
    let lengths = batch.lines.iter().map(|line| u32::try_from(line.data.len()).unwrap_or(0)).collect();
    let marks = batch.lines.iter().map(|line| line.source.to_le_bytes()[0]).collect();
    // The store keeps lines one after another.
    let data: Vec<u8> = batch.lines.iter().flat_map(|line| line.data.iter().copied()).collect();
    Ok((times, lengths, marks, data.into()))
}

fn encode_fixed(lines: &[Line]) -> Bytes {
    let mut batch = Fixed {
        worker_id: "worker-1".into(),
        first_sequence: 1_000_000,
        base_time_ns: 1_700_000_000_000_000_000,
        time_deltas_ns: lines.iter().flat_map(|line| line.delta_ns.to_le_bytes()).collect(),
        lengths: lines.iter().flat_map(|line| length(&line.text).to_le_bytes()).collect(),
        marks: lines.iter().map(|line| i32::from(line.source).to_le_bytes()[0]).collect(),
        data: joined(lines),
        crc32c: 0,
    };
    batch.crc32c = checksum(&batch);
    batch.encode_to_vec().into()
}

fn checksum(batch: &Fixed) -> u32 {
    [&batch.time_deltas_ns, &batch.lengths, &batch.marks, &batch.data]
        .into_iter()
        .fold(0, |sum, column| crc32c::crc32c_append(sum, column))
}

fn decode_fixed(bytes: Bytes) -> Result<Columns> {
    let batch = Fixed::decode(bytes)?;
    ensure!(checksum(&batch) == batch.crc32c, "checksum");
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let times = summed(batch.base_time_ns, batch.time_deltas_ns.chunks_exact(8).map(number));
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap_or_default());
    let lengths = batch.lengths.chunks_exact(4).map(number).collect();
    Ok((times, lengths, batch.marks.to_vec(), batch.data))
}
