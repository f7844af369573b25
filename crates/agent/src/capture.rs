//! Reads the command's output, as it comes, into the log.
//!
//! Both pipes are read by one loop, so lines of the two streams are numbered in the order in which they
//! were read. That is as much order as two pipes allow: what a command writes to both within one moment
//! may be read in either order.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::batch::Source;
use crate::child::Pipes;
use crate::line::{Ending, Splitter};
use crate::log::{Log, now_ns};
use crate::mirror::Mirror;

/// What one read takes at the most: a pipe's usual capacity.
const READ: usize = 64 << 10;

/// What is read after the stop at the most: the largest capacity of a pipe.
const AFTER_STOP: u64 = 1 << 20;

/// Both streams of a command.
#[derive(Debug)]
pub struct Capture {
    stdout: Stream,
    stderr: Stream,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Lines, a last one without a newline included.
    pub lines: u64,
    /// Bytes, newlines included.
    pub bytes: u64,
    /// Bytes that the mirror's reader did not take.
    pub unmirrored: u64,
}

impl Capture {
    /// Of these pipes. With `mirror`, what is read is copied to the agent's own output.
    pub fn new(pipes: Pipes, mirror: bool) -> io::Result<Self> {
        let mirrors = if mirror { (Mirror::stdout(), Mirror::stderr()) } else { (None, None) };
        Ok(Self {
            stdout: Stream::new(pipe::Receiver::from_owned_fd(pipes.stdout)?, Source::Stdout, mirrors.0),
            stderr: Stream::new(pipe::Receiver::from_owned_fd(pipes.stderr)?, Source::Stderr, mirrors.1),
        })
    }

    /// Reads until both streams have ended; after `stop` only what is there already. Waits for room in the
    /// log until [`Log::stop_blocking`].
    pub async fn run(&mut self, log: &Log, stop: &CancellationToken) {
        let mut after_stop = 0;
        // A pipe that is full at each read never runs dry, so the other one has to be asked first at
        // every second turn, or it would never be read.
        let (mut first, mut second) = (&mut self.stdout, &mut self.stderr);
        while first.is_open || second.is_open {
            log.room().await;
            // Cancel safe: a read that does not win has taken nothing from its pipe. The stop comes last,
            // so that what is there already is read.
            let read = tokio::select! {
                biased;
                read = first.read(log), if first.is_open => read,
                read = second.read(log), if second.is_open => read,
                () = stop.cancelled() => break,
            };
            std::mem::swap(&mut first, &mut second);
            if stop.is_cancelled() {
                after_stop += read;
                if after_stop > AFTER_STOP {
                    break;
                }
            }
        }
        self.stdout.finish(log);
        self.stderr.finish(log);
    }

    /// Whether somebody still holds a stream open.
    pub fn is_open(&self) -> bool {
        self.stdout.is_open || self.stderr.is_open
    }

    /// Gives what was read in all, and the mirrors, which may have something left to write.
    pub fn end(self) -> (Captured, Vec<Mirror>) {
        let (mut all, mut mirrors) = (Captured::default(), Vec::new());
        for stream in [self.stdout, self.stderr] {
            all.lines += stream.lines;
            all.bytes += stream.bytes;
            all.unmirrored += stream.mirror.as_ref().map_or(0, Mirror::dropped_bytes);
            mirrors.extend(stream.mirror);
        }
        (all, mirrors)
    }
}

#[derive(Debug)]
struct Stream {
    pipe: pipe::Receiver,
    source: Source,
    splitter: Splitter,
    mirror: Option<Mirror>,
    chunk: Vec<u8>,
    is_open: bool,
    lines: u64,
    bytes: u64,
}

impl Stream {
    fn new(pipe: pipe::Receiver, source: Source, mirror: Option<Mirror>) -> Self {
        let (splitter, chunk) = (Splitter::default(), vec![0; READ]);
        Self { pipe, source, splitter, mirror, chunk, is_open: true, lines: 0, bytes: 0 }
    }

    /// Reads once and gives the bytes read; 0 at the end of the stream.
    async fn read(&mut self, log: &Log) -> u64 {
        let read = match self.pipe.read(&mut self.chunk).await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(source = ?self.source, %error, "cannot read the command's output");
                0
            }
        };
        self.is_open = read > 0;
        self.bytes += read as u64;
        if let Some(mirror) = &mut self.mirror {
            mirror.write(&self.chunk[..read]);
        }
        let (time_ns, limit, source) = (now_ns(), log.line_limit(), self.source);
        let (mut buffer, lines) = (log.buffer(), &mut self.lines);
        self.splitter.feed(&self.chunk[..read], limit, &mut |line, ending| {
            *lines += u64::from(ending != Ending::Continues);
            buffer.push(time_ns, source, line, ending);
        });
        drop(buffer);
        log.arrived.notify_one();
        read as u64
    }

    fn finish(&mut self, log: &Log) {
        let (time_ns, source, lines) = (now_ns(), self.source, &mut self.lines);
        let mut buffer = log.buffer();
        self.splitter.finish(&mut |line, ending| {
            *lines += 1;
            buffer.push(time_ns, source, line, ending);
        });
        drop(buffer);
        log.arrived.notify_one();
    }
}
