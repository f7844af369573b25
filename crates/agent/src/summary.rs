//! The agent's own account of a run, as a small JSON file for whoever started it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::ids::{TaskId, WorkerId};

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The command has ended; its lines may still be on their way.
    Ended,
    /// The agent is about to exit.
    Flushed,
}

/// What a summary says. Below 4 KiB, which is what Kubernetes keeps of it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// How far the run is.
    pub phase: Phase,
    /// The worker.
    pub worker_id: WorkerId,
    /// Its task.
    pub task_id: TaskId,
    /// Which attempt it is.
    pub attempt: i32,
    /// What the agent exits with.
    pub exit_code: i32,
    /// The signal that ended the command; 0 for none.
    pub signal: i32,
    /// Whether it was stopped because it ran too long.
    pub timed_out: bool,
    /// The signal by which somebody asked the agent to stop the command; 0 for none.
    pub stop_signal: i32,
    /// When the command started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Lines that it printed.
    pub lines: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// The last sequence that was given to a line.
    pub last_sequence: u64,
    /// Everything up to it is durable.
    pub acked_sequence: u64,
    /// Lines that no reader will see.
    pub dropped: u64,
    /// Connections to log-ingest that ended before the log did, or never came to be.
    pub disconnects: u64,
    /// How often log-ingest took no lines and asked for them again.
    pub refusals: u64,
    /// Bytes that the readers of the agent's own output did not take in time.
    pub unmirrored_bytes: u64,
    /// Whether log-ingest said that the log is whole.
    pub complete: bool,
    /// What went wrong, where something did.
    pub error: Option<String>,
}

/// An error is cut here at the latest, so that the whole stays below 4 KiB.
const MAX_ERROR: usize = 1000;

/// What a summary takes at the most, and what is taken for it before the command starts.
const ROOM: usize = 4 << 10;

/// As many links one after the other as Linux follows.
const LINKS: usize = 40;

/// Where links are the kernel's.
const KERNELS: [&str; 2] = ["/dev", "/proc"];

/// Takes the room of a summary at `path`: the command may fill the disk, and how it ended has to be told all the
/// same. Where there is none, writing the summary says so.
pub fn reserve(path: &Path) {
    let path = behind_links(path);
    if !is_special(&path) {
        let _no_room = fs::write(beside(&path), [b' '; ROOM]);
    }
}

impl Summary {
    /// Writes it so that a reader sees the old one or the new one, where the directory allows that.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let (json, path) = (self.json()?, behind_links(path));
        if is_special(&path) {
            return fs::write(path, &json);
        }
        let beside = beside(&path);
        let replaced = fill(&beside, &json).and_then(|()| fs::rename(&beside, &path));
        if replaced.is_ok() {
            return Ok(());
        }
        let _not_there = fs::remove_file(&beside);
        // A file that is mounted by itself, such as /dev/termination-log, cannot be replaced, and its disk is not
        // the one beside it. The old one's room is kept, or a disk without any would cost both.
        fill(&path, &json)
    }

    fn json(&self) -> io::Result<Vec<u8>> {
        let mut most = MAX_ERROR;
        loop {
            let error = self.error.as_ref().map(|error| error.chars().take(most).collect());
            let json = serde_json::to_vec(&Self { error, ..self.clone() })?;
            if json.len() <= ROOM || most == 0 {
                return Ok(json);
            }
            // A character may become six bytes.
            most /= 2;
        }
    }
}

/// The file that a link leads to, which is replaced in its place. Links of the kernel's, such as /dev/stdout, lead to
/// what is open, whatever its name is.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let is_kernels = KERNELS.iter().any(|place| path.starts_with(place));
        let Some(target) = fs::read_link(&path).ok().filter(|_| !is_kernels) else { break };
        path = path.parent().map_or_else(|| target.clone(), |directory| directory.join(&target));
    }
    path
}

/// Whether something is there that is no file, such as /dev/null: that is written to, and never replaced.
fn is_special(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| !there.is_file())
}

fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    beside.into()
}

/// In the room that the file has.
fn fill(path: &Path, json: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.write_all_at(json, 0)?;
    file.set_len(json.len() as u64)
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn summary() -> Summary {
        let worker_id: WorkerId = "w".parse().unwrap();
        Summary {
            phase: Phase::Ended,
            task_id: worker_id.clone().into(),
            worker_id,
            attempt: 1,
            exit_code: 5,
            signal: 0,
            timed_out: false,
            stop_signal: 0,
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            lines: 0,
            bytes: 0,
            last_sequence: 0,
            acked_sequence: 0,
            dropped: 0,
            disconnects: 0,
            refusals: 0,
            unmirrored_bytes: 0,
            complete: false,
            error: Some("\u{1}".repeat(10 * MAX_ERROR)),
        }
    }

    #[test]
    fn p8_a_summary_has_its_room_before_the_command_starts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        reserve(&path);
        assert!(!path.exists(), "it does not say anything yet");
        assert_eq!(fs::metadata(beside(&path)).unwrap().len(), ROOM as u64);
        for _ in 0..2 {
            summary().write(&path).unwrap();
            let written = fs::read(&path).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&written).unwrap();
            assert_eq!(read["exit_code"], 5);
            assert!(written.len() <= ROOM, "{} bytes", written.len());
            assert!(!beside(&path).exists());
        }
    }

    #[test]
    fn what_a_link_leads_to_is_replaced_and_the_link_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (link, path) = (dir.path().join("link"), dir.path().join("deep/summary.json"));
        fs::create_dir(dir.path().join("deep")).unwrap();
        std::os::unix::fs::symlink("deep/summary.json", &link).unwrap();
        reserve(&link);
        summary().write(&link).unwrap();
        let old = fs::File::open(&path).unwrap();
        Summary { exit_code: 6, ..summary() }.write(&link).unwrap();
        let read =
            |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap()["exit_code"].clone();
        assert_eq!(read(io::read_to_string(old).unwrap()), 5, "whoever reads the old one reads all of it");
        assert_eq!(read(fs::read_to_string(&path).unwrap()), 6);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && !beside(&path).exists());
    }

    /// As where the file is mounted by itself, and the disk beside it is full.
    #[test]
    fn p8_a_summary_that_has_no_room_beside_the_old_one_takes_that_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        summary().write(&path).unwrap();
        std::os::unix::fs::symlink("/dev/full", beside(&path)).unwrap();
        Summary { exit_code: 6, ..summary() }.write(&path).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read["exit_code"], 6);
    }

    #[test]
    fn what_is_no_file_is_written_to_and_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        // Open both ways, so that nobody waits for the other end.
        let mut pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        reserve(&path);
        summary().write(&path).unwrap();
        let mut first = [0];
        std::io::Read::read_exact(&mut pipe, &mut first).unwrap();
        assert_eq!((first, is_special(&path), beside(&path).exists()), (*b"{", true, false));
    }
}
