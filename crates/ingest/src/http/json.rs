//! Domain types → JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::ids::WorkerId;
use crate::line::{Block, Content, Line, Sequence};
use crate::service::rfc3339;
use crate::summary::Summary;
use crate::worker::WorkerState;

pub(super) fn summary(summary: &Summary) -> Value {
    json!({
        "task_id": summary.task.as_str(),
        "workers": summary.workers,
        "open": summary.open,
        "failed": summary.failed,
        "lines": summary.lines,
        "created_at": rfc3339(summary.created_ns),
        "updated_at": rfc3339(summary.updated_ns),
    })
}

pub(super) fn worker(state: &WorkerState) -> Value {
    let closing = state.closing.as_ref();
    json!({
        "worker_id": state.registration.worker.as_str(),
        "task_id": state.registration.task.as_str(),
        "attempt": state.registration.attempt,
        "state": if closing.is_some() { "closed" } else { "open" },
        "complete": state.is_complete(),
        "exit_code": closing.and_then(|closing| closing.exit_code),
        "signal": closing.map(|closing| closing.signal),
        "reason": closing.map(|closing| closing.reason.as_ref()),
        "last_sequence": state.high.get(),
        "lines": state.lines,
        "bytes": state.bytes,
        "lost": state.lost,
        "created_at": rfc3339(state.created_ns),
        "updated_at": rfc3339(state.updated_ns),
    })
}

/// Each line or gap of a block with its sequence.
pub(super) fn lines(block: &Block) -> Vec<(Sequence, Value)> {
    match &block.content {
        Content::Gap { last, reason } => {
            let gap = json!({"last_sequence": last.get(), "reason": reason.as_ref()});
            vec![(block.first, json!({"sequence": block.first.get(), "gap": gap}))]
        }
        Content::Lines(lines) => (0..)
            .zip(lines.iter())
            .map(|(at, l)| (block.first.plus(at), line(block.first.plus(at), &l)))
            .collect(),
    }
}

/// The same as one array, each with the worker it is of.
pub(super) fn lines_of(worker: &WorkerId, block: &Block) -> Vec<Value> {
    let of_worker = |(_, mut line): (Sequence, Value)| {
        line["worker_id"] = worker.as_str().into();
        line
    };
    lines(block).into_iter().map(of_worker).collect()
}

fn line(sequence: Sequence, line: &Line<'_>) -> Value {
    let mut object = Map::new();
    object.insert("sequence".into(), sequence.get().into());
    object.insert("timestamp".into(), rfc3339(line.time_ns).into());
    object.insert("source".into(), line.source().into());
    object.insert("level".into(), line.extra.map_or("", |extra| &extra.level).into());
    object.insert("message".into(), String::from_utf8_lossy(line.bytes).into());
    if std::str::from_utf8(line.bytes).is_err() {
        object.insert("raw".into(), BASE64_STANDARD.encode(line.bytes).into());
    }
    if line.mark.flags() != 0 {
        object.insert("flags".into(), line.mark.flags().into());
    }
    if let Some(extra) = line.extra.filter(|extra| !extra.metadata.is_empty()) {
        object.insert("metadata".into(), json!(extra.metadata));
    }
    object.into()
}
