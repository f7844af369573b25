//! The services as clients see them, in one process, on a port of their own.

mod checksums;
mod closing;
mod forged;
mod health;
mod rates;
mod sessions;
mod tails;
mod unnumbered;
mod uploads;

use bytes::Bytes;
use futures::StreamExt;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_response::Status as Answered;
use ottoscaler_proto::v1::registration_response::Status as RegistrationStatus;
use ottoscaler_proto::v1::tail_request::Of;
use ottoscaler_proto::v1::{
    Gap, LogBatch, LogEntry, LogResponse, SequenceRange, TailRequest, WorkerCompletion, WorkerMetadata,
    WorkerRegistration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming as Responses};

use crate::store::memory;
use crate::testing::{self, Running, Sizes, Verdict};

/// Messages that a test sends before it reads the answers.
const AHEAD: usize = 1000;

/// One stream, of entries or of batches, and the answers to it.
struct Exchange<T> {
    sender: mpsc::Sender<T>,
    responses: Responses<LogResponse>,
}

impl Exchange<LogEntry> {
    async fn entries(running: &Running) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let stream = running.streaming().await.stream_logs(ReceiverStream::new(receiver)).await;
        Self { sender, responses: stream.unwrap().into_inner() }
    }
}

impl Exchange<LogBatch> {
    async fn batches(running: &Running) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let stream = running.streaming().await.stream_log_batches(ReceiverStream::new(receiver)).await;
        Self { sender, responses: stream.unwrap().into_inner() }
    }
}

impl<T> Exchange<T> {
    async fn send(&self, messages: impl IntoIterator<Item = T>) {
        for message in messages {
            self.sender.send(message).await.unwrap_or_else(|_| panic!("the stream has ended"));
        }
    }

    /// The next answer in a line: `ack 3`, `retry gap 2`, `drop wrong_worker 1`.
    async fn answer(&mut self) -> String {
        shown(&self.responses.message().await.unwrap().expect("an answer"))
    }

    async fn answers(&mut self, count: usize) -> Vec<String> {
        let mut answers = Vec::new();
        for _ in 0..count {
            answers.push(self.answer().await);
        }
        answers
    }

    /// How the stream ends, after all answers.
    async fn end(mut self) -> Option<Status> {
        loop {
            match self.responses.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }
}

fn shown(response: &LogResponse) -> String {
    let sequence = response.sequence;
    let reason = response.message.split(';').next().and_then(|part| part.strip_prefix("reason="));
    match response.status() {
        Answered::Ack => format!("ack {sequence}"),
        Answered::Retry => format!("retry {} {sequence}", reason.unwrap_or("?")),
        Answered::Drop => format!("drop {} {sequence}", reason.unwrap_or("?")),
    }
}

fn entry(worker: &str, sequence: i64) -> LogEntry {
    LogEntry {
        worker_id: worker.into(),
        message: format!("line {sequence}"),
        sequence,
        ..LogEntry::default()
    }
}

/// A batch with a line of one byte for each of `first` to `last`.
fn batch(worker: &str, first: i64, last: i64) -> LogBatch {
    let count = usize::try_from(last - first + 1).unwrap();
    LogBatch {
        worker_id: worker.into(),
        first_sequence: first,
        base_time_ns: 1,
        lengths: vec![1; count],
        data: vec![b'x'; count].into(),
        ..LogBatch::default()
    }
}

fn registration(worker: &str, incarnation: &'static [u8]) -> WorkerRegistration {
    let incarnation = Bytes::from_static(incarnation);
    WorkerRegistration { worker_id: worker.into(), incarnation, ..WorkerRegistration::default() }
}

async fn register(running: &Running, worker: &str, incarnation: &'static [u8]) -> RegistrationStatus {
    let answer = running.streaming().await.register_worker(registration(worker, incarnation)).await;
    answer.unwrap().into_inner().status()
}

/// What a reader sees: `3` for a line, `4-6 reason` for a gap.
async fn read(running: &Running, worker: &str) -> Vec<String> {
    let request = TailRequest { of: Some(Of::WorkerId(worker.into())), ..TailRequest::default() };
    let mut tail = running.query().await.tail_logs(request).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(piece) = tail.message().await.unwrap() {
        seen.extend(piece.entries.iter().map(|entry| match &entry.gap {
            Some(gap) => format!("{}-{} {}", entry.sequence, gap.last_sequence, gap.reason),
            None => entry.sequence.to_string(),
        }));
    }
    seen
}

#[tokio::test]
async fn an_entry_that_comes_too_early_is_asked_for_again_until_the_missing_one_comes() {
    let running = Running::in_memory().await;
    let mut stream = Exchange::entries(&running).await;
    stream.send([1, 3, 4, 2, 3].map(|sequence| entry("w", sequence))).await;
    assert_eq!(stream.answers(5).await, ["ack 1", "retry gap 1", "retry gap 1", "ack 2", "ack 3"]);
    assert_eq!(read(&running, "w").await, ["1", "2", "3"]);
}

#[tokio::test]
async fn p10_a_gap_that_makes_no_sense_is_refused_and_leaves_one_line_missing() {
    let running = Running::in_memory().await;
    let mut stream = Exchange::entries(&running).await;
    let gap = |sequence, last_sequence, reason: &str| {
        let gap = Some(Gap { last_sequence, reason: reason.into() });
        LogEntry { gap, ..entry("w", sequence) }
    };
    let entries = [gap(1, 3, "buffer_full"), gap(4, 2, "backwards"), gap(5, 6, "two\nlines"), entry("w", 6)];
    stream.send(entries).await;
    assert_eq!(stream.answers(4).await, ["ack 1", "drop invalid_gap 4", "drop invalid_gap 5", "ack 6"]);
    let seen = read(&running, "w").await;
    assert_eq!(seen, ["1-3 buffer_full", "4-4 invalid_gap", "5-5 invalid_gap", "6"]);
}

#[tokio::test]
async fn p5_a_newer_stream_of_a_worker_ends_the_older_with_aborted() {
    let running = Running::in_memory().await;
    let mut older = Exchange::entries(&running).await;
    older.send([entry("w", 1)]).await;
    assert_eq!(older.answer().await, "ack 1");
    let mut newer = Exchange::entries(&running).await;
    newer.send([entry("w", 1), entry("w", 2)]).await;
    assert_eq!(newer.answers(2).await, ["ack 1", "ack 2"]);
    assert_eq!(older.end().await.map(|status| status.code()), Some(Code::Aborted));
    newer.send([entry("w", 3)]).await;
    assert_eq!(newer.answer().await, "ack 3", "the newer stream keeps its place");
}

#[tokio::test]
async fn p5_another_incarnation_of_a_worker_is_refused_and_the_same_resumes() {
    let running = Running::in_memory().await;
    let mut client = running.streaming().await;
    let first = client.register_worker(registration("w", b"one")).await.unwrap().into_inner();
    assert_eq!(first.status(), RegistrationStatus::Success);
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 7)]).await;
    assert_eq!(stream.answer().await, "ack 7");

    let again = client.register_worker(registration("w", b"one")).await.unwrap().into_inner();
    assert_eq!(again.status(), RegistrationStatus::AlreadyRegistered);
    assert_eq!((again.session_id, again.last_sequence), (first.session_id, 7));
    let other = client.register_worker(registration("w", b"two")).await.unwrap().into_inner();
    assert_eq!(other.status(), RegistrationStatus::InvalidRequest);
    assert!(other.message.starts_with("incarnation:"), "{}", other.message);
}

#[tokio::test]
async fn p5_an_incarnation_is_told_before_the_first_line_or_never() {
    let running = Running::in_memory().await;
    assert_eq!(register(&running, "early", b"").await, RegistrationStatus::Success);
    assert_eq!(register(&running, "early", b"one").await, RegistrationStatus::AlreadyRegistered);
    assert_eq!(register(&running, "early", b"two").await, RegistrationStatus::InvalidRequest);

    let mut stream = Exchange::entries(&running).await;
    stream.send([entry("late", 1)]).await;
    assert_eq!(stream.answer().await, "ack 1");
    assert_eq!(register(&running, "late", b"").await, RegistrationStatus::AlreadyRegistered);
    // Another run: its line 1 would pass for a repeat.
    assert_eq!(register(&running, "late", b"one").await, RegistrationStatus::InvalidRequest);
}

#[tokio::test]
async fn p10_a_worker_of_one_task_is_not_registered_for_another() {
    let running = Running::in_memory().await;
    let mut client = running.streaming().await;
    let expected = [
        ("a", RegistrationStatus::Success),
        ("", RegistrationStatus::AlreadyRegistered),
        ("a", RegistrationStatus::AlreadyRegistered),
        ("b", RegistrationStatus::InvalidRequest),
    ];
    for (task, status) in expected {
        let request = WorkerRegistration { task_id: task.into(), ..registration("w", b"one") };
        let answer = client.register_worker(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), status, "{task}");
        let is_told = answer.message.starts_with("task_id: this worker is one of task a;");
        assert_eq!(is_told, task == "b", "{}", answer.message);
    }
}

#[tokio::test]
async fn p10_a_registration_that_cannot_be_kept_names_the_field() {
    let running = Running::in_memory().await;
    let large = WorkerMetadata { pod_name: "x".repeat(20_000), ..WorkerMetadata::default() };
    let table = [
        (registration("", b""), "worker_id:"),
        (registration("a\nb", b""), "worker_id:"),
        (WorkerRegistration { task_id: "x".repeat(257), ..registration("w", b"") }, "task_id:"),
        (registration("w", &[7; 65]), "incarnation:"),
        (WorkerRegistration { metadata: Some(large), ..registration("w", b"") }, "metadata:"),
    ];
    for (request, field) in table {
        let answer = running.streaming().await.register_worker(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), RegistrationStatus::InvalidRequest, "{field}");
        assert!(answer.message.starts_with(field), "{}", answer.message);
    }
    assert!(running.server.catalog.is_empty());
}

#[tokio::test]
async fn a_gap_in_batches_is_asked_for_once_for_the_whole_flight() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let mut stream = Exchange::batches(&running).await;
    // 11–20 is lost on the way; the client goes back once, and further than it has to.
    stream.send([batch("w", 1, 10), batch("w", 21, 30), batch("w", 31, 40), batch("w", 41, 50)]).await;
    stream.send([batch("w", 8, 20), batch("w", 21, 50)]).await;
    assert_eq!(stream.answers(4).await, ["ack 10", "retry gap 10", "ack 20", "ack 50"]);
    assert!(read(&running, "w").await.into_iter().eq((1..=50).map(|line: i32| line.to_string())));
}

#[tokio::test]
async fn p4_lines_refused_for_their_numbering_are_never_acknowledged() {
    let running = Running::in_memory().await;
    let mut unnumbered = Exchange::entries(&running).await;
    unnumbered.send([entry("w", 0)]).await;
    assert_eq!(unnumbered.answer().await, "ack 1");
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 5, 9), batch("w", 2, 2)]).await;
    assert_eq!(stream.answers(2).await, ["drop mixed_numbering 5", "drop mixed_numbering 2"]);
}

#[tokio::test]
async fn p4_lines_that_come_after_the_end_are_never_acknowledged() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 3)]).await;
    assert_eq!(stream.answer().await, "ack 3");
    let end = WorkerCompletion { worker_id: "w".into(), last_sequence: 3, ..WorkerCompletion::default() };
    assert!(running.streaming().await.complete_worker(end).await.unwrap().into_inner().complete);
    stream.send([batch("w", 9, 9), batch("w", 2, 3)]).await;
    let answers = stream.answers(3).await;
    assert_eq!(answers, ["drop log_closed 9", "ack 3", "ack 3"], "the mark, and nothing beyond it");
}

#[tokio::test]
async fn a_line_over_the_limit_in_a_batch_leaves_a_gap_of_its_own() {
    let sizes = Sizes { max_line: 4, ..Sizes::default() };
    let running = Running::start(memory::open(), sizes).await;
    register(&running, "w", b"").await;
    let mut stream = Exchange::batches(&running).await;
    let data = Bytes::from_static(b"atoo longb");
    stream.send([LogBatch { lengths: vec![1, 8, 1], data, ..batch("w", 1, 3) }]).await;
    assert_eq!(stream.answers(2).await, ["drop message_too_large 2", "ack 3"]);
    assert_eq!(read(&running, "w").await, ["1", "2-2 message_too_large", "3"]);
}

#[tokio::test]
async fn batches_of_a_worker_that_never_registered_are_a_failed_precondition() {
    let running = Running::in_memory().await;
    let stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 1)]).await;
    assert_eq!(stream.end().await.map(|status| status.code()), Some(Code::FailedPrecondition));

    let upload = futures::stream::iter([batch("w", 1, 1)]);
    let refused = running.streaming().await.upload_logs(upload).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_log_ends_once_it_is_whole_or_a_reason_closes_it() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 3)]).await;
    stream.answer().await;
    let mut client = running.streaming().await;
    let end = |reason: &str| WorkerCompletion {
        worker_id: "w".into(),
        exit_code: 7,
        last_sequence: 5,
        reason: reason.into(),
        ..WorkerCompletion::default()
    };
    let open = client.complete_worker(end("")).await.unwrap().into_inner();
    assert_eq!((open.complete, open.missing), (false, vec![SequenceRange { first: 4, last: 5 }]));
    let invalid = client.complete_worker(end("two\nlines")).await.unwrap_err();
    assert_eq!(invalid.code(), Code::InvalidArgument);
    // The gap before it would be one that no client could hand in.
    let beyond = WorkerCompletion { last_sequence: 1 << 53, ..end("agent_gone") };
    assert_eq!(client.complete_worker(beyond).await.unwrap_err().code(), Code::InvalidArgument);
    for _ in 0..2 {
        let closed = client.complete_worker(end("agent_gone")).await.unwrap().into_inner();
        assert_eq!((closed.complete, closed.missing), (false, vec![]), "closed, and not whole");
        assert_eq!(closed.message, "the log was closed before its end: agent_gone");
    }
    assert_eq!(read(&running, "w").await, ["1", "2", "3", "4-5 agent_gone"]);
    let unknown = WorkerCompletion { worker_id: "unknown".into(), ..WorkerCompletion::default() };
    assert_eq!(client.complete_worker(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_a_full_queue_asks_again_at_once_and_once_for_each_flight() {
    let (opened, script) = testing::scripted();
    let running = Running::start(opened, Sizes { queue: 1, ..Sizes::default() }).await;
    for worker in ["slow", "w"] {
        script.answer(Verdict::Store);
        register(&running, worker, b"").await;
        script.commit_began();
    }
    let slow = Exchange::entries(&running).await;
    slow.send([entry("slow", 1)]).await;
    let script = tokio::task::spawn_blocking(move || {
        script.commit_began();
        script
    });
    let script = script.await.unwrap();
    // The first entry is being committed, and the second fills the queue.
    let taken = || running.server.metrics.queue_bytes.get();
    assert_eq!(taken(), 0);
    slow.send([entry("slow", 2)]).await;
    while taken() == 0 {
        tokio::task::yield_now().await;
    }
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 2), batch("w", 3, 4)]).await;
    assert_eq!(stream.answer().await, "retry queue_full 0");
    drop(script);
    while taken() > 0 {
        tokio::task::yield_now().await;
    }
    // The rest of the flight is passed over in silence; who has gone back gets an answer.
    stream.send([batch("w", 1, 4)]).await;
    assert_eq!(stream.answer().await, "ack 4");
}

#[tokio::test]
async fn a_drain_answers_what_was_accepted_and_ends_streams_as_unavailable() {
    let running = Running::in_memory().await;
    let mut stream = Exchange::entries(&running).await;
    stream.send([entry("w", 1)]).await;
    assert_eq!(stream.answer().await, "ack 1");
    let request = TailRequest { of: Some(Of::WorkerId("w".into())), follow: true, ..TailRequest::default() };
    let mut tail = running.query().await.tail_logs(request).await.unwrap().into_inner();
    assert_eq!(tail.message().await.unwrap().unwrap().entries.len(), 1);
    running.server.draining.cancel();
    let end = stream.end().await.unwrap();
    assert_eq!((end.code(), end.message()), (Code::Unavailable, "reason=draining;retry_after_ms=250"));
    assert_eq!(tail.message().await.unwrap_err().code(), Code::Unavailable);
}
