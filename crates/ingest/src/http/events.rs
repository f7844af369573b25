//! Server-sent events: how they are written, and the answer that carries them.

use std::convert::Infallible;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::Value;

use super::error::ApiError;

/// After a cut, clients wait so long before they come again, in milliseconds: not all at once, and soon.
const RETRY: RangeInclusive<u32> = 1000..=3000;

/// An event now and then keeps connections open that a proxy would close, and tells who listens that this one lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Not a comment, of which a browser tells its page nothing; and of another name than what stands for lines.
const PING: &[u8] = b"event: ping\ndata:\n\n";

/// An answer that goes on for as long as there are events; `first` stands before them.
pub(super) fn response(first: Option<Bytes>, events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    let events = stream::iter(first).chain(kept_alive(events)).map(Ok::<_, Infallible>);
    (headers, Body::from_stream(events)).into_response()
}

/// Says how long to wait after a cut.
pub(super) fn retry() -> Bytes {
    format!("retry: {}\n\n", rand::random_range(RETRY)).into()
}

/// One with a name. JSON has no line breaks of its own.
pub(super) fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// The last one, where something else than the log has come to its end. Not `error`: so a browser names what befalls
/// the connection.
pub(super) fn failed(error: &ApiError) -> Bytes {
    event("failed", &error.body())
}

/// With a ping wherever nothing else comes for a while.
fn kept_alive(events: impl Stream<Item = Bytes> + Send + 'static) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Box::pin(events), |mut events| async move {
        // Cancel safe: what `next` has begun stays in the stream.
        match tokio::time::timeout(KEEP_ALIVE, events.next()).await {
            Ok(event) => event.map(|event| (event, events)),
            Err(_) => Some((Bytes::from_static(PING), events)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_listens_hears_that_the_connection_lives_where_nothing_else_comes() {
        let mut events =
            Box::pin(kept_alive(stream::iter([Bytes::from_static(b"one")]).chain(stream::pending())));
        assert_eq!(events.next().await.as_deref(), Some(&b"one"[..]));
        let before = tokio::time::Instant::now();
        for pings in 1..=2 {
            assert_eq!(events.next().await.as_deref(), Some(PING));
            assert_eq!(before.elapsed(), KEEP_ALIVE * pings);
        }
    }
}
