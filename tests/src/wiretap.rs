//! A TCP proxy that remembers all bytes that clients sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A running proxy. Dropping it stops taking connections.
#[derive(Debug)]
pub struct Wiretap {
    addr: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
    acceptor: JoinHandle<()>,
}

impl Wiretap {
    /// Forwards to `target`.
    #[allow(clippy::disallowed_methods, reason = "the acceptor is owned and aborted by the proxy")]
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let addr = listener.local_addr().expect("a listener has an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let acceptor = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, target, Arc::clone(&all)));
            }
        });
        Self { addr, heard, acceptor }
    }

    /// What agents are given instead of the server.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What clients sent so far, on all connections.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().expect("nobody panics while holding it").clone()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn forward(client: TcpStream, target: SocketAddr, heard: Arc<Mutex<Vec<u8>>>) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let listen = async {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = from_client.read(&mut chunk).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            heard.lock().expect("nobody panics while holding it").extend_from_slice(&chunk[..read]);
            to_server.write_all(&chunk[..read]).await?;
        }
    };
    let answer = tokio::io::copy(&mut from_server, &mut to_client);
    tokio::try_join!(listen, answer).map(|_| ())
}
