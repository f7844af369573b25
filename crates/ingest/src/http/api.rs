//! Workers and their lines.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use serde::Deserialize;

use super::error::ApiError;
use super::params::{Named, Params, number, number_in};
use super::{etag, json};
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::server::Server;
use crate::tail::{Follow, Part, Piece};

/// Lines that one answer gives where the client does not say.
const LINES: u64 = 1000;

/// Lines that one answer gives at the most.
const MAX_LINES: u64 = 1_000_000;

pub(super) async fn worker(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let state = server.catalog.worker(&worker);
    let state = state.ok_or_else(|| ApiError::not_found("worker", worker.as_str()))?;
    Ok(etag::json(&headers, json::worker(&state).to_string()))
}

/// What to give of a log.
#[derive(Deserialize)]
pub(super) struct Window {
    from: Option<String>,
    limit: Option<String>,
}

/// Where a part of a log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    At(Sequence),
    /// So many lines before its end, as that is when it is asked for.
    FromEnd(u64),
}

impl Start {
    fn parse(field: &str, text: Option<&String>) -> Result<Self, ApiError> {
        match text.and_then(|text| text.strip_prefix('-')) {
            Some(digits) => Ok(Self::FromEnd(number(field, Some(&digits.to_owned()), 0)?)),
            None => Ok(Self::At(Sequence::new(number(field, text, 1)?))),
        }
    }

    /// The first line, of a log with this as its last.
    fn of(self, last: Sequence) -> Sequence {
        match self {
            Self::At(first) => first,
            Self::FromEnd(lines) => {
                Sequence::new(last.next().get().saturating_sub(lines)).max(Sequence::new(1))
            }
        }
    }
}

pub(super) async fn logs(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    Params(window): Params<Window>,
) -> Result<Response, ApiError> {
    let start = Start::parse("from", window.from.as_ref())?;
    let limit = number_in("limit", window.limit.as_ref(), LINES, 0..=MAX_LINES)?;
    let last = server.catalog.worker(&worker).map_or(Sequence::ZERO, |state| state.high);
    let from = start.of(last);
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let lines = blocks(&server, &worker, from)?.map(move |block| {
        let lines = json::lines(block?.block());
        let mut text = String::new();
        for (_, line) in lines.iter().take(left) {
            text.push_str(&line.to_string());
            text.push('\n');
        }
        left = left.saturating_sub(lines.len());
        Ok((text, left == 0))
    });
    Ok(stream("application/x-ndjson", until_done(lines, limit == 0)))
}

/// The pieces up to the one that says that nothing more is wanted.
fn until_done(
    pieces: impl Stream<Item = io::Result<(String, bool)>> + Send + 'static,
    mut done: bool,
) -> impl Stream<Item = io::Result<String>> + Send + 'static {
    let wanted = move |piece: &io::Result<(String, bool)>| {
        let before = std::mem::replace(&mut done, matches!(piece, Ok((_, true)) | Err(_)));
        std::future::ready(!before)
    };
    pieces.take_while(wanted).map(|piece| piece.map(|(text, _)| text))
}

pub(super) fn stream<T: Into<bytes::Bytes> + Send + 'static>(
    media_type: &'static str,
    pieces: impl Stream<Item = io::Result<T>> + Send + 'static,
) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Body::from_stream(pieces)).into_response()
}

/// The blocks of a worker's log as of now. Where the server stops meanwhile, that is an error: what was
/// given does not pass for the whole.
pub(super) fn blocks(
    server: &Server,
    worker: &WorkerId,
    from: Sequence,
) -> Result<impl Stream<Item = io::Result<Arc<Part>>> + Send + use<>, ApiError> {
    let states =
        server.catalog.watch(worker).ok_or_else(|| ApiError::not_found("worker", worker.as_str()))?;
    let tail = server.tails.tail(states, from, Follow::No).map_err(ApiError::busy)?;
    let draining = server.draining.clone();
    Ok(tail.filter_map(move |piece| {
        let stopped = draining.is_cancelled().then(|| Err(io::Error::other("the server is stopping")));
        std::future::ready(stopped.or_else(|| match piece {
            Ok(Piece::Part(part)) => Some(Ok(part)),
            Ok(Piece::End(_)) => None,
            Err(error) => Some(Err(error)),
        }))
    }))
}
