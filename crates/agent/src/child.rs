//! The command as a process: started, signalled, and reaped together with every orphan that it leaves.
//!
//! The agent may be PID 1 of a container, or says that it wants the orphans of its descendants: both
//! ways it has to reap them, so it waits for any child, and remembers the end of its own.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

impl Ended {
    /// What a shell would exit with, and the agent does.
    pub const fn exit_code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signalled(signal) => 128 + signal,
        }
    }

    /// 0 for none.
    pub const fn signal(self) -> i32 {
        match self {
            Self::Exited(_) => 0,
            Self::Signalled(signal) => signal,
        }
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    has_own_group: bool,
}

/// The reading ends of its output.
#[derive(Debug)]
pub struct Pipes {
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
}

/// Why there is no process.
#[derive(Debug)]
pub struct NotStarted {
    /// As a shell would: 127 not found, 126 not executable.
    pub exit_code: i32,
    /// For the log.
    pub message: String,
}

/// Starts `command`, in a process group of its own, so that what it starts can be signalled with it.
///
/// On a terminal it stays in the agent's group instead: a background group could not read its input, and
/// Ctrl-C reaches the whole group as it is.
pub fn start(command: &[OsString]) -> Result<(Child, Pipes), NotStarted> {
    let (program, args) = command.split_first().expect("clap requires a command");
    let has_own_group = !io::stdin().is_terminal();
    let mut builder = Command::new(program);
    builder.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    if has_own_group {
        builder.process_group(0);
    }
    let mut child = builder.spawn().map_err(|error| not_started(program, &error))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid fits"));
    let pipes = Pipes {
        stdout: stdout.expect("stdout is a pipe").into(),
        stderr: stderr.expect("stderr is a pipe").into(),
    };
    Ok((Child { pid, has_own_group }, pipes))
}

fn not_started(program: &OsString, error: &io::Error) -> NotStarted {
    let exit_code = if error.kind() == ErrorKind::NotFound { 127 } else { 126 };
    NotStarted { exit_code, message: format!("cannot run {}: {error}", program.display()) }
}

impl Child {
    /// Signals the command and what it started. It may have ended in the meantime.
    pub fn signal(&self, signal: Signal) {
        let result = if self.has_own_group { killpg(self.pid, signal) } else { kill(self.pid, signal) };
        if let Err(errno) = result.or_else(|errno| if errno == Errno::ESRCH { Ok(()) } else { Err(errno) }) {
            tracing::warn!(%signal, error = %errno, "cannot signal the command");
        }
    }

    /// Whether the command hears the terminal's Ctrl-C itself, because it shares the agent's group.
    pub const fn hears_the_keyboard(&self) -> bool {
        !self.has_own_group
    }

    /// Kills what is left of the command's process group once the command has ended. On a terminal that
    /// group is the agent's own, so nothing is killed there. Processes that made a session of their own
    /// are out of reach; in a container they end with it.
    pub fn kill_leftovers(&self) {
        if self.has_own_group {
            self.signal(Signal::SIGKILL);
        }
    }

    /// Reaps every child that has ended. Gives the command's end if it is among them.
    pub fn reap(&self) -> Option<Ended> {
        let mut ended = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => ended = Some(Ended::Exited(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => {
                    ended = Some(Ended::Signalled(signal as i32));
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return ended,
                // An orphan, or a stop that is not an end.
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    tracing::error!(error = %errno, "cannot wait for the command");
                    return ended;
                }
            }
        }
    }
}
