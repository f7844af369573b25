//! The fixed part of the wire contract, by tools and clients that know nothing else.

use ottoscaler_proto::v1::log_response::Status;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{LogEntry, LogResponse};
use ottoscaler_tests::ingest::Ingest;
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

async fn ingest() -> (tempfile::TempDir, Ingest) {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    (dir, ingest)
}

async fn grpcurl(ingest: &Ingest, args: &[&str]) -> String {
    let (flags, method) = args.split_at(args.len() - 1);
    let mut command = Command::new("grpcurl");
    command.arg("-plaintext").args(flags).arg(ingest.grpc().to_string()).args(method);
    let output = command.output().await.expect("grpcurl is installed: scripts/test does it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn grpcurl_lists_the_services_by_reflection() {
    let (_dir, ingest) = ingest().await;
    let listed = grpcurl(&ingest, &["list"]).await;
    for service in
        ["grpc.health.v1.Health", "ottoscaler.v1.LogQueryService", "ottoscaler.v1.LogStreamingService"]
    {
        assert!(listed.lines().any(|line| line == service), "no {service} in {listed}");
    }
}

#[tokio::test]
async fn grpcurl_registers_a_worker_with_nothing_but_its_id() {
    let (_dir, ingest) = ingest().await;
    let request = ["-d", r#"{"worker_id":"test"}"#, "ottoscaler.v1.LogStreamingService/RegisterWorker"];
    let first: Value = serde_json::from_str(&grpcurl(&ingest, &request).await).unwrap();
    assert!(!first["sessionId"].as_str().unwrap().is_empty(), "{first}");
    let again: Value = serde_json::from_str(&grpcurl(&ingest, &request).await).unwrap();
    assert_eq!(again["status"], "ALREADY_REGISTERED");
    assert_eq!(again["sessionId"], first["sessionId"]);
}

#[tokio::test]
async fn grpcurl_sees_the_server_as_healthy() {
    let (_dir, ingest) = ingest().await;
    let health = grpcurl(&ingest, &["grpc.health.v1.Health/Check"]).await;
    assert!(health.contains("SERVING"), "{health}");
}

/// One stream of entries and the answers to it.
struct Stream {
    entries: mpsc::Sender<LogEntry>,
    responses: Streaming<LogResponse>,
}

impl Stream {
    async fn open(ingest: &Ingest) -> Self {
        let mut client = LogStreamingServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
        let (entries, receiver) = mpsc::channel(1000);
        let responses = client.stream_logs(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { entries, responses }
    }

    async fn send(&mut self, entry: LogEntry) {
        self.entries.send(entry).await.unwrap();
    }

    async fn response(&mut self) -> LogResponse {
        self.responses.message().await.unwrap().expect("one response for each entry")
    }
}

fn old_entry(worker: &str, message: &str) -> LogEntry {
    LogEntry {
        worker_id: worker.into(),
        task_id: "old-task".into(),
        timestamp: "2026-01-02T03:04:05.678Z".into(),
        level: "INFO".into(),
        source: "stdout".into(),
        message: message.into(),
        ..Default::default()
    }
}

/// A client written from the fixed part alone: it never registers, numbers nothing, sends one entry
/// and awaits one response.
#[tokio::test]
async fn a_lock_step_client_that_never_registered_is_served() {
    let (_dir, ingest) = ingest().await;
    let mut stream = Stream::open(&ingest).await;
    for number in 0..50 {
        stream.send(old_entry("old-worker", &format!("line {number}"))).await;
        let response = stream.response().await;
        assert_eq!(response.status(), Status::Ack, "{response:?}");
    }
    let lines = ingest.lines("old-worker").await.unwrap();
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(messages, (0..50).map(|number| format!("line {number}")).collect::<Vec<_>>());
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["timestamp"], "2026-01-02T03:04:05.678Z");
}

#[tokio::test]
async fn a_client_that_pipelines_gets_one_response_for_each_entry_in_order() {
    let (_dir, ingest) = ingest().await;
    let mut stream = Stream::open(&ingest).await;
    for sequence in 1..=500 {
        stream.send(LogEntry { sequence, ..old_entry("pipelining", "x") }).await;
    }
    for sequence in 1..=500 {
        let response = stream.response().await;
        assert_eq!((response.status(), response.sequence), (Status::Ack, sequence));
    }
}

/// P10: each mistake has a named answer, and the entries after it are stored.
#[tokio::test]
async fn p10_each_bad_entry_gets_a_named_reason_and_nothing_else_is_lost() {
    let (_dir, ingest) = ingest().await;
    let mut stream = Stream::open(&ingest).await;
    let entry = |sequence, message: &str| LogEntry { sequence, ..old_entry("careless", message) };
    let oversized = "x".repeat((1 << 20) + 1);
    let raw = LogEntry { raw: b"caf\xe9".to_vec().into(), ..entry(4, "caf\u{fffd}") };
    let table = [
        (entry(1, "first"), Status::Ack, ""),
        (entry(1, "first"), Status::Ack, ""),
        (entry(9, "too early"), Status::Retry, "gap"),
        (LogEntry { worker_id: "another".into(), ..entry(2, "?") }, Status::Drop, "wrong_worker"),
        (entry(0, "unnumbered"), Status::Drop, "mixed_numbering"),
        (entry(-2, "negative"), Status::Drop, "invalid_sequence"),
        (entry(2, &oversized), Status::Drop, "message_too_large"),
        (LogEntry { timestamp: "yesterday".into(), ..entry(3, "?") }, Status::Drop, "invalid_timestamp"),
        (raw, Status::Ack, ""),
        (LogEntry { timestamp: String::new(), ..entry(5, "") }, Status::Ack, ""),
    ];
    for (entry, status, reason) in table {
        let shown = format!("sequence {} {:.20}", entry.sequence, entry.message);
        stream.send(entry).await;
        let response = stream.response().await;
        assert_eq!(response.status(), status, "{shown}: {response:?}");
        assert!(response.message.contains(reason), "{shown}: {response:?}");
    }
    let lines = ingest.lines("careless").await.unwrap();
    let shown: Vec<_> = lines.iter().map(|line| (line["sequence"].as_i64().unwrap(), &line["gap"])).collect();
    assert_eq!(shown.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5], "{shown:?}");
    assert_eq!(lines[1]["gap"]["reason"], "message_too_large");
    assert_eq!(lines[2]["gap"]["reason"], "invalid_timestamp");
    assert!(lines[3]["raw"].is_string(), "{:?}", lines[3]);
    assert_eq!(lines[4]["message"], "");
}
