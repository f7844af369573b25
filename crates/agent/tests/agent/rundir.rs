//! P2: no command runs twice in one attempt.

use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::process::{agent, nowhere, output, signal, until, wait};

#[tokio::test]
async fn p2_a_second_agent_runs_nothing_while_the_first_lives_and_nothing_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let (run, ran) = (dir.path().join("run"), dir.path().join("ran"));
    std::fs::create_dir(&run).unwrap();
    let flags = ["--flush-timeout", "200ms", "--run-dir", run.to_str().unwrap()];
    let script = format!("echo x >> {}; exec sleep 60", ran.display());

    let mut first = agent(&nowhere(), &flags, &script).stdout(Stdio::null()).spawn().unwrap();
    until("the command runs", || ran.exists()).await;
    assert_eq!(output(agent(&nowhere(), &flags, &script)).await.status.code(), Some(75));

    signal(&first, Signal::SIGKILL);
    wait(&mut first).await;
    // The lock went with the agent, although its command may still run: `started` is what holds now.
    assert_eq!(output(agent(&nowhere(), &flags, &script)).await.status.code(), Some(75));
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n");
    let started: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.join("started")).unwrap()).unwrap();
    assert!(started["pid"].is_u64() && started["started_at"].is_string(), "{started}");
}
