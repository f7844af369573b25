//! Where lines go for which there is no memory, or which wait for too long: one file, bounded.
//!
//! The file comes to be with the first piece that needs it, and goes when all is durable or nobody wants it.
//! An agent that is killed, or whose time is up, leaves it behind, and `upload` hands it in. Where it cannot
//! be written (disk full, no such directory) it takes nothing for a moment, says so once, and what does not
//! fit into memory is treated as with a full spool.
//!
//! Nothing is synced: the page cache outlives the agent, and what is lost with the machine's power was never
//! acknowledged.

mod file;
mod frame;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod leftover;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ottoscaler_proto::v1::{LogBatch, WorkerCompletion, WorkerRegistration};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message;
use tracing::{info, warn};

use crate::batch::Sealed;
use file::SpoolFile;
use frame::Kind;
pub use frame::Place;

/// A file that could not be written is tried again after so long.
const PAUSE: Duration = Duration::from_secs(1);

/// What the name of a file cannot hold, or a shell takes for something else, or an escape looks like.
const UNFIT: &AsciiSet =
    &CONTROLS.add(b'/').add(b'%').add(b' ').add(b'\'').add(b'"').add(b'\\').add(b'*').add(b'?');

/// Of the worker's id in the file's name. Names may have 255 bytes.
const NAME_LENGTH: usize = 160;

/// What a frame has beside what its lines count in memory: its head, the worker's id, what fills it up.
const OVERHEAD: usize = 512;

/// Room that no lines take: how the command ended has to be said even where they took all of theirs. What
/// says it is a worker's id and some numbers.
const END_ROOM: u64 = 512;

/// The spool of one run.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    limit: u64,
    run: WorkerRegistration,
    file: Option<SpoolFile>,
    /// Bytes of the pieces that are still wanted.
    live: u64,
    failed_at: Option<Instant>,
}

impl Spool {
    /// In `dir`, with at most `limit` bytes; none at all where that is 0.
    pub fn new(dir: &Path, limit: u64, run: WorkerRegistration) -> Self {
        let worker = utf8_percent_encode(&run.worker_id, UNFIT).to_string();
        let worker = &worker[..worker.len().min(NAME_LENGTH)];
        let incarnation = run.incarnation.first_chunk().copied().map_or(0, u32::from_be_bytes);
        let path = dir.join(format!("{worker}-{incarnation:08x}.spool"));
        Self { path, limit, run, file: None, live: 0, failed_at: None }
    }

    /// Takes nothing.
    pub fn none() -> Self {
        Self::new(Path::new(""), 0, WorkerRegistration::default())
    }

    /// Where it is, if there is one that others can find.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().filter(|file| file.is_at(&self.path)).map(|_| self.path.as_path())
    }

    /// Whether it has anything that is still wanted.
    pub const fn is_in_use(&self) -> bool {
        self.live > 0
    }

    /// Whether it takes nothing for a moment, whatever room it has.
    pub fn pauses(&self) -> bool {
        self.failed_at.is_some_and(|at| at.elapsed() < PAUSE)
    }

    /// Takes nothing for a moment, as after a write that failed.
    pub fn pause(&mut self) {
        self.failed_at = Some(Instant::now());
    }

    /// Ends such a pause.
    pub fn retry(&mut self) {
        self.failed_at = None;
    }

    /// Whether it would take so many bytes more.
    pub fn has_room(&self, bytes: usize) -> bool {
        !self.pauses() && self.live + (bytes + OVERHEAD) as u64 + END_ROOM <= self.limit
    }

    /// Puts a piece behind the others. Nothing, if it has no place there.
    pub fn append(&mut self, lines: &Sealed) -> Option<Place> {
        if !self.has_room(lines.size) {
            return None;
        }
        match self.try_append(lines) {
            Ok(place) => {
                self.live += place.size();
                self.failed_at = None;
                Some(place)
            }
            Err(error) => {
                if self.failed_at.is_none() {
                    let path = self.path.display();
                    warn!(%path, %error, "cannot write the spool; memory alone has to do meanwhile");
                }
                self.failed_at = Some(Instant::now());
                None
            }
        }
    }

    fn try_append(&mut self, lines: &Sealed) -> io::Result<Place> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(SpoolFile::create(&self.path, &self.run, self.limit)?),
        };
        file.append(lines.first, lines.last, &lines.to_wire(&self.run.worker_id))
    }

    /// The first piece of a run of them, and its last sequence. Nothing where its head is damaged: the run
    /// has the lines `first` to `last`, and is to begin with a head that fits.
    pub fn first_of(&self, run: Place, first: u64, last: u64) -> io::Result<Option<(Place, u64)>> {
        let head = match self.file()?.head(run) {
            Err(error) if is_damage(&error) => return Ok(None),
            head => head?,
        };
        let place = Place { length: head.length, ..run };
        let is_one = head.kind == Kind::Lines && head.first == first && (first..=last).contains(&head.last);
        let is_all = head.last == last && place == run;
        let is_part = head.last < last && run.behind(place).is_some();
        Ok((is_one && (is_all || is_part)).then_some((place, head.last)))
    }

    fn file(&self) -> io::Result<&SpoolFile> {
        self.file.as_ref().ok_or_else(|| frame::damaged("it is gone"))
    }

    /// Reads a piece back: the lines `first` to `last`.
    pub fn read(&self, place: Place, first: u64, last: u64) -> io::Result<Sealed> {
        let lines = Sealed::from_wire(LogBatch::decode(self.file()?.read(place)?)?, last);
        lines.filter(|lines| lines.first == first).ok_or_else(|| frame::damaged("a piece's columns"))
    }

    /// This piece is durable elsewhere. Its room is given back by [`Spool::begin_at`].
    pub fn let_go(&mut self, place: Place) {
        self.live -= place.size();
    }

    /// This piece was dropped, in the midst of others: its room is given back at once.
    pub fn drop_piece(&mut self, place: Place) {
        self.live -= place.size();
        let buried = self.file.as_mut().map_or(Ok(()), |file| file.bury(place));
        self.say(buried);
    }

    /// Nothing before `oldest` is wanted any more; nothing at all where there is none.
    pub fn begin_at(&mut self, oldest: Option<Place>) {
        let released = self.file.as_mut().map_or(Ok(()), |file| file.release(oldest));
        self.say(released);
    }

    /// Says how the command ended, for whoever hands the rest in.
    pub fn finish(&mut self, completion: &WorkerCompletion) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.finish(completion))
    }

    /// Nobody will want it again.
    pub fn delete(&mut self) {
        self.live = 0;
        self.limit = 0;
        if self.file.take().is_some()
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            info!(path = %self.path.display(), %error, "cannot remove the spool");
        }
    }

    /// From here on every write fails.
    #[cfg(test)]
    pub(crate) fn fail(&mut self) {
        self.file.as_mut().expect("something was written").fail(&self.path);
        self.pause();
    }

    /// From here on every read fails, as on a volume that is away for a while, or none does.
    #[cfg(test)]
    pub(crate) fn set_away(&mut self, is_away: bool) {
        self.file.as_mut().expect("something was written").set_away(&self.path, is_away);
    }

    /// Room that is not given back costs room, and nothing else.
    fn say(&self, result: io::Result<()>) {
        if let Err(error) = result {
            info!(path = %self.path.display(), %error, "the spool's room was not given back");
        }
    }
}

/// Whether what was read is not what was written. Any other error says nothing of that, and may pass.
pub fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

#[cfg(test)]
mod tests;
