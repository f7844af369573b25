//! What is left of a worker whose agent is gone: processes of its command that nobody looks after.
//!
//! In a Pod they would go with their container. Here they are known by their environment, which names
//! their worker's directory, and killed before the worker counts as ended: nothing of it runs on past its timeout
//! or beside its next attempt.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Names the worker's directory to its command, and so tells its processes from all others.
pub(super) const WORKER_DIR: &str = "OTTO_WORKER_DIR";

/// Kills what is left, and says whether there was anything. A process takes a moment to go, so the
/// answer is yes at least once.
pub(super) fn kill_leftovers(worker_dir: &Path) -> io::Result<bool> {
    let mark = [WORKER_DIR.as_bytes(), b"=", worker_dir.as_os_str().as_bytes()].concat();
    let mut found = false;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if !belongs(pid, &mark) {
            continue;
        }
        match kill(Pid::from_raw(pid), Signal::SIGKILL) {
            Ok(()) => found = true,
            Err(Errno::ESRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(found)
}

/// Another user's process cannot be read, and is none of ours. One that has ended has no environment.
fn belongs(pid: i32, mark: &[u8]) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}
