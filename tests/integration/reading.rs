//! Readers: replay and live without a seam, resume, and errors that name their reason.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use ottoscaler_proto::v1::log_query_service_client::LogQueryServiceClient;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{
    GetTaskRequest, ListTasksRequest, TailRequest, WorkerRegistration, tail_request::Of,
};
use ottoscaler_tests::agent;
use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::wait;
use serde_json::Value;
use tonic::transport::Channel;

async fn ingest() -> (tempfile::TempDir, Ingest) {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    (dir, ingest)
}

/// Sequences that a gRPC tail shows until the log is closed.
async fn tail(ingest: &Ingest, worker: &str, from_sequence: i64) -> Vec<i64> {
    let mut client = LogQueryServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
    let of = Some(Of::WorkerId(worker.to_owned()));
    let request = TailRequest { of, from_sequence, follow: true, ..Default::default() };
    let mut stream = client.tail_logs(request).await.unwrap().into_inner();
    let mut sequences = Vec::new();
    let mut ended = false;
    while let Some(piece) = stream.message().await.unwrap() {
        assert!(!ended, "nothing comes after the end");
        sequences.extend(piece.entries.iter().map(|entry| entry.sequence));
        ended = piece.end.is_some();
    }
    assert!(ended, "the end is said");
    sequences
}

#[tokio::test]
async fn p5_readers_that_join_at_any_moment_see_each_line_once_in_order() {
    let (_dir, ingest) = ingest().await;
    let script = Script { seed: 77, lines: 30_000 };
    let mut command = agent::chatter(&ingest.url(), "live", "live", script);
    command.args(["--spread-ms", "1500"]);
    let mut child = command.spawn().unwrap();
    let readers = (0..8).map(|at| {
        let ingest = &ingest;
        async move {
            tokio::time::sleep(Duration::from_millis(200 * at)).await;
            tail(ingest, "live", 0).await
        }
    });
    let seen = futures::future::join_all(readers).await;
    assert!(child.wait().await.unwrap().success());
    for sequences in seen {
        assert!(sequences.iter().copied().eq(1..=30_000), "{} sequences", sequences.len());
    }
    assert!(tail(&ingest, "live", 29_990).await.iter().copied().eq(29_990..=30_000));
}

#[tokio::test]
async fn a_task_tail_shows_all_its_workers_and_ends_with_the_last() {
    let (_dir, ingest) = ingest().await;
    for worker in ["t-0", "t-1"] {
        let script = Script { seed: 1, lines: 100 };
        assert!(agent::output(agent::chatter(&ingest.url(), "team", worker, script)).await.status.success());
    }
    let mut client = LogQueryServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
    let of = Some(Of::TaskId("team".to_owned()));
    let request = TailRequest { of, follow: true, expected_workers: 2, ..Default::default() };
    let mut stream = client.tail_logs(request).await.unwrap().into_inner();
    let (mut lines, mut ends) = (0, BTreeSet::new());
    while let Some(piece) = stream.message().await.unwrap() {
        lines += piece.entries.len();
        ends.extend(piece.end.map(|end| end.worker_id));
    }
    assert_eq!((lines, ends), (200, BTreeSet::from(["t-0".to_owned(), "t-1".to_owned()])));

    let tasks = client.list_tasks(ListTasksRequest::default()).await.unwrap().into_inner().tasks;
    assert_eq!(
        tasks.iter().map(|task| (&*task.task_id, task.workers, task.open)).collect::<Vec<_>>(),
        [("team", 2, 0)]
    );
    let task = client.get_task(GetTaskRequest { task_id: "team".into() }).await.unwrap().into_inner();
    assert!(task.workers.iter().all(|worker| worker.complete), "{task:?}");
}

/// Reads server-sent events until `enough` says so or the stream ends.
async fn events(
    ingest: &Ingest,
    worker: &str,
    last_id: Option<&str>,
    enough: impl Fn(&[(String, String)]) -> bool,
) -> Vec<(String, String)> {
    let client = reqwest::Client::new();
    let mut request = client.get(ingest.http_url(&format!("/api/v1/workers/{worker}/tail")));
    if let Some(id) = last_id {
        request = request.header("Last-Event-ID", id);
    }
    let mut body = request.send().await.unwrap().bytes_stream();
    let (mut text, mut events) = (String::new(), Vec::new());
    while let Some(chunk) = body.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                let line = event.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim_start().to_owned()).unwrap_or_default()
            };
            if event.lines().any(|line| line.starts_with("data:")) {
                events.push((
                    if field("event:").is_empty() { field("id:") } else { field("event:") },
                    field("data:"),
                ));
            }
            text = rest.to_owned();
        }
        if enough(&events) {
            return events;
        }
    }
    events
}

#[tokio::test]
async fn p5_server_sent_events_resume_after_the_last_one_seen_and_end() {
    let (_dir, ingest) = ingest().await;
    let script = Script { seed: 2, lines: 300 };
    assert!(agent::output(agent::chatter(&ingest.url(), "sse", "sse", script)).await.status.success());
    let first = events(&ingest, "sse", None, |events| events.len() >= 100).await;
    let last_id = first[99].0.clone();
    assert_eq!(last_id, "100");
    let rest = events(&ingest, "sse", Some(&last_id), |_| false).await;
    let (end, lines) = rest.split_last().unwrap();
    assert!(
        lines.iter().map(|(id, _)| id.clone()).eq((101..=300).map(|id: i32| id.to_string())),
        "{} lines",
        lines.len()
    );
    assert_eq!(end.0, "end");
    let completion: Value = serde_json::from_str(&end.1).unwrap();
    assert_eq!(completion["exit_code"], 0);
}

#[tokio::test]
async fn errors_of_the_api_are_json_with_a_code_and_a_message() {
    let (_dir, ingest) = ingest().await;
    for (path, status) in [
        ("/api/v1/tasks/unknown", 404),
        ("/api/v1/workers/unknown/logs", 404),
        ("/api/v1/workers/unknown/log.txt", 404),
        ("/api/v1/workers/a%0Ab/logs", 400),
        ("/api/v1/workers/unknown/logs?from=minus", 400),
        ("/api/v1/workers/unknown/logs?from=1&from=2", 400),
        ("/api/v1/tasks/%ff", 400),
        ("/api/v2", 404),
    ] {
        let response = reqwest::get(ingest.http_url(path)).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        let error: Value = response.json().await.unwrap();
        assert!(error["code"].is_string() && error["message"].is_string(), "{path}: {error}");
    }
    let posted = reqwest::Client::new().post(ingest.http_url("/api/v1/tasks")).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 405);
    assert_eq!(posted.json::<Value>().await.unwrap()["code"], "no_such_method");
}

#[tokio::test]
async fn p6_readers_beyond_the_limit_are_asked_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &["--max-readers", "1"]).await;
    let mut streaming = LogStreamingServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
    let worker = WorkerRegistration { worker_id: "busy".to_owned(), ..Default::default() };
    streaming.register_worker(worker).await.unwrap();
    let mut client = LogQueryServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
    let of = Some(Of::WorkerId("busy".to_owned()));
    // It waits for lines, and has its place for as long.
    let reading = client.tail_logs(TailRequest { of, follow: true, ..Default::default() }).await.unwrap();
    let url = ingest.http_url("/api/v1/workers/busy/logs");
    let refused = reqwest::get(&url).await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "too_many_readers");
    drop(reading);
    wait::until("the first reader has left", Duration::from_secs(20), || async {
        let answer = reqwest::get(&url).await.unwrap();
        if answer.status().as_u16() == 200 { Ok(()) } else { Err(answer.text().await.unwrap()) }
    })
    .await;
}
