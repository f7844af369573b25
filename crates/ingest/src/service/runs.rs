//! Messages of a request in the buffers that they were read into. tonic's own way puts all that comes into another
//! buffer first, and hands the messages on one by one; most of what a server of log lines does is to copy them.
//!
//! It is for requests that are not compressed. What it refuses, and with which words, is what tonic refuses.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::Stream;
use tonic::body::Body;
use tonic::codegen::Body as _;
use tonic::{Code, Status};

/// Bytes before each message: whether it is compressed, and its length.
pub(super) const HEAD: usize = 5;

/// Whole messages one after another, each with its head.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Run(Bytes);

/// What a request's body holds.
pub(crate) struct Runs {
    body: Body,
    frames: Frames,
    has_ended: bool,
}

/// Makes runs of what is read.
struct Frames {
    /// What was read last.
    unread: Bytes,
    /// What came before it: a message of which something is still to come.
    partial: BytesMut,
    max_message: usize,
}

impl Run {
    /// Of one message.
    pub(crate) fn of(message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).expect("messages are limited");
        Self([&[0], &length.to_be_bytes()[..], message].concat().into())
    }

    /// The messages.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (message, behind) = rest.split_at_checked(framed(rest)?)?;
            rest = behind;
            Some(&message[HEAD..])
        })
    }

    /// The first message, taken off; it shares the memory.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let mut message = self.0.split_to(framed(&self.0)?);
        message.advance(HEAD);
        Some(message)
    }

    /// At most so many messages, taken off; how many, and what they are.
    pub(crate) fn take(&mut self, at_most: usize) -> (usize, Self) {
        let lengths = self.messages().take(at_most).map(|message| HEAD + message.len());
        let (count, bytes) = lengths.fold((0, 0), |(count, bytes), length| (count + 1, bytes + length));
        (count, Self(self.0.split_to(bytes)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all of it.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Bytes of the message that begins here, with its head; none where that is not all here.
pub(super) fn framed(bytes: &[u8]) -> Option<usize> {
    let [_, length @ ..] = *bytes.first_chunk::<HEAD>()?;
    Some(HEAD.saturating_add(u32::from_be_bytes(length) as usize))
}

impl Runs {
    /// Of a body whose messages have at most so many bytes.
    pub(crate) fn new(body: Body, max_message: usize) -> Self {
        Self { body, frames: Frames::new(max_message), has_ended: false }
    }
}

impl Stream for Runs {
    type Item = Result<Run, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        loop {
            let Self { body, frames, has_ended } = &mut *self;
            if let Some(run) = frames.next().inspect_err(|_| *has_ended = true)? {
                return Poll::Ready(Some(Ok(run)));
            }
            match ready!(Pin::new(body).poll_frame(cx)) {
                // Trailers say nothing that matters here.
                Some(Ok(frame)) => frames.unread = frame.into_data().unwrap_or_default(),
                end => {
                    *has_ended = true;
                    return Poll::Ready(frames.ended(end.and_then(Result::err)).map(Err));
                }
            }
        }
    }
}

impl Frames {
    fn new(max_message: usize) -> Self {
        Self { unread: Bytes::new(), partial: BytesMut::new(), max_message }
    }

    /// The next messages that are whole. With none, what was read is kept until more of it is.
    fn next(&mut self) -> Result<Option<Run>, Status> {
        if !self.partial.is_empty() {
            return self.complete();
        }
        let mut whole = 0;
        while let Some(length) = framed(&self.unread[whole..]) {
            match self.check(&self.unread[whole..]) {
                // Those before it come first.
                Err(_) if whole > 0 => break,
                checked => checked?,
            }
            if length > self.unread.len() - whole {
                break;
            }
            whole += length;
        }
        if whole > 0 {
            return Ok(Some(Run(self.unread.split_to(whole))));
        }
        self.partial.reserve(framed(&self.unread).unwrap_or_default());
        self.partial.extend_from_slice(&std::mem::take(&mut self.unread));
        Ok(None)
    }

    /// The message that was begun, once it is whole.
    fn complete(&mut self) -> Result<Option<Run>, Status> {
        self.fill(HEAD);
        let Some(length) = framed(&self.partial) else { return Ok(None) };
        self.check(&self.partial)?;
        self.fill(length);
        let is_whole = self.partial.len() == length;
        Ok(is_whole.then(|| Run(std::mem::take(&mut self.partial).freeze())))
    }

    /// Reads until so many bytes of a message are here.
    fn fill(&mut self, bytes: usize) {
        let missing = bytes.saturating_sub(self.partial.len());
        self.partial.reserve(missing);
        let more = self.unread.split_to(missing.min(self.unread.len()));
        self.partial.extend_from_slice(&more);
    }

    /// Looks at the head of a message.
    fn check(&self, message: &[u8]) -> Result<(), Status> {
        let length = framed(message).unwrap_or_default().saturating_sub(HEAD);
        match message.first() {
            Some(0) | None if length <= self.max_message => Ok(()),
            Some(0) | None => Err(Status::out_of_range(format!(
                "Error, decoded message length too large: found {length} bytes, the limit is: {} bytes",
                self.max_message
            ))),
            Some(1) => Err(Status::internal(
                "protocol error: received message with compressed-flag but no grpc-encoding was specified",
            )),
            Some(flag) => Err(Status::internal(format!(
                "protocol error: received message with invalid compression flag: {flag} (valid flags are 0 and 1), \
                 while sending request"
            ))),
        }
    }

    /// What is wrong with a body that ends here.
    fn ended(&self, failure: Option<Status>) -> Option<Status> {
        match failure {
            // The client has gone, and nobody is left to be told.
            Some(status) if status.code() == Code::Cancelled => None,
            None if !self.partial.is_empty() => Some(Status::internal("Unexpected EOF decoding stream.")),
            failure => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 300;

    fn body(messages: &[Vec<u8>]) -> Vec<u8> {
        messages.iter().flat_map(|message| Run::of(message).0).collect()
    }

    /// The messages of a body that is read in pieces, and how it ends.
    fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Option<Status>) {
        let (mut frames, mut messages) = (Frames::new(MAX), Vec::new());
        for piece in pieces {
            frames.unread = Bytes::copy_from_slice(piece);
            loop {
                match frames.next() {
                    Ok(Some(run)) => messages.extend(run.messages().map(<[u8]>::to_vec)),
                    Ok(None) => break,
                    Err(status) => return (messages, Some(status)),
                }
            }
        }
        (messages, frames.ended(None))
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_their_bytes_come(
            messages in vec(vec(any::<u8>(), 0..MAX), 0..8),
            size in 1_usize..400,
        ) {
            let body = body(&messages);
            let (read, end) = read(body.chunks(size));
            prop_assert_eq!(read, messages);
            prop_assert!(end.is_none());
        }

        #[test]
        fn what_is_cut_off_or_no_message_is_told_behind_those_that_are_whole(
            messages in vec(vec(any::<u8>(), 1..MAX), 1..8),
            size in 1_usize..400,
            wrong in 1_u8..,
            cut: prop::sample::Index,
        ) {
            let (last, before) = messages.split_last().unwrap();
            let whole = body(before);
            let cut = &body(&messages)[..whole.len() + 1 + cut.index(HEAD + last.len() - 1)];
            let (given, end) = read(cut.chunks(size));
            prop_assert_eq!(&given, before);
            prop_assert_eq!(end.map(|status| status.code()), Some(Code::Internal));
            let compressed = [&whole[..], &[wrong, 0, 0, 0, 1, 7]].concat();
            let (given, end) = read(compressed.chunks(size));
            prop_assert_eq!(&given, before);
            prop_assert_eq!(end.map(|status| status.code()), Some(Code::Internal));
            let too_large = [&whole[..], &[0, 0xff, 0, 0, 1, 7]].concat();
            let (given, end) = read(too_large.chunks(size));
            prop_assert_eq!(&given, before);
            prop_assert_eq!(end.map(|status| status.code()), Some(Code::OutOfRange));
        }

        #[test]
        fn a_run_is_taken_off_in_parts_of_any_size(messages in vec(vec(any::<u8>(), 0..20), 0..20), at_most in 1_usize..5) {
            let mut run = Run(body(&messages).into());
            let mut taken = Vec::new();
            while !run.is_empty() {
                let (count, part) = run.take(at_most);
                prop_assert_eq!(part.messages().count(), count);
                taken.extend(part.messages().map(<[u8]>::to_vec));
            }
            prop_assert_eq!(&taken, &messages);
            let mut run = Run(body(&messages).into());
            let popped: Vec<_> = std::iter::from_fn(|| run.pop()).collect();
            prop_assert_eq!(popped, messages);
        }
    }
}
