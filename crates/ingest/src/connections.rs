//! gRPC connections, of which so many are served at a time; more wait in the kernel's backlog until one has ended.
//!
//! Once a client has said that it speaks HTTP/2, it is asked from time to time whether it is there. One that never says
//! so is given up after [`GREETING`], or it had its place for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, warn};

use crate::alarm::Alarm;
use crate::metrics::{Metrics, Open};

/// Connections at a time: one for each of more workers than run at a time, and few enough for the files of a process.
pub(crate) const MAX_CONNECTIONS: usize = 16 << 10;

/// Until a client has sent what every connection of HTTP/2 begins with.
const GREETING: Duration = Duration::from_secs(30);

/// So many bytes are that: the preface.
const PREFACE: usize = 24;

/// A connection and its place.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Of the preface, what is still to come, and until when.
    greeting: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
    _open: Open,
}

/// Those that are accepted, at most `limit` at a time. Ones that fail are passed over.
pub(crate) fn accepted(
    listener: TcpListener,
    limit: usize,
    metrics: Metrics,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let places = Arc::new(Semaphore::new(limit));
    let crowd = Alarm::new(metrics.connections_full.clone());
    stream::unfold(
        (listener, places, metrics, crowd),
        move |(listener, places, metrics, mut crowd)| async move {
            if crowd.set(places.available_permits() == 0) && crowd.is_on() {
                warn!(limit, "no place is left for a connection: more wait until one ends");
            }
            // None: nobody closes it.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            crowd.set(false);
            let stream = loop {
                match listener.accept().await {
                    Ok((stream, _)) => break stream,
                    Err(error) => ottoscaler_kit::http::refused(&error).await,
                }
            };
            if let Err(error) = SockRef::from(&stream).set_tcp_nodelay(true) {
                debug!(%error, "a connection may delay what it sends");
            }
            let greeting = Some((PREFACE, Box::pin(sleep(GREETING))));
            let connection =
                Connection { stream, greeting, _place: place, _open: Open::new(&metrics.connections) };
            Some((Ok(connection), (listener, places, metrics, crowd)))
        },
    )
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, buffer) else {
            if let Some((_, until)) = &mut self.greeting {
                ready!(until.as_mut().poll(cx));
                let late = format!("the client did not say within {GREETING:?} that it speaks HTTP/2");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, late)));
            }
            return Poll::Pending;
        };
        if let Some((missing, _)) = &mut self.greeting {
            *missing = missing.saturating_sub(buffer.filled().len() - before);
            if *missing == 0 {
                self.greeting = None;
            }
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::{FutureExt, StreamExt};
    use prometheus_client::registry::Registry;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn p6_connections_beyond_the_limit_wait_until_one_has_ended() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let metrics = Metrics::register(&mut Registry::default());
        let mut connections = Box::pin(accepted(listener, 2, metrics.clone()));
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(TcpStream::connect(addr).await.unwrap());
        }
        let first = connections.next().await.unwrap().unwrap();
        let _second = connections.next().await.unwrap().unwrap();
        assert!(connections.next().now_or_never().is_none(), "there are two");
        assert_eq!((metrics.connections.get(), metrics.connections_full.get()), (2, 1));
        drop(first);
        clients[0].read_to_end(&mut Vec::new()).await.unwrap();
        assert!(connections.next().await.unwrap().is_ok());
        assert_eq!(metrics.connections_full.get(), 0);
    }

    #[tokio::test]
    async fn p6_a_connection_that_never_says_what_it_speaks_is_given_up() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let metrics = Metrics::register(&mut Registry::default());
        let mut connections = Box::pin(accepted(listener, 2, metrics));
        let mut silent = TcpStream::connect(addr).await.unwrap();
        let mut of_silent = connections.next().await.unwrap().unwrap();
        let mut greeter = TcpStream::connect(addr).await.unwrap();
        let mut of_greeter = connections.next().await.unwrap().unwrap();
        let mut read = [0; PREFACE];
        silent.write_all(&read[1..]).await.unwrap();
        of_silent.read_exact(&mut read[1..]).await.unwrap();
        greeter.write_all(&read).await.unwrap();
        of_greeter.read_exact(&mut read).await.unwrap();
        tokio::time::pause();
        let end = of_silent.read(&mut read).await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        let more = tokio::time::timeout(2 * GREETING, of_greeter.read(&mut read)).await;
        assert!(more.is_err(), "it is kept");
    }
}
