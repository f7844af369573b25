//! What comes in of messages that are not whole yet: bounded, over all streams of all connections.
//!
//! HTTP/2 gives a client room for more as soon as what it sent is read, so its windows do not bound what is read of a
//! message that never ends. Messages that come in one piece go through as they are, and cost nothing here. One that
//! does not is put together here, and given on once it is whole: what is here of it can so be let go of at any time, be
//! it that nobody asks for more, as hyper does not while the client takes no answers. [`Room`] says when.

mod room;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::body::Body;

use self::room::{Message, Room};
use super::runs::{HEAD, framed};
use crate::metrics::Metrics;

/// Messages of at most so many bytes are a stream's own, whole or not. With as many streams as a connection may have
/// that is as much as the window of the connection.
const FREE: usize = 4 << 10;

/// How often is looked for messages that are late.
const TICK: Duration = Duration::from_secs(1);

/// The room that there is; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Inflow {
    room: Room,
    max_message: usize,
}

impl Inflow {
    /// For messages of at most so many bytes; larger ones are refused by whoever reads them.
    pub(crate) fn new(max_message: usize, metrics: Metrics) -> Self {
        Self { room: Room::new(metrics), max_message }
    }

    /// The same body, of which only whole messages come out.
    pub(crate) fn bounded(&self, body: Body) -> Body {
        let (room, max_message) = (self.room.clone(), self.max_message);
        let begun = Begun::default();
        Body::new(Bounded { body, room, max_message, unread: Bytes::new(), begun, has_ended: false })
    }

    /// Gives up what is late, for as long as it is polled.
    pub(crate) async fn watch(&self) -> Infallible {
        loop {
            sleep(TICK).await;
            self.room.give_up_late(Instant::now());
        }
    }
}

/// A body whose messages are put together.
struct Bounded {
    body: Body,
    room: Room,
    max_message: usize,
    /// What was read last, and is not given on.
    unread: Bytes,
    begun: Begun,
    has_ended: bool,
}

/// A message of which something is still to come.
#[derive(Default)]
struct Begun {
    /// What is here of it, if it is small, or how large it is is not known yet.
    small: Vec<u8>,
    /// It is larger than [`FREE`].
    large: Option<Message>,
}

impl Begun {
    fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_none()
    }
}

/// How many bytes at the front are whole messages; all of them where one is too large, for whoever refuses it.
fn whole(bytes: &[u8], max_message: usize) -> usize {
    let mut whole = 0;
    while let Some(length) = framed(&bytes[whole..]) {
        if length - HEAD > max_message {
            return bytes.len();
        }
        if length > bytes.len() - whole {
            break;
        }
        whole += length;
    }
    whole
}

impl Bounded {
    /// What there is to give on of what was read.
    fn next(&mut self) -> Result<Option<Bytes>, Status> {
        while !self.unread.is_empty() {
            if self.begun.is_empty() {
                let whole = whole(&self.unread, self.max_message);
                if whole > 0 {
                    return Ok(Some(self.unread.split_to(whole)));
                }
            }
            if let Some(message) = self.complete()? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// The message that has begun, once it is whole.
    fn complete(&mut self) -> Result<Option<Bytes>, Status> {
        let Self { unread, begun: Begun { small, large }, .. } = self;
        if large.is_none() {
            fill(small, unread, HEAD);
            let Some(length) = framed(small) else { return Ok(None) };
            if length - HEAD > self.max_message {
                return Ok(Some(std::mem::take(small).into()));
            }
            if length <= HEAD + FREE {
                fill(small, unread, length);
                return Ok((small.len() == length).then(|| std::mem::take(small).into()));
            }
        }
        let message = if let Some(message) = large {
            message
        } else {
            let length = framed(small).unwrap_or_default();
            large.insert(self.room.begin(std::mem::take(small), length))
        };
        message.push(&unread.split_to(message.missing().min(unread.len())))?;
        if message.missing() > 0 {
            return Ok(None);
        }
        large.take().map(Message::finish).transpose()
    }

    /// What is here of a message that does not come any more: whoever reads it says so.
    fn cut_off(&mut self) -> Result<Option<Bytes>, Status> {
        let Begun { small, large } = std::mem::take(&mut self.begun);
        match large {
            Some(message) => message.finish().map(Some),
            None => Ok((!small.is_empty()).then(|| small.into())),
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            if let Some(data) = self.next()? {
                return Poll::Ready(Ok(Some(data)));
            }
            if let Some(message) = &self.begun.large {
                message.check(cx)?;
            }
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else {
                self.has_ended = true;
                return Poll::Ready(self.cut_off());
            };
            // Trailers say nothing that matters here.
            self.unread = frame.into_data().unwrap_or_default();
        }
    }
}

/// Moves bytes until there are so many, if there are.
fn fill(bytes: &mut Vec<u8>, from: &mut Bytes, until: usize) {
    let missing = until.saturating_sub(bytes.len()).min(from.len());
    bytes.extend_from_slice(&from.split_to(missing));
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let data = ready!(self.poll_data(cx));
        self.has_ended |= data.is_err();
        Poll::Ready(data.transpose().map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || (self.unread.is_empty() && self.begun.is_empty() && self.body.is_end_stream())
    }
}

#[cfg(test)]
mod tests;
