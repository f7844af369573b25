//! Several replicas: one leads, and another goes on when it is gone.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ottoscaler_tests::kube_scaler::Replica;
use ottoscaler_tests::wait;

use crate::world::{LIMIT, World, event};

/// The one that leads and the one that does not.
async fn two(world: &World) -> (Replica, Replica) {
    let scaler = world.scaler();
    let leader = scaler.lead().await;
    let other = scaler.start().await;
    (leader, other)
}

/// Has `after` make a worker, and says how long that took from now.
async fn taken_over(world: &World, task: &str) -> Duration {
    let begun = Instant::now();
    let before = world.pod_names().await.len();
    world.submit(&event(task, &[])).await;
    world.pods_are(before + 1).await;
    begun.elapsed()
}

#[tokio::test]
async fn a_leader_that_is_killed_is_followed_within_five_seconds() {
    let world = World::start().await;
    let (leader, mut other) = two(&world).await;
    world.submit(&event("before", &[])).await;
    world.pods_are(1).await;
    assert_eq!(other.get("/tasks").await.0, 503);
    wait::until("the one that follows is ready", LIMIT, || async {
        match other.get("/readyz").await {
            (200, _) => Ok(()),
            (_, text) => Err(text),
        }
    })
    .await;
    leader.kill().await;
    let took = taken_over(&world, "after").await;
    eprintln!("failover after SIGKILL: {took:?} (from the event to its Pod)");
    assert!(took < Duration::from_secs(10), "{took:?}");
    other.leads().await;
    assert_eq!(other.get("/tasks").await.0, 200);
}

#[tokio::test]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() {
    let world = World::start().await;
    let (leader, _other) = two(&world).await;
    let begun = Instant::now();
    let status = leader.terminate().await;
    let stopped = begun.elapsed();
    assert!(status.success());
    let took = taken_over(&world, "after").await;
    eprintln!("hand-over: stopped within {stopped:?}, next worker {took:?} after");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn p2_a_leader_that_was_frozen_longer_than_its_lease_does_no_harm() {
    let world = World::start().await;
    let (mut leader, mut other) = two(&world).await;
    world.submit(&event("before", &[])).await;
    let first = world.pods_are(1).await;
    assert_eq!(leader.metric("otto_scaler_leads").await, 1.0);
    assert_eq!(other.metric("otto_scaler_leads").await, 0.0);
    wait::until("the leader counts its worker", LIMIT, || async {
        let pending = leader.metric("otto_scaler_workers{kind=\"pending\"}").await;
        if pending > 0.0 { Ok(()) } else { Err(format!("{pending}")) }
    })
    .await;
    leader.signal(Signal::SIGSTOP);
    other.leads().await;
    // It ends, and is removed, under the new leader; the old one knows nothing of that.
    world.run_through(&first, 0).await;
    world.ended("before", 1).await;
    world.pods_are(0).await;
    world.submit(&event("between", &[])).await;
    let second = world.pods_are(1).await;
    leader.signal(Signal::SIGCONT);
    wait::until("the old leader knows that it leads no more", LIMIT, || async {
        match leader.get("/tasks").await {
            (503, _) => Ok(()),
            (status, text) => Err(format!("{status}: {text}")),
        }
    })
    .await;
    assert!(leader.service().is_running(), "it stays, to follow");
    assert_eq!(world.pod_names().await, second, "nothing was made again");
    let creates = leader.metric("otto_scaler_creates_total{kind=\"new\"}").await;
    assert_eq!(creates, 1.0);
    // Both are asked for their metrics: what the old one counted would be counted twice.
    for gauge in ["otto_scaler_leads", "otto_scaler_workers{kind=\"pending\"}"] {
        assert_eq!(leader.metric(gauge).await, 0.0, "{gauge}");
    }
    assert_eq!(other.metric("otto_scaler_leads").await, 1.0);
    other.kill().await;
    let took = taken_over(&world, "after").await;
    eprintln!("and it leads again {took:?} after the other was killed");
}
