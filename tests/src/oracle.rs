//! Compares what a reader gets with what the command wrote, byte for byte.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::chatter::{Script, Stream};

/// `LogEntry.flags`: the line goes on in the next entry.
const CONTINUES: u64 = 1;
/// `LogEntry.flags`: the last line had no newline.
const NO_EOL: u64 = 2;

/// Checks P5 for a chatter script: sequences 1, 2, 3 … without a hole or a repeat, no gap, and each
/// stream's bytes exactly as the command wrote them.
pub fn check(worker: &str, lines: &[Value], script: Script) {
    check_sequences(worker, lines);
    for (stream, source) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
        let expected = script.expected(stream);
        let got = bytes(lines, source);
        assert!(got == expected, "{worker}: {source} differs: {}", difference(&expected, &got));
    }
}

/// Checks that sequences are 1, 2, 3 … and that there is no gap.
pub fn check_sequences(worker: &str, lines: &[Value]) {
    for (expected, line) in (1_u64..).zip(lines) {
        assert_eq!(
            line["sequence"].as_u64(),
            Some(expected),
            "{worker}: out of order, lost or doubled: {line}"
        );
        assert!(line["gap"].is_null(), "{worker}: lost lines: {line}");
    }
}

/// The bytes that a source wrote, put together again from its lines.
pub fn bytes(lines: &[Value], source: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.iter().filter(|line| line["source"] == source) {
        match line["raw"].as_str() {
            Some(raw) => out.extend(BASE64_STANDARD.decode(raw).expect("raw is base64")),
            None => out.extend_from_slice(line["message"].as_str().expect("a line has a message").as_bytes()),
        }
        if line["flags"].as_u64().unwrap_or(0) & (CONTINUES | NO_EOL) == 0 {
            out.push(b'\n');
        }
    }
    out
}

fn difference(expected: &[u8], got: &[u8]) -> String {
    let at = expected.iter().zip(got).position(|(a, b)| a != b).unwrap_or(expected.len().min(got.len()));
    let show = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[at.saturating_sub(40).min(bytes.len())..(at + 80).min(bytes.len())])
            .into_owned()
    };
    format!(
        "{} bytes expected, {} got, first difference at {at}: expected {:?}, got {:?}",
        expected.len(),
        got.len(),
        show(expected),
        show(got)
    )
}
