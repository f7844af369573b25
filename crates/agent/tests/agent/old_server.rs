//! A server that knows only the fixed RPCs loses nothing while both live.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::mischief::Mischief;
use crate::process::{agent, output, summary};
use crate::server::Server;

/// Ships 300 numbers and a last line without a newline; gives the summary.
async fn ship(server: &Server) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let flags = ["--mirror", "false", "--task-id", "t", "--summary", path.to_str().unwrap()];
    let script = r"seq 1 150; sleep 0.1; seq 151 300 >&2; sleep 0.1; printf 'caf\303\251 \377'";
    let output = output(agent(&server.url, &flags, script)).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    summary(&path)
}

async fn old_server(mischief: impl IntoIterator<Item = Mischief>) -> Server {
    let server = Server::start(mischief).await;
    server.seen().is_old = true;
    server
}

fn expected() -> Vec<String> {
    (1..=300).map(|number| number.to_string()).chain(["caf\u{e9} \u{fffd}".to_owned()]).collect()
}

#[tokio::test]
async fn a_server_that_knows_only_the_fixed_rpcs_gets_every_line_once_and_in_order() {
    let server = old_server([]).await;
    let said = ship(&server).await;
    let seen = server.seen();
    let messages: Vec<_> = seen.entries.iter().map(|entry| entry.message.clone()).collect();
    assert_eq!(messages, expected());
    let (first, last) = (&seen.entries[0], &seen.entries[300]);
    assert_eq!((&*first.worker_id, &*first.task_id, &*first.source, first.sequence), ("w", "t", "stdout", 1));
    assert!(first.timestamp.parse::<jiff::Timestamp>().is_ok(), "{}", first.timestamp);
    assert!(first.raw.is_empty());
    assert_eq!((&last.raw[..], last.flags), (&b"caf\xc3\xa9 \xff"[..], 2));
    assert!(seen.entries[150..300].iter().all(|entry| entry.source == "stderr"));
    assert_eq!((&said["complete"], &said["acked_sequence"]), (&true.into(), &301.into()), "{said}");
    assert_eq!(said["disconnects"], 0, "asking for batches is no failure: {said}");
}

/// It may have stored what stood behind the entry that it refused.
#[tokio::test]
async fn what_it_asks_for_again_is_sent_again_and_nothing_else() {
    let server = old_server([Mischief::Retry; 5]).await;
    let said = ship(&server).await;
    let mut sequences: Vec<_> = server.seen().entries.iter().map(|entry| entry.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=301).collect::<Vec<_>>());
    assert_eq!(said["complete"], true, "{said}");
}

#[tokio::test]
async fn after_a_cut_it_gets_every_line_at_least_once_and_never_a_gap() {
    let server = old_server([Mischief::StoreAndCut; 3]).await;
    let said = ship(&server).await;
    let seen = server.seen();
    let mut sequences: Vec<_> = seen.entries.iter().map(|entry| entry.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences, (1..=301).collect::<Vec<_>>());
    assert!(seen.entries.iter().all(|entry| entry.gap.is_none()));
    assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
}

#[tokio::test]
async fn it_gets_no_more_lines_a_second_than_it_asks_for() {
    let server = old_server([]).await;
    server.seen().rate_limit = 150;
    let started = Instant::now();
    let said = ship(&server).await;
    // 301 of them, of which a second's may go at once.
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!((server.seen().entries.len(), &said["complete"]), (301, &true.into()), "{said}");
}

#[tokio::test]
async fn a_log_that_it_closes_is_given_up() {
    let server = old_server([Mischief::Closed]).await;
    let said = ship(&server).await;
    assert_eq!(
        (&said["complete"], &*said["error"].to_string()),
        (&false.into(), "\"the log was closed\""),
        "{said}"
    );
}
