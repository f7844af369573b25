//! A log as server-sent events: event id = sequence, so that a browser resumes by itself.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;

use super::error::ApiError;
use super::json;
use super::params::{Named, Params, number};
use crate::ids::WorkerId;
use crate::line::Sequence;
use crate::server::Server;
use crate::tail::{Follow, Piece};

/// A comment now and then keeps connections open that a proxy would close.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(super) struct Start {
    from: Option<String>,
}

pub(super) async fn events(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    Params(start): Params<Start>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let states =
        server.catalog.watch(&worker).ok_or_else(|| ApiError::not_found("worker", worker.as_str()))?;
    let from = match headers.get("last-event-id") {
        Some(id) => last_event_id(id.as_bytes())?.next(),
        None => Sequence::new(number("from", start.from.as_ref(), 1)?),
    };
    let tail = server.tails.tail(states, from, Follow::UntilClosed);
    let tail = tail.map_err(ApiError::busy)?;
    let events = tail.take_until(server.draining.clone().cancelled_owned()).flat_map(|piece| {
        stream::iter(match piece {
            Ok(Piece::Block(block)) => json::lines(&block).into_iter().map(line).collect(),
            Ok(Piece::End(state)) => {
                vec![Event::default().event("end").data(json::worker(&state).to_string())]
            }
            Err(error) => {
                // Not `error`: so a browser names what befalls the connection.
                let error = json!({"code": "store_failed", "message": error.to_string()});
                vec![Event::default().event("failed").data(error.to_string())]
            }
        })
    });
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn line((sequence, line): (Sequence, serde_json::Value)) -> Event {
    // A client that has seen a gap has seen all that it stands for.
    let last = line["gap"]["last_sequence"].as_u64().unwrap_or(sequence.get());
    Event::default().id(last.to_string()).data(line.to_string())
}

fn last_event_id(id: &[u8]) -> Result<Sequence, ApiError> {
    let number = std::str::from_utf8(id).ok().and_then(|text| text.parse().ok());
    number.map(Sequence::new).ok_or_else(|| ApiError::invalid("Last-Event-ID: must be a sequence"))
}
