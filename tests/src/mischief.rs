//! A TCP proxy that does to connections what networks do: cuts them, holds them back, lets them rot, and
//! changes their bytes. What it does to which connection is a function of its seed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// What one read takes from a socket.
const READ: usize = 8 << 10;

/// Reads that are under way in one direction: at 8 KiB each that is a network's buffer of 512 KiB.
const UNDER_WAY: usize = 64;

/// What a connection has to suffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// Ends after so many bytes, counted over both ways; the cut falls inside a message.
    Cut {
        /// These bytes.
        after: u64,
    },
    /// Each piece takes a random time up to this, and none overtakes another.
    Delay {
        /// The longest.
        up_to: Duration,
    },
    /// Each way carries no more than this.
    Throttle {
        /// Of each way.
        bytes_per_second: u64,
    },
    /// After so many bytes, counted over both ways, all that comes is swallowed; neither side hears of it.
    HalfOpen {
        /// These bytes.
        after: u64,
    },
    /// One bit in about so many bytes changes, each way.
    Flip {
        /// From client to server.
        requests: u64,
        /// From server to client.
        answers: u64,
    },
}

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    counts: Arc<Counts>,
    acceptor: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    deeds: AtomicU64,
}

impl Proxy {
    /// Forwards to `target`; `choose` says what befalls each connection.
    #[allow(clippy::disallowed_methods, reason = "the acceptor is owned and aborted by the proxy")]
    pub async fn start(
        target: SocketAddr,
        seed: u64,
        mut choose: impl FnMut(&mut SmallRng) -> Mischief + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let counts = Arc::new(Counts::default());
        let counters = Arc::clone(&counts);
        let acceptor = tokio::spawn(async move {
            let mut random = SmallRng::seed_from_u64(seed);
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                counters.connections.fetch_add(1, Ordering::Relaxed);
                let mischief = choose(&mut random);
                let seeds = (random.random(), random.random());
                connections.spawn(forward(client, target, mischief, seeds, Arc::clone(&counters)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { addr, counts, acceptor }
    }

    /// What agents are given instead of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Connections that were made.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Connections that were cut, were held back or began to rot, and bits that were changed.
    pub fn deeds(&self) -> u64 {
        self.counts.deeds.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Both ways of a connection, until both have ended or it is cut.
async fn forward(
    client: TcpStream,
    target: SocketAddr,
    mischief: Mischief,
    seeds: (u64, u64),
    counts: Arc<Counts>,
) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (Ok(()), Ok(())) = (client.set_nodelay(true), server.set_nodelay(true)) else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let cut = CancellationToken::new();
    let (budget, (requests, answers)) = match mischief {
        Mischief::Cut { after } | Mischief::HalfOpen { after } => (after, (u64::MAX, u64::MAX)),
        Mischief::Flip { requests, answers } => (u64::MAX, (requests, answers)),
        Mischief::Delay { .. } | Mischief::Throttle { .. } => {
            counts.deeds.fetch_add(1, Ordering::Relaxed);
            (u64::MAX, (u64::MAX, u64::MAX))
        }
    };
    let left = Arc::new(AtomicU64::new(budget));
    let way = |seed, flip_every| Way {
        mischief,
        random: SmallRng::seed_from_u64(seed),
        flip_every,
        until_flip: flip_every,
        due: Instant::now(),
        left: Arc::clone(&left),
        counts: Arc::clone(&counts),
        cut: cut.clone(),
    };
    let both = async {
        tokio::join!(
            way(seeds.0, requests).carry(from_client, to_server),
            way(seeds.1, answers).carry(from_server, to_client),
        )
    };
    // Cancel safe: what is cut is never used again.
    tokio::select! {
        _ = both => {}
        () = cut.cancelled() => {}
    }
}

/// One direction of a connection.
struct Way {
    mischief: Mischief,
    random: SmallRng,
    flip_every: u64,
    /// Bytes up to the next bit that changes.
    until_flip: u64,
    /// When the piece before is through.
    due: Instant,
    /// Bytes that both ways may still carry.
    left: Arc<AtomicU64>,
    counts: Arc<Counts>,
    cut: CancellationToken,
}

/// What becomes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Passes,
    IsSwallowed,
    /// What is left of it is the last.
    EndsHere,
}

impl Way {
    /// Until its end. Gives back where it wrote to: dropping that would tell the other side.
    async fn carry(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> OwnedWriteHalf {
        let (pieces, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
        let reading = async move {
            self.until_flip = self.distance();
            let mut fate = Fate::Passes;
            while fate != Fate::EndsHere {
                let mut piece = vec![0; READ];
                let Ok(count @ 1..) = from.read(&mut piece).await else { break };
                piece.truncate(count);
                fate = self.fate(&mut piece);
                if fate != Fate::IsSwallowed && pieces.send((self.due, piece)).await.is_err() {
                    break;
                }
            }
            (self, fate)
        };
        let writing = async move {
            while let Some((due, piece)) = under_way.recv().await {
                sleep_until(due).await;
                if to.write_all(&piece).await.is_err() {
                    break;
                }
            }
            to
        };
        let ((way, fate), mut to) = tokio::join!(reading, writing);
        match fate {
            Fate::EndsHere => way.cut.cancel(),
            // Who has vanished does not close either: the other side has to find out by itself.
            Fate::Passes | Fate::IsSwallowed if way.is_rotten() => {}
            Fate::Passes | Fate::IsSwallowed => {
                let _it_may_be_gone = to.shutdown().await;
            }
        }
        to
    }

    fn fate(&mut self, piece: &mut Vec<u8>) -> Fate {
        match self.mischief {
            Mischief::Cut { .. } => {
                if self.spend(piece) {
                    return Fate::EndsHere;
                }
            }
            Mischief::HalfOpen { .. } => {
                self.spend(piece);
                if piece.is_empty() {
                    return Fate::IsSwallowed;
                }
            }
            Mischief::Delay { up_to } => {
                let delay = up_to.mul_f64(self.random.random());
                self.due = self.due.max(Instant::now() + delay);
            }
            Mischief::Throttle { bytes_per_second } => {
                let nanos = piece.len() as u64 * 1_000_000_000 / bytes_per_second;
                self.due = self.due.max(Instant::now()) + Duration::from_nanos(nanos);
            }
            Mischief::Flip { .. } => self.flip(piece),
        }
        Fate::Passes
    }

    /// Takes from the budget of both ways and leaves of the piece what that is enough for. Gives whether
    /// nothing is left.
    fn spend(&self, piece: &mut Vec<u8>) -> bool {
        let size = piece.len() as u64;
        let before = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(size)));
        let before = before.expect("it is always changed");
        if before > 0 && before <= size {
            self.counts.deeds.fetch_add(1, Ordering::Relaxed);
        }
        piece.truncate(usize::try_from(before).unwrap_or(usize::MAX));
        before <= size
    }

    fn is_rotten(&self) -> bool {
        matches!(self.mischief, Mischief::HalfOpen { .. }) && self.left.load(Ordering::Relaxed) == 0
    }

    fn flip(&mut self, piece: &mut [u8]) {
        let mut rest = piece;
        while let Some(at) = usize::try_from(self.until_flip).ok().filter(|at| *at < rest.len()) {
            rest[at] ^= 1 << self.random.random_range(0..8);
            self.counts.deeds.fetch_add(1, Ordering::Relaxed);
            rest = &mut rest[at + 1..];
            self.until_flip = self.distance();
        }
        self.until_flip -= rest.len() as u64;
    }

    /// To the next bit that changes: on average what was asked for.
    fn distance(&mut self) -> u64 {
        self.random.random_range(0..=self.flip_every.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: usize = 1 << 20;

    /// What a server gets of a megabyte of zeros.
    async fn received(mischief: Mischief) -> (Vec<u8>, Duration, u64) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap(), 1, move |_| mischief).await;
        let start = Instant::now();
        let mut client = TcpStream::connect(proxy.addr).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let sending = async {
            let _it_may_be_cut = client.write_all(&vec![0; SENT]).await;
            let _it_may_be_cut = client.shutdown().await;
        };
        let mut got = Vec::new();
        let receiving = tokio::time::timeout(Duration::from_secs(5), server.read_to_end(&mut got));
        let ((), _ended) = tokio::join!(sending, receiving);
        (got, start.elapsed(), proxy.deeds())
    }

    #[tokio::test]
    async fn a_cut_comes_where_it_has_to() {
        let (got, _, deeds) = received(Mischief::Cut { after: 100_001 }).await;
        assert_eq!((got.len(), deeds), (100_001, 1));
    }

    #[tokio::test]
    async fn what_rots_does_not_close() {
        let (got, took, deeds) = received(Mischief::HalfOpen { after: 100_001 }).await;
        assert_eq!((got.len(), deeds), (100_001, 1));
        assert!(took >= Duration::from_secs(5), "the server heard of it after {took:?}");
    }

    #[tokio::test]
    async fn a_throttle_and_a_delay_take_their_time_and_nothing_else() {
        let (got, took, _) = received(Mischief::Throttle { bytes_per_second: 2 << 20 }).await;
        assert!(got == vec![0; SENT] && took >= Duration::from_millis(490), "{} bytes, {took:?}", got.len());
        let (got, took, _) = received(Mischief::Delay { up_to: Duration::from_millis(200) }).await;
        assert!(got == vec![0; SENT] && took >= Duration::from_millis(100), "{} bytes, {took:?}", got.len());
    }

    #[tokio::test]
    async fn a_flip_changes_a_bit_now_and_then() {
        let (got, _, deeds) = received(Mischief::Flip { requests: 50_000, answers: 50_000 }).await;
        let flipped: u32 = got.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!((got.len(), u64::from(flipped)), (SENT, deeds));
        assert!((10..40).contains(&deeds), "{deeds} bits changed");
    }
}
