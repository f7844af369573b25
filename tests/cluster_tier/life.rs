//! What becomes of many workers: scaled down, and made by a scaler that is killed in between.

use std::sync::Arc;

use kube::api::EvictParams;
use ottoscaler_tests::{oracle, wait};
use serde_json::{Value, json};

use crate::images::{BARE, PROGRAM};
use crate::world::{Grounds, LIMIT, Site};

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

pub(crate) async fn a_worker_that_is_evicted_is_tried_again(site: Arc<Site>) {
    let command = "echo attempt $OTTO_ATTEMPT; [ $OTTO_ATTEMPT = 2 ] || exec sleep 600";
    site.submit("evicted", 1, &[("max_attempts", "2"), ("command", command)]).await;
    let first = site.are("evicted", 1, "running").await.remove(0);
    site.has_said(&first, "attempt 1").await;
    site.pods().evict(&first, &EvictParams::default()).await.unwrap();
    let second = site.are("evicted", 1, "succeeded").await.remove(0);
    site.has_said(&second, "attempt 2").await;
    let worker = site.explained("evicted", |worker| worker["state"] == "succeeded").await;
    let before = &worker["earlier"][0];
    assert_eq!(before["verdict"]["failed"], "infra", "{worker}");
    assert!(word(&before["reason"]).contains("EvictionByEvictionAPI"), "{worker}");
    println!(
        "EXPLAIN Pod evicted: attempt {}, earlier: failed (infra): {}",
        word(&worker["attempt"]),
        word(&before["reason"])
    );
    site.is_gone(&first).await;
    site.is_gone(&second).await;
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
    // Lines alone would not show it: a second run in another Pod would find its log closed.
    wait::until("the kubelet has told of every start", LIMIT, || async {
        let starts = site.starts().await;
        if starts >= 2 * WORKERS { Ok(()) } else { Err(starts.to_string()) }
    })
    .await;
    site.no_pod_is_left().await;
    assert_eq!(site.starts().await, 2 * WORKERS, "each command was started once");
}
