//! What was changed on the way is never stored, nor acted on.

use ottoscaler_proto::v1::LogBatch;
use tonic::Code;

use super::*;

/// Changed after its checksum was made.
fn changed(batch: LogBatch) -> LogBatch {
    LogBatch { data: vec![b'y'; batch.data.len()].into(), ..batch.sealed() }
}

#[tokio::test]
async fn a_batch_that_was_changed_on_the_way_is_asked_for_again_and_stored_as_it_was_sent() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 2).sealed()]).await;
    assert_eq!(stream.answer().await, "ack 2");
    // What was in flight behind it is passed over in silence, as behind any other RETRY.
    stream.send([changed(batch("w", 3, 4)), batch("w", 5, 5).sealed()]).await;
    assert_eq!(stream.answer().await, "retry checksum_mismatch 2");
    stream.send([changed(batch("w", 3, 4)), batch("w", 3, 4).sealed(), batch("w", 5, 5).sealed()]).await;
    let answers = stream.answers(3).await;
    assert_eq!(answers, ["retry checksum_mismatch 2", "ack 4", "ack 5"]);
    assert_eq!(read(&running, "w").await, ["1", "2", "3", "4", "5"]);
    assert_eq!(running.server.metrics.retried(crate::reason::Retry::ChecksumMismatch), 2);
}

#[tokio::test]
async fn a_batch_whose_worker_was_changed_on_the_way_takes_no_stream_and_no_log_over() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    register(&running, "v", b"").await;
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 1).sealed()]).await;
    assert_eq!(stream.answer().await, "ack 1");
    let wrong = |first| LogBatch { worker_id: "v".into(), ..batch("w", first, first).sealed() };
    stream.send([wrong(2)]).await;
    assert_eq!(stream.answer().await, "retry checksum_mismatch 1");
    // Another one, of which nobody knows whose it is: to name a mark would call lines lost that are there.
    let unknown = Exchange::batches(&running).await;
    unknown.send([wrong(2)]).await;
    let end = unknown.end().await.unwrap();
    assert_eq!((end.code(), end.message()), (Code::DataLoss, "reason=checksum_mismatch;retry_after_ms=50"));
    stream.send([batch("w", 2, 2).sealed()]).await;
    assert_eq!(stream.answer().await, "ack 2", "no place was taken");
    assert_eq!(read(&running, "v").await, [""; 0]);
    assert_eq!(running.server.metrics.retried(crate::reason::Retry::ChecksumMismatch), 2);
}

#[tokio::test]
async fn a_stream_that_has_checksums_takes_no_batch_without_one() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 1).sealed(), batch("w", 2, 2), batch("w", 2, 2).sealed()]).await;
    assert_eq!(stream.answers(3).await, ["ack 1", "retry checksum_mismatch 1", "ack 2"]);
}

#[tokio::test]
async fn every_answer_to_a_batch_has_a_checksum() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 1), batch("w", 3, 3)]).await;
    for _ in 0..2 {
        let answer = stream.responses.message().await.unwrap().unwrap();
        assert!(answer.crc32c.is_some() && answer.is_intact(), "{answer:?}");
    }
}

#[tokio::test]
async fn an_upload_ends_at_a_batch_that_was_changed_on_the_way_and_what_came_before_stays() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let upload = futures::stream::iter([batch("w", 1, 2).sealed(), changed(batch("w", 3, 4))]);
    let ended = running.streaming().await.upload_logs(upload).await.unwrap_err();
    assert_eq!(ended.code(), Code::DataLoss);
    assert_eq!(read(&running, "w").await, ["1", "2"]);
}

#[tokio::test]
async fn a_registration_or_an_end_that_was_changed_on_the_way_does_nothing() {
    let running = Running::in_memory().await;
    register(&running, "v", b"").await;
    let mut client = running.streaming().await;
    let other = WorkerRegistration { worker_id: "x".into(), ..registration("w", b"1").sealed() };
    assert_eq!(client.register_worker(other).await.unwrap_err().code(), Code::DataLoss);
    let end = WorkerCompletion { worker_id: "w".into(), ..WorkerCompletion::default() }.sealed();
    let of_another = WorkerCompletion { worker_id: "v".into(), ..end };
    assert_eq!(client.complete_worker(of_another).await.unwrap_err().code(), Code::DataLoss);

    assert!(running.server.catalog.worker(&"x".try_into().unwrap()).is_none());
    let open = running.server.catalog.worker(&"v".try_into().unwrap()).unwrap();
    assert!(open.closing.is_none());
    let answer = client.register_worker(registration("w", b"1").sealed()).await.unwrap().into_inner();
    assert!(answer.crc32c.is_some() && answer.is_intact());
    let end = WorkerCompletion { worker_id: "w".into(), ..WorkerCompletion::default() }.sealed();
    let ended = client.complete_worker(end).await.unwrap().into_inner();
    assert!(ended.complete && ended.crc32c.is_some() && ended.is_intact());
}
