//! Each way in which a worker does not get on or ends badly: its class, and what an operator is told.

use std::collections::BTreeSet;

use ottoscaler_tests::{scaler, wait};

use crate::world::{LIMIT, World, event};

/// A World with one worker made, and the name of its Pod.
async fn one_worker(world: &World, more: &[(&str, &str)]) -> String {
    world.submit(&event("t", more)).await;
    world.pods_are(1).await.pop_first().unwrap()
}

fn says(field: &'static str, text: &'static str) -> impl Fn(&serde_json::Value) -> bool {
    move |worker| worker[field].as_str().is_some_and(|words| words.contains(text))
}

#[tokio::test]
async fn an_image_name_that_can_never_be_fails_at_once() {
    let world = World::start().await;
    let _replica = world.scaler().lead().await;
    let pod = one_worker(&world, &[]).await;
    world.kubelet().waiting(&pod, "InvalidImageName", "couldn't parse image name").await;
    let ended = world.ended("t", 1).await.remove(&pod).unwrap();
    assert_eq!((&*ended["state"], &*ended["class"]), ("failed", "policy"));
    assert!(ended["reason"].contains("couldn't parse image name"), "{ended:?}");
    world.pods_are(0).await;
}

#[tokio::test]
async fn an_image_that_does_not_come_is_waited_for_then_tried_again_then_given_up() {
    let world = World::start().await;
    let replica = world.scaler().with(&["--image-grace=2s"]).lead().await;
    let first = one_worker(&world, &[("max_attempts", "2")]).await;
    let kubelet = world.kubelet();
    kubelet.waiting(&first, "ErrImagePull", "manifest unknown").await;
    let worker = world.explained(&replica, "t", says("waits_for", "manifest unknown")).await;
    assert!(worker["next"].as_str().unwrap().contains("it fails (infra) if that lasts longer than 2s"));
    kubelet.waiting(&first, "ImagePullBackOff", "Back-off pulling image").await;
    let second = format!("{first}-r2");
    wait::until("the second attempt is made", LIMIT, || async {
        let names = world.pod_names().await;
        if names.iter().eq([&second]) { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;
    kubelet.waiting(&second, "ImagePullBackOff", "Back-off pulling image").await;
    let ended = world.ended("t", 2).await;
    assert!(ended[&first]["reason"].contains("attempt 2 of 2 follows"), "{ended:#?}");
    assert!(ended.values().all(|entry| entry["class"] == "infra"), "{ended:#?}");
}

#[tokio::test]
async fn a_worker_that_finds_no_node_is_explained_and_given_up_at_its_pending_timeout() {
    let world = World::start().await;
    let replica = world.scaler().lead().await;
    let pod = one_worker(&world, &[("pending_timeout_seconds", "3")]).await;
    world.kubelet().unschedulable(&pod, "0/3 nodes are available: 3 Insufficient memory.").await;
    let worker = world.explained(&replica, "t", says("waits_for", "Insufficient memory")).await;
    assert!(worker["next"].as_str().unwrap().contains("does not start within 3s"), "{worker}");
    let ended = world.ended("t", 1).await.remove(&pod).unwrap();
    let told = scaler::entries(&mut world.redis().await, scaler::STATUS).await;
    let event_id = format!("{pod}:pending:unschedulable");
    let obstacle = told.iter().find(|entry| entry["event_id"] == event_id).unwrap();
    assert!(obstacle["reason"].contains("Insufficient memory"), "{obstacle:?}");
    assert_eq!(ended["class"], "policy");
    assert!(
        ended["reason"].contains("pending timeout") && ended["reason"].contains("Insufficient"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn an_eviction_is_infrastructure_and_the_task_goes_on_in_another_pod() {
    let world = World::start().await;
    let _replica = world.scaler().lead().await;
    let first = one_worker(&world, &[("max_attempts", "3")]).await;
    let kubelet = world.kubelet();
    kubelet.start(&first).await;
    kubelet.evict(&first).await;
    let second = format!("{first}-r2");
    wait::until("the second attempt is made", LIMIT, || async {
        if world.pod_names().await.contains(&second) { Ok(()) } else { Err("it is not there".to_owned()) }
    })
    .await;
    kubelet.start(&second).await;
    kubelet.finish(&second, 0, "").await;
    let ended = world.ended("t", 2).await;
    assert_eq!((&*ended[&first]["class"], &*ended[&second]["state"]), ("infra", "succeeded"));
    assert!(ended[&first]["reason"].contains("low on resource"), "{ended:#?}");
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_is_noticed_at_once_and_its_worker_is_lost() {
    let world = World::start().await;
    let _replica = world.scaler().lead().await;
    let pod = one_worker(&world, &[]).await;
    world.kubelet().start(&pod).await;
    let mut redis = world.redis().await;
    wait::until("it runs", LIMIT, || async {
        let states = scaler::states(&mut redis.clone(), "t").await;
        if states.values().any(|entry| entry["state"] == "running") {
            Ok(())
        } else {
            Err(format!("{states:?}"))
        }
    })
    .await;
    world.pods().delete(&pod, &kube::api::DeleteParams::default().grace_period(0)).await.unwrap();
    let deleted = std::time::Instant::now();
    let ended = world.ended("t", 1).await.remove(&pod).unwrap();
    assert!(deleted.elapsed().as_secs() < 10, "noticed after {:?}", deleted.elapsed());
    assert_eq!((&*ended["state"], &*ended["class"]), ("lost", "infra"));
    assert!(ended["reason"].contains("deleted"), "{ended:?}");
    // Nobody made it again: it had an attempt, and that was it.
    let _unused: String = redis::cmd("PING").query_async(&mut redis).await.unwrap();
    assert_eq!(world.pod_names().await.len(), 0);
}

#[tokio::test]
async fn what_the_cluster_refuses_is_final_and_says_why() {
    let world = World::start().await;
    world.restrict().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("workers.yaml");
    std::fs::write(&file, "resourceClasses: { root: { security: baseline } }").unwrap();
    let flag = format!("--worker-config={}", file.display());
    let _replica = world.scaler().with(&[&flag]).lead().await;
    world.submit(&event("root", &[("resource_class", "root")])).await;
    world.submit(&event("huge", &[("resource_class", "huge")])).await;
    let root = world.ended("root", 1).await.into_values().next().unwrap();
    assert!(root["class"] == "policy" && root["reason"].contains("PodSecurity"), "{root:?}");
    let huge = world.ended("huge", 1).await.into_values().next().unwrap();
    assert!(huge["class"] == "policy" && huge["reason"].contains("no class \"huge\""), "{huge:?}");
}

#[tokio::test]
async fn a_task_that_asks_for_more_than_its_quota_holds_up_nobody_else() {
    let world = World::start().await;
    world.quota_of("requests.example.com/gpu", "0", "0").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("workers.yaml");
    let class = r#"
        resourceClasses:
          gpu: { podTemplate: { spec: { containers: [
            { name: worker, resources: { limits: { example.com/gpu: "1" } } } ] } } }"#;
    std::fs::write(&file, class).unwrap();
    let flag = format!("--worker-config={}", file.display());
    let replica = world.scaler().with(&[&flag]).lead().await;
    // First in order, the more urgent one, and of a tenant that has nothing yet.
    for task in ["gpu-1", "gpu-2", "gpu-3"] {
        world.submit(&event(task, &[("resource_class", "gpu"), ("priority", "9"), ("tenant", "a")])).await;
    }
    wait::until("the one that cannot be made is explained", LIMIT, || async {
        let text = replica.explain("gpu-1").await?.to_string();
        if text.contains("exceeded quota") { Ok(()) } else { Err(text) }
    })
    .await;
    for number in 0..20 {
        world.submit(&event(&format!("plain-{number}"), &[("tenant", "b")])).await;
    }
    world.pods_are(20).await;
    assert!(replica.explain("gpu-1").await.unwrap().to_string().contains("which could not make it at"));
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_waited_for_and_not_an_attempt() {
    let world = World::start().await;
    world.quota(2).await;
    let replica = world.scaler().lead().await;
    world.submit(&[("type", "scale_up"), ("worker_count", "3"), ("task_id", "t")]).await;
    let made = world.pods_are(2).await;
    let answer = wait::until("the one that waits is explained", LIMIT, || async {
        let text = replica.explain("t").await?.to_string();
        if text.contains("exceeded quota") { Ok(text) } else { Err(text) }
    })
    .await;
    assert!(answer.contains("which could not make it at"), "{answer}");
    world.run_through(&made, 0).await;
    world.quota(10).await;
    let third: BTreeSet<_> = wait::until("the third is made", LIMIT, || async {
        let names = world.pod_names().await;
        let third: BTreeSet<_> = names.difference(&made).cloned().collect();
        if third.len() == 1 { Ok(third) } else { Err(format!("{names:?}")) }
    })
    .await;
    world.run_through(&third, 0).await;
    let ended = world.ended("t", 3).await;
    assert!(ended.values().all(|entry| entry["state"] == "succeeded"), "{ended:#?}");
}
