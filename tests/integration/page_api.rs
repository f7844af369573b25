//! What the page asks for beyond the lines themselves: lists that are asked for again and again, tails that carry
//! many lines an event, and bodies as small as a client takes them.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use ottoscaler_proto::v1::WorkerRegistration;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_tests::agent;
use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::events::Events;
use ottoscaler_tests::ingest::{Ingest, last_sequence};
use ottoscaler_tests::{oracle, wait};
use reqwest::header::{ACCEPT_ENCODING, IF_NONE_MATCH};
use serde_json::Value;
use tonic::transport::Channel;

/// What is live has come by then, or never will.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

pub(crate) async fn ingest() -> (tempfile::TempDir, Ingest) {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    (dir, ingest)
}

/// Runs a worker that ends with `code`.
pub(crate) async fn ended(ingest: &Ingest, task: &str, worker: &str, code: u8) {
    let mut command = agent::command(&ingest.url(), worker);
    command.args(["--task-id", task, "--", "sh", "-c", &format!("echo a line; exit {code}")]);
    assert_eq!(agent::output(command).await.status.code(), Some(i32::from(code)));
    ingest.completed(task, worker).await;
}

/// A worker whose log stays open: it prints when it is told to.
pub(crate) fn open(ingest: &Ingest, task: &str, worker: &str) -> tokio::process::Child {
    let mut command = agent::command(&ingest.url(), worker);
    command.args(["--task-id", task, "--mirror", "false", "--", "sh", "-c", "echo begun; cat"]);
    command.stdin(std::process::Stdio::piped()).spawn().unwrap()
}

async fn names(ingest: &Ingest, query: &str) -> (Vec<String>, Value) {
    let answer = ingest.get_json(&format!("/api/v1/tasks?{query}")).await.unwrap();
    let tasks = answer["tasks"].as_array().unwrap();
    (tasks.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()).collect(), answer)
}

#[tokio::test]
async fn tasks_are_found_by_state_and_by_name_and_failures_come_first() {
    let (_dir, ingest) = ingest().await;
    ended(&ingest, "oldest-failed", "f-0", 3).await;
    ended(&ingest, "done", "d-0", 0).await;
    let _running = open(&ingest, "running", "r-0");
    wait::until("all three are known", LIMIT, || async {
        let (tasks, _) = names(&ingest, "").await;
        if tasks == ["running", "done", "oldest-failed"] { Ok(()) } else { Err(format!("{tasks:?}")) }
    })
    .await;
    for (query, expected) in [
        ("order=failed", &["oldest-failed", "running", "done"][..]),
        ("state=failed", &["oldest-failed"]),
        ("state=running", &["running"]),
        ("state=done", &["done"]),
        ("q=OLDEST", &["oldest-failed"]),
        ("q=d-0", &["done"]),
        ("q=nothing", &[]),
        ("state=done&q=r", &[]),
    ] {
        let (tasks, answer) = names(&ingest, query).await;
        assert_eq!(tasks, expected, "{query}");
        assert_eq!(answer["total"], expected.len(), "{query}");
        assert!(answer.get("next").is_none(), "{query}: {answer}");
    }
}

#[tokio::test]
async fn a_list_of_tasks_is_read_page_by_page_without_a_task_missing_or_doubled() {
    let (_dir, ingest) = ingest().await;
    for at in 0..7 {
        ended(&ingest, &format!("task-{at}"), &format!("worker-{at}"), u8::from(at % 2 == 0)).await;
    }
    for order in ["latest", "failed"] {
        let (whole, _) = names(&ingest, &format!("order={order}")).await;
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let (tasks, answer) = names(&ingest, &format!("order={order}&limit=3{cursor}")).await;
            assert_eq!(answer["total"], 7);
            paged.extend(tasks);
            let Some(next) = answer["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, whole, "{order}");
    }
}

/// More than the page shows at a time, and some of them at work.
#[tokio::test]
async fn of_a_list_that_changes_while_it_is_read_no_task_comes_twice_and_none_that_stays_is_passed_over() {
    let (_dir, ingest) = ingest().await;
    let mut streaming = LogStreamingServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
    let mut register = async |task_id: &str, worker_id: String| {
        let task_id = task_id.to_owned();
        let worker = WorkerRegistration { worker_id, task_id, ..WorkerRegistration::default() };
        streaming.register_worker(worker).await.unwrap();
    };
    let all: BTreeSet<_> = (0..450).map(|at| format!("task-{at:03}")).collect();
    for task in &all {
        register(task, format!("{task}-worker")).await;
    }
    for order in ["latest", "failed"] {
        let (mut seen, mut changed, mut pages) = (BTreeSet::new(), BTreeSet::new(), 0);
        let mut cursor = String::new();
        loop {
            let (tasks, answer) = names(&ingest, &format!("order={order}&limit=200{cursor}")).await;
            pages += 1;
            for task in tasks {
                assert!(seen.insert(task.clone()), "{order}: {task} comes twice");
            }
            let Some(next) = answer["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
            // One that was seen and one that was not, where there are such, and one that is new.
            let others: Vec<_> = all.difference(&seen).collect();
            for task in [seen.first(), others.first().copied(), others.last().copied()].into_iter().flatten()
            {
                register(task, format!("{task}-{order}-{pages}")).await;
                changed.insert(task.clone());
            }
            register(&format!("new-{order}-{pages}"), format!("new-{order}-{pages}")).await;
        }
        assert!(pages >= 3 && !changed.is_empty(), "{order}: {pages} pages, {changed:?} changed");
        let missed: BTreeSet<_> = all.difference(&seen).collect();
        assert!(missed.iter().all(|task| changed.contains(*task)), "{order}: {missed:?}");
        wait::until("what changed is at the front", LIMIT, || async {
            let front: BTreeSet<_> =
                names(&ingest, &format!("order={order}&limit=200")).await.0.into_iter().collect();
            let behind: Vec<_> = changed.difference(&front).collect();
            if behind.is_empty() { Ok(()) } else { Err(format!("{order}: {behind:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_by_the_name_of_the_parameter() {
    let (_dir, ingest) = ingest().await;
    ended(&ingest, "task-0", "worker-0", 0).await;
    ended(&ingest, "task-1", "worker-1", 0).await;
    let (_, answer) = names(&ingest, "limit=1").await;
    let cursor = answer["next"].as_str().unwrap();
    let (first, rest) = cursor.split_at(1);
    let forged = format!("{}{rest}", if first == "A" { "B" } else { "A" });
    for (path, parameter) in [
        (format!("tasks?cursor={forged}"), "cursor"),
        (format!("tasks?cursor={}", &cursor[..cursor.len() / 2]), "cursor"),
        (format!("tasks?order=failed&cursor={cursor}"), "cursor"),
        ("tasks?cursor=*".to_owned(), "cursor"),
        ("tasks?limit=0".to_owned(), "limit"),
        ("tasks?limit=1001".to_owned(), "limit"),
        ("workers/worker-0/logs?limit=1000001".to_owned(), "limit"),
        ("tasks?state=lost".to_owned(), "state"),
        ("tasks?order=random".to_owned(), "order"),
        (format!("tasks?q={}", "x".repeat(257)), "q"),
        ("workers/worker-0/tail?batch=maybe".to_owned(), "batch"),
    ] {
        let response = reqwest::get(ingest.http_url(&format!("/api/v1/{path}"))).await.unwrap();
        assert_eq!(response.status().as_u16(), 400, "{path}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["code"], "invalid_argument", "{path}");
        assert!(error["message"].as_str().unwrap().contains(&format!("{parameter}:")), "{path}: {error}");
    }
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again_until_it_changes() {
    let (_dir, mut ingest) = ingest().await;
    ended(&ingest, "known", "known-0", 0).await;
    let client = reqwest::Client::new();
    let asked = ["tasks", "tasks/known", "workers/known-0", "workers/known-0/outline", "openapi.json"];
    let asked = asked.map(|path| format!("/api/v1/{path}"));
    for path in ["/", "/page.js", "/page.css"].into_iter().chain(asked.iter().map(String::as_str)) {
        for coding in ["identity", "gzip", "zstd"] {
            let ask = || client.get(ingest.http_url(path)).header(ACCEPT_ENCODING, coding);
            let first = ask().send().await.unwrap();
            assert_eq!(first.status().as_u16(), 200, "{path}");
            let tag = first.headers()["etag"].clone();
            assert!(tag.to_str().unwrap().starts_with('"'), "a strong tag: {tag:?}");
            let again = ask().header(IF_NONE_MATCH, &tag).send().await.unwrap();
            assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &tag), "{path} {coding}");
            assert_eq!(again.bytes().await.unwrap().len(), 0);
        }
    }
    let url = ingest.http_url("/api/v1/tasks");
    let tag = client.get(&url).send().await.unwrap().headers()["etag"].clone();
    ingest.kill().await;
    ingest.resume().await;
    let ask = || client.get(&url).header(IF_NONE_MATCH, &tag).send();
    assert_eq!(ask().await.unwrap().status().as_u16(), 304, "the same after a restart");
    ended(&ingest, "another", "another-0", 0).await;
    assert_eq!(ask().await.unwrap().status().as_u16(), 200);
}

#[tokio::test]
async fn lines_are_counted_from_the_end_as_well() {
    let (_dir, ingest) = ingest().await;
    let script = Script { seed: 4, lines: 50 };
    assert!(
        agent::output(agent::chatter(&ingest.url(), "counted", "counted", script)).await.status.success()
    );
    for (query, lines) in [
        ("from=-3&limit=100", 48..=50),
        ("from=-3&limit=2", 48..=49),
        ("from=-1", 50..=50),
        ("from=-50", 1..=50),
        ("from=-51", 1..=50),
        ("from=-18446744073709551615", 1..=50),
    ] {
        let answer = ingest.get(&format!("/api/v1/workers/counted/logs?{query}")).await.unwrap();
        let entries = serde_json::Deserializer::from_slice(&answer).into_iter::<serde_json::Value>();
        let sequences = entries.map(|entry| entry.unwrap()["sequence"].as_u64().unwrap());
        assert_eq!(sequences.collect::<Vec<_>>(), lines.collect::<Vec<_>>(), "{query}");
    }
    let nothing = ingest.get("/api/v1/workers/counted/logs?from=-0").await.unwrap();
    assert!(nothing.is_empty(), "the last none");
}

#[tokio::test]
async fn bodies_are_as_small_as_the_client_takes_them_and_events_are_not_held_back() {
    let (_dir, ingest) = ingest().await;
    let script = Script { seed: 4, lines: 2_000 };
    assert!(agent::output(agent::chatter(&ingest.url(), "small", "small", script)).await.status.success());
    let client = reqwest::Client::new();
    let paths = [
        "/api/v1/tasks",
        "/api/v1/workers/small/logs?limit=2000",
        "/api/v1/workers/small/log.txt",
        "/page.js",
    ];
    for path in paths {
        let get = async |coding: &str| {
            let request = client.get(ingest.http_url(path)).header(ACCEPT_ENCODING, coding);
            let response = request.send().await.unwrap();
            let said = response.headers().get("content-encoding").map(|c| c.to_str().unwrap().to_owned());
            assert_eq!(said.as_deref().unwrap_or("identity"), coding, "{path}");
            response.bytes().await.unwrap()
        };
        let (plain, gzip, zstd) = (get("identity").await, get("gzip").await, get("zstd").await);
        assert!(gzip.len() < plain.len() && zstd.len() < plain.len(), "{path}");
        let mut unzipped = Vec::new();
        flate2::read::GzDecoder::new(&*gzip).read_to_end(&mut unzipped).unwrap();
        assert!(unzipped == plain && zstd::decode_all(&*zstd).unwrap() == plain, "{path}");
    }
    let tail =
        client.get(ingest.http_url("/api/v1/workers/small/tail")).header(ACCEPT_ENCODING, "zstd, gzip");
    assert!(!tail.send().await.unwrap().headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn every_file_of_the_page_comes_with_its_type_and_a_strict_policy() {
    let (_dir, ingest) = ingest().await;
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
    ] {
        let response = reqwest::get(ingest.http_url(path)).await.unwrap();
        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(header("content-type"), media_type);
        let policy = header("content-security-policy");
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
    let html = ingest.get("/").await.unwrap();
    let html = String::from_utf8(html).unwrap();
    assert!(!html.contains("<style") && !html.contains(" style="), "the policy would not let it: {html}");
    assert!(!html.contains("<script>"), "the policy would not let it run: {html}");
}

/// P5: the page's view of a log goes on without a line missing or doubled.
#[tokio::test]
async fn p5_a_batch_tail_goes_on_where_it_was_after_log_ingest_was_killed() {
    let (_dir, mut ingest) = ingest().await;
    let script = Script { seed: 90, lines: 20_000 };
    let mut command = agent::chatter(&ingest.url(), "batches", "batches", script);
    command.args(["--spread-ms", "3000"]);
    let mut child = command.spawn().unwrap();
    wait::until("the worker is known", LIMIT, || async {
        ingest.task("batches").await.map_err(|error| error.to_string())
    })
    .await;
    let url = ingest.http_url("/api/v1/workers/batches/tail?from=1&batch=true");
    let (mut lines, mut last_id, mut batches) = (Vec::<Value>::new(), None::<String>, 0);
    // Killed twice in the midst of it, and the connection given up once by the reader.
    let mut interruptions = [6_000, 12_000, 16_000].into_iter().peekable();
    let end = 'reading: loop {
        let mut events = Events::open(&url, last_id.as_deref()).await.unwrap();
        while let Ok(Some(event)) = events.next().await {
            assert!(events.retry.is_some_and(|wait| (1000..=3000).contains(&wait)), "{:?}", events.retry);
            if event.name.as_deref() == Some("end") {
                break 'reading event.json();
            }
            let batch: Vec<Value> = serde_json::from_str(&event.data).unwrap();
            assert!(!batch.is_empty() && batch.len() <= 512, "{} lines", batch.len());
            assert_eq!(event.id, batch.last().map(|line| last_sequence(line).to_string()));
            lines.extend(batch);
            batches += 1;
            if let Some(at) = interruptions.next_if(|at| lines.len() >= *at) {
                if at < 16_000 {
                    ingest.kill().await;
                    ingest.resume().await;
                }
                break;
            }
        }
        last_id = events.last_id;
    };
    assert!(interruptions.next().is_none(), "it was interrupted each time");
    assert!(child.wait().await.unwrap().success());
    assert_eq!((&end["complete"], &end["last_sequence"]), (&true.into(), &20_000.into()));
    oracle::check("batches", &lines, script);
    assert!(batches < lines.len() / 4, "{batches} events for {} lines", lines.len());
}
