//! A worker's directory: what is in it, and what that says of the worker.
//!
//! `<state-dir>/workers/<worker_id>/`: `spec.json` (which worker this is), `lock` (held by the agent
//! while it lives), `started` (made once, right before the command; whoever makes it decides), then
//! `summary.json` (the agent's last word), `stopping` (its end was asked for), `agent.log`, `work/`, and
//! `spool/` (lines that the agent did not get rid of in its lifetime).
//!
//! Making `started` is the one step that cannot happen twice, so no command runs twice in one attempt
//! (P2); and making it here, in the agent's place, keeps a command from ever starting.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::leftovers::kill_leftovers;
use crate::record::WorkerSpec;
use crate::runtime::summary::Summary;
use crate::runtime::{Cause, Exit, Phase};

/// A worker's directory.
#[derive(Clone, Debug)]
pub(super) struct WorkerDir(PathBuf);

/// What was found when a worker was to be made.
#[derive(Debug)]
pub(super) enum Made {
    /// The directory holds this worker.
    Ready,
    /// It holds another one, which has the same name.
    Other(Box<WorkerSpec>),
}

/// Who made `started`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StartMark {
    /// The agent; 0 where the command is not to start.
    pub(super) pid: i32,
    /// When.
    pub(super) started_at: Option<Timestamp>,
    /// Why the command is not to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) barred: Option<String>,
}

impl WorkerDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn work(&self) -> PathBuf {
        self.0.join("work")
    }

    pub(super) fn summary(&self) -> PathBuf {
        self.0.join("summary.json")
    }

    pub(super) fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    pub(super) fn agent_log(&self) -> PathBuf {
        self.0.join("agent.log")
    }

    /// Makes the directory, or completes one that a crash left half made.
    pub(super) fn make(&self, spec: &WorkerSpec) -> io::Result<Made> {
        match fs::create_dir(&self.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        match self.spec()? {
            Some(found) if !found.identity.is_same_worker(&spec.identity) => {
                return Ok(Made::Other(Box::new(found)));
            }
            Some(_) => {}
            None => self.write_spec(spec)?,
        }
        fs::create_dir_all(self.work())?;
        Ok(Made::Ready)
    }

    /// Which worker this is; nothing where a crash came before that was put down.
    pub(super) fn spec(&self) -> io::Result<Option<WorkerSpec>> {
        match read(&self.0.join("spec.json"))? {
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            None => Ok(None),
        }
    }

    fn write_spec(&self, spec: &WorkerSpec) -> io::Result<()> {
        let unfinished = self.0.join("spec.json.new");
        let mut file = File::create(&unfinished)?;
        serde_json::to_writer(&file, spec)?;
        file.flush()?;
        file.sync_all()?;
        fs::rename(unfinished, self.0.join("spec.json"))?;
        File::open(&self.0)?.sync_all()
    }

    /// How far the worker has come. `agent_lives` where its agent is our own child: then its lock
    /// needs no try, which could get into the agent's way just as it takes it.
    pub(super) fn phase(&self, agent_lives: bool) -> io::Result<Phase> {
        let alive = agent_lives || self.is_locked()?;
        // Read after the lock was tried: what an agent leaves behind is there before its lock is free.
        let started = self.started()?;
        if alive {
            return Ok(match started {
                Some(StartMark { barred: None, started_at, .. }) => Phase::Running { started_at },
                Some(_) | None => Phase::Pending { since: self.made_at()?, obstacle: None },
            });
        }
        if self.has_started() && kill_leftovers(&self.0)? {
            let started_at = started.and_then(|started| started.started_at);
            return Ok(Phase::Running { started_at });
        }
        if let Some(exit) = self.exit()? {
            return Ok(Phase::Ended(exit));
        }
        Ok(match started {
            None if self.has_started() => vanished("the agent ended as it was about to start the command"),
            // With it went the mark that the command has run.
            None if !self.0.join("spec.json").try_exists()? => vanished("its directory was taken away"),
            None => Phase::Unstarted,
            Some(StartMark { barred: Some(reason), .. }) => vanished(&reason),
            Some(_) => vanished("the agent ended without a word of how its command did"),
        })
    }

    /// Whether an agent lives in this directory.
    pub(super) fn is_locked(&self) -> io::Result<bool> {
        let file = match File::open(self.0.join("lock")) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_) => Ok(false),
            Err((_, Errno::EWOULDBLOCK)) => Ok(true),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// Who made `started`; nothing while it is not there, or not yet written to its end.
    pub(super) fn started(&self) -> io::Result<Option<StartMark>> {
        let bytes = read(&self.0.join("started"))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Whether the command was, or was about to be, started.
    pub(super) fn has_started(&self) -> bool {
        self.0.join("started").exists()
    }

    /// Keeps the command from ever starting. Says whether that was in time.
    pub(super) fn bar(&self, reason: &str) -> io::Result<bool> {
        let mut file = match OpenOptions::new().write(true).create_new(true).open(self.0.join("started")) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        };
        let started =
            StartMark { pid: 0, started_at: Some(Timestamp::now()), barred: Some(reason.to_owned()) };
        serde_json::to_writer(&file, &started)?;
        file.flush()?;
        file.sync_all()?;
        File::open(&self.0)?.sync_all()?;
        Ok(true)
    }

    /// Puts down that the worker's end was asked for.
    pub(super) fn mark_stopping(&self) -> io::Result<()> {
        File::create(self.0.join("stopping")).map(drop)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.0.join("stopping").exists()
    }

    /// A summary that cannot be read is no word of the command's end.
    fn exit(&self) -> io::Result<Option<Exit>> {
        let Some(bytes) = read(&self.summary())? else { return Ok(None) };
        let Ok(summary) = serde_json::from_slice::<Summary>(&bytes) else { return Ok(None) };
        Ok(Some(Exit {
            code: Some(summary.exit_code),
            signal: summary.ended_by(),
            cause: cause(&summary),
            started_at: summary.started_at,
            ended_at: summary.ended_at.unwrap_or_else(Timestamp::now),
        }))
    }

    /// When the worker was made: its spec is never written again.
    fn made_at(&self) -> io::Result<Timestamp> {
        let modified = fs::metadata(self.0.join("spec.json"))?.modified()?;
        Ok(Timestamp::try_from(modified).unwrap_or_else(|_| Timestamp::now()))
    }
}

fn cause(summary: &Summary) -> Cause {
    match (summary, summary.asked()) {
        (Summary { timed_out: true, .. }, _) => Cause::Deadline,
        (_, None) => Cause::Command,
        // Whoever stops a worker on purpose has put that on record before, and that counts. A command that was asked
        // to stop while it ran and says 0 was cut off all the same: nobody may take that for a success.
        (Summary { exit_code, .. }, Some(signal)) => Cause::Infrastructure(format!(
            "its agent was sent signal {signal}, by somebody or because the machine went down, and its command ended \
             with {exit_code}"
        )),
    }
}

fn vanished(reason: &str) -> Phase {
    Phase::Vanished { reason: reason.to_owned(), noticed_at: Timestamp::now() }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing;

    fn made() -> (tempfile::TempDir, WorkerDir) {
        let root = tempfile::tempdir().unwrap();
        let dir = WorkerDir::new(root.path().join("w"));
        assert!(matches!(dir.make(&testing::worker_spec("t", "r")).unwrap(), Made::Ready));
        (root, dir)
    }

    fn write(dir: &WorkerDir, file: &str, text: &str) {
        fs::write(dir.path().join(file), text).unwrap();
    }

    fn lock(dir: &WorkerDir) -> Flock<File> {
        let file = File::create(dir.path().join("lock")).unwrap();
        Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap()
    }

    const STARTED: &str = r#"{"pid":1,"started_at":"2026-01-02T03:04:05Z"}"#;
    const SUMMARY: &str = r#"{"phase":"flushed","exit_code":7,"signal":0,"timed_out":false,
        "started_at":"2026-01-02T03:04:05Z","ended_at":"2026-01-02T03:04:06Z","complete":true}"#;

    #[test]
    fn a_phase_is_read_from_lock_started_and_summary() {
        let (_root, dir) = made();
        assert_eq!(dir.phase(false).unwrap(), Phase::Unstarted);
        assert!(matches!(dir.phase(true).unwrap(), Phase::Pending { .. }));
        let held = lock(&dir);
        assert!(matches!(dir.phase(false).unwrap(), Phase::Pending { .. }));
        write(&dir, "started", STARTED);
        assert!(matches!(dir.phase(false).unwrap(), Phase::Running { started_at: Some(_) }));
        write(&dir, "summary.json", SUMMARY);
        assert!(matches!(dir.phase(false).unwrap(), Phase::Running { .. }), "the agent still flushes");
        drop(held);
        let Phase::Ended(exit) = dir.phase(false).unwrap() else { panic!("it has ended") };
        assert_eq!((exit.code, exit.signal, exit.cause), (Some(7), None, Cause::Command));
    }

    #[test]
    fn an_end_that_is_not_the_commands_is_told_apart() {
        let cause = |text: &str| cause(&serde_json::from_str(text).unwrap());
        assert_eq!(cause(r#"{"exit_code":143,"signal":15}"#), Cause::Command);
        assert_eq!(cause(r#"{"exit_code":0,"stop_signal":0}"#), Cause::Command);
        assert_eq!(cause(r#"{"exit_code":143,"timed_out":true,"stop_signal":15}"#), Cause::Deadline);
        for code in [0, 1] {
            let asked = cause(&format!(r#"{{"exit_code":{code},"stop_signal":15}}"#));
            assert!(matches!(&asked, Cause::Infrastructure(why) if why.contains("signal 15")), "{asked:?}");
        }
    }

    #[test]
    fn an_agent_that_is_gone_without_a_summary_has_vanished() {
        for started in [STARTED, "", "{\"pid\":"] {
            let (_root, dir) = made();
            write(&dir, "started", started);
            drop(lock(&dir));
            assert!(matches!(dir.phase(false).unwrap(), Phase::Vanished { .. }), "{started:?}");
        }
    }

    #[test]
    fn p2_a_command_that_was_barred_in_time_never_starts_and_one_that_has_started_cannot_be_barred() {
        let (_root, dir) = made();
        assert!(dir.bar("stopped").unwrap());
        let Phase::Vanished { reason, .. } = dir.phase(false).unwrap() else { panic!("it is barred") };
        assert_eq!(reason, "stopped");
        let (_root, dir) = made();
        write(&dir, "started", STARTED);
        assert!(!dir.bar("stopped").unwrap());
    }

    #[test]
    fn a_directory_left_half_made_is_completed_and_another_workers_is_refused() {
        let (_root, dir) = made();
        fs::remove_file(dir.path().join("spec.json")).unwrap();
        assert!(matches!(dir.make(&testing::worker_spec("t", "r")).unwrap(), Made::Ready));
        assert!(matches!(dir.make(&testing::worker_spec("t", "r")).unwrap(), Made::Ready));
        assert!(matches!(dir.make(&testing::worker_spec("t", "other")).unwrap(), Made::Other(_)));
    }
}
