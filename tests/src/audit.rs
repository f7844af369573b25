//! Compares a log of any length with the script of its command while it is read, line by line, without
//! holding it: what the oracle does for logs of millions of lines, and for those that have gaps.

use std::borrow::Cow;
use std::ops::Range;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::chatter::{Script, Stream};
use crate::ingest::Ingest;

/// Lines that one request asks for: what the API gives at the most.
const PAGE: u64 = 1_000_000;

/// `LogEntry.flags`: the line goes on in the next entry.
const CONTINUES: u32 = 1;
/// `LogEntry.flags`: the last line had no newline.
const NO_EOL: u32 = 2;

/// A line or a gap as the API gives it.
#[derive(Debug, Deserialize)]
struct Shown<'a> {
    sequence: u64,
    #[serde(borrow, default)]
    source: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    raw: Option<String>,
    #[serde(default)]
    flags: u32,
    gap: Option<Gap>,
}

/// Lines that are gone.
#[derive(Debug, Deserialize)]
struct Gap {
    last_sequence: u64,
    reason: String,
}

/// What a reader finds of a script. Each line that it shows is the script's, byte for byte, once, and in its
/// stream's order: anything else has been a panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Lines of the script that are there.
    pub lines: u64,
    /// Lines of the script that are not, before others that are.
    pub skipped: u64,
    /// Lines of the script behind the last that are there.
    pub behind: u64,
    /// Lines that gaps stand for.
    pub lost: u64,
    /// Why, each reason once.
    pub reasons: Vec<String>,
}

impl Found {
    /// Nothing is missing.
    pub fn assert_whole(&self, worker: &str) {
        assert_eq!((self.lost, self.skipped, self.behind), (0, 0, 0), "{worker} is not whole: {self:?}");
    }

    /// Nothing is missing but the end.
    pub fn assert_prefix(&self, worker: &str) {
        assert_eq!((self.lost, self.skipped), (0, 0), "{worker} has holes: {self:?}");
    }

    /// What is missing is in gaps, and nothing else is.
    pub fn assert_accounted(&self, worker: &str) {
        assert_eq!(self.lost, self.skipped + self.behind, "{worker}: not what the gaps say: {self:?}");
    }
}

/// Reads all of a worker's log and compares it with what its command wrote.
pub async fn read(ingest: &Ingest, worker: &str, script: Script) -> Found {
    let mut audit = Audit::new(worker, script);
    loop {
        let before = audit.sequence;
        page(ingest, &mut audit).await.unwrap_or_else(|error| panic!("cannot read {worker}: {error:#}"));
        if audit.sequence == before {
            return audit.end();
        }
    }
}

/// One answer of the API, as it comes.
async fn page(ingest: &Ingest, audit: &mut Audit) -> Result<()> {
    let path = format!("/api/v1/workers/{}/logs?from={}&limit={PAGE}", audit.worker, audit.sequence + 1);
    let mut response = reqwest::get(ingest.http_url(&path)).await?.error_for_status()?;
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        text.extend_from_slice(&chunk);
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            audit.take(
                &serde_json::from_slice(line).with_context(|| String::from_utf8_lossy(line).into_owned())?,
            );
        }
        text.drain(..whole);
    }
    anyhow::ensure!(text.is_empty(), "the answer ends within a line");
    Ok(())
}

/// How far the comparison is.
struct Audit {
    worker: String,
    script: Script,
    /// The last that was seen.
    sequence: u64,
    stdout: Side,
    stderr: Side,
    found: Found,
}

impl Audit {
    fn new(worker: &str, script: Script) -> Self {
        let side = |stream| Side { script, stream, ..Side::default() };
        let (stdout, stderr) = (side(Stream::Stdout), side(Stream::Stderr));
        Self { worker: worker.to_owned(), script, sequence: 0, stdout, stderr, found: Found::default() }
    }

    fn take(&mut self, shown: &Shown<'_>) {
        let worker = &self.worker;
        assert_eq!(shown.sequence, self.sequence + 1, "{worker}: out of order, lost or doubled: {shown:?}");
        self.sequence = shown.sequence;
        if let Some(gap) = &shown.gap {
            assert!(gap.last_sequence >= shown.sequence, "{worker}: {gap:?}");
            self.found.lost += gap.last_sequence - self.sequence + 1;
            self.sequence = gap.last_sequence;
            if !self.found.reasons.contains(&gap.reason) {
                self.found.reasons.push(gap.reason.clone());
            }
            self.stdout.lose();
            self.stderr.lose();
            return;
        }
        let side = match &*shown.source {
            "stdout" => &mut self.stdout,
            "stderr" => &mut self.stderr,
            // What the agent says itself is none of the command's lines.
            _ => return,
        };
        match &shown.raw {
            Some(raw) => side.line.extend(BASE64_STANDARD.decode(raw).expect("raw is base64")),
            None => side.line.extend_from_slice(shown.message.as_bytes()),
        }
        if shown.flags & CONTINUES == 0 {
            assert_eq!(shown.flags & NO_EOL, 0, "{worker}: the script ends each line: {shown:?}");
            side.end_line().unwrap_or_else(|why| panic!("{worker}: at {}: {why}", shown.sequence));
        }
    }

    fn end(mut self) -> Found {
        for side in [&mut self.stdout, &mut self.stderr] {
            assert!(side.line.is_empty(), "{}: a line without its end", self.worker);
            let count = self.script.count(side.stream);
            if side.is_lost {
                side.find(count).unwrap_or_else(|why| panic!("{}: at the end: {why}", self.worker));
            } else {
                side.skipped_at_end = count - side.next;
            }
            self.found.lines += side.lines;
            self.found.skipped += side.skipped;
            self.found.behind += side.skipped_at_end;
        }
        self.found
    }
}

/// One of the two streams.
#[derive(Default)]
struct Side {
    script: Script,
    stream: Stream,
    /// Which of the stream's lines has to come next.
    next: u64,
    /// What has come of it.
    line: Vec<u8>,
    expected: Vec<u8>,
    /// There was a gap, and no line since that says which one it is.
    is_lost: bool,
    /// Empty lines that came meanwhile, since the last gap.
    unknown: u64,
    /// The same, between gaps before that one.
    adrift: u64,
    lines: u64,
    skipped: u64,
    skipped_at_end: u64,
}

impl Side {
    fn end_line(&mut self) -> Result<(), String> {
        let line = std::mem::take(&mut self.line);
        if self.is_lost {
            if line.is_empty() {
                self.unknown += 1;
                return Ok(());
            }
            let number =
                self.script.number_in(&line).filter(|number| self.script.stream(*number) == self.stream);
            self.find(self.script.index(number.ok_or_else(|| difference(&[], &line))?))?;
        }
        self.compare(&line)?;
        self.line = line;
        self.line.clear();
        Ok(())
    }

    /// The next line has to be this one.
    fn compare(&mut self, line: &[u8]) -> Result<(), String> {
        self.expected.clear();
        if self.next < self.script.count(self.stream) {
            self.script.append_line(self.script.number(self.stream, self.next), &mut self.expected);
        }
        if self.expected.split_last() != Some((&b'\n', line)) {
            return Err(difference(&self.expected, line));
        }
        self.next += 1;
        self.lines += 1;
        Ok(())
    }

    fn lose(&mut self) {
        self.is_lost = true;
        self.adrift += std::mem::take(&mut self.unknown);
    }

    /// It goes on at `index` behind a gap. The empty lines that came since then stand right before it; those
    /// that came between gaps are some of the empty lines before these, and nobody can say which.
    fn find(&mut self, index: u64) -> Result<(), String> {
        let (unknown, adrift) = (std::mem::take(&mut self.unknown), std::mem::take(&mut self.adrift));
        let first = index.checked_sub(unknown).filter(|first| *first >= self.next + adrift);
        let first = first.ok_or_else(|| format!("line {index} after {}: doubled or reordered", self.next))?;
        if adrift > 0 && self.empty_lines(self.next..first) < adrift {
            return Err(format!("{adrift} empty lines before line {index} that nobody wrote"));
        }
        self.skipped += first - self.next - adrift;
        self.lines += adrift;
        self.next = first;
        self.is_lost = false;
        (0..unknown).try_for_each(|_| self.compare(&[]))
    }

    fn empty_lines(&mut self, indexes: Range<u64>) -> u64 {
        let is_empty = |index: &u64| {
            self.expected.clear();
            self.script.append_line(self.script.number(self.stream, *index), &mut self.expected);
            self.expected == b"\n"
        };
        indexes.filter(is_empty).count() as u64
    }
}

fn difference(expected: &[u8], got: &[u8]) -> String {
    let show = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    format!("expected {:?}, got {:?}", show(expected), show(got))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Script = Script { seed: 5, lines: 3_000 };

    /// The script's lines as they are shown, those left out that `is_gone`, each run of them as one gap.
    fn audit(is_gone: impl Fn(u64) -> bool, until: u64) -> Found {
        let mut audit = Audit::new("w", SCRIPT);
        let mut number = 0;
        while number < until {
            let first = number;
            while number < until && is_gone(number) {
                number += 1;
            }
            if number > first {
                let gap = Gap { last_sequence: number, reason: "buffer_full".into() };
                audit.take(&Shown { gap: Some(gap), ..shown(first) });
            } else {
                audit.take(&shown(number));
                number += 1;
            }
        }
        audit.end()
    }

    fn shown(number: u64) -> Shown<'static> {
        let mut line = Vec::new();
        SCRIPT.append_line(number, &mut line);
        line.pop();
        let source = if SCRIPT.stream(number) == Stream::Stdout { "stdout" } else { "stderr" };
        let raw = std::str::from_utf8(&line).is_err().then(|| BASE64_STANDARD.encode(&line));
        let message = String::from_utf8_lossy(&line).into_owned().into();
        Shown { sequence: number + 1, source: source.into(), message, raw, flags: 0, gap: None }
    }

    #[test]
    fn a_whole_log_is_whole_and_a_beginning_is_a_beginning() {
        let whole = audit(|_| false, SCRIPT.lines);
        assert_eq!(whole, Found { lines: SCRIPT.lines, ..Found::default() });
        whole.assert_whole("w");
        let beginning = audit(|_| false, 1_000);
        assert_eq!((beginning.lines, beginning.behind), (1_000, 2_000));
        beginning.assert_prefix("w");
    }

    #[test]
    fn gaps_of_any_length_at_any_place_are_accounted_for() {
        for every in 1..200 {
            let found = audit(|number| number / every % 3 == 1 || number > 2_900, SCRIPT.lines);
            found.assert_accounted("w");
            assert_eq!(found.lines + found.lost, SCRIPT.lines);
        }
    }

    #[test]
    #[should_panic(expected = "doubled or reordered")]
    fn a_line_from_before_a_gap_is_noticed_behind_it() {
        let mut audit = Audit::new("w", SCRIPT);
        audit.take(&shown(0));
        let gap = Gap { last_sequence: 2, reason: "buffer_full".into() };
        audit.take(&Shown { gap: Some(gap), ..shown(1) });
        audit.take(&Shown { sequence: 3, ..shown(0) });
    }

    #[test]
    #[should_panic(expected = "expected \"5:2")]
    fn a_line_that_is_lost_without_a_gap_is_noticed() {
        let mut audit = Audit::new("w", SCRIPT);
        audit.take(&shown(0));
        audit.take(&shown(1));
        audit.take(&Shown { sequence: 3, ..shown(3) });
    }

    #[test]
    #[should_panic(expected = "expected \"5:1")]
    fn a_byte_that_changed_is_noticed() {
        let mut audit = Audit::new("w", SCRIPT);
        audit.take(&shown(0));
        let line = shown(1);
        let message = line.message.replace('a', "b").into();
        audit.take(&Shown { message, ..line });
    }

    #[test]
    fn more_lost_than_the_gaps_say_is_noticed() {
        let mut audit = Audit::new("w", SCRIPT);
        let gap = Gap { last_sequence: 1, reason: "buffer_full".into() };
        audit.take(&Shown { gap: Some(gap), ..shown(0) });
        audit.take(&Shown { sequence: 2, ..shown(7) });
        let found = std::panic::catch_unwind(|| audit.end().assert_accounted("w"));
        assert!(found.is_err());
    }
}
