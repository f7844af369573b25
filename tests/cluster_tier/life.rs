//! What becomes of many workers: scaled down, and made by a scaler that is killed in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottoscaler_tests::oracle;
use serde_json::{Value, json};

use crate::images::{BARE, PROGRAM};
use crate::world::{Grounds, Site};

pub(crate) async fn a_scale_down_ends_workers_gently_and_keeps_their_lines(site: Arc<Site>) {
    // busybox's shell waits for its child before it heeds a signal, unless it waits by itself.
    let command = "trap 'echo asked to end; exit 0' TERM; echo before; sleep 600 & wait";
    site.submit("down", 2, &[("command", command)]).await;
    for worker in site.are("down", 2, "running").await {
        site.has_said(&worker, "before").await;
    }
    site.scale_down("down", 1).await;
    let first = site.are("down", 1, "cancelled").await.remove(0);
    let stays = site.are("down", 1, "running").await.remove(0);
    site.scale_down("down", 0).await;
    site.are("down", 2, "cancelled").await;
    let worker = site.explained("down", |worker| worker["state"] == "cancelled").await;
    println!("EXPLAIN scale_down: cancelled ({}): {}", word(&worker["class"]), word(&worker["reason"]));
    for worker in [first, stays] {
        site.grounds.ingest.completed("down", &worker).await;
        let lines = site.grounds.lines(&worker).await;
        let said: Vec<_> = lines.iter().map(|line| word(&line["message"])).collect();
        assert_eq!(said, ["before", "asked to end"]);
        site.is_gone(&worker).await;
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// P1, P2: some workers run, some are being made, some wait when the scaler is killed.
pub(crate) async fn p1_p2_a_scaler_that_is_killed_in_between_runs_each_command_once(grounds: Arc<Grounds>) {
    const WORKERS: usize = 6;
    const LINES: u32 = 20;
    let mut site = Site::start(&grounds, &["--max-workers=3"]).await;
    let slow = "echo began; sleep 4; echo through";
    site.submit("slow", WORKERS, &[("command", slow)]).await;
    let command = json!([PROGRAM, LINES.to_string(), "0"]).to_string();
    site.submit("quick", WORKERS, &[("image", BARE), ("command", &command)]).await;
    site.are("slow", 2, "running").await;
    site.kill_scaler().await;
    site.resume_scaler().await;
    let slow = site.are("slow", WORKERS, "succeeded").await;
    let quick = site.are("quick", WORKERS, "succeeded").await;
    for worker in &slow {
        grounds.ingest.completed("slow", worker).await;
        let lines = grounds.lines(worker).await;
        oracle::check_sequences(worker, &lines);
        let said: Vec<_> = lines.iter().map(|line| word(&line["message"])).collect();
        assert_eq!(said, ["began", "through"], "{worker}");
    }
    for worker in &quick {
        grounds.ingest.completed("quick", worker).await;
        let lines = grounds.lines(worker).await;
        oracle::check_sequences(worker, &lines);
        let out = lines.iter().filter(|line| line["source"] == "stdout").count();
        assert_eq!(out, LINES as usize + 1, "{worker}");
    }
    let workers: BTreeSet<_> = slow.into_iter().chain(quick).collect();
    assert_eq!(workers.len(), 2 * WORKERS);
    site.no_pod_is_left().await;
}
