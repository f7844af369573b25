//! Messages within messages: what a worker prints is never taken for what a client says.

use futures::stream;
use prost::Message;

use super::super::entries;
use super::super::runs::Run;
use super::super::session::Session;
use super::*;
use crate::line::Sequence;

/// Larger than what a message may be.
const TOO_LARGE: usize = 9 << 20;

/// `message` as it stands on the wire.
fn framed(message: &impl Message) -> Vec<u8> {
    let encoded = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
    frame.extend(encoded);
    frame
}

/// Output that holds `frame` over and over, and is too large to be taken.
fn output(frame: &[u8]) -> Vec<u8> {
    frame.iter().copied().cycle().take(TOO_LARGE).collect()
}

#[tokio::test]
async fn output_that_holds_a_message_is_not_taken_for_one() {
    let running = Running::start(memory::open(), Sizes::default()).await;
    let forged = framed(&entry("victim", 1));
    let message = String::from_utf8(output(&forged)).unwrap();
    let exchange = Exchange::entries(&running).await;
    exchange.send([LogEntry { message, ..entry("job", 1) }]).await;

    let status = exchange.end().await.expect("the message is too large");

    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(running.server.catalog.worker(&worker("victim")).is_none());
}

#[tokio::test]
async fn data_that_hold_a_batch_are_not_taken_for_one() {
    let running = Running::start(memory::open(), Sizes::default()).await;
    register(&running, "job", b"1").await;
    let forged = framed(&batch("job", 1, 3));
    let exchange = Exchange::batches(&running).await;
    exchange.send([LogBatch { data: output(&forged).into(), ..batch("job", 1, 1) }]).await;

    let status = exchange.end().await.expect("the message is too large");

    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let state = running.server.catalog.worker(&worker("job")).unwrap();
    assert_eq!(state.high, Sequence::ZERO);
}

/// Each comes by itself, and so in a piece of its own.
#[tokio::test]
async fn p5_nothing_is_stored_that_comes_behind_an_entry_that_cannot_be_read() {
    let running = Running::start(memory::open(), Sizes::default()).await;
    let line = |sequence| entry("job", sequence).encode_to_vec();
    let messages = [line(1), vec![0xff], line(2), line(3)];
    let runs = stream::iter(messages).then(async |message| {
        tokio::task::yield_now().await;
        Ok(Run::of(&message))
    });
    let responses: Vec<_> =
        entries::responses(&running.server, Session::default(), Box::pin(runs)).collect().await;

    let [Ok(_), Err(status)] = &responses[..] else { panic!("{responses:?}") };
    assert_eq!(status.code(), Code::Internal, "{status}");
    assert_eq!(running.server.catalog.worker(&worker("job")).unwrap().high, Sequence::new(1));
}

fn worker(id: &str) -> crate::ids::WorkerId {
    id.try_into().unwrap()
}
