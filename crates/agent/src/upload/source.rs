//! The batches of an upload, read as they are sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::{LogBatch, WorkerCompletion};
use sha2::{Digest, Sha256};

use crate::batch::{self, Builder};
use crate::buffer::Piece;
use crate::ids::{Incarnation, WorkerId};
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

/// What is handed in: opened once, and read anew by each attempt.
#[derive(Debug)]
pub(super) enum Origin {
    Spool(Box<Leftover>),
    Plain(PlainFile),
}

/// A file that is no spool. What is written to it later is not a part of it.
#[derive(Clone, Debug)]
pub(super) struct PlainFile {
    file: Arc<File>,
    length: u64,
}

impl Origin {
    /// Refused where it is a spool whose agent still lives.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if Leftover::is_one(&file)? {
            return Leftover::open(path).map(|spool| Self::Spool(Box::new(spool)));
        }
        let length = file.metadata()?.len();
        Ok(Self::Plain(PlainFile { file: Arc::new(file), length }))
    }
}

impl PlainFile {
    /// The same for the same content, and for no other: so handing it in again goes on after what is there.
    pub(super) fn incarnation(&self, worker: &WorkerId, max_line: u64) -> io::Result<Incarnation> {
        let name = worker.as_str().as_bytes();
        let mut digest = Sha256::new();
        // What decides where lines are cut as well, and so which number each has.
        digest.update(max_line.to_le_bytes());
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        let (mut chunk, mut at) = (vec![0; CHUNK], 0);
        loop {
            let read = self.read(&mut chunk, at)?;
            if read == 0 {
                return Ok(Incarnation::of_digest(&digest.finalize().into()));
            }
            digest.update(&chunk[..read]);
            at += read as u64;
        }
    }

    /// Gives the bytes read; 0 at the end.
    fn read(&self, chunk: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.length - at).unwrap_or(usize::MAX);
        let most = chunk.len().min(left);
        self.file.read_at(&mut chunk[..most], at)
    }
}

/// What is to be sent, without a hole between the sequences.
#[derive(Debug)]
pub(super) struct Batches {
    source: Source,
    worker_id: String,
    /// Up to here the server has everything, or it was sent.
    sent: u64,
    /// A batch behind a gap.
    held: Option<LogBatch>,
    reading: Arc<Mutex<Reading>>,
}

#[derive(Debug)]
enum Source {
    Spool(Leftover),
    Plain(Plain),
}

/// A file that is split into lines.
#[derive(Debug)]
struct Plain {
    file: PlainFile,
    splitter: Splitter,
    open: Builder,
    max_line: usize,
    chunk: Vec<u8>,
    lines: u64,
    bytes: u64,
    has_ended: bool,
}

impl Batches {
    /// What there is behind the sequence `has`.
    pub(super) fn new(
        origin: &Origin,
        worker_id: &str,
        has: u64,
        max_line: usize,
        reading: Arc<Mutex<Reading>>,
    ) -> Self {
        let source = match origin {
            Origin::Spool(leftover) => Source::Spool(leftover.from_the_beginning()),
            Origin::Plain(file) => Source::Plain(Plain::new(file.clone(), max_line)),
        };
        Self { source, worker_id: worker_id.to_owned(), sent: has, held: None, reading }
    }

    /// The next batch that the server does not have, and its last sequence.
    fn read(&mut self) -> io::Result<Option<(LogBatch, u64)>> {
        loop {
            let entry = match &mut self.source {
                Source::Spool(leftover) => leftover.read()?,
                Source::Plain(plain) => plain.next(&self.worker_id)?,
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
    fn new(file: PlainFile, max_line: usize) -> Self {
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
            read = self.file.read(&mut self.chunk, self.bytes)?;
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
        let mut push = |line: &[u8], ending: Ending| open.push(now, batch::Source::Stdout, line, ending);
        if read == 0 {
            self.splitter.finish(&mut push);
        } else {
            self.splitter.feed(&self.chunk[..read], self.max_line, &mut push);
        }
    }
}
