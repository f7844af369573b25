//! A spool whose agent is no more, read from its beginning to its end.
//!
//! What stands behind a torn frame was never written whole; what is damaged is an error, and is never served.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::Flock;
use ottoscaler_proto::v1::{LogBatch, WorkerCompletion, WorkerRegistration};
use prost::Message;

use super::file;
use super::frame::{self, FIRST, HEAD, Kind};

/// Open, and locked against others than its copies.
#[derive(Clone, Debug)]
pub struct Leftover {
    file: Arc<Flock<File>>,
    run: WorkerRegistration,
    begin: u64,
    at: u64,
    length: u64,
}

/// What the next frame holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// Lines up to this sequence.
    Lines(LogBatch, u64),
    /// How the command ended.
    End(WorkerCompletion),
}

impl Leftover {
    /// Whether a file is a spool at all.
    pub fn is_one(file: &File) -> io::Result<bool> {
        let mut start = [0; 8];
        let read = file.read_at(&mut start, 0)?;
        Ok(frame::is_spool(&start[..read]))
    }

    /// Refused where its agent still lives.
    pub fn open(path: &Path) -> io::Result<Self> {
        // A lock on a network's file system may need the right to write; reading does not.
        let writable = OpenOptions::new().read(true).write(true).open(path);
        let file = file::lock(writable.or_else(|_| File::open(path))?)?;
        let mut head = vec![0; usize::try_from(FIRST).expect("a page")];
        file.read_exact_at(&mut head, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => frame::damaged("it ends within its head"),
            _ => error,
        })?;
        let (run, begin) = frame::parse_file_head(&head)?;
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), run, begin, at: begin, length })
    }

    /// The same from its beginning, under the same lock.
    #[must_use]
    pub fn from_the_beginning(&self) -> Self {
        Self { at: self.begin, ..self.clone() }
    }

    /// Whose lines these are.
    pub const fn run(&self) -> &WorkerRegistration {
        &self.run
    }

    /// The next one that was not dropped.
    pub fn read(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let end_of_head = self.at.checked_add(HEAD as u64).filter(|end| *end <= self.length);
            let Some(end_of_head) = end_of_head else { return Ok(None) };
            let (head, payload) = match file::read(&self.file, self.at) {
                Ok(frame) => frame,
                // The agent was killed in the midst of it.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            };
            let end = end_of_head.checked_add(head.length);
            self.at = end.ok_or_else(|| frame::damaged("the length of a frame"))?;
            match head.kind {
                Kind::Lines => return lines(LogBatch::decode(payload)?, head.last).map(Some),
                Kind::End => return Ok(Some(Entry::End(WorkerCompletion::decode(payload)?))),
                Kind::Dropped => {}
            }
        }
    }
}

/// What follows relies on the sequence of the last line.
fn lines(batch: LogBatch, last: u64) -> io::Result<Entry> {
    let first = u64::try_from(batch.first_sequence).ok().filter(|first| *first > 0);
    let expected = first.and_then(|first| (first - 1).checked_add(batch.lengths.len() as u64));
    let is_so = expected == Some(last) && first <= Some(last) && i64::try_from(last).is_ok();
    if is_so { Ok(Entry::Lines(batch, last)) } else { Err(frame::damaged("the sequences of a frame")) }
}
