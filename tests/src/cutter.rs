//! A TCP proxy that cuts each connection after a random number of bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy. Dropping it stops taking connections.
#[derive(Debug)]
pub struct Cutter {
    addr: SocketAddr,
    cuts: Arc<AtomicU64>,
    acceptor: JoinHandle<()>,
}

impl Cutter {
    /// Forwards to `target`; each connection ends after `1..=max_bytes` bytes, counted over both ways.
    #[allow(clippy::disallowed_methods, reason = "the acceptor is owned and aborted by the proxy")]
    pub async fn start(target: SocketAddr, seed: u64, max_bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let cuts = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&cuts);
        let acceptor = tokio::spawn(async move {
            let mut random = SmallRng::seed_from_u64(seed);
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let budget = random.random_range(1..=max_bytes);
                let counter = Arc::clone(&counter);
                connections.spawn(async move {
                    forward(client, target, budget).await;
                    counter.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { addr, cuts, acceptor }
    }

    /// What agents are given instead of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Connections that ended.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Copies both ways until either side ends or the budget is used up; the cut falls inside a message.
async fn forward(mut client: TcpStream, target: SocketAddr, budget: u64) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (mut from_client, mut from_server) = (vec![0; 8192], vec![0; 8192]);
    let mut left = usize::try_from(budget).expect("budgets are small");
    while left > 0 {
        // Cancel safe: `read` takes nothing from a socket unless it wins.
        let written = tokio::select! {
            read = client.read(&mut from_client) => copy(read, &from_client, &mut server, &mut left).await,
            read = server.read(&mut from_server) => copy(read, &from_server, &mut client, &mut left).await,
        };
        if !written {
            return;
        }
    }
}

async fn copy(read: std::io::Result<usize>, from: &[u8], to: &mut TcpStream, left: &mut usize) -> bool {
    let Ok(count @ 1..) = read else { return false };
    let count = count.min(*left);
    *left -= count;
    to.write_all(&from[..count]).await.is_ok()
}
