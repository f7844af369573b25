//! What becomes of many workers: scaled down, made by a scaler that is killed in between, or by two.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ottoscaler_tests::docker_proxy::DockerProxy;
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

/// What a shell in a worker's container prints.
async fn shell(grounds: &Grounds, worker: &str, script: &str) -> Result<String, String> {
    grounds.engine().await.docker(&["exec", worker, "/bin/busybox", "sh", "-c", script]).await
}

/// P5, P9: an agent is killed while log-ingest is away; what it had saved is in the log, once, before that is closed.
/// The spool is that of the image's user.
pub(crate) async fn p5_p9_what_a_killed_agent_left_is_in_its_log_before_that_is_closed(
    grounds: Arc<Grounds>,
) {
    const LINES: usize = 2_000;
    let ip = grounds.engine().await.ip();
    let mut ingest = Ingest::start_on(ip, &grounds.dir.path().join("left"), &[]).await;
    let mut site = Site::start_with(&grounds, &ingest.url(), &["--drain-timeout=5min"]).await;
    let command = format!(
        "echo durable; while [ ! -e /tmp/away ]; do sleep 0.1; done; \
         i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); done; touch /tmp/said; exec sleep 600"
    );
    site.submit("left", 1, &[("image", "nobody:test"), ("command", &command)]).await;
    let worker = site.are("left", 1, "running").await.remove(0);
    wait::until("a line is durable", LIMIT, || async {
        let lines = ingest.lines(&worker).await.map_err(|error| format!("{error:#}"))?;
        if lines.is_empty() { Err("none".to_owned()) } else { Ok(()) }
    })
    .await;
    ingest.kill().await;
    shell(&grounds, &worker, "touch /tmp/away").await.unwrap();
    let before = Mutex::new(String::new());
    wait::until("all lines are in the spool", LIMIT, || async {
        let look = "[ -e /tmp/said ] && stat -c %s /run/otto/spool/*.spool";
        let bytes = shell(&grounds, &worker, look).await?;
        let is_stable = bytes == std::mem::replace(&mut *before.lock().unwrap(), bytes.clone());
        // Lines go there within a second and a quarter.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        if is_stable { Ok(()) } else { Err(bytes) }
    })
    .await;
    grounds.docker(&["kill", &worker]).await;
    site.ended("left").await;
    // What is to be done about it is known to whoever comes next.
    site.kill_scaler().await;
    site.resume_scaler().await;
    ingest.resume().await;
    ingest.closed("left", &worker).await;
    let mut lines = ingest.lines(&worker).await.unwrap();
    let marker = lines.pop().unwrap()["gap"]["reason"].clone();
    assert!(marker.as_str().unwrap().starts_with("the agent is gone"), "{marker}");
    oracle::check_sequences(&worker, &lines);
    let expected: String = std::iter::once("durable\n".to_owned())
        .chain((0..LINES).map(|line| format!("line {line}\n")))
        .collect();
    assert_eq!(String::from_utf8(oracle::bytes(&lines, "stdout")).unwrap(), expected);
    site.is_gone(None).await;
    let left = grounds.docker(&["ps", "--all", "--quiet", "--filter", &site.label()]).await;
    assert_eq!(left, "", "what handed it in has gone, too");
}

/// A scaler comes to a Docker that lists a container and does not say how it is.
pub(crate) async fn a_container_that_cannot_be_looked_at_holds_up_no_other(grounds: Arc<Grounds>) {
    let socket = grounds.engine().await.socket();
    let proxy = DockerProxy::start(&grounds.dir.path().join("proxy.sock"), &socket);
    let host = format!("--docker-host={}", proxy.host());
    let mut site = Site::start(&grounds, &[&host]).await;
    site.submit(
        "stuck",
        1,
        &[("command", "echo before; while [ ! -e /tmp/on ]; do sleep 0.1; done; echo after")],
    )
    .await;
    let stuck = site.are("stuck", 1, "running").await.remove(0);
    site.has_said(&stuck, "before").await;
    site.kill_scaler().await;
    proxy.lose(&stuck);
    site.resume_scaler().await;
    site.is_ready(true).await;
    site.submit("other", 1, &[("command", "echo other")]).await;
    let other = site.are("other", 1, "succeeded").await.remove(0);
    assert_eq!(site.said("other", &other).await, ["other"]);
    assert_eq!(site.are("stuck", 1, "running").await, [&*stuck], "it is left as it is");
    grounds.docker(&["exec", &stuck, "/bin/busybox", "touch", "/tmp/on"]).await;
    proxy.find_all();
    assert_eq!(site.are("stuck", 1, "succeeded").await, [&*stuck]);
    assert_eq!(site.said("stuck", &stuck).await, ["before", "after"]);
    site.is_gone(None).await;
}

/// Its workers reach log-ingest in it. What Docker's firewall keeps from them is Docker's: this one runs without a firewall.
pub(crate) async fn an_internal_network_is_made_and_one_that_has_a_way_out_is_refused(grounds: Arc<Grounds>) {
    const NETWORK: [&str; 2] = ["--docker-network=otto-closed", "--docker-internal=true"];
    // The first makes it; then it is known where log-ingest can listen in it.
    drop(Site::start(&grounds, &NETWORK).await);
    let about =
        ["network", "inspect", "--format", "{{.Internal}} {{(index .IPAM.Config 0).Gateway}}", "otto-closed"];
    let about = grounds.docker(&about).await;
    let gateway = about.trim().strip_prefix("true ").unwrap_or_else(|| panic!("{about}"));
    let dir = grounds.dir.path().join("closed");
    let ingest = Ingest::start_on(gateway.parse().unwrap(), &dir, &[]).await;
    let site = Site::start_with(&grounds, &ingest.url(), &NETWORK).await;
    site.submit("inside", 1, &[("command", "echo inside")]).await;
    let worker = site.are("inside", 1, "succeeded").await.remove(0);
    ingest.completed("inside", &worker).await;
    let lines = ingest.lines(&worker).await.unwrap();
    assert_eq!(oracle::bytes(&lines, "stdout"), b"inside\n", "{lines:?}");
    site.is_gone(None).await;

    let usual = Site::start(&grounds, &[]).await;
    let refused = usual.command().arg(NETWORK[1]).output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("--docker-internal"), "{said}");
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
