//! How a run that lost something ends: whoever started it is told what, how much, and why.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::mischief::Mischief;
use crate::process::{agent, nowhere, output, rest, signal, summary, until};
use crate::server::Server;

/// What it said, and its summary's word for what went wrong.
async fn run(url: &str, flags: &[&str], script: &str) -> (String, serde_json::Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let mut all = vec!["--mirror", "false", "--summary", path.to_str().unwrap()];
    all.extend(["--spool-dir", dir.path().to_str().unwrap()]);
    all.extend(flags);
    let output = output(agent(url, &all, script)).await;
    (String::from_utf8(output.stderr).unwrap(), summary(&path))
}

#[tokio::test]
async fn what_kept_the_server_from_storing_the_rest_stands_in_the_end_message_and_the_summary() {
    for (mischief, reason) in [(Mischief::Retry, "queue_full"), (Mischief::RetryLater, "rate_limited")] {
        let server = Server::start(vec![mischief; 1000]).await;
        let (said, summary) = run(&server.url, &["--flush-timeout", "500ms"], "seq 10").await;
        let error = summary["error"].as_str().unwrap();
        assert!(error.contains(reason) && error.contains("not everything was durable"), "{summary}");
        assert!(said.contains(error.split(';').next().unwrap()), "{said}");
    }
}

#[tokio::test]
async fn a_server_that_was_never_reached_is_named_at_the_end() {
    let url = nowhere();
    let (_, summary) = run(&url, &["--flush-timeout", "500ms"], "seq 10").await;
    let place = url.trim_start_matches("http://");
    assert!(summary["error"].as_str().unwrap().contains(place), "{summary}");
}

#[tokio::test]
async fn p6_lines_that_were_dropped_are_told_with_their_count_and_the_reason() {
    let flags = ["--spool-limit", "100KiB", "--buffer-limit", "256KiB", "--flush-timeout", "500ms"];
    let (said, summary) = run(&nowhere(), &flags, "seq 300000").await;
    let dropped = summary["dropped"].as_u64().unwrap();
    assert!(dropped > 0, "{summary}");
    let line = said.lines().find(|line| line.contains("lines were dropped")).expect("it is said");
    assert!(line.contains(&dropped.to_string()) && line.contains("buffer_full"), "{line}");
}

#[tokio::test]
async fn lines_that_no_spool_took_are_counted() {
    let flags = ["--spool-limit", "0", "--flush-timeout", "200ms"];
    let (said, _) = run(&nowhere(), &flags, "seq 10").await;
    assert!(said.contains("10 lines had no place in the spool"), "{said}");
}

/// As when the URL names log-ingest's other port.
#[tokio::test]
async fn a_server_that_speaks_no_http_2_is_named_as_one() {
    for (answer, expected) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "not a gRPC server"),
        ("", "did you mean log-ingest's gRPC port"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers = AtomicUsize::new(0);
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _written = stream.write_all(answer.as_bytes()).await;
                let _closed = stream.shutdown().await;
                let _rest = stream.read_to_end(&mut Vec::new()).await;
                answers.fetch_add(1, Ordering::Relaxed);
            }
        };
        let dir = tempfile::tempdir().unwrap();
        let ended = dir.path().join("summary.json");
        let mut flags = vec!["--flush-timeout", "60s", "--mirror", "false"];
        flags.extend(["--summary", ended.to_str().unwrap(), "--spool-dir", dir.path().to_str().unwrap()]);
        let mut command = agent(&format!("http://{address}"), &flags, "seq 10");
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = async {
            // The agent that comes again has understood the answer before; and what asks it to end has to come after
            // the command has.
            let is_ended = || std::fs::read(&ended).is_ok_and(|summary| !summary.is_empty());
            until("it was answered twice", || answers.load(Ordering::Relaxed) > 1 && is_ended()).await;
            signal(&child, Signal::SIGTERM);
            String::from_utf8(rest(child).await.stderr).unwrap()
        };
        let said = tokio::select! {
            said = said => said,
            () = serve => unreachable!("it serves for ever"),
        };
        assert!(said.contains(&address) && said.contains(expected), "{said}");
    }
}
