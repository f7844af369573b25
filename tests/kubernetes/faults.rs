//! The API server, Redis and the scaler fail, one at a time and together.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use ottoscaler_tests::kubelet_actor::Behaviour;
use ottoscaler_tests::redis_server::Persistence;
use ottoscaler_tests::{scaler, wait};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{LIMIT, World, event};

#[tokio::test]
async fn workers_and_events_outlive_an_api_server_that_is_killed() {
    let mut world = World::start().await;
    let replica = world.scaler().lead().await;
    world.submit(&event("before", &[])).await;
    let first = world.pods_are(1).await;
    world.api().kill_api().await;
    world.submit(&event("meanwhile", &[])).await;
    world.api().resume_api().await;
    let both = world.pods_are(2).await;
    assert!(both.is_superset(&first));
    world.run_through(&both, 0).await;
    assert_eq!(world.ended("before", 1).await.into_values().next().unwrap()["state"], "succeeded");
    assert_eq!(world.ended("meanwhile", 1).await.into_values().next().unwrap()["state"], "succeeded");
    world.pods_are(0).await;
    assert!(replica.metric("otto_scaler_watch_failures_total").await > 0.0);
}

#[tokio::test]
async fn an_api_server_that_hangs_holds_up_nothing_for_good() {
    let world = World::start().await;
    let _replica = world.scaler().lead().await;
    world.api.signal_api(Signal::SIGSTOP);
    world.submit(&event("t", &[])).await;
    // Longer than the lease: the scaler has given up leading.
    tokio::time::sleep(Duration::from_secs(6)).await;
    world.api.signal_api(Signal::SIGCONT);
    world.pods_are(1).await;
}

#[tokio::test]
async fn p1_redis_that_is_flushed_costs_no_running_worker_and_runs_none_again() {
    let world = World::start().await;
    let replica = world.scaler().with(&["--max-workers=2"]).lead().await;
    world.submit(&[("type", "scale_up"), ("worker_count", "2"), ("task_id", "t"), ("request_id", "r")]).await;
    let pods = world.pods_are(2).await;
    for pod in &pods {
        world.kubelet().start(pod).await;
    }
    replica.kill().await;
    let mut redis = world.redis().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
    let replica = world.scaler().with(&["--max-workers=2"]).lead().await;
    wait::until("the record is written again", LIMIT, || async {
        let rebuilt = replica.metric("otto_scaler_records_rebuilt_total").await;
        if rebuilt == 1.0 { Ok(()) } else { Err(rebuilt.to_string()) }
    })
    .await;
    // The same event again: it is on record.
    world.submit(&[("type", "scale_up"), ("worker_count", "2"), ("task_id", "t"), ("request_id", "r")]).await;
    world.run_through(&pods, 0).await;
    let ended = world.ended("t", 2).await;
    assert!(ended.values().all(|entry| entry["state"] == "succeeded"), "{ended:#?}");
    world.pods_are(0).await;
}

/// Events with repeats, a kubelet that ends each worker at once, and the scaler killed at random.
#[tokio::test]
async fn p1_p2_every_event_has_exactly_its_workers_however_often_the_scaler_is_killed() {
    const EVENTS: usize = 100;
    let seed = std::env::var("OTTO_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("OTTO_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::with(Persistence::AppendOnly).await;
    let _kubelet = world.kubelet().run(Behaviour::Exit(0));
    let scaler = world.scaler().with(&["--keep-ended=1h", "--lease-duration=2s"]);
    let mut replica = scaler.lead().await;
    let mut keys = BTreeSet::new();
    for number in 0..EVENTS {
        let key = rng.random_range(0..EVENTS * 3 / 4).to_string();
        world.submit(&event("t", &[("request_id", &key)])).await;
        keys.insert(key);
        if number % 25 == 24 {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..400))).await;
            replica.kill().await;
            if number == 49 {
                world.redis.kill().await;
                world.redis.resume().await;
            }
            if number == 74 {
                world.api().kill_api().await;
                world.api().resume_api().await;
            }
            replica = scaler.lead().await;
        }
    }
    let ended = world.ended("t", keys.len()).await;
    assert!(ended.values().all(|entry| entry["state"] == "succeeded"), "{ended:#?}");
    let names = world.pod_names().await;
    assert_eq!(names.len(), keys.len(), "one Pod for each key");
    let mut redis = world.redis().await;
    assert_eq!(scaler::entries(&mut redis, scaler::EVENTS).await.len(), 0, "nothing is left on the stream");
    drop(replica);
    let replica = world.scaler().with(&["--keep-ended=0s"]).lead().await;
    world.pods_are(0).await;
    drop(replica);
}
