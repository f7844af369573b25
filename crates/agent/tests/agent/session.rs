//! P5 from the agent's side: whatever the server does, each line arrives once, in order, or is in a gap.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::mischief::Mischief;
use crate::process::{agent, output, signal, summary, until, wait};
use crate::proxy::Denial;
use crate::server::Server;
use crate::upload::upload;

fn numbers(last: u32) -> Vec<String> {
    (1..=last).map(|number| number.to_string()).collect()
}

/// Prints three bursts, so that there is more than one batch.
const BURSTS: &str = "seq 1 100; sleep 0.1; seq 101 200; sleep 0.1; seq 201 300";

/// Runs `script` against the server and gives the summary.
async fn ship(server: &Server, flags: &[&str], script: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let mut all = vec!["--mirror", "false", "--summary", path.to_str().unwrap()];
    all.extend(flags);
    let output = output(agent(&server.url, &all, script)).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    summary(&path)
}

#[tokio::test]
async fn p5_an_honest_server_has_every_line_once_and_the_log_is_complete() {
    let server = Server::start([]).await;
    let said = ship(&server, &["--attempt", "2", "--task-id", "t"], BURSTS).await;
    let seen = server.seen();
    assert_eq!(seen.text(), numbers(300));
    assert_eq!((&said["complete"], &said["acked_sequence"]), (&true.into(), &300.into()), "{said}");
    assert_eq!((&said["dropped"], &said["error"]), (&0.into(), &Value::Null), "{said}");
    let registered = &seen.registrations[0];
    assert_eq!((&*registered.worker_id, &*registered.task_id, registered.attempt), ("w", "t", 2));
    assert_eq!(registered.incarnation.len(), 16);
    let completed = &seen.completions[0];
    assert_eq!((completed.exit_code, completed.last_sequence, completed.lines), (0, 300, 300));
    assert_eq!((completed.bytes, &*completed.reason), (1092, ""));
}

#[tokio::test]
async fn p5_retry_cut_and_lost_registration_neither_lose_nor_repeat_a_line() {
    for mischief in [
        vec![Mischief::Retry; 5],
        vec![Mischief::StoreAndCut; 3],
        vec![Mischief::NotRegistered; 2],
        vec![Mischief::Retry, Mischief::StoreAndCut, Mischief::NotRegistered, Mischief::Retry],
    ] {
        let server = Server::start(mischief.clone()).await;
        let said = ship(&server, &[], BURSTS).await;
        assert_eq!(server.seen().text(), numbers(300), "{mischief:?}");
        assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{mischief:?}: {said}");
        let registrations = &server.seen().registrations;
        assert!(registrations.iter().all(|again| again.incarnation == registrations[0].incarnation));
    }
}

/// What it had acknowledged is gone here as well: a gap says so, and the rest arrives.
#[tokio::test]
async fn a_server_that_lost_its_disk_is_told_what_it_lost() {
    let server = Server::start([Mischief::LoseAll]).await;
    let said = ship(&server, &[], "echo lost; sleep 0.3; echo kept").await;
    let text = server.seen().text();
    assert_eq!(text[..2], ["<server_lost>", "kept"], "{text:?}");
    assert_eq!(said["dropped"], 1, "{said}");
}

#[tokio::test]
async fn a_line_that_the_server_refuses_is_counted_once_and_the_rest_goes_on() {
    let server = Server::start([Mischief::DropSecondLine]).await;
    let said = ship(&server, &[], "printf '1\\n2\\n3\\n'; sleep 0.1; echo 4").await;
    let text = server.seen().text();
    assert_eq!(text[..4], ["1", "<message_too_large>", "3", "4"], "{text:?}");
    assert_eq!(said["dropped"], 1, "{said}");
}

#[tokio::test]
async fn lines_are_cut_to_what_the_server_takes() {
    let server = Server::start([]).await;
    server.seen().max_line = 10;
    ship(&server, &[], "sleep 0.5; echo 0123456789abcdef").await;
    assert_eq!(server.seen().text(), ["0123456789", "abcdef"]);
}

/// Not even a command that waits for its log is held back by one that can never take it.
#[tokio::test]
async fn p7_a_refused_or_closed_log_lets_the_command_go_on_even_where_it_blocks() {
    for refuses in [true, false] {
        let server = Server::start([Mischief::Closed]).await;
        server.seen().refuses = refuses;
        let flags = ["--when-full", "block", "--buffer-limit", "256KiB"];
        let said = ship(&server, &flags, "seq 1000000").await;
        assert_eq!((&said["complete"], &said["lines"]), (&false.into(), &1_000_000.into()), "{said}");
        assert!(said["error"].is_string(), "{said}");
        assert_eq!(said["dropped"].as_u64().unwrap() + said["acked_sequence"].as_u64().unwrap(), 1_000_000);
    }
}

/// At the deadline, with nowhere to leave the rest, the log is closed as it is, so that its readers need not
/// wait.
#[tokio::test]
async fn a_server_that_stops_answering_is_told_that_the_log_ended_early() {
    let server = Server::start([Mischief::Freeze]).await;
    let said = ship(&server, &["--flush-timeout", "300ms", "--spool-limit", "0"], "echo one").await;
    assert_eq!((&said["complete"], &said["acked_sequence"]), (&false.into(), &0.into()), "{said}");
    let seen = server.seen();
    assert_eq!((seen.completions.len(), &*seen.completions[0].reason), (1, "flush_timeout"));
}

/// Lines that were left in a spool can still be handed in, so the log stays open for them.
#[tokio::test]
async fn p5_at_the_deadline_the_rest_is_left_in_the_spool_and_the_log_open() {
    let server = Server::start([Mischief::Freeze]).await;
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--flush-timeout", "300ms", "--spool-dir", dir.path().to_str().unwrap()];
    let said = ship(&server, &flags, "echo one").await;
    let left = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    assert!(said["error"].as_str().unwrap().contains(left.to_str().unwrap()), "{said}");
    assert_eq!(server.seen().completions.len(), 0);
}

/// Whoever waits for the agent can end the last wait, and the log is closed as it is all the same.
#[tokio::test]
async fn p8_a_signal_during_the_flush_cuts_it_short() {
    for asked in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let server = Server::start([Mischief::Freeze]).await;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.json");
        let flags = ["--flush-timeout", "60s", "--spool-limit", "0", "--summary", path.to_str().unwrap()];
        let mut child = agent(&server.url, &flags, "echo one; exit 5").stdout(Stdio::null()).spawn().unwrap();
        until("the command has ended", || path.exists()).await;
        signal(&child, asked);
        let start = Instant::now();
        assert_eq!(wait(&mut child).await.code(), Some(5), "{asked}");
        assert!(start.elapsed() < Duration::from_secs(5), "{asked}: {:?}", start.elapsed());
        assert_eq!(server.seen().completions[0].reason, "flush_interrupted");
        assert!(summary(&path)["error"].as_str().unwrap().contains("signal"), "{asked}");
    }
}

/// What is there was never sent by this process: it must not stand for the lines of this one.
#[tokio::test]
async fn p5_a_log_that_another_run_wrote_is_refused_and_not_gone_on_with() {
    let server = Server::start([]).await;
    server.seen().lines = vec![Ok(b"of the first run".to_vec()); 50];
    let said = ship(&server, &[], "seq 1 100").await;
    assert_eq!((&said["complete"], &said["acked_sequence"]), (&false.into(), &0.into()), "{said}");
    assert_eq!(said["dropped"], 100, "{said}");
    assert!(said["error"].as_str().unwrap().contains("another run"), "{said}");
    let seen = server.seen();
    assert_eq!((seen.lines.len(), seen.batches.len(), seen.completions.len()), (50, 0, 0));
}

/// The worker id may be another run's, whose log still grows.
#[tokio::test]
async fn a_log_for_which_nobody_answered_the_registration_is_not_closed() {
    let server = Server::start([]).await;
    server.seen().is_mute = true;
    let said = ship(&server, &["--flush-timeout", "300ms", "--spool-limit", "0"], "echo one").await;
    assert_eq!((&said["complete"], &said["acked_sequence"]), (&false.into(), &0.into()), "{said}");
    assert!(server.seen().completions.is_empty(), "{:?}", server.seen().completions);
}

/// An ingress that has lost its way for a moment does not speak for log-ingest, whatever tonic makes of it.
#[tokio::test]
async fn what_a_proxy_answers_over_plain_http_does_not_end_the_log() {
    for status in [404, 401, 403] {
        let server = Server::start([]).await;
        server.seen().denials = [Some(Denial::Http(status)); 2].into();
        let said = ship(&server, &[], "seq 1 100").await;
        assert_eq!(server.seen().text(), numbers(100), "{status}");
        assert_eq!((&said["complete"], &said["disconnects"]), (&true.into(), &2.into()), "{status}: {said}");
    }
}

/// A proxy may also answer for a server that restarts in gRPC's own terms.
#[tokio::test]
async fn a_server_that_took_the_log_once_is_never_taken_for_one_that_cannot() {
    let server = Server::start([Mischief::StoreAndCut]).await;
    server.seen().denials = [None, Some(Denial::Unimplemented), Some(Denial::Unimplemented)].into();
    let said = ship(&server, &[], BURSTS).await;
    assert_eq!(server.seen().text(), numbers(300));
    assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
}

/// As by the sidecar of a mesh that is just being started, and has no route yet.
#[tokio::test]
async fn p5_a_server_that_is_denied_for_a_while_gets_every_line_all_the_same() {
    let server = Server::start([]).await;
    server.seen().denials = [Some(Denial::Unimplemented); 5].into();
    let said = ship(&server, &[], "seq 1 100").await;
    assert_eq!(server.seen().text(), numbers(100));
    assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
}

#[tokio::test]
async fn p5_what_is_denied_to_the_end_is_left_in_the_spool_with_the_reason() {
    let (server, dir) = (Server::start([]).await, tempfile::tempdir().unwrap());
    server.seen().denials = vec![Some(Denial::Unimplemented); 1000].into();
    let flags = ["--flush-timeout", "2s", "--spool-dir", dir.path().to_str().unwrap()];
    let said = ship(&server, &flags, "seq 1 100").await;
    let left = std::fs::read_dir(dir.path()).unwrap().next().expect("a spool").unwrap().path();
    let error = said["error"].as_str().unwrap();
    assert!(error.contains("Unimplemented") && error.contains(left.to_str().unwrap()), "{said}");
    assert_eq!((&said["complete"], &said["dropped"]), (&false.into(), &0.into()), "{said}");
    server.seen().denials.clear();
    assert!(upload(&server, &[], &left).await.status.success());
    assert_eq!(server.seen().text(), numbers(100));
}

/// By it the server knows the run from any other that names the same worker.
#[tokio::test]
async fn each_stream_names_the_session_of_its_registration() {
    for is_old in [false, true] {
        let server = Server::start([Mischief::StoreAndCut]).await;
        server.seen().is_old = is_old;
        ship(&server, &[], BURSTS).await;
        let seen = server.seen();
        assert!(seen.sessions.len() >= 2, "{:?}", seen.sessions);
        assert!(seen.sessions.iter().all(|session| session == "the session"), "{:?}", seen.sessions);
    }
}

#[tokio::test]
async fn what_the_server_asks_for_later_is_sent_no_sooner_and_over_the_same_connection() {
    let server = Server::start([Mischief::RetryLater]).await;
    let started = Instant::now();
    let said = ship(&server, &[], "seq 1 100").await;
    assert!(started.elapsed() >= Duration::from_millis(700), "{:?}", started.elapsed());
    assert_eq!(server.seen().text(), numbers(100));
    assert_eq!((&said["complete"], &said["disconnects"]), (&true.into(), &0.into()), "{said}");
}

#[tokio::test]
async fn a_server_that_refuses_the_same_lines_again_and_again_is_asked_less_and_less_often() {
    let server = Server::start([Mischief::Retry; 5]).await;
    let started = Instant::now();
    let said = ship(&server, &[], "echo 1").await;
    // From what is asked for to the longest wait for room in a queue.
    let least = Duration::from_millis(20 * (1 + 2 + 4 + 8) + 250);
    assert!(started.elapsed() >= least, "{:?}", started.elapsed());
    assert_eq!((&said["complete"], &said["refusals"]), (&true.into(), &5.into()), "{said}");
    assert_eq!(server.seen().text(), numbers(1));
}

#[tokio::test]
async fn an_ack_that_no_server_sent_lets_go_of_nothing() {
    for mischief in [Mischief::AckTooMuch, Mischief::Flip] {
        let server = Server::start([mischief]).await;
        let said = ship(&server, &[], BURSTS).await;
        assert_eq!(server.seen().text(), numbers(300), "{mischief:?}");
        assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
        assert_eq!(said["disconnects"], 1, "{mischief:?}: {said}");
    }
}

/// Lines reach the server while the agent's own stdout stalls, and so does the end of the log.
#[tokio::test]
async fn p7_a_stalled_reader_does_not_delay_the_log() {
    let server = Server::start([]).await;
    let mut command = agent(&server.url, &[], "seq 200000");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until("the log is complete", || !server.seen().completions.is_empty()).await;
    assert!(child.try_wait().unwrap().is_none(), "the agent waited for its own reader first");
    assert_eq!(wait(&mut child).await.code(), Some(0));
}

/// The first line of a burst goes at once; a burst is not one batch for each line.
#[tokio::test]
async fn lines_travel_together_when_they_come_together() {
    let server = Server::start([]).await;
    ship(&server, &[], "seq 100000").await;
    let batches = server.seen().batches.len();
    assert!(batches < 200, "{batches} batches for 600 KB");
}

/// A full buffer becomes a gap, and what had reached the server unanswered is not called lost.
#[tokio::test]
async fn p6_what_the_server_has_already_is_never_counted_as_dropped() {
    let server = Server::start([Mischief::StoreAndCut]).await;
    let said = ship(&server, &["--buffer-limit", "256KiB"], "echo first; sleep 0.05; seq 1000000").await;
    let text = server.seen().text();
    assert_eq!(text[0], "first");
    let gaps = text.iter().filter(|line| *line == "<buffer_full>").count();
    assert_eq!(said["dropped"].as_u64().unwrap(), gaps as u64, "{said}");
}

/// gRPC has one word for a call that a server does not know, and for a compression.
#[tokio::test]
async fn a_server_that_knows_batches_and_not_their_compression_gets_them_without() {
    let server = Server::start([]).await;
    let said = ship(&server, &["--compression", "zstd"], BURSTS).await;
    let seen = server.seen();
    assert_eq!((seen.text(), seen.entries.len()), (numbers(300), 0));
    assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
}

/// It takes some 130 KiB each 400 ms, and the command prints far faster, but not for long.
#[tokio::test]
async fn p7_a_slow_server_that_takes_lines_costs_none() {
    let server = Server::start([]).await;
    server.seen().delay = Duration::from_millis(400);
    let flags = ["--buffer-limit", "512KiB", "--spool-limit", "0"];
    let said = ship(&server, &flags, "seq 60000").await;
    assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
    assert_eq!(server.seen().text(), numbers(60_000));
}
