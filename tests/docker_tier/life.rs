//! What becomes of many workers: scaled down, made by a scaler that is killed in between, or by two.

use std::sync::Arc;

use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::worker_images::{BARE, PROGRAM};
use ottoscaler_tests::{oracle, wait};
use serde_json::json;

use crate::world::{Grounds, LIMIT, Site};

/// What selects volumes that hold an agent.
const AGENT: &str = "label=app.kubernetes.io/component=agent";

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
    for worker in [first, stays] {
        assert_eq!(site.said("down", &worker).await, ["before", "asked to end"]);
        site.is_gone(Some(&worker)).await;
    }
}

/// What each worker of a task has said, and no worker said it twice.
async fn each_said(site: &Site, task: &str, workers: &[String], expected: &[&str]) {
    for worker in workers {
        assert_eq!(site.said(task, worker).await, expected, "{worker}");
    }
}

/// P1, P2: some workers run, some are being made, some wait when the scaler is killed, again and again.
pub(crate) async fn p1_p2_a_scaler_that_is_killed_in_between_runs_each_command_once(grounds: Arc<Grounds>) {
    const WORKERS: usize = 6;
    const LINES: u32 = 20;
    let mut site = Site::start(&grounds, &["--max-workers=4"]).await;
    let slow = "echo began; sleep 3; echo through";
    site.submit("slow", WORKERS, &[("command", slow)]).await;
    let command = json!([PROGRAM, LINES.to_string(), "0"]).to_string();
    site.submit("quick", WORKERS, &[("image", BARE), ("command", &command)]).await;
    site.are("slow", 2, "running").await;
    for _again in 0..3 {
        site.kill_scaler().await;
        site.resume_scaler().await;
        // At another point each time, and never waited for longer than it takes to be ready.
        site.is_ready(true).await;
    }
    let slow = site.are("slow", WORKERS, "succeeded").await;
    let quick = site.are("quick", WORKERS, "succeeded").await;
    each_said(&site, "slow", &slow, &["began", "through"]).await;
    for worker in &quick {
        // Its lines, those on stderr, and the last without a newline; a second run would have said more.
        let said = site.said("quick", worker).await.len();
        assert_eq!(said, LINES as usize + LINES.div_ceil(7) as usize + 1, "{worker}");
    }
    site.is_gone(None).await;
}

/// P2: the second one takes over while the first is making workers.
pub(crate) async fn p2_two_scalers_make_each_worker_once(grounds: Arc<Grounds>) {
    const WORKERS: usize = 6;
    let site = Site::start(&grounds, &[]).await;
    site.submit("twice", WORKERS, &[("command", "echo began; sleep 2; echo through")]).await;
    let _second = site.another_scaler().await;
    let workers = site.are("twice", WORKERS, "succeeded").await;
    each_said(&site, "twice", &workers, &["began", "through"]).await;
    site.is_gone(None).await;
}

/// P1: its end was asked for before the scaler was killed, and the next one knows.
pub(crate) async fn p1_a_stop_is_not_asked_for_twice_by_the_next_scaler(grounds: Arc<Grounds>) {
    let mut site = Site::start(&grounds, &["--grace-period=1min"]).await;
    let command = "trap 'echo asked to end' TERM; echo before; \
                   while [ ! -e /tmp/asked ]; do sleep 0.1; done; echo through";
    site.submit("asked", 1, &[("command", command)]).await;
    let worker = site.are("asked", 1, "running").await.remove(0);
    site.has_said(&worker, "before").await;
    site.scale_down("asked", 0).await;
    site.has_said(&worker, "asked to end").await;
    // Between the signal and its mark the next one would rightly ask again.
    let mark = ["exec", &*worker, "/bin/busybox", "stat", "/run/otto/stopping"];
    wait::until("the stop is marked", LIMIT, || async {
        grounds.engine().await.docker(&mark).await.map(drop)
    })
    .await;
    site.kill_scaler().await;
    site.resume_scaler().await;
    site.is_ready(true).await;
    grounds.docker(&["exec", &worker, "/bin/busybox", "touch", "/tmp/asked"]).await;
    site.are("asked", 1, "cancelled").await;
    let said = site.said("asked", &worker).await;
    // The shell itself may say that the signal ended its child.
    let said: Vec<_> = said.iter().filter(|line| *line != "Terminated").collect();
    assert_eq!(said, ["before", "asked to end", "through"]);
}

/// P9: log-ingest is away when the command ends. Its container stays until every line has come.
pub(crate) async fn p9_a_container_stays_until_its_log_is_complete(grounds: Arc<Grounds>) {
    let ip = grounds.engine().await.ip();
    let mut ingest = Ingest::start_on(ip, &grounds.dir.path().join("p9"), &[]).await;
    let flags = ["--keep-ended=0s", "--drain-timeout=5min"];
    let site = Site::start_with(&grounds, &ingest.url(), &flags).await;
    site.submit("drain", 1, &[("command", "echo one; sleep 2; echo two")]).await;
    let worker = site.are("drain", 1, "running").await.remove(0);
    ingest.kill().await;
    // The command ends while nobody takes its lines, and its agent goes on for them.
    wait::until("the command has ended", LIMIT, || async {
        let top = grounds.docker(&["top", &worker, "-o", "pid,args"]).await;
        if top.lines().count() == 2 { Ok(()) } else { Err(top) }
    })
    .await;
    assert!(site.names("container").await.contains(&worker));
    ingest.resume().await;
    ingest.completed("drain", &worker).await;
    let lines = ingest.lines(&worker).await.unwrap();
    oracle::check_sequences(&worker, &lines);
    assert_eq!(oracle::bytes(&lines, "stdout"), b"one\ntwo\n");
    site.is_gone(Some(&worker)).await;
}

pub(crate) async fn a_network_and_an_agents_volume_that_somebody_removes_are_made_again(
    grounds: Arc<Grounds>,
) {
    let site = Site::start(&grounds, &["--docker-network=otto-gone", "--image-grace=1min"]).await;
    site.submit("there", 1, &[("command", "echo there")]).await;
    site.are("there", 1, "succeeded").await;
    site.is_gone(None).await;
    grounds.docker(&["network", "rm", "otto-gone"]).await;
    let volumes =
        grounds.docker(&["volume", "ls", "--quiet", "--filter", &site.label(), "--filter", AGENT]).await;
    assert_eq!(volumes.lines().count(), 1, "{volumes}");
    grounds.docker(&["volume", "rm", volumes.trim()]).await;
    site.submit("again", 1, &[("command", "echo again")]).await;
    let worker = site.are("again", 1, "succeeded").await.remove(0);
    assert_eq!(site.said("again", &worker).await, ["again"]);
    site.is_gone(None).await;
}
