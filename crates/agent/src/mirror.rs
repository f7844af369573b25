//! A copy of the command's output on the agent's own stdout and stderr, so that `kubectl logs` and
//! people at a terminal see it as well. It never holds anything up: a reader that stalls loses what does
//! not fit, one that goes away loses the rest, and the loss is counted.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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
    /// Bytes that were handed over.
    taken: u64,
    /// Bytes of these that were written.
    written: Arc<AtomicU64>,
    /// Bytes for which there was no room.
    refused: u64,
    ended: Receiver<()>,
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
        Some(Self { chunks: Some(chunks), taken: 0, written, refused: 0, ended })
    }

    /// Hands a chunk over if there is room.
    pub fn write(&mut self, chunk: &[u8]) {
        let Some(chunks) = self.chunks.as_ref().filter(|_| !chunk.is_empty()) else { return };
        match chunks.try_send(chunk.to_vec()) {
            Ok(()) => self.taken += chunk.len() as u64,
            Err(_) => self.refused += chunk.len() as u64,
        }
    }

    /// Bytes that its reader did not take in time, or can no longer take.
    pub fn dropped_bytes(&self) -> u64 {
        // While chunks may still come, it ends only where it cannot write.
        let has_failed = self.ended.try_recv() != Err(TryRecvError::Empty);
        let unwritten = self.taken - self.written.load(Ordering::Relaxed);
        self.refused + if has_failed { unwritten } else { 0 }
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

fn copy(incoming: &Receiver<Vec<u8>>, mut file: File, written: &AtomicU64) {
    while let Ok(chunk) = incoming.recv() {
        if write(&mut file, &chunk, written).is_err() {
            return;
        }
    }
}

fn write(file: &mut File, mut chunk: &[u8], written: &AtomicU64) -> io::Result<()> {
    while !chunk.is_empty() {
        match file.write(chunk) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(bytes) => {
                written.fetch_add(bytes as u64, Ordering::Relaxed);
                chunk = &chunk[bytes..];
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever shares it with the agent may have made it one that does not block.
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_room(file)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(file: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::fcntl::OFlag;
    use nix::unistd::pipe2;

    use super::*;

    static CHUNK: [u8; 64 << 10] = [b'x'; 64 << 10];

    /// Node makes the pipes and terminals that it shares with others so.
    #[test]
    fn an_output_that_does_not_block_gets_every_byte() {
        let (reading, writing) = pipe2(OFlag::O_NONBLOCK).unwrap();
        let mut mirror = Mirror::to(writing.as_fd()).unwrap();
        drop(writing);
        (0..CHUNKS).for_each(|_| mirror.write(&CHUNK));
        mirror.close();
        let (mut reader, mut read) = (File::from(reading), Vec::new());
        while let Err(error) = reader.read_to_end(&mut read) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        }
        assert_eq!((read.len(), mirror.dropped_bytes()), (CHUNKS * CHUNK.len(), 0));
    }

    #[test]
    fn what_waits_when_the_reader_goes_away_is_counted() {
        let (reading, writing) = pipe2(OFlag::empty()).unwrap();
        let mut mirror = Mirror::to(writing.as_fd()).unwrap();
        (0..4).for_each(|_| mirror.write(&CHUNK));
        drop(reading);
        let total = 4 * CHUNK.len() as u64;
        while mirror.ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Disconnected) {}
        mirror.write(&CHUNK);
        let written = mirror.written.load(Ordering::Relaxed);
        assert!(written < total, "a pipe has less room");
        assert_eq!(mirror.dropped_bytes(), total + CHUNK.len() as u64 - written);
    }
}
