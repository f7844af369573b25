//! A TCP connection to wherever the server is now.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::transport::Uri;
use tower::Service;

use super::greeting::{Greeted, Objection};
use crate::resolve::Resolver;

/// For all addresses together, behind their look-up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a URL names no port.
const HTTP: u16 = 80;

/// Resolves the host anew for each connection: a server that moved is found.
#[derive(Clone, Debug, Default)]
pub(super) struct Connector {
    resolver: Arc<Resolver>,
    objection: Objection,
}

impl Connector {
    /// What the server's first bytes said against it, once they have come.
    pub(super) fn objection(&self) -> Objection {
        self.objection.clone()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Greeted<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { resolver, objection } = self.clone();
        Box::pin(async move {
            let (stream, place) = connect(&resolver, &uri).await?;
            Ok(TokioIo::new(Greeted::new(stream, place, objection)))
        })
    }
}

/// To the first of the host's addresses that takes it. Each gets its share of the time, so that one which
/// swallows everything leaves some for the others. With its name.
async fn connect(resolver: &Resolver, uri: &Uri) -> io::Result<(TcpStream, String)> {
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(HTTP));
    let addresses = resolver.addresses(host).await.map_err(io::Error::other)?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let time = deadline.saturating_duration_since(Instant::now());
        let share = time / u32::try_from(left).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect((*address, port))).await {
            Ok(Ok(stream)) => {
                // The first line of a burst is to go at once.
                stream.set_nodelay(true)?;
                return Ok((stream, place(host, *address, port)));
            }
            Ok(Err(error)) => {
                refused = io::Error::new(error.kind(), format!("{}: {error}", place(host, *address, port)));
            }
            Err(_) => {
                let why = format!("{}: no answer", place(host, *address, port));
                refused = io::Error::new(io::ErrorKind::TimedOut, why);
            }
        }
    }
    Err(refused)
}

/// As an operator knows it, and where that turned out to be.
fn place(host: &str, address: IpAddr, port: u16) -> String {
    let address = SocketAddr::new(address, port);
    let named = format!("{host}:{port}");
    if named == address.to_string() { named } else { format!("{named} ({address})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for (host, expected) in [
            ("127.0.0.1", format!("127.0.0.1:{port}: ")),
            ("localhost", format!("localhost:{port} (127.0.0.1:{port}): ")),
        ] {
            let uri = format!("http://{host}:{port}").parse().unwrap();
            let said = connect(&Resolver::default(), &uri).await.unwrap_err().to_string();
            assert!(said.contains(&expected), "{said}");
        }
    }
}
