//! Docker is restarted under running workers, with and without them outliving it.

use std::sync::Arc;

use crate::world::{Grounds, Site};

/// Docker ends its containers with itself. That is nobody's fault, and tried again.
pub(crate) async fn a_docker_that_is_restarted_ends_workers_as_infrastructure(grounds: Arc<Grounds>) {
    let site = Site::start(&grounds, &[]).await;
    let command = "trap 'echo asked to end; exit 9' TERM; echo attempt $OTTO_ATTEMPT; \
                   [ $OTTO_ATTEMPT = 2 ] || { sleep 600 & wait; }";
    site.submit("restart", 2, &[("command", command), ("max_attempts", "2")]).await;
    let first = site.are("restart", 2, "running").await;
    for worker in &first {
        site.has_said(worker, "attempt 1").await;
    }
    grounds.restart(true, &[], async || site.is_ready(false).await).await;
    site.is_ready(true).await;
    let second = site.are("restart", 2, "succeeded").await;
    for worker in &first {
        assert_eq!(site.said("restart", worker).await, ["attempt 1", "asked to end"]);
    }
    for worker in &second {
        assert_eq!(site.said("restart", worker).await, ["attempt 2"]);
    }
    site.is_gone(None).await;
}

/// With live-restore containers outlive Docker, be it stopped or killed.
pub(crate) async fn workers_that_outlive_docker_go_on_and_are_told_once(grounds: Arc<Grounds>) {
    const LIVE: &[&str] = &["--live-restore"];
    grounds.restart(true, LIVE, async || ()).await;
    let site = Site::start(&grounds, &[]).await;
    let command = "echo began; while [ ! -e /through ]; do sleep 0.1; done; echo through; exit 4";
    site.submit("live", 2, &[("command", command)]).await;
    let workers = site.are("live", 2, "running").await;
    for (worker, gently) in workers.iter().zip([true, false]) {
        grounds.restart(gently, LIVE, async || site.is_ready(false).await).await;
        site.is_ready(true).await;
        grounds.docker(&["exec", worker, "/bin/busybox", "touch", "/through"]).await;
        assert_eq!(site.said("live", worker).await, ["began", "through"]);
    }
    let ended = site.are("live", 2, "failed").await;
    assert_eq!(ended, workers);
    site.is_gone(None).await;
}
