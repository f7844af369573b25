//! Reads the command's output, as it comes, masks it, and puts it into the log.
//!
//! Both pipes are read by one loop, so lines of the two streams are numbered in the order in which they
//! were read. That is as much order as two pipes allow: what a command writes to both within one moment
//! may be read in either order.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::batch::Source;
use crate::child::Pipes;
use crate::line::{Ending, Splitter};
use crate::log::{Log, now_ns};
use crate::mask::{Masker, Masks};
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
    /// Of these pipes. With `mirror`, what is read and masked is copied to the agent's own output.
    pub fn new(pipes: Pipes, mirror: bool, masks: &Arc<Masks>) -> io::Result<Self> {
        let mirrors = if mirror { (Mirror::stdout(), Mirror::stderr()) } else { (None, None) };
        let stream = |pipe, source, mirror| {
            let pipe = pipe::Receiver::from_owned_fd(pipe)?;
            Ok::<_, io::Error>(Stream::new(pipe, source, Masker::new(Arc::clone(masks)), mirror))
        };
        Ok(Self {
            stdout: stream(pipes.stdout, Source::Stdout, mirrors.0)?,
            stderr: stream(pipes.stderr, Source::Stderr, mirrors.1)?,
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
            all.lines += stream.output.lines;
            all.bytes += stream.bytes;
            all.unmirrored += stream.output.mirror.as_ref().map_or(0, Mirror::dropped_bytes);
            mirrors.extend(stream.output.mirror);
        }
        (all, mirrors)
    }
}

#[derive(Debug)]
struct Stream {
    pipe: pipe::Receiver,
    masker: Masker,
    output: Output,
    chunk: Vec<u8>,
    is_open: bool,
    bytes: u64,
}

/// Where the bytes of a stream go, once they are masked.
#[derive(Debug)]
struct Output {
    source: Source,
    splitter: Splitter,
    mirror: Option<Mirror>,
    lines: u64,
}

impl Stream {
    fn new(pipe: pipe::Receiver, source: Source, masker: Masker, mirror: Option<Mirror>) -> Self {
        let output = Output { source, splitter: Splitter::default(), mirror, lines: 0 };
        Self { pipe, masker, output, chunk: vec![0; READ], is_open: true, bytes: 0 }
    }

    /// Reads once and gives the bytes read; 0 at the end of the stream.
    async fn read(&mut self, log: &Log) -> u64 {
        let size = log.buffer().one_read().clamp(1, READ);
        let read = match self.pipe.read(&mut self.chunk[..size]).await {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(source = ?self.output.source, %error, "cannot read the command's output");
                0
            }
        };
        self.is_open = read > 0;
        self.bytes += read as u64;
        self.output.take(self.masker.feed(&self.chunk[..read]), log);
        self.say_what_is_not_masked(log);
        read as u64
    }

    fn finish(&mut self, log: &Log) {
        self.output.take(self.masker.finish(), log);
        self.output.finish(log);
        self.say_what_is_not_masked(log);
    }

    /// Whoever asked for it has to know.
    fn say_what_is_not_masked(&mut self, log: &Log) {
        for why in self.masker.refused() {
            log.say(&format!("otto-agent: a value that the command named is not masked: {why}"));
        }
    }
}

impl Output {
    fn take(&mut self, bytes: &[u8], log: &Log) {
        if let Some(mirror) = &mut self.mirror {
            mirror.write(bytes);
        }
        let (time_ns, limit, source) = (now_ns(), log.line_limit(), self.source);
        let (mut buffer, lines) = (log.buffer(), &mut self.lines);
        self.splitter.feed(bytes, limit, &mut |line, ending| {
            *lines += u64::from(ending != Ending::Continues);
            buffer.push(time_ns, source, line, ending);
        });
        drop(buffer);
        log.arrived.notify_one();
    }

    fn finish(&mut self, log: &Log) {
        let (time_ns, limit, source) = (now_ns(), log.line_limit(), self.source);
        let (mut buffer, lines) = (log.buffer(), &mut self.lines);
        self.splitter.finish(limit, &mut |line, ending| {
            *lines += u64::from(ending != Ending::Continues);
            buffer.push(time_ns, source, line, ending);
        });
        drop(buffer);
        log.arrived.notify_one();
    }
}
