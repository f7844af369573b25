//! What comes in of messages that are not whole yet: bounded, over all streams of all connections.
//!
//! HTTP/2 gives a client room for more as soon as what it sent is read, so its windows do not bound what is read of a
//! message that never ends. A message that comes in one piece costs nothing here, and the first [`FREE`] bytes of any
//! are a stream's own. For more, room is taken for the whole of it before anything further is read: until
//! there is some, the windows hold the client back. Whoever has room ends its message within [`DEADLINE`], or its
//! stream ends with DEADLINE_EXCEEDED.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::PollSemaphore;
use tonic::Status;
use tonic::body::Body;

/// Of a message that is not whole, what any stream may have. With as many streams as a connection may have that is
/// as much as the window of the connection.
const FREE: usize = 4 << 10;

/// Of all messages that are not whole together, beyond that: as much as the queue holds by itself.
const ROOM: usize = 64 << 20;

/// From room for a message to its end: a batch of an agent's at 1 KiB a second.
const DEADLINE: Duration = Duration::from_mins(1);

/// Bytes before each message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// The room that there is; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Inflow {
    room: Arc<Semaphore>,
    max_message: usize,
}

impl Inflow {
    /// For messages of at most so many bytes; larger ones are refused by whoever reads them.
    pub(crate) fn new(max_message: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM)), max_message }
    }

    /// The same body, which is read only as there is room for it.
    pub(crate) fn bounded(&self, body: Body) -> Body {
        let room = PollSemaphore::new(Arc::clone(&self.room));
        let max_message = self.max_message;
        Body::new(Bounded { body, room, max_message, place: Place::default(), taken: None })
    }
}

/// A body whose messages are watched as they come.
struct Bounded {
    body: Body,
    room: PollSemaphore,
    max_message: usize,
    place: Place,
    /// Room for the message that is not whole, and until when it is to be.
    taken: Option<(OwnedSemaphorePermit, Pin<Box<Sleep>>)>,
}

/// Where in a body it is.
#[derive(Debug, Default)]
struct Place {
    /// Of the head of the message that has begun, what is here.
    head: [u8; HEAD],
    headed: usize,
    /// Of what comes behind its head, what is still to come.
    missing: usize,
}

impl Place {
    /// After these bytes. Whether a message ended in them.
    fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut has_ended = false;
        while !bytes.is_empty() {
            if self.headed < HEAD {
                let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.headed));
                self.head[self.headed..][..head.len()].copy_from_slice(head);
                self.headed += head.len();
                bytes = rest;
                if self.headed < HEAD {
                    break;
                }
                self.missing = self.length();
            }
            let here = bytes.len().min(self.missing);
            self.missing -= here;
            bytes = &bytes[here..];
            if self.missing == 0 {
                *self = Self::default();
                has_ended = true;
            }
        }
        has_ended
    }

    /// Of the message whose head is here, bytes behind the head.
    fn length(&self) -> usize {
        let [_, length @ ..] = self.head;
        u32::from_be_bytes(length) as usize
    }

    /// How much room the rest of the message needs before more of it may come; none where it needs none.
    fn needs(&self, max_message: usize) -> Option<u32> {
        let is_begun = self.headed == HEAD && self.missing > 0;
        let length = self.length();
        (is_begun && length > FREE && length <= max_message).then(|| u32::try_from(length).ok()).flatten()
    }
}

impl Bounded {
    /// Ready once there is room for what comes next.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.taken.is_none()
            && let Some(bytes) = self.place.needs(self.max_message)
        {
            let permit = ready!(self.room.poll_acquire_many(cx, bytes));
            self.taken = permit.map(|permit| (permit, Box::pin(sleep(DEADLINE))));
        }
        Poll::Ready(())
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.taken.as_mut().is_some_and(|(_, deadline)| deadline.as_mut().poll(cx).is_ready())
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        ready!(self.poll_room(cx));
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let late = || Status::deadline_exceeded(format!("a message was not whole within {DEADLINE:?}"));
            return if self.is_late(cx) { Poll::Ready(Some(Err(late()))) } else { Poll::Pending };
        };
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref())
            && self.place.read(data)
        {
            self.taken = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::poll_fn;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    const MAX_MESSAGE: usize = 8 << 20;

    /// Bytes of a message, and how many of them come; then nothing more does.
    struct Begun {
        length: usize,
        left: usize,
        is_headed: bool,
    }

    impl HttpBody for Begun {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            const SOME: &[u8] = &[0; 16 << 10];
            let frame = if self.is_headed {
                Bytes::from_static(&SOME[..SOME.len().min(self.left)])
            } else {
                let length = u32::try_from(self.length).unwrap();
                [&[0], &length.to_be_bytes()[..]].concat().into()
            };
            if frame.is_empty() {
                return Poll::Pending;
            }
            if self.is_headed {
                self.left -= frame.len();
            }
            self.is_headed = true;
            Poll::Ready(Some(Ok(Frame::data(frame))))
        }
    }

    fn begun(inflow: &Inflow, length: usize, left: usize) -> Body {
        inflow.bounded(Body::new(Begun { length, left, is_headed: false }))
    }

    /// What there is to read now: how many bytes, and how it ended, if it did.
    async fn read(body: &mut Body) -> (usize, Option<Code>) {
        let mut bytes = 0;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).now_or_never() {
            match frame.unwrap() {
                Ok(frame) => bytes += frame.into_data().unwrap().len(),
                Err(status) => return (bytes, Some(status.code())),
            }
        }
        (bytes, None)
    }

    #[tokio::test(start_paused = true)]
    async fn p6_of_messages_that_never_end_a_bounded_part_is_read_and_they_make_room_in_time() {
        let inflow = Inflow::new(MAX_MESSAGE);
        let mut bodies: Vec<_> = (0..30).map(|_| begun(&inflow, MAX_MESSAGE, MAX_MESSAGE - 1)).collect();
        let mut total = 0;
        for body in &mut bodies {
            total += read(body).await.0;
        }
        assert!((ROOM / 2..=ROOM + (1 << 20)).contains(&total), "{total} bytes");
        // Who sends no more than usual is not held up, nor who sends too much to be taken at all.
        assert_eq!(read(&mut begun(&inflow, FREE, FREE)).await, (HEAD + FREE, None));
        assert_eq!(read(&mut begun(&inflow, MAX_MESSAGE + 1, 100)).await, (HEAD + 100, None));
        tokio::time::advance(DEADLINE).await;
        let late = futures::future::join_all(bodies.iter_mut().take(ROOM / MAX_MESSAGE).map(read)).await;
        assert!(late.iter().all(|end| *end == (0, Some(Code::DeadlineExceeded))), "{late:?}");
        bodies.drain(..ROOM / MAX_MESSAGE);
        assert_eq!(read(&mut bodies[0]).await, (MAX_MESSAGE - 1, None), "there is room for the next");
    }

    proptest! {
        #[test]
        fn a_body_is_among_its_messages_where_their_lengths_say(
            lengths in vec(0_usize..2000, 1..10),
            size in 1_usize..700,
        ) {
            let mut body = Vec::new();
            let mut ends = Vec::new();
            for length in lengths {
                body.push(0);
                body.extend(u32::try_from(length).unwrap().to_be_bytes());
                body.resize(body.len() + length, 7);
                ends.push(body.len());
            }
            let (mut place, mut at) = (Place::default(), 0);
            for piece in body.chunks(size) {
                let has_ended = place.read(piece);
                prop_assert_eq!(has_ended, ends.iter().any(|end| (at + 1..=at + piece.len()).contains(end)));
                at += piece.len();
                let begin = ends.iter().copied().filter(|end| *end <= at).max().unwrap_or(0);
                prop_assert_eq!(place.headed, (at - begin).min(HEAD));
                if at - begin > HEAD {
                    let end = ends.iter().copied().find(|end| *end > at).unwrap();
                    prop_assert_eq!(place.missing, end - at);
                }
            }
        }
    }
}
