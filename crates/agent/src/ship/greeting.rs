//! A connection that looks at the first bytes of its server: whether they are any of HTTP/2's.
//!
//! The library would only say that a frame has no valid size, or that a pipe is broken.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link_error::LinkError;

/// What to look at where somebody else answers.
const ANOTHER_PORT: &str = "did you mean log-ingest's gRPC port, which is 50051 by default?";

/// What the first bytes of a connection say against its server, if anything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objection(Arc<OnceLock<String>>);

impl Objection {
    /// Why a call really failed: the library may know no more than that its connection is gone.
    pub(crate) fn explain(&self, error: LinkError) -> LinkError {
        self.0.get().map_or(error, |why| LinkError::NotNow(why.clone()))
    }
}

/// A stream from which nothing has come yet, or something that may be HTTP/2.
#[derive(Debug)]
pub(super) struct Greeted<S> {
    stream: S,
    /// As an operator knows the server; nothing once it has greeted.
    place: Option<String>,
    objection: Objection,
}

impl<S> Greeted<S> {
    /// To the server at `place`.
    pub(super) const fn new(stream: S, place: String, objection: Objection) -> Self {
        Self { stream, place: Some(place), objection }
    }

    /// Where the server has hung up before its first word, what there is to read tells more, and the library would
    /// not read it any more: `length` bytes count as written.
    fn unless_hung_up(
        &self,
        written: Poll<io::Result<usize>>,
        length: impl FnOnce() -> usize,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Err(error)) if self.place.is_some() && is_hung_up(&error) => {
                Poll::Ready(Ok(length()))
            }
            written => written,
        }
    }
}

fn is_hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// What the first bytes say against it.
fn objection(greeting: &[u8]) -> Option<String> {
    match greeting {
        [] => Some(format!("closed the connection before it said a word of HTTP/2; {ANOTHER_PORT}")),
        // As far as it came: no frame of HTTP/2 begins so.
        [b'H', ..] => Some(format!("is not a gRPC server: it speaks HTTP/1; {ANOTHER_PORT}")),
        [0x15, 3, ..] => Some("speaks TLS, and otto-agent does not".to_owned()),
        _ => None,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, into));
        let Some(place) = self.place.take() else { return Poll::Ready(read) };
        Poll::Ready(match (read, objection(&into.filled()[before..])) {
            (Err(error), _) if !is_hung_up(&error) => {
                Err(io::Error::new(error.kind(), format!("{place}: {error}")))
            }
            (_, Some(why)) => {
                // A read that fails has read nothing.
                into.set_filled(before);
                let why = self.objection.0.get_or_init(|| format!("{place} {why}"));
                Err(io::Error::new(ErrorKind::InvalidData, why.clone()))
            }
            (read, None) => read,
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_hung_up(written, || bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.unless_hung_up(written, || slices.iter().map(|slice| slice.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// All that comes of what a server says.
    async fn heard(said: &[u8]) -> io::Result<Vec<u8>> {
        let mut heard = Vec::new();
        Greeted::new(said, "ingest:8080".to_owned(), Objection::default()).read_to_end(&mut heard).await?;
        Ok(heard)
    }

    #[tokio::test]
    async fn a_server_of_another_kind_is_named_with_its_place() {
        for (said, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "not a gRPC server"),
            (b"H", "50051"),
            (b"\x15\x03\x01\0\x02\x02\x46", "speaks TLS"),
            (b"", "closed the connection"),
        ] {
            let why = heard(said).await.unwrap_err().to_string();
            assert!(why.starts_with("ingest:8080 ") && why.contains(expected), "{why}");
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_is_named_even_where_a_write_finds_out_first() {
        let (ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        let objection = Objection::default();
        let mut stream = Greeted::new(ours, "ingest:8080".to_owned(), objection.clone());
        assert!(matches!(objection.explain(LinkError::Ended), LinkError::Ended));
        stream.write_all(b"PRI").await.unwrap();
        let why = stream.read_u8().await.unwrap_err().to_string();
        assert!(why.starts_with("ingest:8080 closed the connection"), "{why}");
        assert_eq!(objection.explain(LinkError::Ended).to_string(), why, "whatever the library makes of it");
        assert!(stream.write_all(b"more").await.is_err(), "once");
    }

    #[tokio::test]
    async fn http_2_passes_whatever_follows() {
        let said = b"\0\0\x06\x04\0\0\0\0\0HTTP/1.1 400";
        assert_eq!(heard(said).await.unwrap(), said);
    }
}
