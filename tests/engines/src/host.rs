//! The other end: starts a process that holds a store, asks, and kills it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::ask::{Ask, Done, Reply};
use crate::engine::Kind;

/// A store in a process of its own. Dropping it kills the process.
pub(crate) struct Store {
    kind: Kind,
    child: Child,
    asks: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Store {
    /// Starts the process and opens the store in `dir`.
    pub(crate) fn open(kind: Kind, dir: &Path) -> Result<(Self, Done)> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--hold")
            .arg(serde_json::to_string(&kind)?)
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asks = child.stdin.take().context("stdin is a pipe")?;
        let replies = BufReader::new(child.stdout.take().context("stdout is a pipe")?);
        let mut store = Self { kind, child, asks, replies };
        let done = store.ask(&Ask::Open)?;
        Ok((store, done))
    }

    /// Has something done.
    pub(crate) fn ask(&mut self, ask: &Ask) -> Result<Done> {
        self.send(ask)?;
        match self.reply()? {
            Reply::Done(done) => Ok(done),
            reply => bail!("{}: {reply:?} to {ask:?}", self.kind),
        }
    }

    /// Sends a question without waiting for its answer.
    fn send(&mut self, ask: &Ask) -> Result<()> {
        serde_json::to_writer(&mut self.asks, ask)?;
        Ok(self.asks.write_all(b"\n")?)
    }

    fn reply(&mut self) -> Result<Reply> {
        self.last_reply()?.with_context(|| format!("{}: the process is gone", self.kind))
    }

    /// The next reply; none after the last.
    fn last_reply(&mut self) -> Result<Option<Reply>> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        // The kill may have come in the middle of a line.
        if !line.ends_with('\n') {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }

    /// Kills it with SIGKILL while it commits `tell`, after `groups` of its groups. Gives the number of the
    /// first block that it did not say was durable.
    pub(crate) fn kill_in_commit(mut self, tell: &Ask, groups: usize) -> Result<u64> {
        self.send(tell)?;
        let mut durable = None;
        for _ in 0..groups {
            match self.reply()? {
                Reply::Durable(next) => durable = Some(next),
                reply => bail!("{}: {reply:?} before it was killed", self.kind),
            }
        }
        self.child.kill()?;
        while let Some(Reply::Durable(next)) = self.last_reply()? {
            durable = Some(next);
        }
        durable.context("no group was durable")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
