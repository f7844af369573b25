//! Clients of the fixed contract in other languages: every line that they were given is stored, once, in
//! its place, whatever the server asked of them meanwhile.

use std::time::Duration;

use ottoscaler_tests::ingest::{Ingest, last_sequence};
use ottoscaler_tests::small_disk::SmallDisk;
use ottoscaler_tests::wait;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::client::Client;

const LIMIT: Duration = Duration::from_mins(1);

/// What the servers of these tests take as a line.
const MAX_LINE: &str = "16KiB";
const MAX_LINE_BYTES: usize = 16 << 10;

/// Lines as commands print them: text, other scripts, empty ones, progress bars, long ones.
fn lines(count: usize) -> Vec<String> {
    let line = |number: usize| match number % 50 {
        7 => String::new(),
        11 => format!("{number}\t안녕하세요, wörld ✅"),
        23 => format!("\r{number}%\r100%"),
        31 => format!("{number} {}", "x".repeat(3000)),
        _ => format!("{number} compiling something {}", "=".repeat(number % 90)),
    };
    (0..count).map(line).collect()
}

fn oversize() -> String {
    "y".repeat(MAX_LINE_BYTES + 1)
}

/// Compares what is stored with what was sent, line by line. One that is too long has left its gap.
async fn check(ingest: &Ingest, worker: &str, sent: &[String]) {
    let stored = ingest.lines(worker).await.unwrap();
    for ((number, line), sent) in (1_i64..).zip(&stored).zip(sent) {
        assert_eq!((&line["sequence"], last_sequence(line)), (&number.into(), number), "{worker}: {line}");
        if sent.len() > MAX_LINE_BYTES {
            assert_eq!(line["gap"]["reason"], "message_too_large", "{worker}: {line}");
        } else {
            assert_eq!((&line["message"], &line["gap"]), (&json!(sent), &Value::Null), "{worker}");
        }
    }
    assert_eq!(stored.len(), sent.len(), "{worker}");
}

fn count(answers: &Value, kind: &str, reason: &str) -> u64 {
    answers[kind][reason].as_u64().unwrap_or(0)
}

async fn lock_step(language: &str) {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &["--max-line", MAX_LINE]).await;
    let worker = format!("{language}-lock-step");
    let mut sent = lines(150);
    sent.insert(60, oversize());
    let mut client = Client::start(language, &ingest, "lock-step", &worker);
    client.feed(&sent).await;
    let answers = client.answers().await;
    let expected =
        json!({ "acked": 150, "dropped": { "message_too_large": 1 }, "retried": {}, "resumed": 0 });
    assert_eq!(answers, expected);
    // Without a number it has no place that could be a gap.
    sent.remove(60);
    check(&ingest, &worker, &sent).await;
}

/// RETRY in lock-step is a disk that is full: the queue never is, with one entry in it.
async fn disk_full(language: &str) {
    // Without a reserve it is the disk itself that refuses.
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let ingest = Ingest::start(&disk.path().join("data"), &["--disk-reserve", "0"]).await;
    let worker = format!("{language}-held-back");
    let sent: Vec<_> = (0..800).map(|number| format!("{number} {}", "z".repeat(8 << 10))).collect();
    let mut client = Client::start(language, &ingest, "lock-step", &worker);
    let grow = async {
        wait::until("the server says that the disk is full", LIMIT, || async {
            let metrics = reqwest::get(format!("http://{}/metrics", ingest.admin())).await.unwrap();
            let metrics = metrics.text().await.unwrap();
            let full = metrics.lines().any(|line| line.contains("disk_full") && !line.ends_with(" 0"));
            if full { Ok(()) } else { Err(metrics) }
        })
        .await;
        disk.grow("64m");
    };
    tokio::join!(client.feed(&sent), grow);
    let answers = client.answers().await;
    assert_eq!(answers["acked"], 800, "{answers}");
    assert!(count(&answers, "retried", "disk_full") > 0, "{answers}");
    check(&ingest, &worker, &sent).await;
}

/// With so small a queue a flight of 256 lines does not fit: one part of it is refused, and what is behind
/// that comes too early. Whether it is full when a part comes is a matter of luck, so it is tried until it was.
async fn pipelined(language: &str) {
    for attempt in 0..20 {
        if meets_a_full_queue(language, attempt).await {
            return;
        }
    }
    panic!("the queue was never full");
}

async fn meets_a_full_queue(language: &str, attempt: u32) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &["--max-line", MAX_LINE, "--queue-limit", "8KiB"]).await;
    let worker = format!("{language}-pipelined-{attempt}");
    let mut sent = lines(4000);
    sent.insert(1234, oversize());
    let mut client = Client::start(language, &ingest, "pipelined", &worker);
    client.feed(&sent).await;
    let answers = client.answers().await;
    assert_eq!((&answers["acked"], &answers["dropped"]), (&4000.into(), &json!({ "message_too_large": 1 })));
    assert_eq!(answers["resumed"], 0, "{answers}");
    check(&ingest, &worker, &sent).await;
    count(&answers, "retried", "queue_full") > 0 && count(&answers, "retried", "gap") > 0
}

/// Killed in the middle, under load: the client holds the rest until it knows where to go on.
async fn killed(language: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(dir.path(), &[]).await;
    let worker = format!("{language}-resuming");
    let sent = lines(6000);
    let mut client = Client::start(language, &ingest, "pipelined", &worker);
    let (killed, is_killed) = oneshot::channel();
    let feed = async {
        client.feed(&sent[..4000]).await;
        is_killed.await.unwrap();
        client.feed(&sent[4000..]).await;
    };
    let kill = async {
        wait::until("some lines are durable", LIMIT, || async {
            let lines = ingest.lines(&worker).await.map_or(0, |lines| lines.len());
            if lines > 1000 { Ok(()) } else { Err(format!("{lines} lines")) }
        })
        .await;
        ingest.kill().await;
        killed.send(()).unwrap();
        ingest.resume().await;
    };
    tokio::join!(feed, kill);
    let answers = client.answers().await;
    assert_eq!(answers["acked"], 6000, "{answers}");
    assert!(answers["resumed"].as_u64().unwrap() > 0, "{answers}");
    check(&ingest, &worker, &sent).await;
}

macro_rules! clients_in {
    ($($language:ident),*) => {$(
        mod $language {
            #[tokio::test]
            async fn in_lock_step_and_never_registered_is_served_and_passes_over_a_drop() {
                super::lock_step(stringify!($language)).await;
            }

            #[tokio::test]
            async fn p4_in_lock_step_comes_back_to_a_disk_that_was_full() {
                super::disk_full(stringify!($language)).await;
            }

            #[tokio::test]
            async fn p5_pipelined_rewinds_once_a_flight_and_passes_over_a_drop() {
                super::pipelined(stringify!($language)).await;
            }

            #[tokio::test]
            async fn p4_p5_goes_on_after_the_last_durable_line_of_a_server_that_was_killed() {
                super::killed(stringify!($language)).await;
            }
        }
    )*};
}

clients_in!(go, typescript, python);
