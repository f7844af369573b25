//! A client of a text protocol that says the same message over and over and counts the answers: the leanest
//! client that there can be, so that the machine is left to the peer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What was sent is answered within this, or never.
const DRAIN_LIMIT: Duration = Duration::from_mins(1);

/// What a line of the server's says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A message is durable.
    Durable,
    /// Nothing that matters.
    Other,
    /// Something went wrong.
    Failed,
}

/// What one connection says.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    /// Once, at the start.
    pub(super) greeting: Vec<u8>,
    /// Over and over.
    pub(super) message: Vec<u8>,
    /// Messages that one write holds at least.
    pub(super) burst: u64,
    /// Messages that wait for their answers at the most.
    pub(super) window: u64,
    /// Reads the answers, line by line.
    pub(super) answer: fn(&[u8]) -> Answer,
}

/// Talks on as many connections for `time`, waits for the last answer, and gives how many messages became
/// durable in how long.
pub(super) async fn flood(addr: SocketAddr, talks: Vec<Talk>, time: Duration) -> Result<(u64, Duration)> {
    let start = Instant::now();
    let mut talking: JoinSet<_> = talks.into_iter().map(|talk| talk.run(addr, start + time)).collect();
    let all = async {
        let mut messages = 0;
        while let Some(said) = talking.join_next().await {
            messages += said??;
        }
        anyhow::Ok(messages)
    };
    let messages =
        tokio::time::timeout(time + DRAIN_LIMIT, all).await.context("the peer does not answer")??;
    Ok((messages, start.elapsed()))
}

impl Talk {
    async fn run(self, addr: SocketAddr, deadline: Instant) -> Result<u64> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.greeting).await?;
        let all = self.message.repeat(usize::try_from(self.window)?);
        let (mut sent, mut durable) = (0, 0);
        let mut heard = Vec::with_capacity(64 << 10);
        loop {
            // Answers are small and wait in the socket's buffers meanwhile: nobody waits for the other one.
            let room = (durable + self.window - sent) / self.burst * self.burst;
            if room > 0 && Instant::now() < deadline {
                stream.write_all(&all[..self.message.len() * usize::try_from(room)?]).await?;
                sent += room;
            }
            if sent == durable {
                return Ok(durable);
            }
            ensure!(stream.read_buf(&mut heard).await? > 0, "the peer hung up");
            durable += self.hear(&mut heard)?;
        }
    }

    /// Takes the whole lines, and gives how many messages are durable by what they say.
    fn hear(&self, heard: &mut Vec<u8>) -> Result<u64> {
        let whole = heard.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut durable = 0;
        for line in heard[..whole].split(|byte| *byte == b'\n') {
            match (self.answer)(line) {
                Answer::Durable => durable += 1,
                Answer::Other => {}
                Answer::Failed => bail!("{}", String::from_utf8_lossy(line)),
            }
        }
        heard.drain(..whole);
        Ok(durable)
    }
}
