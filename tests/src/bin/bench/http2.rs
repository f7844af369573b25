//! One call to log-ingest over a connection of its own, written and read without a library, as [`crate::peers`]
//! does it with the peers: what a client costs is taken from the server, as they share the machine.
//!
//! It knows of HTTP/2 what such a call needs: it sends a request without an end, and takes answers until it hangs
//! up. Anything that ends the call earlier is an error.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// Flags. The last frame of a stream, and the answer to settings or a ping, are the same bit.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Settings.
const INITIAL_WINDOW: u16 = 4;
const MAX_FRAME: u16 = 5;

/// The call's stream.
const STREAM: u32 = 1;

/// Bytes before each frame.
const HEAD: usize = 9;

/// Bytes before each message of gRPC.
pub(crate) const MESSAGE_HEAD: usize = 5;

/// More answers than any measurement gets: so the server never waits for room.
const WINDOW: u32 = i32::MAX.cast_unsigned();

/// What both sides begin with.
const DEFAULT_WINDOW: u32 = 65_535;

/// An open call.
pub(crate) struct Call {
    stream: TcpStream,
    /// Frames to be written.
    outgoing: BytesMut,
    /// What was read, and is no whole frame yet.
    incoming: Vec<u8>,
    /// Of the answers, what is no whole message yet, or was not asked for.
    answers: Vec<u8>,
    /// Bytes that the server takes now, over the connection and of the call.
    connection_room: i64,
    room: i64,
    /// What the call's room is counted from.
    initial_window: i64,
    max_frame: usize,
}

impl Call {
    /// Begins a call of the method at `path`.
    pub(crate) async fn open(addr: SocketAddr, path: &str) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut call = Self {
            stream,
            outgoing: PREFACE.into(),
            incoming: Vec::with_capacity(64 << 10),
            answers: Vec::new(),
            connection_room: DEFAULT_WINDOW.into(),
            room: DEFAULT_WINDOW.into(),
            initial_window: DEFAULT_WINDOW.into(),
            max_frame: 16 << 10,
        };
        let mut settings = INITIAL_WINDOW.to_be_bytes().to_vec();
        settings.extend_from_slice(&WINDOW.to_be_bytes());
        call.frame(SETTINGS, 0, 0, &settings);
        call.frame(WINDOW_UPDATE, 0, 0, &(WINDOW - DEFAULT_WINDOW).to_be_bytes());
        call.frame(HEADERS, END_HEADERS, STREAM, &headers(addr, path));
        call.flush().await?;
        Ok(call)
    }

    /// Sends whole messages, each with its head.
    pub(crate) async fn send(&mut self, mut messages: &[u8]) -> Result<()> {
        while !messages.is_empty() {
            let room = usize::try_from(self.room.min(self.connection_room)).unwrap_or_default();
            let (now, later) = messages.split_at(messages.len().min(room).min(self.max_frame));
            if now.is_empty() {
                self.flush().await?;
                self.read().await?;
                continue;
            }
            self.frame(DATA, 0, STREAM, now);
            let taken = i64::try_from(now.len())?;
            self.room -= taken;
            self.connection_room -= taken;
            messages = later;
        }
        self.flush().await
    }

    /// Waits for answers, and gives each message that came to `take`. Cancel safe: what came is not lost.
    pub(crate) async fn hear(&mut self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.flush().await?;
        if self.next_answer(0).is_none() {
            self.read().await?;
        }
        let mut at = 0;
        while let Some(answer) = self.next_answer(at) {
            take(answer)?;
            at += MESSAGE_HEAD + answer.len();
        }
        self.answers.drain(..at);
        Ok(())
    }

    /// The message at `at`, if all of it is here.
    fn next_answer(&self, at: usize) -> Option<&[u8]> {
        let rest = &self.answers[at..];
        let (head, rest) = rest.split_first_chunk::<MESSAGE_HEAD>()?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        rest.get(..length as usize)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("far below 16 MiB").to_be_bytes();
        self.outgoing.extend_from_slice(&length[1..]);
        self.outgoing.extend_from_slice(&[kind, flags]);
        self.outgoing.extend_from_slice(&stream.to_be_bytes());
        self.outgoing.extend_from_slice(payload);
    }

    /// Cancel safe: it goes on where it was.
    async fn flush(&mut self) -> Result<()> {
        while !self.outgoing.is_empty() {
            self.stream.write_buf(&mut self.outgoing).await?;
        }
        Ok(())
    }

    /// Takes what came, at least one byte.
    async fn read(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.incoming).await? > 0, "the server hung up");
        let incoming = std::mem::take(&mut self.incoming);
        let mut rest = &incoming[..];
        while let Some((head, behind)) = rest.split_first_chunk::<HEAD>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, behind)) = behind.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            self.take(head[3], head[4], stream, payload)?;
            rest = behind;
        }
        let whole = incoming.len() - rest.len();
        self.incoming = incoming;
        self.incoming.drain(..whole);
        Ok(())
    }

    fn take(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        match kind {
            DATA => self.answers.extend_from_slice(payload),
            HEADERS if flags & END_STREAM == 0 => {}
            SETTINGS if flags & ACK == 0 => {
                payload.chunks_exact(6).try_for_each(|setting| self.set(setting))?;
                self.frame(SETTINGS, ACK, 0, &[]);
            }
            SETTINGS => {}
            PING if flags & ACK == 0 => self.frame(PING, ACK, 0, payload),
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(payload.try_into().context("four bytes")?));
                *if stream == STREAM { &mut self.room } else { &mut self.connection_room } += more;
            }
            kind => {
                bail!("the call ended with a frame of kind {kind}: {:?}", String::from_utf8_lossy(payload))
            }
        }
        Ok(())
    }

    fn set(&mut self, setting: &[u8]) -> Result<()> {
        let (name, value) = setting.split_first_chunk::<2>().context("two bytes")?;
        let value = u32::from_be_bytes(value.try_into().context("four bytes")?);
        match u16::from_be_bytes(*name) {
            INITIAL_WINDOW => {
                self.room += i64::from(value) - self.initial_window;
                self.initial_window = value.into();
            }
            MAX_FRAME => self.max_frame = value as usize,
            _ => {}
        }
        Ok(())
    }
}

/// The request's, each as a literal that nobody has to remember.
fn headers(addr: SocketAddr, path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", &*addr.to_string()),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("below 127, as one byte says"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}
