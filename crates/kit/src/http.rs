//! HTTP/1.1 connections, of which none can hold up the others.
//!
//! Who connects and does not say what for is gone after [`HEAD_TIMEOUT`], and who takes nothing of an answer after
//! [`UNTAKEN`]; no more than [`MAX_CONNECTIONS`] are served at a time, and more wait in the kernel's backlog; and where
//! the process has no file left for a connection, accepting pauses instead of asking the kernel over and over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// From the beginning of a connection, or the end of the request before, to the end of a request's head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// From when a client has no room for more of an answer until its connection ends, if it takes nothing meanwhile. To
/// the kernel that is tens of KiB before it lets more come, so that this is long: a page on a bad network takes some
/// bytes a second and is not to be cut off. `TCP_USER_TIMEOUT` would: it counts from the first time that there was no
/// room, whatever was taken since, for as long as the window stays smaller than what is to be sent next.
pub const UNTAKEN: Duration = Duration::from_mins(30);

/// Connections at a time: more than readers and probes need, and few enough for the files of a process.
pub const MAX_CONNECTIONS: usize = 4096;

/// After what keeps a process from accepting at all, which is that it has too many files open.
const PAUSE: Duration = Duration::from_millis(250);

/// Serves `router` until `stop`, and then what was begun; `tune` sees each connection first. It does not fail:
/// a connection that does ends alone. Not cancel safe: what is being served is cut off.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, tune: fn(&TcpStream)) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (mut connections, graceful) = (JoinSet::new(), GracefulShutdown::new());
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    while let Some((stream, place)) = stop.run_until_cancelled(next(&listener, &places)).await {
        tune(&stream);
        let service = TowerToHyperService::new(router.clone());
        let stream = TokioIo::new(Box::pin(impatient(stream)));
        let connection = graceful.watch(builder.serve_connection(stream, service));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "an HTTP connection ended early");
            }
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Fails to write once nothing could be written for [`UNTAKEN`].
fn impatient<S: AsyncRead + AsyncWrite>(stream: S) -> TimeoutStream<S> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNTAKEN));
    stream
}

/// The next connection, once there is a place for it. Cancel safe.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("nobody closes it");
    (accept(listener).await, place)
}

/// The next connection, past those that fail. Cancel safe.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => refused(&error).await,
        }
    }
}

/// What to do when accepting failed: nothing where the connection was the reason, and wait where the process
/// was. Cancel safe.
pub async fn refused(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    warn!(%error, "cannot accept connections now; where too many files are open, raise the limit (ulimit -n)");
    tokio::time::sleep(PAUSE).await;
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    async fn start(stop: CancellationToken) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "here\n"));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, stop, |_| {}));
        (addr, server)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_the_head_of_a_request_is_gone_in_time() {
        let (addr, _server) = start(CancellationToken::new()).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        let begun = Instant::now();
        let mut rest = Vec::new();
        // Whatever the server says to it, it is the end.
        let _read = stream.read_to_end(&mut rest).await;
        assert!(
            begun.elapsed() >= HEAD_TIMEOUT && begun.elapsed() < 2 * HEAD_TIMEOUT,
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_is_gone_in_time() {
        // More than the kernel takes for a client that reads nothing.
        const LARGE: usize = 64 << 20;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || vec![b'x'; LARGE]));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, CancellationToken::new(), |_| {}));
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        stream.readable().await.unwrap();
        tokio::time::sleep(UNTAKEN + HEAD_TIMEOUT).await;
        let mut rest = Vec::new();
        // That it was cut off may be an error, or an end.
        let _read = stream.read_to_end(&mut rest).await;
        assert!(!rest.is_empty() && rest.len() < LARGE, "{}", rest.len());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_now_and_then_is_not_cut_off() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut writing = JoinSet::new();
        writing.spawn(async move { Box::pin(impatient(server)).write_all(&[b'x'; 640]).await });
        let mut some = [0; 64];
        for _ in 0..5 {
            tokio::time::sleep(UNTAKEN.mul_f64(0.9)).await;
            client.read_exact(&mut some).await.unwrap();
        }
        tokio::time::sleep(UNTAKEN.mul_f64(1.1)).await;
        let ended = writing.join_next().await.unwrap().unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut, "and who takes no more is");
    }

    #[tokio::test]
    async fn stopping_ends_idle_connections_and_takes_no_more() {
        let stop = CancellationToken::new();
        let (addr, mut server) = start(stop.clone()).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");

        stop.cancel();
        server.join_next().await.unwrap().unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        assert!(TcpStream::connect(addr).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_the_process_lacks_makes_accepting_pause() {
        let begun = Instant::now();
        refused(&io::ErrorKind::ConnectionAborted.into()).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        refused(&io::Error::from_raw_os_error(24)).await;
        assert_eq!(begun.elapsed(), PAUSE);
    }
}
