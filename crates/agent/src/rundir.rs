//! A directory that makes sure that a command runs at most once.
//!
//! `lock` is held while the agent lives, so that others see whether it does. `started` is made, once,
//! right before the command starts: whoever finds it there does not start the command again, whatever
//! became of the agent that made it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use thiserror::Error;

/// Why nothing may be run here.
#[derive(Debug, Error)]
pub enum Refused {
    /// Another agent runs this.
    #[error("another agent holds {0}")]
    Held(PathBuf),
    /// The command ran before.
    #[error("the command was started before: {0} exists")]
    Started(PathBuf),
    /// The directory cannot be used.
    #[error("cannot use the run directory: {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
}

/// A directory whose lock this process holds. The lock is not inherited by the command.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: Flock<File>,
}

#[derive(Serialize)]
struct Started {
    pid: u32,
    started_at: Timestamp,
}

impl RunDir {
    /// Takes the directory's lock.
    pub fn take(path: &Path) -> Result<Self, Refused> {
        let lock = path.join("lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let file = opened.map_err(|error| Refused::Io(lock.clone(), error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Self { path: path.to_owned(), _lock: held }),
            Err((_, Errno::EWOULDBLOCK)) => Err(Refused::Held(lock)),
            Err((_, errno)) => Err(Refused::Io(lock, errno.into())),
        }
    }

    /// Says, durably, that the command is about to start. Only the first who says it may start it.
    pub fn mark_started(&self) -> Result<(), Refused> {
        let path = self.path.join("started");
        let context = |error| Refused::Io(path.clone(), error);
        let mut file = match OpenOptions::new().create_new(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Refused::Started(path)),
            Err(error) => return Err(context(error)),
        };
        let started = Started { pid: std::process::id(), started_at: Timestamp::now() };
        let json = serde_json::to_vec(&started).map_err(|error| context(error.into()))?;
        file.write_all(&json).and_then(|()| file.sync_all()).map_err(context)?;
        File::open(&self.path).and_then(|directory| directory.sync_all()).map_err(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_is_said_to_be_missing() {
        let said = RunDir::take(Path::new("/nowhere/run")).unwrap_err().to_string();
        assert!(said.contains("/nowhere/run") && said.contains("No such file"), "{said}");
    }

    #[test]
    fn p2_only_one_agent_at_a_time_and_only_one_start_ever() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunDir::take(dir.path()).unwrap();
        assert!(matches!(RunDir::take(dir.path()), Err(Refused::Held(_))));
        first.mark_started().unwrap();
        drop(first);
        let second = RunDir::take(dir.path()).unwrap();
        assert!(matches!(second.mark_started(), Err(Refused::Started(_))));
    }
}
