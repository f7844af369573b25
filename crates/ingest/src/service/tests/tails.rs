//! Logs as they are read while they grow.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tonic::Request;

use super::*;
use crate::ids::WorkerId;
use crate::line::{Block, Sequence};
use crate::service::generated::log_query_service_server::LogQueryService;
use crate::service::query::Query;
use crate::store::{LogReader, Opened};

/// Far longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

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

/// Before it does nobody but the client says how long that may take.
#[tokio::test]
async fn p5_a_tail_of_a_worker_that_is_still_to_come_begins_at_once_and_shows_its_first_line() {
    let running = Running::in_memory().await;
    let request = TailRequest { of: Some(Of::WorkerId("w".into())), follow: true, ..TailRequest::default() };
    let begun = tokio::time::timeout(LONG, running.query().await.tail_logs(request)).await;
    let mut tail = begun.expect("the response begins").unwrap().into_inner();
    register(&running, "w", b"").await;
    let stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 1)]).await;
    let message = tail.message().await.unwrap().unwrap();
    assert_eq!(message.entries[0].sequence, 1);
}

/// Workers of the task `t`, each with a line, and ended.
async fn task_of(running: &Running, workers: &[&str]) {
    let mut client = running.streaming().await;
    for worker in workers {
        let registration = WorkerRegistration { task_id: "t".into(), ..registration(worker, b"") };
        client.register_worker(registration).await.unwrap();
        let mut stream = Exchange::batches(running).await;
        stream.send([batch(worker, 1, 1)]).await;
        assert_eq!(stream.answer().await, "ack 1");
        let worker_id = (*worker).into();
        let end = WorkerCompletion { worker_id, last_sequence: 1, ..WorkerCompletion::default() };
        assert!(client.complete_worker(end).await.unwrap().into_inner().complete);
    }
}

#[tokio::test]
async fn a_task_is_read_at_one_place_however_many_workers_it_has() {
    let running = Running::start(memory::open(), Sizes { max_readers: 1, ..Sizes::default() }).await;
    let workers = ["a", "b", "c", "d", "e"];
    task_of(&running, &workers).await;
    for follow in [false, true] {
        let of = Some(Of::TaskId("t".into()));
        let request = TailRequest { of, follow, expected_workers: 5, ..TailRequest::default() };
        let tail = running.query().await.tail_logs(request).await.unwrap().into_inner();
        let pieces: Vec<_> = tail.map(Result::unwrap).collect().await;
        let lines = pieces.iter().flat_map(|piece| &piece.entries).map(|entry| &*entry.worker_id);
        let ends = pieces.iter().filter_map(|piece| Some(&*piece.end.as_ref()?.worker_id));
        for mut seen in [lines.collect::<Vec<_>>(), ends.collect()] {
            seen.sort_unstable();
            assert_eq!(seen, workers, "follow: {follow}");
        }
    }
    assert_eq!(running.server.metrics.readers.get(), 0);
}

#[tokio::test]
async fn who_reads_a_task_and_finds_no_place_is_sent_away() {
    let running = Running::start(memory::open(), Sizes { max_readers: 1, ..Sizes::default() }).await;
    task_of(&running, &["a", "b"]).await;
    let _place = running.server.tails.try_place().unwrap();
    for follow in [false, true] {
        let request = TailRequest { of: Some(Of::TaskId("t".into())), follow, ..TailRequest::default() };
        let refused = running.query().await.tail_logs(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn a_tail_of_a_task_looks_for_its_workers_only_where_there_may_be_new_ones() {
    let running = Running::in_memory().await;
    task_of(&running, &["ended"]).await;
    register(&running, "t", b"").await;
    let of = Some(Of::TaskId("t".into()));
    let request = TailRequest { of, follow: true, expected_workers: 9, ..TailRequest::default() };
    let mut tail = running.query().await.tail_logs(request).await.unwrap().into_inner();
    let mut stream = Exchange::batches(&running).await;
    let mut seen = 0;
    for first in 1..=50_usize {
        let line = i64::try_from(first).unwrap();
        stream.send([batch("t", line, line)]).await;
        stream.answer().await;
        while seen < first {
            let entries = tail.message().await.unwrap().unwrap().entries;
            seen += entries.iter().filter(|entry| entry.worker_id == "t").count();
        }
    }
    let looks = running.server.catalog.looks();
    assert!((1..=2).contains(&looks), "{looks} for 50 messages");
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

#[tokio::test]
async fn p5_a_tail_of_a_task_takes_up_the_workers_that_come_while_it_waits() {
    let running = Running::in_memory().await;
    let of = Some(Of::TaskId("t".into()));
    let request = TailRequest { of, follow: true, expected_workers: 2, ..TailRequest::default() };
    let tail = Query(running.server.clone()).tail_logs(Request::new(request)).await.unwrap();
    let mut tail = tail.into_inner();
    for worker in ["first", "second"] {
        assert!(tail.next().now_or_never().is_none(), "nobody is there");
        task_of(&running, &[worker]).await;
        for _ in ["its line", "its end"] {
            let piece = tokio::time::timeout(LONG, tail.next()).await.expect("it is seen");
            piece.unwrap().unwrap();
        }
    }
    assert!(tail.next().await.is_none());
}

/// A disk that does not answer.
struct NoAnswer;

impl LogReader for NoAnswer {
    fn read(&self, _: &WorkerId, _: Sequence, _: usize) -> io::Result<Vec<Block>> {
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[tokio::test]
async fn a_disk_that_does_not_answer_is_not_taken_for_a_reader_that_does_not_read() {
    let opened = Opened { reader: Arc::new(NoAnswer), ..memory::open() };
    let running = Running::start(opened, Sizes::default()).await;
    task_of(&running, &["w"]).await;
    let of = Some(Of::WorkerId("w".into()));
    let request = TailRequest { of, ..TailRequest::default() };
    let mut tail = running.query().await.tail_logs(request).await.unwrap().into_inner();
    assert_eq!(tail.message().await.unwrap_err().code(), Code::DataLoss);
}
