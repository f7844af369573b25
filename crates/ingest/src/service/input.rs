//! What a client sends, up to its first error.
//!
//! A decoder that refused a message (it is too large, say) stands in the midst of it. Asked again, it takes
//! what comes next for the head of another message, and a worker's own output would be read as messages, be
//! it in the name of another worker. So nothing is read after an error.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::stream::Stream;

/// The stream within, which ends with its first error. Nothing is polled after that.
pub(super) struct Input<S>(Option<S>);

impl<S> Input<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Some(stream))
    }
}

impl<T, E, S: Stream<Item = Result<T, E>> + Unpin> Stream for Input<S> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(stream) = &mut self.0 else { return Poll::Ready(None) };
        let item = ready!(Pin::new(stream).poll_next(context));
        if !matches!(item, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(item)
    }
}
