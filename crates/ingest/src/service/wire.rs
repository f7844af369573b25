//! Domain types → messages.

use jiff::Timestamp;
use ottoscaler_proto::v1::log_response::Status;
use ottoscaler_proto::v1::{Gap, LogEntry, LogResponse, LogState, TaskSummary, Worker, WorkerEnd};

use crate::ids::{TaskId, WorkerId};
use crate::line::{Block, Content, Line, Sequence};
use crate::reason::{Dropped, Retry};
use crate::summary::Summary;
use crate::worker::WorkerState;

pub(super) fn ack(sequence: Sequence) -> LogResponse {
    response(Status::Ack, String::new(), sequence.to_wire())
}

pub(super) fn retry(retry: Retry, high: Sequence) -> LogResponse {
    response(Status::Retry, retry.message(), high.to_wire())
}

pub(super) fn dropped(why: &Dropped, sequence: i64) -> LogResponse {
    response(Status::Drop, why.message(), sequence)
}

fn response(status: Status, message: String, sequence: i64) -> LogResponse {
    LogResponse { status: status.into(), message, sequence, crc32c: None }
}

/// RFC 3339, from Unix nanoseconds.
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into()).map_or_else(|_| String::new(), |time| time.to_string())
}

/// The lines of a block, or its gap, as entries.
pub(super) fn entries(worker: &WorkerId, task: &TaskId, block: &Block) -> Vec<LogEntry> {
    let base = LogEntry {
        worker_id: worker.as_str().to_owned(),
        task_id: task.as_str().to_owned(),
        sequence: block.first.to_wire(),
        ..LogEntry::default()
    };
    match &block.content {
        Content::Gap { last, reason } => {
            let gap = Gap { last_sequence: last.to_wire(), reason: reason.as_ref().to_owned() };
            vec![LogEntry { gap: Some(gap), ..base }]
        }
        Content::Lines(lines) => (0..).zip(lines.iter()).map(|(at, line)| entry(&base, at, &line)).collect(),
    }
}

fn entry(base: &LogEntry, at: i64, line: &Line<'_>) -> LogEntry {
    let (message, raw) = match std::str::from_utf8(line.bytes) {
        Ok(text) => (text.to_owned(), bytes::Bytes::new()),
        Err(_) => (lossy(line.bytes), bytes::Bytes::copy_from_slice(line.bytes)),
    };
    LogEntry {
        timestamp: rfc3339(line.time_ns),
        level: line.extra.map(|extra| extra.level.clone()).unwrap_or_default(),
        source: line.source().to_owned(),
        message,
        raw,
        metadata: line.extra.map(|extra| extra.metadata.clone().into_iter().collect()).unwrap_or_default(),
        sequence: base.sequence + at,
        flags: line.mark.flags(),
        ..base.clone()
    }
}

/// Bytes of the text that stands beside a line which is not text. Each byte may become three, and `raw`
/// has them all: a client has to get the entry at all.
const LOSSY_BYTES: usize = 1 << 20;

/// The bytes as text, the unreadable ones replaced; cut where that is longer than [`LOSSY_BYTES`].
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(LOSSY_BYTES));
    text
}

pub(super) fn end(state: &WorkerState) -> WorkerEnd {
    let closing = state.closing.as_ref();
    WorkerEnd {
        worker_id: state.registration.worker.to_string(),
        last_sequence: state.high.to_wire(),
        state: log_state(state).into(),
        exit_code: exit_code(state),
        signal: closing.map_or(0, |closing| closing.signal),
        complete: state.is_complete(),
        exit_code_unknown: is_exit_code_unknown(state),
    }
}

fn exit_code(state: &WorkerState) -> i32 {
    state.closing.as_ref().and_then(|closing| closing.exit_code).unwrap_or_default()
}

fn is_exit_code_unknown(state: &WorkerState) -> bool {
    state.closing.as_ref().is_some_and(|closing| closing.exit_code.is_none())
}

fn log_state(state: &WorkerState) -> LogState {
    if state.closing.is_some() { LogState::Closed } else { LogState::Open }
}

pub(super) fn worker(state: &WorkerState) -> Worker {
    let closing = state.closing.as_ref();
    Worker {
        worker_id: state.registration.worker.to_string(),
        task_id: state.registration.task.to_string(),
        attempt: state.registration.attempt,
        state: log_state(state).into(),
        complete: state.is_complete(),
        exit_code: exit_code(state),
        exit_code_unknown: is_exit_code_unknown(state),
        signal: closing.map_or(0, |closing| closing.signal),
        last_sequence: state.high.to_wire(),
        lines: to_wire(state.lines),
        bytes: to_wire(state.bytes),
        lost: to_wire(state.lost),
        created_at: rfc3339(state.created_ns),
        updated_at: rfc3339(state.updated_ns),
        reason: closing.map(|closing| closing.reason.to_string()).unwrap_or_default(),
        metadata: Some(state.registration.metadata.as_ref().clone()),
    }
}

fn to_wire(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn small(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

pub(super) fn task(summary: &Summary) -> TaskSummary {
    TaskSummary {
        task_id: summary.task.to_string(),
        workers: small(summary.workers),
        open: small(summary.open),
        failed: small(summary.failed),
        lines: to_wire(summary.lines),
        created_at: rfc3339(summary.created_ns),
        updated_at: rfc3339(summary.updated_ns),
    }
}
