//! A log as server-sent events: event id = sequence, so that a browser resumes by itself.

use std::fmt::Write;
use std::future::ready;
use std::io;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiError;
use super::params::{Named, Params, flag, number};
use super::{events, json};
use crate::ids::WorkerId;
use crate::line::{Block, Sequence};
use crate::server::Server;
use crate::tail::{Follow, Format, Piece, stalled};

#[derive(Deserialize)]
pub(super) struct Start {
    from: Option<String>,
    batch: Option<String>,
}

pub(super) async fn follow(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    Params(start): Params<Start>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let states =
        server.catalog.watch(&worker).ok_or_else(|| ApiError::not_found("worker", worker.as_str()))?;
    let from = match headers.get("last-event-id") {
        Some(id) => last_event_id(id.as_bytes())?.next(),
        None => Sequence::new(number("from", start.from.as_ref(), 1)?),
    };
    let tail = server.tails.tail(states, from, Follow::UntilClosed);
    let tail = tail.map_err(ApiError::busy)?;
    let is_batch = flag("batch", start.batch.as_ref())?;
    let format = if is_batch { Format::Batch } else { Format::Events };
    // Whose reader stalled ends without a word: a browser comes again, from where it was.
    let pieces = tail.take_while(|piece| ready(!piece.as_ref().is_err_and(stalled)));
    let events = pieces
        .take_until(server.draining.clone().cancelled_owned())
        .map(move |piece| events_of(piece, format));
    Ok(events::response(is_batch.then(events::retry), events))
}

/// A piece as events, which those who read the same share.
fn events_of(piece: io::Result<Piece>, format: Format) -> Bytes {
    let encode = if format == Format::Batch { batch } else { lines };
    match piece {
        Ok(Piece::Part(part)) => part.encoded(format, |block| vec![encode(block)])[0].clone(),
        Ok(Piece::End(state)) => events::event("end", &json::worker(&state)),
        Err(error) => events::failed(&ApiError::store(&error)),
    }
}

/// An event for each line or gap.
fn lines(block: &Block) -> Bytes {
    let mut events = String::new();
    for (sequence, line) in json::lines(block) {
        // A client that has seen a gap has seen all that it stands for.
        let last = line["gap"]["last_sequence"].as_u64().unwrap_or(sequence.get());
        // JSON has no line breaks of its own.
        write!(events, "id: {last}\ndata: {line}\n\n").expect("a String takes everything");
    }
    events.into()
}

/// One event for all lines, or for the gap.
fn batch(block: &Block) -> Bytes {
    let lines: Vec<_> = json::lines(block).into_iter().map(|(_, line)| line).collect();
    format!("id: {}\ndata: {}\n\n", block.last(), Value::from(lines)).into()
}

fn last_event_id(id: &[u8]) -> Result<Sequence, ApiError> {
    let number = std::str::from_utf8(id).ok().and_then(|text| text.parse().ok());
    number.map(Sequence::new).ok_or_else(|| ApiError::invalid("Last-Event-ID: must be a sequence"))
}
