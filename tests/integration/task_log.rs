//! All workers of a task as one log: read in order of time from either end, and live over one connection.

use std::collections::BTreeMap;

use ottoscaler_proto::v1::WorkerRegistration;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_tests::agent;
use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::events::Events;
use ottoscaler_tests::ingest::{Ingest, last_sequence};
use ottoscaler_tests::wait;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tonic::transport::Channel;

use crate::page_api::{LIMIT, ended, ingest, open};

/// Prints a line of a worker that [`open`] made.
async fn say(child: &mut tokio::process::Child, line: &str) {
    let input = child.stdin.as_mut().unwrap();
    input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    input.flush().await.unwrap();
}

/// What a task's tail said, over all its connections.
#[derive(Default)]
struct Seen {
    lines: BTreeMap<String, Vec<Value>>,
    workers: Vec<(String, String)>,
}

impl Seen {
    /// Reads on until `enough` says so; whether the end came instead.
    async fn read(&mut self, events: &mut Events, enough: impl Fn(&Self) -> bool) -> bool {
        while !enough(self) {
            let Ok(Some(event)) = tokio::time::timeout(LIMIT, events.next()).await.expect("more comes")
            else {
                panic!("the connection ended without a word")
            };
            match event.name.as_deref() {
                Some("worker") => {
                    let worker = event.json();
                    let text = |field: &str| worker[field].as_str().unwrap().to_owned();
                    self.workers.push((text("worker_id"), text("state")));
                }
                Some("end") => return true,
                Some(other) => panic!("{other}: {}", event.data),
                None => {
                    for line in event.json().as_array().unwrap() {
                        let worker = line["worker_id"].as_str().unwrap().to_owned();
                        self.lines.entry(worker).or_default().push(line.clone());
                    }
                }
            }
        }
        false
    }

    fn messages(&self, worker: &str) -> Vec<&str> {
        let lines = self.lines.get(worker).map(Vec::as_slice).unwrap_or_default();
        lines.iter().map(|line| line["message"].as_str().unwrap()).collect()
    }

    fn count(&self) -> usize {
        self.lines.values().map(Vec::len).sum()
    }
}

#[tokio::test]
async fn p5_a_task_tail_takes_in_workers_that_come_later_and_resumes_by_its_cursor() {
    let (_dir, mut ingest) = ingest().await;
    let mut first = open(&ingest, "team", "t-0");
    wait::until("the first is known", LIMIT, || async {
        ingest.task("team").await.map_err(|error| error.to_string())
    })
    .await;
    let url = ingest.http_url("/api/v1/tasks/team/tail");
    let mut events = Events::open(&url, None).await.unwrap();
    let mut seen = Seen::default();
    seen.read(&mut events, |seen| seen.count() == 1).await;
    assert_eq!(seen.workers, [("t-0".to_owned(), "open".to_owned())]);

    let mut second = open(&ingest, "team", "t-1");
    seen.read(&mut events, |seen| seen.count() == 2).await;
    assert_eq!(seen.workers[1..], [("t-1".to_owned(), "open".to_owned())]);
    say(&mut first, "seen").await;
    seen.read(&mut events, |seen| seen.count() == 3).await;

    // Cut off, and what comes meanwhile comes afterwards; a third worker as well.
    let cursor = events.last_id.clone().unwrap();
    drop(events);
    ingest.kill().await;
    say(&mut second, "while it was down").await;
    ingest.resume().await;
    ended(&ingest, "team", "t-2", 7).await;
    let mut events = Events::open(&url, Some(&cursor)).await.unwrap();
    drop((first.stdin.take(), second.stdin.take()));
    assert!(seen.read(&mut events, |_| false).await, "the end is said");
    assert_eq!(seen.messages("t-0"), ["begun", "seen"]);
    assert_eq!(seen.messages("t-1"), ["begun", "while it was down"]);
    assert_eq!(seen.messages("t-2"), ["a line"]);
    for worker in ["t-0", "t-1", "t-2"] {
        assert!(seen.workers.contains(&(worker.to_owned(), "closed".to_owned())), "{:?}", seen.workers);
    }
    assert_eq!(events.next().await.unwrap(), None, "nothing comes after the end");
}

/// All lines of a task in one direction, page by page, in the order of time.
async fn interleaved(ingest: &Ingest, task: &str, direction: &str, limit: usize) -> Vec<(String, i64)> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/tasks/{task}/logs?direction={direction}&limit={limit}{cursor}");
        let page = ingest.get_json(&path).await.unwrap();
        let lines = page["lines"].as_array().unwrap();
        let name = |line: &Value| (line["worker_id"].as_str().unwrap().to_owned(), last_sequence(line));
        let next = &page[if direction == "backward" { "previous" } else { "next" }];
        let is_last = next.is_null() || lines.is_empty();
        pages.push(lines.iter().map(name).collect::<Vec<_>>());
        if is_last {
            break;
        }
        cursor = format!("&cursor={}", next.as_str().unwrap());
    }
    if direction == "backward" {
        pages.reverse();
    }
    pages.concat()
}

#[tokio::test]
async fn p5_the_log_of_a_task_is_the_same_read_from_its_end_and_from_its_beginning() {
    let (_dir, ingest) = ingest().await;
    let script = |seed| Script { seed, lines: 400 };
    let workers = ["i-0", "i-1", "i-2"];
    let runs = workers.iter().zip(0..).map(|(worker, seed)| {
        let mut command = agent::chatter(&ingest.url(), "interleaved", worker, script(seed));
        command.args(["--spread-ms", "600"]);
        agent::output(command)
    });
    assert!(futures::future::join_all(runs).await.iter().all(|output| output.status.success()));
    let forward = interleaved(&ingest, "interleaved", "forward", 170).await;
    let backward = interleaved(&ingest, "interleaved", "backward", 90).await;
    assert_eq!(forward, backward);
    let mut times = BTreeMap::new();
    for worker in workers {
        let of_worker = forward.iter().filter(|(of, _)| of == worker).map(|(_, sequence)| *sequence);
        assert!(of_worker.eq(1..=400), "{worker}");
        for line in ingest.lines(worker).await.unwrap() {
            let time: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
            times.insert((worker.to_owned(), last_sequence(&line)), time);
        }
    }
    assert!(forward.is_sorted_by_key(|line| times[line]), "in the order of time");

    // The end of what was read is where the tail goes on.
    let path = "/api/v1/tasks/interleaved/logs?limit=3";
    let page = ingest.get_json(path).await.unwrap();
    assert_eq!(page["lines"].as_array().unwrap().len(), 3);
    for (cursor, count) in [("next", 0), ("previous", 3)] {
        let cursor = page[cursor].as_str().unwrap();
        let url = ingest.http_url(&format!("/api/v1/tasks/interleaved/tail?cursor={cursor}"));
        let (mut seen, mut events) = (Seen::default(), Events::open(&url, None).await.unwrap());
        assert!(seen.read(&mut events, |_| false).await);
        assert_eq!(seen.count(), count);
    }
}

#[tokio::test]
async fn a_place_in_another_task_or_none_at_all_is_refused() {
    let (_dir, ingest) = ingest().await;
    ended(&ingest, "one", "one-0", 0).await;
    ended(&ingest, "two", "two-0", 0).await;
    let page = ingest.get_json("/api/v1/tasks/one/logs").await.unwrap();
    let cursor = page["next"].as_str().unwrap();
    let client = reqwest::Client::new();
    for (path, header, parameter) in [
        (format!("two/logs?cursor={cursor}"), None, "cursor"),
        (format!("two/tail?cursor={cursor}"), None, "cursor"),
        (format!("one/logs?cursor={}", &cursor[1..]), None, "cursor"),
        ("one/tail".to_owned(), Some("17"), "Last-Event-ID"),
        ("one/logs?limit=5001".to_owned(), None, "limit"),
        ("one/logs?direction=up".to_owned(), None, "direction"),
    ] {
        let mut request = client.get(ingest.http_url(&format!("/api/v1/tasks/{path}")));
        if let Some(id) = header {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 400, "{path}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["code"], "invalid_argument", "{path}");
        assert!(error["message"].as_str().unwrap().contains(&format!("{parameter}:")), "{path}: {error}");
    }
    let unknown = client.get(ingest.http_url("/api/v1/tasks/three/tail")).send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 404);
}

#[tokio::test]
async fn p6_a_task_of_too_many_workers_has_no_one_log_and_says_so() {
    let (_dir, ingest) = ingest().await;
    let mut streaming = LogStreamingServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
    let mut register = async |at: usize| {
        let (worker_id, task_id) = (format!("crowd-{at}"), "crowd".to_owned());
        let worker = WorkerRegistration { worker_id, task_id, ..WorkerRegistration::default() };
        streaming.register_worker(worker).await.unwrap();
    };
    for at in 0..512 {
        register(at).await;
    }
    let page = ingest.get_json("/api/v1/tasks/crowd/logs").await.unwrap();
    assert_eq!(page["lines"], Value::Array(Vec::new()));
    let mut events = Events::open(&ingest.http_url("/api/v1/tasks/crowd/tail"), None).await.unwrap();
    for _ in 0..512 {
        assert_eq!(events.next().await.unwrap().unwrap().name.as_deref(), Some("worker"));
    }
    register(512).await;
    let last = events.next().await.unwrap().unwrap();
    assert_eq!((last.name.as_deref(), &last.json()["code"]), (Some("failed"), &"too_many_workers".into()));
    for path in ["logs", "tail"] {
        let refused = reqwest::get(ingest.http_url(&format!("/api/v1/tasks/crowd/{path}"))).await.unwrap();
        assert_eq!(refused.status().as_u16(), 422);
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], "too_many_workers");
    }
}
