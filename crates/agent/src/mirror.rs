//! A copy of the command's output on the agent's own stdout and stderr, so that `kubectl logs` and
//! people at a terminal see it as well. It never holds anything up: a reader that stalls loses what does
//! not fit, one that goes away loses the rest, and the loss is counted.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Chunks of at most 64 KiB that may wait: 2 MiB for each stream.
const CHUNKS: usize = 32;

/// At the end a reader may take so long for the next chunk.
const PATIENCE: Duration = Duration::from_millis(300);

/// Readers that go on reading get so long for all of it.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Copies one stream, on a thread of its own because a write to a pipe blocks.
#[derive(Debug)]
pub struct Mirror {
    chunks: Option<SyncSender<Vec<u8>>>,
    written: Arc<AtomicU64>,
    ended: Receiver<()>,
    dropped_bytes: u64,
}

impl Mirror {
    /// To the agent's stdout.
    pub fn stdout() -> Option<Self> {
        Self::to(io::stdout().as_fd())
    }

    /// To the agent's stderr.
    pub fn stderr() -> Option<Self> {
        Self::to(io::stderr().as_fd())
    }

    /// None where there is nothing to write to.
    fn to(fd: BorrowedFd<'_>) -> Option<Self> {
        let file = File::from(fd.try_clone_to_owned().ok()?);
        let (chunks, incoming) = sync_channel(CHUNKS);
        let (done, ended) = sync_channel(1);
        let written = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&written);
        let body = move || {
            copy(&incoming, file, &progress);
            // Nobody waits any more: as good.
            let _sent = done.try_send(());
        };
        std::thread::Builder::new().name("mirror".into()).spawn(body).ok()?;
        Some(Self { chunks: Some(chunks), written, ended, dropped_bytes: 0 })
    }

    /// Hands a chunk over if there is room.
    pub fn write(&mut self, chunk: &[u8]) {
        let Some(chunks) = self.chunks.as_ref().filter(|_| !chunk.is_empty()) else { return };
        if chunks.try_send(chunk.to_vec()).is_err() {
            self.dropped_bytes += chunk.len() as u64;
        }
    }

    /// Bytes that its reader did not take in time.
    pub const fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    /// No more will come.
    fn close(&mut self) {
        self.chunks = None;
    }

    /// Blocks until all is written, for as long as the reader goes on reading, until `deadline`.
    fn drain(&self, deadline: Instant) {
        let mut before = self.written.load(Ordering::Relaxed);
        loop {
            let patience = PATIENCE.min(deadline.saturating_duration_since(Instant::now()));
            if self.ended.recv_timeout(patience) != Err(RecvTimeoutError::Timeout) || patience.is_zero() {
                return;
            }
            let now = self.written.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }
}

/// Gives the readers of the agent's own output a last moment. Blocks, so it comes last of all.
pub fn finish(mut mirrors: Vec<Mirror>) {
    let deadline = Instant::now() + LAST_MOMENT;
    mirrors.iter_mut().for_each(Mirror::close);
    for mirror in &mirrors {
        mirror.drain(deadline);
    }
}

fn copy(incoming: &Receiver<Vec<u8>>, mut file: File, progress: &AtomicU64) {
    while let Ok(chunk) = incoming.recv() {
        if file.write_all(&chunk).is_err() {
            return;
        }
        progress.fetch_add(1, Ordering::Relaxed);
    }
}
