//! Records as bytes: protobuf messages of the store's own, so that fields can be added later and a
//! store of the version before stays readable. Field numbers are the format; they never change.

mod columns;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use ottoscaler_proto::v1::WorkerMetadata;
use prost::{Message, Oneof};
use thiserror::Error;

use crate::ids::{TaskId, WorkerId};
use crate::line::{Block, Content, Extra, Lines, Mark, Sequence};
use crate::worker::{Change, Closing, Numbering, Record, Registration, WorkerState};

/// The bytes are no record of ours.
#[derive(Debug, Error)]
pub(super) enum InvalidRecord {
    #[error("not a record: {0}")]
    Decode(#[from] prost::DecodeError),
    #[error("not a record: {0}")]
    Field(&'static str),
}

#[derive(Clone, PartialEq, Message)]
struct StoredRecord {
    #[prost(int64, tag = "1")]
    at_ns: i64,
    #[prost(string, tag = "2")]
    worker: String,
    #[prost(oneof = "StoredChange", tags = "3, 4, 5, 6, 7, 8, 9")]
    change: Option<StoredChange>,
}

#[derive(Clone, PartialEq, Oneof)]
enum StoredChange {
    #[prost(message, tag = "3")]
    Registered(StoredRegistration),
    #[prost(message, tag = "4")]
    Lines(StoredLines),
    #[prost(message, tag = "5")]
    Gap(StoredGap),
    #[prost(message, tag = "6")]
    Closed(StoredClosing),
    #[prost(message, tag = "7")]
    Trimmed(StoredTrim),
    #[prost(message, tag = "8")]
    Carried(StoredState),
    #[prost(message, tag = "9")]
    Forgotten(StoredForgetting),
}

#[derive(Clone, PartialEq, Message)]
struct StoredRegistration {
    #[prost(string, tag = "1")]
    task: String,
    #[prost(int32, tag = "2")]
    attempt: i32,
    #[prost(bytes = "bytes", tag = "3")]
    incarnation: Bytes,
    #[prost(string, tag = "4")]
    session_id: String,
    #[prost(message, optional, tag = "5")]
    metadata: Option<WorkerMetadata>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredLines {
    #[prost(uint64, tag = "1")]
    first: u64,
    #[prost(bool, tag = "2")]
    server_numbered: bool,
    #[prost(sint64, repeated, tag = "3")]
    time_deltas_ns: Vec<i64>,
    #[prost(uint32, repeated, tag = "4")]
    lengths: Vec<u32>,
    #[prost(bytes = "vec", tag = "5")]
    marks: Vec<u8>,
    #[prost(bytes = "bytes", tag = "6")]
    data: Bytes,
    #[prost(map = "uint32, message", tag = "7")]
    extras: HashMap<u32, StoredExtra>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredExtra {
    #[prost(string, tag = "1")]
    level: String,
    #[prost(string, tag = "2")]
    source: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredGap {
    #[prost(uint64, tag = "1")]
    first: u64,
    #[prost(bool, tag = "2")]
    server_numbered: bool,
    #[prost(uint64, tag = "3")]
    last: u64,
    #[prost(string, tag = "4")]
    reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct StoredClosing {
    #[prost(int32, tag = "1")]
    exit_code: i32,
    #[prost(int32, tag = "2")]
    signal: i32,
    #[prost(string, tag = "3")]
    reason: String,
    #[prost(uint64, tag = "4")]
    last: u64,
    #[prost(bool, tag = "5")]
    exit_code_unknown: bool,
}

#[derive(Clone, PartialEq, Message)]
struct StoredTrim {
    #[prost(uint64, tag = "1")]
    until: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredForgetting {}

/// All that is known of a worker but its name.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredState {
    #[prost(message, optional, tag = "1")]
    registration: Option<StoredRegistration>,
    #[prost(bool, optional, tag = "2")]
    server_numbered: Option<bool>,
    #[prost(uint64, tag = "3")]
    high: u64,
    #[prost(uint64, tag = "4")]
    lines: u64,
    #[prost(uint64, tag = "5")]
    bytes: u64,
    #[prost(uint64, tag = "6")]
    lost: u64,
    #[prost(uint64, tag = "7")]
    trimmed: u64,
    #[prost(message, optional, tag = "8")]
    closing: Option<StoredClosing>,
    #[prost(int64, tag = "9")]
    created_ns: i64,
    #[prost(int64, tag = "10")]
    updated_ns: i64,
    #[prost(uint64, tag = "11")]
    damaged: u64,
}

/// Appends `record` to `out`.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let last = encode_first(record, out);
    out.extend_from_slice(&last);
}

/// Appends `record` to `out`, but for its last bytes, which it gives: lines need not be copied.
pub(super) fn encode_first(record: &Record, out: &mut Vec<u8>) -> Bytes {
    match &record.change {
        Change::Appended { worker, numbering, block: Block { first, content: Content::Lines(lines) } }
            if lines.extras.is_empty() =>
        {
            let server_numbered = *numbering == Numbering::Server;
            columns::encode(record.at_ns, worker.as_str(), *first, server_numbered, lines, out);
            lines.data.clone()
        }
        _ => {
            encode_message(record, out);
            Bytes::new()
        }
    }
}

fn encode_message(record: &Record, out: &mut Vec<u8>) {
    let stored = StoredRecord {
        at_ns: record.at_ns,
        worker: record.change.worker().as_str().to_owned(),
        change: Some(stored_change(&record.change)),
    };
    stored.encode(out).expect("a Vec takes everything");
}

fn stored_change(change: &Change) -> StoredChange {
    match change {
        Change::Registered(registration) => StoredChange::Registered(stored_registration(registration)),
        Change::Appended { numbering, block, .. } => stored_block(block, *numbering == Numbering::Server),
        Change::Closed { closing, last, .. } => StoredChange::Closed(stored_closing(closing, *last)),
        Change::Trimmed { until, .. } => StoredChange::Trimmed(StoredTrim { until: until.get() }),
        Change::Carried(state) => StoredChange::Carried(stored_state(state)),
        Change::Forgotten { .. } => StoredChange::Forgotten(StoredForgetting {}),
    }
}

fn stored_registration(registration: &Registration) -> StoredRegistration {
    StoredRegistration {
        task: registration.task.as_str().to_owned(),
        attempt: registration.attempt,
        incarnation: registration.incarnation.clone(),
        session_id: registration.session_id.as_ref().to_owned(),
        metadata: Some(registration.metadata.as_ref().clone()),
    }
}

fn stored_closing(closing: &Closing, last: Sequence) -> StoredClosing {
    StoredClosing {
        exit_code: closing.exit_code.unwrap_or_default(),
        signal: closing.signal,
        reason: closing.reason.as_ref().to_owned(),
        last: last.get(),
        exit_code_unknown: closing.exit_code.is_none(),
    }
}

/// A state as it is kept.
pub(super) fn stored_state(state: &WorkerState) -> StoredState {
    StoredState {
        registration: Some(stored_registration(&state.registration)),
        server_numbered: state.numbering.map(|numbering| numbering == Numbering::Server),
        high: state.high.get(),
        lines: state.lines,
        bytes: state.bytes,
        lost: state.lost,
        damaged: state.damaged,
        trimmed: state.trimmed.get(),
        closing: state.closing.as_ref().map(|closing| stored_closing(closing, state.high)),
        created_ns: state.created_ns,
        updated_ns: state.updated_ns,
    }
}

fn stored_block(block: &Block, server_numbered: bool) -> StoredChange {
    let first = block.first.get();
    match &block.content {
        Content::Gap { last, reason } => {
            let reason = reason.as_ref().to_owned();
            StoredChange::Gap(StoredGap { first, server_numbered, last: last.get(), reason })
        }
        Content::Lines(lines) => StoredChange::Lines(StoredLines {
            first,
            server_numbered,
            time_deltas_ns: deltas(&lines.times_ns).collect(),
            lengths: lines.lengths.clone(),
            marks: lines.marks.iter().map(|mark| mark.byte()).collect(),
            data: lines.data.clone(),
            extras: lines.extras.iter().map(|(at, extra)| (*at, stored_extra(extra))).collect(),
        }),
    }
}

fn stored_extra(extra: &Extra) -> StoredExtra {
    StoredExtra { level: extra.level.clone(), source: extra.source.clone(), metadata: extra.metadata.clone() }
}

/// Lines come close after one another: what lies between fits two or three bytes, a time takes nine.
fn deltas(times: &[i64]) -> impl Iterator<Item = i64> {
    let mut before = 0_i64;
    times.iter().map(move |time| {
        let delta = time.wrapping_sub(before);
        before = *time;
        delta
    })
}

fn times(deltas: &[i64]) -> Vec<i64> {
    let sum = |time: &mut i64, delta: &i64| {
        *time = time.wrapping_add(*delta);
        Some(*time)
    };
    deltas.iter().scan(0, sum).collect()
}

/// Reads a record; its line data shares `bytes`.
pub(super) fn decode(bytes: Bytes) -> Result<Record, InvalidRecord> {
    let stored = StoredRecord::decode(bytes)?;
    let worker = WorkerId::try_from(&*stored.worker).map_err(|_| InvalidRecord::Field("worker"))?;
    let change = match stored.change.ok_or(InvalidRecord::Field("change"))? {
        StoredChange::Registered(stored) => Change::Registered(registration(worker, stored)?),
        StoredChange::Closed(stored) => {
            let last = Sequence::new(stored.last);
            Change::Closed { worker, closing: closing(stored), last }
        }
        StoredChange::Trimmed(StoredTrim { until }) => {
            Change::Trimmed { worker, until: Sequence::new(until) }
        }
        StoredChange::Carried(stored) => Change::Carried(Box::new(state(worker, stored)?)),
        StoredChange::Forgotten(StoredForgetting {}) => Change::Forgotten { worker },
        StoredChange::Gap(gap) if gap.last < gap.first => {
            return Err(InvalidRecord::Field("a gap that ends before it begins"));
        }
        StoredChange::Gap(gap) => {
            check_place(gap.first)?;
            check_place(gap.last)?;
            let content = Content::Gap { last: Sequence::new(gap.last), reason: gap.reason.into() };
            appended(worker, gap.server_numbered, gap.first, content)
        }
        StoredChange::Lines(stored) => {
            let (server_numbered, first) = (stored.server_numbered, stored.first);
            check_place(first)?;
            appended(worker, server_numbered, first, Content::Lines(lines(stored)?))
        }
    };
    Ok(Record { at_ns: stored.at_ns, change })
}

/// The wire names no other, and sums with these stay in range.
fn check_place(sequence: u64) -> Result<(), InvalidRecord> {
    match i64::try_from(sequence) {
        Ok(1..) => Ok(()),
        Ok(_) | Err(_) => Err(InvalidRecord::Field("a sequence that no line can have")),
    }
}

fn registration(worker: WorkerId, stored: StoredRegistration) -> Result<Registration, InvalidRecord> {
    Ok(Registration {
        worker,
        task: TaskId::try_from(&*stored.task).map_err(|_| InvalidRecord::Field("task"))?,
        attempt: stored.attempt,
        // A copy: a slice would keep the whole segment in memory for as long as the worker is known.
        incarnation: Bytes::copy_from_slice(&stored.incarnation),
        session_id: stored.session_id.into(),
        metadata: Arc::new(stored.metadata.unwrap_or_default()),
    })
}

fn closing(stored: StoredClosing) -> Closing {
    let exit_code = (!stored.exit_code_unknown).then_some(stored.exit_code);
    Closing { exit_code, signal: stored.signal, reason: stored.reason.into() }
}

/// The state that was kept of `worker`.
pub(super) fn state(worker: WorkerId, stored: StoredState) -> Result<WorkerState, InvalidRecord> {
    let registered = stored.registration.ok_or(InvalidRecord::Field("registration"))?;
    Ok(WorkerState {
        registration: registration(worker, registered)?,
        numbering: stored.server_numbered.map(numbering),
        high: Sequence::new(stored.high),
        lines: stored.lines,
        bytes: stored.bytes,
        lost: stored.lost,
        damaged: stored.damaged,
        trimmed: Sequence::new(stored.trimmed),
        closing: stored.closing.map(closing),
        created_ns: stored.created_ns,
        updated_ns: stored.updated_ns,
    })
}

fn numbering(server_numbered: bool) -> Numbering {
    if server_numbered { Numbering::Server } else { Numbering::Client }
}

fn appended(worker: WorkerId, server_numbered: bool, first: u64, content: Content) -> Change {
    let numbering = numbering(server_numbered);
    Change::Appended { worker, numbering, block: Block { first: Sequence::new(first), content } }
}

fn lines(stored: StoredLines) -> Result<Lines, InvalidRecord> {
    let count = stored.lengths.len();
    let bytes: usize = stored.lengths.iter().map(|length| *length as usize).sum();
    if count == 0 || stored.marks.len() != count || stored.time_deltas_ns.len() != count {
        return Err(InvalidRecord::Field("columns of different lengths"));
    }
    if bytes != stored.data.len() {
        return Err(InvalidRecord::Field("lengths that do not add up"));
    }
    let extra =
        |stored: StoredExtra| Extra { level: stored.level, source: stored.source, metadata: stored.metadata };
    Ok(Lines {
        times_ns: times(&stored.time_deltas_ns),
        lengths: stored.lengths,
        marks: stored.marks.into_iter().map(Mark::from_byte).collect(),
        data: stored.data,
        extras: stored.extras.into_iter().map(|(at, stored)| (at, extra(stored))).collect(),
    })
}

#[cfg(test)]
pub(super) mod tests;
