//! Logs and their lines.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use serde::Deserialize;

use super::error::ApiError;
use super::json;
use super::params::{Named, Params, number};
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence, Source};
use crate::server::Server;
use crate::tail::{Follow, Part, Piece};

/// Lines that one answer gives where the client does not say.
const LINES: u64 = 1000;

/// Lines that one answer gives at the most.
const MAX_LINES: u64 = 1_000_000;

/// `LogEntry.flags`: the line goes on, or had no newline.
const WITHOUT_NEWLINE: u32 = 0b11;

/// What to give of a log.
#[derive(Deserialize)]
pub(super) struct Window {
    from: Option<String>,
    limit: Option<String>,
}

pub(super) async fn logs(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    Params(window): Params<Window>,
) -> Result<Response, ApiError> {
    let from = Sequence::new(number("from", window.from.as_ref(), 1)?);
    let limit = number("limit", window.limit.as_ref(), LINES)?.min(MAX_LINES);
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

pub(super) async fn text(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
) -> Result<Response, ApiError> {
    let mut at_line_start = true;
    let bytes = blocks(&server, &worker, Sequence::new(1))?
        .map(move |block| Ok(as_written(block?.block(), &mut at_line_start)));
    Ok(stream("text/plain; charset=utf-8", bytes))
}

fn stream<T: Into<bytes::Bytes> + Send + 'static>(
    media_type: &'static str,
    pieces: impl Stream<Item = io::Result<T>> + Send + 'static,
) -> Response {
    let headers = [(header::CONTENT_TYPE, media_type), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Body::from_stream(pieces)).into_response()
}

/// The blocks of a worker's log as of now. Where the server stops meanwhile, that is an error: what was
/// given does not pass for the whole.
fn blocks(
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

/// The bytes that the command wrote; a gap as a line of its own that says what is missing. What the agent
/// has to say is not the command's, and left out.
fn as_written(block: &Block, at_line_start: &mut bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    match &block.content {
        Content::Gap { last, reason } => {
            if !*at_line_start {
                bytes.push(b'\n');
            }
            let gap = format!("[otto: lines {}-{last} are missing: {reason}]\n", block.first);
            bytes.extend_from_slice(gap.as_bytes());
            *at_line_start = true;
        }
        Content::Lines(lines) => {
            bytes.reserve(lines.bytes() + lines.len());
            for line in lines.iter().filter(|line| line.mark.source() != Source::System) {
                bytes.extend_from_slice(line.bytes);
                *at_line_start = line.mark.flags() & WITHOUT_NEWLINE == 0;
                if *at_line_start {
                    bytes.push(b'\n');
                }
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Extra, LinesBuilder, Mark};

    fn block(lines: &[(Source, u32, &str)]) -> Block {
        let mut builder = LinesBuilder::default();
        for (source, flags, text) in lines {
            builder.push(0, Mark::new(*source, *flags), text.as_bytes(), Extra::default());
        }
        Block { first: Sequence::new(1), content: Content::Lines(builder.finish()) }
    }

    #[test]
    fn text_is_what_the_command_wrote_and_a_gap_stands_on_a_line_of_its_own() {
        let gap = Block {
            first: Sequence::new(4),
            content: Content::Gap { last: Sequence::new(6), reason: "buffer_full".into() },
        };
        let blocks = [
            block(&[
                (Source::Stdout, 0, "whole"),
                (Source::System, 0, "the agent's"),
                (Source::Stderr, 1, "goes on, "),
            ]),
            gap.clone(),
            block(&[(Source::Stdout, 2, "no newline")]),
            gap,
        ];
        let mut at_line_start = true;
        let text: Vec<u8> = blocks.iter().flat_map(|block| as_written(block, &mut at_line_start)).collect();
        let gap = "[otto: lines 4-6 are missing: buffer_full]";
        assert_eq!(String::from_utf8(text).unwrap(), format!("whole\ngoes on, \n{gap}\nno newline\n{gap}\n"));
    }
}
