//! A server that knows only the fixed RPCs, in NestJS.

use ottoscaler_tests::agent;
use ottoscaler_tests::chatter::{Script, Stream};
use ottoscaler_tests::daemon::Daemon;
use ottoscaler_tests::port;
use ottoscaler_tests::service::answers;
use serde_json::Value;

use crate::programs::program;

const SCRIPT: Script = Script { seed: 77, lines: 20_000 };

/// What the server got of a stream, as text: its messages have no room for other bytes.
fn got(received: &[Value], source: &str) -> Vec<String> {
    let lines = received.iter().filter(|line| line["source"] == source);
    lines.map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn p5_a_nestjs_server_of_the_fixed_rpcs_gets_every_line_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (addr, file) = (port::free(), dir.path().join("received"));
    let mut command = program("nestjs-server");
    command.arg(addr.to_string()).arg(&file);
    let server = Daemon::start("nestjs-server", dir.path(), command);
    answers(addr).await;

    let mut command = agent::chatter(&format!("http://{addr}"), "old-task", "old-worker", SCRIPT);
    let summary = dir.path().join("summary.json");
    command.env("OTTO_SUMMARY", &summary);
    let output = agent::output(command).await;
    assert!(output.status.success(), "{output:?}\n{}", server.tail());
    assert_eq!(agent::summary(&summary)["complete"], true);
    server.assert_runs();

    let text = std::fs::read_to_string(&file).unwrap();
    let received: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(received.iter().all(|line| line["workerId"] == "old-worker"));
    for (stream, source) in [(Stream::Stdout, "stdout"), (Stream::Stderr, "stderr")] {
        let expected = SCRIPT.expected(stream);
        let expected = expected.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n');
        let expected: Vec<_> = expected.map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let got = got(&received, source);
        let differs = expected.iter().zip(&got).position(|(expected, got)| expected != got);
        assert_eq!((differs, got.len()), (None, expected.len()), "{source}");
    }
}
