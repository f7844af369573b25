//! The API server refuses, is slow, loses its answers and cuts its watches, by a proxy before it.

use std::collections::BTreeSet;
use std::time::Duration;

use ottoscaler_tests::api_proxy::{ApiProxy, Asked, Fault};
use ottoscaler_tests::kube_scaler::KubeScaler;
use ottoscaler_tests::kubelet_actor::Behaviour;
use ottoscaler_tests::redis_server::Persistence;
use ottoscaler_tests::{scaler, wait};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{LIMIT, World, event};

async fn proxied(world: &World) -> (ApiProxy, KubeScaler) {
    let proxy = ApiProxy::start(&world.api, &world.namespace).await;
    let scaler = KubeScaler::by_kubeconfig(proxy.kubeconfig(), &world.redis.url(), &world.ingest.url());
    (proxy, scaler)
}

/// An event that asks for so many workers of a task.
fn workers<'a>(task: &'a str, count: &'a str) -> [(&'a str, &'a str); 3] {
    [("type", "scale_up"), ("worker_count", count), ("task_id", task)]
}

/// The time from the first create, which was refused, to the one after it.
fn pause(proxy: &ApiProxy) -> Duration {
    let creates = proxy.seen(Asked::Create);
    assert!(creates[0].1.is_some(), "{creates:?}");
    creates[1].0 - creates[0].0
}

#[tokio::test]
async fn an_api_server_that_is_asked_too_much_is_left_alone_for_as_long_as_it_says() {
    for fault in [Fault::Refuse(429, 2), Fault::Refuse(503, 2), Fault::TooMuch(2)] {
        let world = World::start().await;
        let (proxy, scaler) = proxied(&world).await;
        let replica = scaler.lead().await;
        proxy.fail(Asked::Create, fault, 1);
        world.submit(&event("t", &[])).await;
        world.pods_are(1).await;
        assert!(pause(&proxy) >= Duration::from_secs(2), "{fault:?}: {:?}", pause(&proxy));
        assert_eq!(proxy.seen(Asked::Create).len(), 2, "{fault:?}");
        drop(replica);
    }
}

#[tokio::test]
async fn errors_of_the_api_server_hold_workers_up_and_are_told_but_lose_none() {
    let world = World::start().await;
    let (proxy, scaler) = proxied(&world).await;
    let replica = scaler.lead().await;
    proxy.fail(Asked::Create, Fault::Refuse(500, 0), usize::MAX);
    world.submit(&workers("t", "3")).await;
    let waits = |worker: &serde_json::Value| {
        worker["waits_for"].as_str().is_some_and(|words| words.contains("planned: InternalError (500)"))
    };
    world.explained(&replica, "t", waits).await;
    proxy.relent();
    let pods = world.pods_are(3).await;
    world.run_through(&pods, 0).await;
    proxy.fail(Asked::Delete, Fault::Refuse(500, 0), 4);
    world.ended("t", 3).await;
    world.pods_are(0).await;
}

#[tokio::test]
async fn p2_an_answer_that_is_lost_makes_no_second_pod_and_leaves_none() {
    let world = World::start().await;
    let (proxy, scaler) = proxied(&world).await;
    let _replica = scaler.lead().await;
    proxy.fail(Asked::Create, Fault::LoseAnswer, 2);
    world.submit(&workers("t", "2")).await;
    let pods = world.pods_are(2).await;
    proxy.fail(Asked::Delete, Fault::LoseAnswer, 2);
    world.run_through(&pods, 0).await;
    let ended = world.ended("t", 2).await;
    assert!(ended.keys().eq(&pods), "{ended:#?}");
    world.pods_are(0).await;
}

#[tokio::test]
async fn a_create_that_takes_too_long_is_asked_for_again_under_the_same_name() {
    let world = World::start().await;
    let (proxy, scaler) = proxied(&world).await;
    let _replica = scaler.lead().await;
    // Beyond the time limit of a call, which is half of the Lease's four seconds.
    proxy.fail(Asked::Create, Fault::Slow(Duration::from_secs(3)), 1);
    world.submit(&event("t", &[])).await;
    let pods = world.pods_are(1).await;
    wait::until("it was asked for again", LIMIT, || async {
        let creates = proxy.seen(Asked::Create).len();
        if creates > 1 { Ok(()) } else { Err(creates.to_string()) }
    })
    .await;
    world.run_through(&pods, 0).await;
    world.ended("t", 1).await;
    world.pods_are(0).await;
}

#[tokio::test]
async fn p3_what_changes_while_the_watch_is_cut_or_its_place_is_gone_is_seen_all_the_same() {
    let world = World::start().await;
    let (proxy, scaler) = proxied(&world).await;
    let replica = scaler.with(&["--keep-ended=1h"]).lead().await;
    world.submit(&workers("t", "3")).await;
    let pods: Vec<String> = world.pods_are(3).await.into_iter().collect();
    let kubelet = world.kubelet();
    for (pod, fault) in pods.iter().zip([Fault::Refuse(500, 0), Fault::Gone, Fault::Refuse(410, 0)]) {
        // It comes to know nothing until the change has been made.
        proxy.fail(Asked::Watch, fault, 2);
        proxy.fail(Asked::List, Fault::Refuse(503, 0), 1);
        proxy.cut_watches();
        kubelet.start(pod).await;
        kubelet.finish(pod, 0, "").await;
        let state = |answer: &serde_json::Value| {
            let workers = answer["workers"].as_array().into_iter().flatten();
            let of_pod = workers.filter(|worker| worker["worker_id"] == **pod);
            of_pod.map(|worker| worker["state"].as_str().unwrap_or_default().to_owned()).collect::<String>()
        };
        wait::until("its end is seen", LIMIT, || async {
            let answer = replica.explain("t").await?;
            if state(&answer) == "succeeded" { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }
    assert!(replica.metric("otto_scaler_watch_failures_total").await >= 3.0);
    assert_eq!(proxy.seen(Asked::Get).len(), 0, "the watch alone tells of Pods");
}

#[tokio::test]
async fn a_token_that_has_expired_holds_everything_up_until_there_is_another() {
    let world = World::start().await;
    let (proxy, scaler) = proxied(&world).await;
    let replica = scaler.lead().await;
    world.submit(&event("before", &[])).await;
    let first = world.pods_are(1).await;
    proxy.fail(None, Fault::Refuse(401, 0), usize::MAX);
    proxy.cut_watches();
    world.submit(&event("meanwhile", &[])).await;
    wait::until("it says that it does not lead", LIMIT, || async {
        let (status, text) = replica.get("/tasks/meanwhile").await;
        if status == 200 && !text.contains("lead") { Err(text) } else { Ok(()) }
    })
    .await;
    world.run_through(&first, 0).await;
    proxy.relent();
    world.ended("before", 1).await;
    wait::until("the first goes and the second comes", LIMIT, || async {
        let names = world.pod_names().await;
        if names.len() == 1 && names.is_disjoint(&first) { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;
}

/// The whole at once: events that repeat, requests that fail in every way, watches that are cut.
#[tokio::test]
async fn p1_p2_p3_every_event_has_exactly_its_workers_whatever_the_api_server_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let seed = number("OTTO_TEST_SEED").unwrap_or_else(rand::random);
    let events = number("OTTO_TEST_EVENTS").unwrap_or(200);
    eprintln!("OTTO_TEST_SEED={seed} OTTO_TEST_EVENTS={events}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::with(Persistence::AppendOnly).await;
    let (proxy, scaler) = proxied(&world).await;
    let _kubelet = world.kubelet().run(Behaviour::Exit(0));
    let births = crate::births::Births::watch(&world).await;
    let last = scaler.clone();
    let scaler = scaler.with(&["--keep-ended=1h", "--lease-duration=2s"]);
    let mut replica = scaler.lead().await;
    proxy.fail_at_random(
        seed,
        0.25,
        &[
            Fault::Refuse(429, 0),
            Fault::Refuse(500, 0),
            Fault::Refuse(503, 0),
            Fault::TooMuch(1),
            Fault::LoseAnswer,
            Fault::Slow(Duration::from_millis(500)),
            Fault::Gone,
        ],
    );
    let mut keys = BTreeSet::new();
    for at in 0..events {
        let key = rng.random_range(0..events * 3 / 4).to_string();
        world.submit(&event("t", &[("request_id", &key)])).await;
        keys.insert(key);
        if rng.random_bool(0.05) {
            proxy.cut_watches();
        }
        if at % (events / 4) == events / 8 {
            replica.kill().await;
            if at > events / 2 {
                world.redis.kill().await;
                world.redis.resume().await;
            }
            replica = scaler.start().await;
        }
    }
    let ended = world.ended("t", keys.len()).await;
    proxy.relent();
    assert!(ended.values().all(|entry| entry["state"] == "succeeded"), "{ended:#?}");
    // The last entries may repeat events whose workers have long ended.
    wait::until("nothing is left on the stream", LIMIT, || async {
        let left = scaler::entries(&mut world.redis().await, scaler::EVENTS).await.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} entries")) }
    })
    .await;
    assert_eq!(world.pod_names().await.len(), keys.len());
    // A quarter of some 150 requests or more: that so few fail by chance does not happen.
    assert!(proxy.faults() > usize::try_from(events / 20).unwrap(), "{} faults", proxy.faults());
    replica.kill().await;
    let _replica = last.lead().await;
    world.pods_are(0).await;
    assert_eq!(births.count().await, keys.len(), "each worker's Pod was made once");
}
