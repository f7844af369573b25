//! Logs as they are read while they grow.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_tail_that_joins_at_any_moment_sees_each_line_once_in_order() {
    const LAST: i64 = 4000;
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let request = TailRequest { of: Some(Of::WorkerId("w".into())), follow: true, ..TailRequest::default() };
    let mut stream = Exchange::batches(&running).await;
    let mut tails = Vec::new();
    for first in (1..LAST).step_by(100) {
        tails.push(running.query().await.tail_logs(request.clone()).await.unwrap().into_inner());
        stream.send([batch("w", first, first + 99)]).await;
        stream.answer().await;
    }
    let end = WorkerCompletion { worker_id: "w".into(), last_sequence: LAST, ..WorkerCompletion::default() };
    assert!(running.streaming().await.complete_worker(end).await.unwrap().into_inner().complete);
    for tail in tails {
        let pieces: Vec<_> = tail.map(Result::unwrap).collect().await;
        let seen = pieces.iter().flat_map(|piece| &piece.entries).map(|entry| entry.sequence);
        assert!(seen.eq(1..=LAST));
        assert!(pieces.last().is_some_and(|piece| piece.end.is_some()));
    }
}

/// It ended so long ago that it was forgotten, but whoever waits for both waits for it no more.
#[tokio::test]
async fn a_tail_of_a_task_counts_a_forgotten_worker_among_those_that_it_expects() {
    let running = Running::in_memory().await;
    let mut client = running.streaming().await;
    for worker in ["old", "w"] {
        let registration = WorkerRegistration { task_id: "t".into(), ..registration(worker, b"") };
        client.register_worker(registration).await.unwrap();
    }
    running.server.catalog.forget(&"old".try_into().unwrap());
    let end = WorkerCompletion { worker_id: "w".into(), ..WorkerCompletion::default() };
    assert!(client.complete_worker(end).await.unwrap().into_inner().complete);
    let of = Some(Of::TaskId("t".into()));
    let request = TailRequest { of, follow: true, expected_workers: 2, ..TailRequest::default() };
    let mut tail = running.query().await.tail_logs(request).await.unwrap().into_inner();
    assert_eq!(tail.message().await.unwrap().unwrap().end.unwrap().worker_id, "w");
    assert!(tail.message().await.unwrap().is_none());
}
