//! A server that is no program under test: its log goes to a file, and messages of failures end with
//! the last of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// So much of the end of a log goes into messages.
const TAIL_BYTES: u64 = 4 * 1024;

/// A running server. Dropping it kills it and waits until it has gone.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts `command`; stdout and stderr are appended to `<dir>/<name>.log`.
    pub fn start(name: &'static str, dir: &Path, mut command: Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("the directory is writable");
        let copy = file.try_clone().expect("a file can be opened twice");
        command.stdin(Stdio::null()).stdout(file).stderr(copy).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name, log, child }
    }

    /// Nothing once somebody has waited for it.
    fn pid(&self) -> Option<Pid> {
        self.child.id().map(|id| Pid::from_raw(i32::try_from(id).expect("a pid fits")))
    }

    /// The end of its log.
    pub fn tail(&self) -> String {
        let mut bytes = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            file.take(TAIL_BYTES).read_to_end(&mut bytes)
        });
        let text = String::from_utf8_lossy(&bytes);
        let text = read.map_or_else(|error| error.to_string().into(), |_| text);
        format!("--- the end of {}'s log\n{text}", self.name)
    }

    /// Panics with the end of the log if it has ended by itself.
    pub fn assert_runs(&self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let state = self.pid().map(|pid| waitid(Id::Pid(pid), flags));
        assert!(
            matches!(state, Some(Ok(WaitStatus::StillAlive))),
            "{} has ended ({state:?})\n{}",
            self.name,
            self.tail()
        );
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid().expect("it runs"), signal).expect("the process is there");
    }

    /// Ends it as a crash would, and waits until it has gone. It stays to be dropped.
    pub(crate) fn crash(&self) {
        let Some(pid) = self.pid() else { return };
        // Whoever removes its files next must not race with it. Reaping it is left to the runtime.
        let _it_may_have_ended = kill(pid, Signal::SIGKILL);
        let _it_may_have_been_reaped = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    }

    /// Asks it to stop, and waits until it has.
    pub async fn terminate(mut self) {
        self.signal(Signal::SIGTERM);
        self.child.wait().await.expect("a child can be waited for");
    }

    /// Ends it as a crash would.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the process is there");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.crash();
    }
}
