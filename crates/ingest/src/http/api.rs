//! Tasks, workers and their lines.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, task_id, worker_id};
use super::json;
use crate::line::{Block, Content, Sequence};
use crate::server::Server;
use crate::summary::Summary;
use crate::tail::{self, Follow, Piece};

/// Tasks that one answer lists: the latest ones.
const MAX_TASKS: usize = 1000;

/// Lines that one answer gives where the client does not say.
const LINES: u64 = 1000;

/// Lines that one answer gives at the most.
const MAX_LINES: u64 = 1_000_000;

/// `LogEntry.flags`: the line goes on, or had no newline.
const WITHOUT_NEWLINE: u32 = 0b11;

pub(super) async fn tasks(State(server): State<Server>) -> Json<Value> {
    let all = Summary::all(&server.catalog);
    let shown: Vec<_> = all.iter().take(MAX_TASKS).map(json::summary).collect();
    Json(json!({"tasks": shown, "total": all.len()}))
}

pub(super) async fn task(
    State(server): State<Server>,
    Path(task): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let task = task_id(&task)?;
    let workers = server.catalog.task(&task).ok_or_else(|| ApiError::not_found("task", task.as_str()))?;
    let mut shown = json::summary(&Summary::new(task, &workers));
    shown["workers"] = workers.iter().map(|state| json::worker(state)).collect();
    Ok(Json(shown))
}

/// What to give of a log.
#[derive(Deserialize)]
pub(super) struct Window {
    from: Option<String>,
    limit: Option<String>,
}

pub(super) fn number(field: &str, text: Option<&String>, default: u64) -> Result<u64, ApiError> {
    let invalid = |_| ApiError::invalid(format!("{field}: must be a number from 0 on"));
    text.map_or(Ok(default), |text| text.parse().map_err(invalid))
}

pub(super) async fn logs(
    State(server): State<Server>,
    Path(worker): Path<String>,
    Query(window): Query<Window>,
) -> Result<Response, ApiError> {
    let from = Sequence::new(number("from", window.from.as_ref(), 1)?);
    let limit = number("limit", window.limit.as_ref(), LINES)?.min(MAX_LINES);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let lines = blocks(&server, &worker, from)?.flat_map(|block| {
        let lines = match block {
            Ok(block) => json::lines(&block).into_iter().map(|(_, line)| Ok(format!("{line}\n"))).collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(lines)
    });
    Ok(stream("application/x-ndjson", lines.take(limit).ready_chunks(256).map(joined)))
}

/// Many small pieces would be many small writes.
fn joined(pieces: Vec<io::Result<String>>) -> io::Result<String> {
    pieces.into_iter().collect()
}

pub(super) async fn text(
    State(server): State<Server>,
    Path(worker): Path<String>,
) -> Result<Response, ApiError> {
    let bytes = blocks(&server, &worker, Sequence::new(1))?.map(|block| Ok(as_written(&block?)));
    Ok(stream("text/plain; charset=utf-8", bytes))
}

fn stream<T: Into<bytes::Bytes> + Send + 'static>(
    media_type: &'static str,
    pieces: impl Stream<Item = io::Result<T>> + Send + 'static,
) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Body::from_stream(pieces)).into_response()
}

/// The blocks of a worker's log as of now.
fn blocks(
    server: &Server,
    worker: &str,
    from: Sequence,
) -> Result<impl Stream<Item = io::Result<Block>> + Send + use<>, ApiError> {
    let worker = worker_id(worker)?;
    let states =
        server.catalog.watch(&worker).ok_or_else(|| ApiError::not_found("worker", worker.as_str()))?;
    let tail = tail::tail(Arc::clone(&server.reader), states, from, Follow::No, &server.metrics);
    Ok(tail.flat_map(|piece| {
        futures::stream::iter(match piece {
            Ok(Piece::Blocks(blocks)) => blocks.into_iter().map(Ok).collect(),
            Ok(Piece::End(_)) => Vec::new(),
            Err(error) => vec![Err(error)],
        })
    }))
}

/// The bytes that the command wrote; a gap as a line that says what is missing.
fn as_written(block: &Block) -> Vec<u8> {
    match &block.content {
        Content::Gap { last, reason } => {
            format!("[otto: lines {}-{last} are missing: {reason}]\n", block.first).into_bytes()
        }
        Content::Lines(lines) => {
            let mut bytes = Vec::with_capacity(lines.bytes() + lines.len());
            for line in lines.iter() {
                bytes.extend_from_slice(line.bytes);
                if line.mark.flags() & WITHOUT_NEWLINE == 0 {
                    bytes.push(b'\n');
                }
            }
            bytes
        }
    }
}
