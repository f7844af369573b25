//! The scaler closes the log of a worker whose agent was killed, and not before what that left is in it.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::scaler::{ended, states, submit};
use ottoscaler_tests::{binary, oracle, wait};
use serde_json::Value;

use crate::end_to_end::System;
use crate::scaling::{kill_agent, until_state};
use crate::spool::all_spooled;

const LIMIT: Duration = Duration::from_mins(1);

const SCRIPT: Script = Script { seed: 33, lines: 20_000 };

/// A worker whose agent was killed while log-ingest was down: half of its lines are durable, and the rest is
/// in its spool.
struct Killed {
    system: System,
    worker: String,
    spool: PathBuf,
}

impl Killed {
    async fn of(task: &str) -> Self {
        let mut system = System::start(&[]).await;
        let mut redis = system.redis.connect().await;
        let (down, done) = (system.dir.path().join("down"), system.dir.path().join("done"));
        let command = format!(
            "{} --seed {} --lines {} --half-until {}; touch {}; exec sleep 600",
            binary::path("otto-chatter").display(),
            SCRIPT.seed,
            SCRIPT.lines,
            down.display(),
            done.display()
        );
        let fields = [("type", "scale_up"), ("worker_count", "1"), ("task_id", task), ("command", &command)];
        submit(&mut redis, &fields).await;
        until_state(&redis, task, "running", 1).await;
        let worker = states(&mut redis, task).await.into_keys().next().unwrap();
        wait::until("some lines are durable", LIMIT, || async {
            let lines = system.ingest.lines(&worker).await.map_err(|error| error.to_string())?.len();
            if lines > 1000 { Ok(()) } else { Err(format!("{lines} lines")) }
        })
        .await;
        system.ingest.kill().await;
        std::fs::write(&down, "").unwrap();
        let spool = all_spooled(&system.scaler.worker_file(&worker, "spool"), &done).await;
        kill_agent(&system.scaler, &worker);
        ended(&redis, task, 1).await;
        Self { system, worker, spool }
    }

    /// With log-ingest back: the log once it is closed, and its last entry, which is the closing marker.
    async fn closed(&mut self, task: &str) -> (Vec<Value>, Value) {
        self.system.ingest.resume().await;
        self.system.ingest.closed(task, &self.worker).await;
        let mut lines = self.system.ingest.lines(&self.worker).await.unwrap();
        let marker = lines.pop().unwrap();
        (lines, marker["gap"]["reason"].clone())
    }
}

#[tokio::test]
async fn p5_p9_what_a_killed_agent_left_is_in_its_log_once_before_that_is_closed() {
    let mut killed = Killed::of("killed").await;
    let (lines, marker) = killed.closed("killed").await;
    oracle::check(&killed.worker, &lines, SCRIPT);
    let marker = marker.as_str().unwrap();
    assert!(marker.starts_with("the agent is gone") && !marker.contains("spool"), "{marker}");
}

#[tokio::test]
async fn p9_a_spool_that_cannot_be_handed_in_is_named_where_the_log_breaks_off() {
    let mut killed = Killed::of("spoiled").await;
    let file = std::fs::OpenOptions::new().write(true).open(&killed.spool).unwrap();
    file.write_all_at(b"spoiled", 16).unwrap();
    let (lines, marker) = killed.closed("spoiled").await;
    assert!((1000..SCRIPT.lines).contains(&(lines.len() as u64)), "{} lines", lines.len());
    let marker = marker.as_str().unwrap();
    assert!(marker.contains("was not handed in") && marker.contains("damaged: the head"), "{marker}");
}
