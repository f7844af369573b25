//! A log as a text: what the command wrote, as it wrote it.

use std::future::ready;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures::StreamExt;
use serde::Deserialize;

use super::api::{blocks, stream};
use super::error::ApiError;
use super::params::{Named, Params, flag, number};
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence, Source};
use crate::server::Server;

/// `LogEntry.flags`: the line goes on, or had no newline.
const WITHOUT_NEWLINE: u32 = 0b11;

/// Which lines, and what to do with them.
#[derive(Deserialize)]
pub(super) struct Range {
    from: Option<String>,
    to: Option<String>,
    download: Option<String>,
}

pub(super) async fn text(
    State(server): State<Server>,
    Named(worker): Named<WorkerId>,
    Params(range): Params<Range>,
) -> Result<Response, ApiError> {
    let from = Sequence::new(number("from", range.from.as_ref(), 1)?);
    let to = Sequence::new(number("to", range.to.as_ref(), u64::MAX)?);
    if to < from {
        return Err(ApiError::invalid("to: must not be before from"));
    }
    let is_download = flag("download", range.download.as_ref())?;
    let mut at_line_start = true;
    let wanted = move |block: &Block| block.first <= to;
    let bytes = blocks(&server, &worker, from)?
        .take_while(move |part| ready(part.as_ref().map_or(true, |part| wanted(part.block()))))
        .map(move |part| Ok(as_written(&part?.block().clone().cut_at(to), &mut at_line_start)));
    let mut response = stream("text/plain; charset=utf-8", bytes);
    if is_download {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment(&worker));
    }
    Ok(response)
}

/// The name of a worker as the name of a file. What may not stand in one on some system is left out, and so is what may
/// not stand in a header; names of other letters are said in full beside it.
fn attachment(worker: &WorkerId) -> HeaderValue {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
    let name: String = worker.as_str().chars().map(|c| if is_plain(&c) { c } else { '_' }).collect();
    let encoded: String = worker.as_str().bytes().map(percent_encoded).collect();
    let value = format!("attachment; filename=\"{name}.txt\"; filename*=UTF-8''{encoded}.txt");
    HeaderValue::from_str(&value).expect("it is plain ASCII")
}

fn percent_encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
        char::from(byte).to_string()
    } else {
        // A slash is no part of a file's name.
        format!("%{:02X}", if byte == b'/' { b'_' } else { byte })
    }
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

    #[test]
    fn a_download_has_the_name_of_its_worker_whatever_that_is() {
        let cases = [
            ("build-1.2", "build-1.2", "build-1.2"),
            ("a/b \"c\"", "a_b__c_", "a%5Fb%20%22c%22"),
            ("가", "_", "%EA%B0%80"),
        ];
        for (worker, plain, encoded) in cases {
            let header = attachment(&WorkerId::try_from(worker).unwrap());
            let expected = format!("attachment; filename=\"{plain}.txt\"; filename*=UTF-8''{encoded}.txt");
            assert_eq!(header, expected.as_str());
        }
    }
}
