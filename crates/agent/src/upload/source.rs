//! The batches of an upload, read as they are sent.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::{LogBatch, WorkerCompletion};

use crate::batch::{Builder, Source};
use crate::buffer::Piece;
use crate::line::{Ending, Splitter};
use crate::log::now_ns;
use crate::spool::leftover::{Entry, Leftover};

/// What one read takes.
const CHUNK: usize = 64 << 10;

/// Why lines are missing that a spool ought to have: its agent dropped them, or was killed with them in memory.
const NOT_SPOOLED: &str = "not_in_spool";

/// What reading has come to.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Where it could not go on.
    pub(super) error: Option<io::Error>,
    /// How the command ended.
    pub(super) end: Option<WorkerCompletion>,
}

/// What is to be sent, without a hole between the sequences.
#[derive(Debug)]
pub(super) struct Batches {
    source: Origin,
    worker_id: String,
    /// Up to here the server has everything, or it was sent.
    sent: u64,
    /// A batch behind a gap.
    held: Option<LogBatch>,
    reading: Arc<Mutex<Reading>>,
}

#[derive(Debug)]
enum Origin {
    Spool(Leftover),
    Plain(Plain),
}

/// A file that is split into lines.
#[derive(Debug)]
struct Plain {
    file: File,
    splitter: Splitter,
    open: Builder,
    max_line: usize,
    chunk: Vec<u8>,
    lines: u64,
    bytes: u64,
    has_ended: bool,
}

impl Batches {
    /// What the file has behind the sequence `has`.
    pub(super) fn open(
        path: &Path,
        worker_id: &str,
        has: u64,
        max_line: usize,
        reading: Arc<Mutex<Reading>>,
    ) -> io::Result<Self> {
        let file = File::open(path)?;
        let source = if Leftover::is_one(&file)? {
            Origin::Spool(Leftover::open(path)?)
        } else {
            Origin::Plain(Plain::new(file, max_line))
        };
        *reading.lock().unwrap_or_else(PoisonError::into_inner) = Reading::default();
        Ok(Self { source, worker_id: worker_id.to_owned(), sent: has, held: None, reading })
    }

    /// The next batch that the server does not have, and its last sequence.
    fn read(&mut self) -> io::Result<Option<(LogBatch, u64)>> {
        loop {
            let entry = match &mut self.source {
                Origin::Spool(leftover) => leftover.read()?,
                Origin::Plain(plain) => plain.next(&self.worker_id)?,
            };
            match entry {
                Some(Entry::Lines(batch, last)) if last > self.sent => {
                    // A spool of a version that knew no checksums has its frames' own, which was looked at.
                    let batch = if batch.crc32c.is_some() { batch } else { batch.sealed() };
                    return Ok(Some((batch, last)));
                }
                Some(Entry::Lines(..)) => {}
                Some(Entry::End(completion)) => self.reading().end = Some(completion),
                None => return Ok(None),
            }
        }
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines that nobody has any more.
    fn gap(&self, last: u64) -> LogBatch {
        Piece::Gap { first: self.sent + 1, last, reason: NOT_SPOOLED }.to_wire(&self.worker_id)
    }
}

impl Iterator for Batches {
    type Item = LogBatch;

    fn next(&mut self) -> Option<LogBatch> {
        if let Some(batch) = self.held.take() {
            return Some(batch);
        }
        match self.read() {
            Ok(Some((batch, last))) => {
                let first = batch.first_sequence.max(1).cast_unsigned();
                let gap = (first > self.sent + 1).then(|| self.gap(first - 1));
                self.sent = last;
                if gap.is_some() {
                    self.held = Some(batch);
                    return gap;
                }
                Some(batch)
            }
            Ok(None) => self.lost_at_the_end(),
            Err(error) => {
                self.reading().error = Some(error);
                None
            }
        }
    }
}

impl Batches {
    /// The agent knew how far its log goes.
    fn lost_at_the_end(&mut self) -> Option<LogBatch> {
        let last = self.reading().end.as_ref()?.last_sequence.max(0).cast_unsigned();
        let gap = (last > self.sent).then(|| self.gap(last));
        self.sent = self.sent.max(last);
        gap
    }
}

impl Plain {
    fn new(file: File, max_line: usize) -> Self {
        Self {
            file,
            splitter: Splitter::default(),
            open: Builder::default(),
            max_line,
            chunk: vec![0; CHUNK],
            lines: 0,
            bytes: 0,
            has_ended: false,
        }
    }

    /// A batch, or the end: a file is complete as it is.
    fn next(&mut self, worker_id: &str) -> io::Result<Option<Entry>> {
        if self.has_ended {
            return Ok(None);
        }
        let mut read = CHUNK;
        while read > 0 && !self.open.is_full() {
            read = self.file.read(&mut self.chunk)?;
            self.take(read);
        }
        if !self.open.is_empty() {
            let first = self.lines + 1;
            let sealed = self.open.seal(first);
            self.lines = sealed.last;
            return Ok(Some(Entry::Lines(sealed.to_wire(worker_id), sealed.last)));
        }
        self.has_ended = true;
        Ok(Some(Entry::End(WorkerCompletion {
            worker_id: worker_id.to_owned(),
            last_sequence: self.lines.cast_signed(),
            lines: self.lines.cast_signed(),
            bytes: self.bytes.cast_signed(),
            ..WorkerCompletion::default()
        })))
    }

    /// What was read; nothing at the end of the file.
    fn take(&mut self, read: usize) {
        self.bytes += read as u64;
        let (now, open) = (now_ns(), &mut self.open);
        let mut push = |line: &[u8], ending: Ending| open.push(now, Source::Stdout, line, ending);
        if read == 0 {
            self.splitter.finish(&mut push);
        } else {
            self.splitter.feed(&self.chunk[..read], self.max_line, &mut push);
        }
    }
}
