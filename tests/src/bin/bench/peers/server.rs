//! A peer's server: a process with its data in a directory of its own on the disk that is measured.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};
use nix::unistd::Pid;
use ottoscaler_tests::{port, service};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::process;

/// A running server. Dropping it kills it and removes its data.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    child: Child,
    // After the child, so that it is removed after the kill.
    dir: TempDir,
}

impl Server {
    /// Starts the program that `command` makes for an address and a directory, and waits until it answers.
    pub(super) async fn start(
        disk: &Path,
        command: impl FnOnce(SocketAddr, &Path) -> Result<Command>,
    ) -> Result<Self> {
        let dir = tempfile::tempdir_in(disk)?;
        let addr = port::free();
        let mut command = command(addr, dir.path())?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{command:?}: run just bench"))?;
        service::answers(addr).await;
        Ok(Self { addr, child, dir })
    }

    pub(super) fn pid(&self) -> Result<Pid> {
        process::pid(&self.child)
    }

    /// Ends it, as nothing of it is wanted any more.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(self.dir.close()?)
    }
}
