//! A log is written by the run that registered as it, and by no other that knows its name.

use super::*;
use crate::catalog::Catalog;
use crate::line::Sequence;

/// A request that shows this session; none where it is empty.
fn showing<T>(session: &str, messages: mpsc::Receiver<T>) -> tonic::Request<ReceiverStream<T>> {
    let mut request = tonic::Request::new(ReceiverStream::new(messages));
    if !session.is_empty() {
        request.metadata_mut().insert("otto-session", session.parse().unwrap());
    }
    request
}

async fn batches(running: &Running, session: &str) -> Exchange<LogBatch> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let stream = running.streaming().await.stream_log_batches(showing(session, receiver)).await;
    Exchange { sender, responses: stream.unwrap().into_inner() }
}

async fn entries(running: &Running, session: &str) -> Exchange<LogEntry> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let stream = running.streaming().await.stream_logs(showing(session, receiver)).await;
    Exchange { sender, responses: stream.unwrap().into_inner() }
}

/// A registration, and its session.
async fn session(running: &Running, worker: &str, incarnation: &'static [u8]) -> String {
    let answer = running.streaming().await.register_worker(registration(worker, incarnation)).await;
    answer.unwrap().into_inner().session_id
}

fn high(catalog: &Catalog) -> Option<Sequence> {
    catalog.worker(&"w".try_into().unwrap()).map(|state| state.high)
}

async fn is_refused<T>(exchange: Exchange<T>) {
    let status = exchange.end().await.expect("it is refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
}

#[tokio::test]
async fn p5_a_stream_that_shows_another_session_writes_nothing_and_ends_no_other() {
    let running = Running::in_memory().await;
    let own = session(&running, "w", b"one").await;
    let mut stream = batches(&running, &own).await;
    stream.send([batch("w", 1, 1)]).await;
    assert_eq!(stream.answer().await, "ack 1");
    // Nor one that shows none, while this one is open.
    for shown in ["another", ""] {
        let stranger = batches(&running, shown).await;
        stranger.send([batch("w", 1, 5)]).await;
        is_refused(stranger).await;
        let stranger = entries(&running, shown).await;
        stranger.send([entry("w", 2)]).await;
        is_refused(stranger).await;
    }
    stream.send([batch("w", 2, 2)]).await;
    assert_eq!(stream.answer().await, "ack 2", "its place is still its own");
    let mut again = entries(&running, &own).await;
    again.send([entry("w", 3)]).await;
    assert_eq!(again.answer().await, "ack 3");
    assert_eq!(stream.end().await.map(|status| status.code()), Some(Code::Aborted));
}

#[tokio::test]
async fn p5_a_run_that_was_refused_has_none_of_its_lines_taken_for_the_others() {
    let running = Running::in_memory().await;
    session(&running, "w", b"one").await;
    let mut older = batches(&running, "").await;
    older.send([batch("w", 1, 3)]).await;
    assert_eq!(older.answer().await, "ack 3", "agents of before show nothing");
    drop(older);
    assert_eq!(register(&running, "w", b"two").await, RegistrationStatus::InvalidRequest);

    let refused = batches(&running, "").await;
    refused.send([batch("w", 1, 5)]).await;
    is_refused(refused).await;
    let refused = entries(&running, "").await;
    refused.send([entry("w", 1)]).await;
    is_refused(refused).await;
    let upload = futures::stream::iter([batch("w", 1, 5)]);
    let upload = running.streaming().await.upload_logs(upload).await.unwrap_err();
    assert_eq!(upload.code(), Code::FailedPrecondition);
    assert_eq!(high(&running.server.catalog), Some(Sequence::new(3)));

    // The run whose name it is registers before each of its streams.
    assert_eq!(register(&running, "w", b"one").await, RegistrationStatus::AlreadyRegistered);
    let mut older = batches(&running, "").await;
    older.send([batch("w", 4, 4)]).await;
    assert_eq!(older.answer().await, "ack 4");
}

/// An upload that shows this session.
async fn upload(running: &Running, session: &str, messages: mpsc::Receiver<LogBatch>) -> Result<i64, Status> {
    let summary = running.streaming().await.upload_logs(showing(session, messages)).await?;
    Ok(summary.into_inner().last_sequence)
}

async fn refused_upload(running: &Running, messages: mpsc::Receiver<LogBatch>) {
    let refused = upload(running, "", messages).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
}

#[tokio::test]
async fn p5_an_upload_that_shows_no_session_writes_nothing_beside_a_stream_that_does() {
    let running = Running::in_memory().await;
    let own = session(&running, "w", b"one").await;
    let (sender, begun) = mpsc::channel(AHEAD);
    sender.send(batch("w", 1, 1)).await.unwrap();
    let early = upload(&running, "", begun);
    let stream = async {
        while high(&running.server.catalog) < Some(Sequence::new(1)) {
            tokio::task::yield_now().await;
        }
        let mut stream = batches(&running, &own).await;
        stream.send([batch("w", 2, 2)]).await;
        assert_eq!(stream.answer().await, "ack 2");
        // Be it that the upload came before the stream.
        sender.send(batch("w", 3, 3)).await.unwrap();
        stream
    };
    let (early, stream) = tokio::join!(early, stream);
    assert_eq!(early.unwrap_err().code(), Code::FailedPrecondition);
    let (sender, messages) = mpsc::channel(AHEAD);
    sender.send(batch("w", 3, 3)).await.unwrap();
    drop(sender);
    refused_upload(&running, messages).await;
    assert_eq!(high(&running.server.catalog), Some(Sequence::new(2)));

    let (sender, messages) = mpsc::channel(AHEAD);
    sender.send(batch("w", 3, 3)).await.unwrap();
    drop(sender);
    assert_eq!(upload(&running, &own, messages).await.unwrap(), 3, "it is the same run's");
    drop(stream);
}

#[tokio::test]
async fn p5_an_upload_is_of_one_run_to_its_end() {
    let running = Running::in_memory().await;
    session(&running, "w", b"one").await;
    session(&running, "v", b"one").await;
    let (sender, messages) = mpsc::channel(AHEAD);
    sender.send(batch("w", 1, 1)).await.unwrap();
    let other_run = async {
        while high(&running.server.catalog) < Some(Sequence::new(1)) {
            tokio::task::yield_now().await;
        }
        running.server.catalog.forget(&"w".try_into().unwrap());
        session(&running, "w", b"two").await;
        sender.send(batch("w", 1, 1)).await.unwrap();
        drop(sender);
    };
    tokio::join!(refused_upload(&running, messages), other_run);
    assert_eq!(high(&running.server.catalog), Some(Sequence::ZERO));

    let (sender, messages) = mpsc::channel(AHEAD);
    for worker in ["v", "w"] {
        sender.send(batch(worker, 1, 1)).await.unwrap();
    }
    drop(sender);
    refused_upload(&running, messages).await;
    assert_eq!(high(&running.server.catalog), Some(Sequence::ZERO), "nor of another worker");
}

#[tokio::test]
async fn p5_a_worker_that_is_forgotten_under_its_stream_is_asked_to_register_again() {
    let running = Running::in_memory().await;
    for shows_it in [true, false] {
        let own = session(&running, "w", b"one").await;
        let mut stream = batches(&running, if shows_it { &own } else { "" }).await;
        stream.send([batch("w", 1, 1)]).await;
        assert_eq!(stream.answer().await, "ack 1");
        running.server.catalog.forget(&"w".try_into().unwrap());
        // Be it that another has come under its name meanwhile.
        session(&running, "w", b"two").await;
        stream.send([batch("w", 2, 2), batch("w", 3, 3)]).await;
        is_refused(stream).await;
        assert_eq!(high(&running.server.catalog), Some(Sequence::ZERO));
        running.server.catalog.forget(&"w".try_into().unwrap());
    }
}

#[tokio::test]
async fn p4_lines_of_a_forgotten_worker_are_not_dropped_for_lack_of_room() {
    let running = Running::in_memory().await;
    session(&running, "w", b"one").await;
    let mut stream = batches(&running, "").await;
    stream.send([batch("w", 1, 1)]).await;
    assert_eq!(stream.answer().await, "ack 1");
    running.server.catalog.forget(&"w".try_into().unwrap());
    stream.send([batch("w", 2, 2)]).await;
    is_refused(stream).await;
}

#[tokio::test]
async fn entries_of_a_session_that_is_forgotten_end_their_stream_and_those_without_one_go_on() {
    let running = Running::in_memory().await;
    let own = session(&running, "w", b"one").await;
    let mut stream = entries(&running, &own).await;
    stream.send([entry("w", 1)]).await;
    assert_eq!(stream.answer().await, "ack 1");
    running.server.catalog.forget(&"w".try_into().unwrap());
    stream.send([entry("w", 2)]).await;
    is_refused(stream).await;
    assert_eq!(high(&running.server.catalog), None, "it is not made anew");

    let mut fixed = entries(&running, "").await;
    fixed.send([entry("w", 1)]).await;
    assert_eq!(fixed.answer().await, "ack 1");
    running.server.catalog.forget(&"w".try_into().unwrap());
    fixed.send([entry("w", 1)]).await;
    assert_eq!(fixed.answer().await, "ack 1", "its first entry registers it");
}

#[tokio::test]
async fn a_run_that_is_refused_the_name_of_a_client_without_incarnation_changes_nothing_for_that() {
    let running = Running::in_memory().await;
    let mut fixed = entries(&running, "").await;
    fixed.send([entry("w", 1)]).await;
    assert_eq!(fixed.answer().await, "ack 1");
    assert_eq!(register(&running, "w", b"two").await, RegistrationStatus::InvalidRequest);
    drop(fixed);
    let mut fixed = entries(&running, "").await;
    fixed.send([entry("w", 2)]).await;
    assert_eq!(fixed.answer().await, "ack 2");
}
