//! What a server that has no room for now gets: less at a time, and all of it in the end.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::mischief::Mischief;
use crate::process::{agent, output, signal, summary, until, wait};
use crate::server::Server;

/// What was here and not answered as the server stored the next batches or entries, from when it had `most` of them, and
/// then refused so many. Then those after the last refusal.
async fn after_refusals(
    server: &Server,
    flags: &[&str],
    script: &str,
    most: usize,
    refused: &[Mischief],
) -> Vec<usize> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let mut all = vec!["--mirror", "false", "--when-full", "block", "--summary", path.to_str().unwrap()];
    all.extend(flags);
    let command = agent(&server.url, &all, script);
    let refuse = async {
        until("all that may is in flight", || server.seen().waiting.contains(&Some(most))).await;
        server.seen().mischief = refused.iter().copied().collect();
    };
    let (output, ()) = tokio::join!(output(command), refuse);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = summary(&path);
    assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
    let seen = server.seen();
    // The first line of a burst goes by itself, and leaves room for one more.
    let is_within = seen.waiting.iter().flatten().all(|waiting| *waiting <= most + 1);
    assert!(seen.mischief.is_empty() && is_within, "{:?}", seen.waiting);
    seen.waiting.rsplit(Option::is_none).next().unwrap().iter().flatten().copied().collect()
}

/// A batch has 64 lines of 1 KiB, and four of them are half of the buffer.
async fn batches_after(refused: &[Mischief]) -> Vec<usize> {
    let server = Server::start([]).await;
    server.seen().delay = Duration::from_millis(10);
    let script = "yes $(printf '%01023d' 0) | head -n 8000";
    let after = after_refusals(&server, &["--buffer-limit", "512KiB"], script, 4, refused).await;
    assert_eq!(server.seen().lines.len(), 8000);
    after
}

#[tokio::test]
async fn p7_who_is_refused_again_and_again_tries_one_batch_and_has_its_window_back_with_what_is_stored() {
    let after = batches_after(&[Mischief::Retry; 6]).await;
    assert_eq!(after[..2], [1, 1], "{after:?}");
    assert!(after.contains(&4), "{after:?}");
}

/// More than the contract has, which is one for all of them.
#[tokio::test]
async fn refusals_of_all_that_was_in_flight_are_one() {
    let after = batches_after(&[Mischief::RetryEach; 4]).await;
    assert!(after[..4].contains(&2) && !after[..2].contains(&4), "{after:?}");
}

/// Whoever asks the agent to end leaves it a second, and after the fourth refusal it would wait for two.
#[tokio::test]
async fn p8_a_signal_during_the_flush_ends_the_wait_of_who_was_refused() {
    let (server, dir) = (Server::start([Mischief::DiskFull; 4]).await, tempfile::tempdir().unwrap());
    let path = dir.path().join("summary.json");
    let flags = ["--flush-timeout", "60s", "--mirror", "false", "--summary", path.to_str().unwrap()];
    let mut child = agent(&server.url, &flags, "echo one").spawn().unwrap();
    until("it was refused four times", || server.seen().mischief.is_empty() && path.exists()).await;
    signal(&child, Signal::SIGTERM);
    assert_eq!(wait(&mut child).await.code(), Some(0));
    let said = summary(&path);
    assert_eq!((&said["complete"], &said["refusals"]), (&true.into(), &4.into()), "{said}");
    assert_eq!(server.seen().text(), ["one"]);
}

#[tokio::test]
async fn a_server_that_takes_lines_one_by_one_gets_one_where_it_refused_them_again_and_again() {
    let server = Server::start([]).await;
    server.seen().is_old = true;
    server.seen().window = 16;
    server.seen().delay = Duration::from_millis(2);
    // All that is in flight: sixteen, eight, four and two.
    let after = after_refusals(&server, &[], "seq 1000", 16, &[Mischief::Retry; 30]).await;
    assert!(after[0] == 1 && after[1] <= 2 && after.contains(&16), "{after:?}");
    let mut sequences: Vec<_> = server.seen().entries.iter().map(|entry| entry.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=1000).collect::<Vec<_>>());
}
