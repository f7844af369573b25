//! A proxy before Docker's socket that fails as a Docker does that has lost touch with one container: it lists it,
//! and does not say how it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// What it says of a container that it has lost touch with.
const LOST: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n\
                    {\"message\":\"context expired\"}";

/// A running proxy. Dropping it stops taking connections.
#[derive(Debug)]
pub struct DockerProxy {
    socket: PathBuf,
    lost: Arc<Mutex<BTreeSet<String>>>,
    acceptor: JoinHandle<()>,
}

impl DockerProxy {
    /// Forwards from a new socket to Docker's.
    #[allow(clippy::disallowed_methods, reason = "the acceptor is owned and aborted by the proxy")]
    pub fn start(socket: &Path, target: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("its directory is there");
        let lost: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (all, target) = (Arc::clone(&lost), target.to_owned());
        let acceptor = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(forward(client, target.clone(), Arc::clone(&all)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { socket: socket.to_owned(), lost, acceptor }
    }

    /// The value of `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Nobody can look at this container any more.
    pub fn lose(&self, container: &str) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(container.to_owned());
    }

    /// All can be looked at again.
    pub fn find_all(&self) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for DockerProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// A client waits for each answer before it asks again, and its question fits into one read.
async fn forward(
    client: UnixStream,
    target: PathBuf,
    lost: Arc<Mutex<BTreeSet<String>>>,
) -> std::io::Result<()> {
    let server = UnixStream::connect(target).await?;
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let to_client = tokio::sync::Mutex::new(to_client);
    let ask = async {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = from_client.read(&mut chunk).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            if looks_at(&chunk[..read], &lost) {
                to_client.lock().await.write_all(LOST.as_bytes()).await?;
            } else {
                to_server.write_all(&chunk[..read]).await?;
            }
        }
    };
    let answer = async {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let read = from_server.read(&mut chunk).await?;
            if read == 0 {
                return to_client.lock().await.shutdown().await;
            }
            to_client.lock().await.write_all(&chunk[..read]).await?;
        }
    };
    tokio::try_join!(ask, answer).map(|_| ())
}

fn looks_at(question: &[u8], lost: &Mutex<BTreeSet<String>>) -> bool {
    let line = question.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let lost = lost.lock().unwrap_or_else(PoisonError::into_inner);
    lost.iter().any(|container| line.contains(&format!("/containers/{container}/json")))
}
