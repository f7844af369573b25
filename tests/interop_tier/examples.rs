//! The examples of clients that users start from.

use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::ingest::Ingest;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::programs::program;

const LIMIT: Duration = Duration::from_mins(1);

const LINES: &str = "checking out\n\nbuilding 안녕\ntesting\n";

fn example(language: &str, name: &str, ingest: &Ingest) -> Command {
    let mut command = program(&format!("{language}-{name}"));
    command.arg("shown").env("OTTO_INGEST", ingest.grpc().to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// One follows a task that is not there yet, the other sends its lines.
async fn sent_lines_are_followed(language: &str) {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let tail = example(language, "tail", &ingest).spawn().unwrap();
    let mut sender = example(language, "send", &ingest).spawn().unwrap();
    sender.stdin.take().unwrap().write_all(LINES.as_bytes()).await.unwrap();
    let both = async { tokio::join!(sender.wait_with_output(), tail.wait_with_output()) };
    let (sent, tailed) = tokio::time::timeout(LIMIT, both).await.expect("both examples end");
    let (sent, tailed) = (sent.unwrap(), tailed.unwrap());
    assert!(sent.status.success() && tailed.status.success(), "{sent:?} {tailed:?}");
    assert!(String::from_utf8(sent.stderr).unwrap().contains("4 lines"));
    assert_eq!(String::from_utf8(tailed.stdout).unwrap(), LINES);
    assert_eq!(ingest.task("shown").await.unwrap()["workers"][0]["complete"], true);
}

#[tokio::test]
async fn the_go_examples_send_lines_and_follow_a_task() {
    sent_lines_are_followed("go").await;
}

#[tokio::test]
async fn the_typescript_examples_send_lines_and_follow_a_task() {
    sent_lines_are_followed("typescript").await;
}

#[tokio::test]
async fn the_python_examples_send_lines_and_follow_a_task() {
    sent_lines_are_followed("python").await;
}
