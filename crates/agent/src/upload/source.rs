//! The batches of an upload, read as they are sent.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::{LogBatch, WorkerCompletion};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::batch::{self, Builder};
use crate::buffer::Piece;
use crate::line::{Ending, Splitter};
use crate::log::now_ns;
use crate::mask::{Masker, Masks};
use crate::spool::leftover::{Entry, Leftover};

/// What one read takes.
const CHUNK: usize = 64 << 10;

/// Why lines are missing that a spool ought to have: its agent dropped them, or was killed with them in memory.
pub(super) const NOT_SPOOLED: &str = "not_in_spool";

/// What reading has come to.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Where it could not go on.
    pub(super) error: Option<io::Error>,
    /// How the command ended.
    pub(super) end: Option<WorkerCompletion>,
    /// What there was, whichever attempt sent it.
    pub(super) counts: Counts,
}

/// The lines of what is handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Those that the server did not have.
    pub(super) lines: u64,
    /// Those that it had before the first attempt.
    pub(super) duplicates: u64,
    /// Those that are in a gap, for nobody has them.
    pub(super) missing: u64,
}

impl Counts {
    /// The lines `first` to `last`, behind those up to `reached`, where the server had those up to `before`.
    fn add(&mut self, first: u64, last: u64, reached: u64, before: u64) {
        self.missing += first.saturating_sub(reached.max(before) + 1);
        let had = before.min(last).saturating_sub(first - 1);
        self.duplicates += had;
        self.lines += last + 1 - first - had;
    }
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
    /// What was named for masking; each reading learns by itself what the file names, or the second would show
    /// less than the first and its lines might be others.
    masks: Arc<Masks>,
}

impl Origin {
    /// Refused where it is a spool whose agent still lives, or ought to be one. `masks` are for any other file.
    /// Nothing where it is a spool whose agent was killed before anything was written to it.
    pub(super) fn open(path: &Path, masks: Arc<Masks>) -> io::Result<Option<Self>> {
        // Before it is opened: a pipe that nobody writes to would never be.
        if !fs::metadata(path)?.is_file() {
            return Err(invalid(
                "it is no file: what is handed in is read more than once; write it to a file first",
            ));
        }
        let file = File::open(path)?;
        if Leftover::is_one(&file)? {
            return Leftover::open(path).map(|spool| Some(Self::Spool(Box::new(spool))));
        }
        let length = file.metadata()?.len();
        if path.extension().is_none_or(|extension| extension != "spool") {
            return Ok(Some(Self::Plain(PlainFile { file: Arc::new(file), length, masks })));
        }
        let what = "it is no spool: it does not begin as spools do; a text has to have another name";
        if length == 0 { Ok(None) } else { Err(invalid(what)) }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

impl PlainFile {
    /// Of what is sent of it. Says what the file names for masking and cannot be masked.
    pub(super) fn digest(&self) -> io::Result<[u8; 32]> {
        let (mut digest, mut masker) = (Sha256::new(), self.masker());
        let (mut chunk, mut at) = (vec![0; CHUNK], 0);
        loop {
            let read = self.read(&mut chunk, at)?;
            digest.update(if read == 0 { masker.finish() } else { masker.feed(&chunk[..read]) });
            for why in masker.refused() {
                warn!(why, "a value that the file names is not masked");
            }
            if read == 0 {
                return Ok(digest.finalize().into());
            }
            at += read as u64;
        }
    }

    fn masker(&self) -> Masker {
        Masker::new(Arc::new((*self.masks).clone()))
    }

    /// Gives the bytes read; 0 at the end.
    fn read(&self, chunk: &mut [u8], at: u64) -> io::Result<usize> {
        let left = usize::try_from(self.length - at).unwrap_or(usize::MAX);
        let most = chunk.len().min(left);
        match self.file.read_at(&mut chunk[..most], at)? {
            // Its log would be called whole.
            0 if most > 0 => Err(io::Error::other("it became shorter while it was read")),
            read => Ok(read),
        }
    }
}

/// What is to be sent, without a hole between the sequences.
#[derive(Debug)]
pub(super) struct Batches {
    source: Source,
    worker_id: String,
    /// Up to here the server had everything before the first attempt.
    before: u64,
    /// Up to here all was read.
    reached: u64,
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
    masker: Masker,
    chunk: Vec<u8>,
    lines: u64,
    bytes: u64,
    has_ended: bool,
}

impl Batches {
    /// What there is behind the sequence `has`, where the first attempt found what is up to `before`.
    pub(super) fn new(
        origin: &Origin,
        worker_id: &str,
        (before, has): (u64, u64),
        max_line: usize,
        reading: Arc<Mutex<Reading>>,
    ) -> Self {
        let source = match origin {
            Origin::Spool(leftover) => Source::Spool(leftover.from_the_beginning()),
            Origin::Plain(file) => Source::Plain(Plain::new(file.clone(), max_line)),
        };
        let worker_id = worker_id.to_owned();
        Self { source, worker_id, before, reached: 0, sent: has, held: None, reading }
    }

    /// The next batch that the server does not have, and its last sequence.
    fn read(&mut self) -> io::Result<Option<(LogBatch, u64)>> {
        loop {
            let entry = match &mut self.source {
                Source::Spool(leftover) => leftover.read()?,
                Source::Plain(plain) => plain.next(&self.worker_id)?,
            };
            if let Some(Entry::Lines(batch, last)) = &entry {
                self.count(batch.first_sequence.max(1).cast_unsigned(), *last);
            }
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

    fn count(&mut self, first: u64, last: u64) {
        let (reached, before) = (self.reached, self.before);
        self.reading().counts.add(first, last, reached, before);
        self.reached = last;
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
        let missing = last.saturating_sub(self.reached.max(self.before));
        self.reading().counts.missing += missing;
        self.reached = self.reached.max(last);
        let gap = (last > self.sent).then(|| self.gap(last));
        self.sent = self.sent.max(last);
        gap
    }
}

impl Plain {
    fn new(file: PlainFile, max_line: usize) -> Self {
        Self {
            masker: file.masker(),
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
            self.splitter.feed(self.masker.finish(), self.max_line, &mut push);
            self.splitter.finish(self.max_line, &mut push);
        } else {
            self.splitter.feed(self.masker.feed(&self.chunk[..read]), self.max_line, &mut push);
        }
    }
}
