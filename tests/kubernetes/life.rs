//! A worker's life on Kubernetes, from its event to the end of its Pod.

use k8s_openapi::api::core::v1::Pod;
use ottoscaler_tests::kubelet_actor::Behaviour;
use ottoscaler_tests::{scaler, wait};

use crate::world::{LIMIT, World, event};

#[tokio::test]
async fn an_event_becomes_pods_that_cost_one_create_and_one_delete_each() {
    const WORKERS: usize = 20;
    let world = World::start().await;
    let replica = world.scaler().lead().await;
    let before = (world.api.pod_requests("POST").await, world.api.pod_requests("DELETE").await);
    let count = WORKERS.to_string();
    world.submit(&[("type", "scale_up"), ("pod_count", &count), ("task_id", "task-1")]).await;
    let pods = world.pods_are(WORKERS).await;
    world.run_through(&pods, 0).await;
    let ended = world.ended("task-1", WORKERS).await;
    assert!(ended.values().all(|entry| entry["state"] == "succeeded" && entry["exit_code"] == "0"));
    world.pods_are(0).await;
    // A Pod is gone before the answer to its delete has come.
    wait::until("the scaler knows of each create and delete", LIMIT, || async {
        let creates = replica.metric("otto_scaler_creates_total{kind=\"new\"}").await;
        let removes = replica.metric("otto_scaler_removes_total").await;
        if (creates, removes) == (20.0, 20.0) { Ok(()) } else { Err(format!("{creates} and {removes}")) }
    })
    .await;
    let posts = world.api.pod_requests("POST").await - before.0;
    let deletes = world.api.pod_requests("DELETE").await - before.1;
    assert_eq!((posts, deletes), (WORKERS as u64, WORKERS as u64), "by the API server's own count");
    assert!(replica.terminate().await.success());
}

#[tokio::test]
async fn p2_the_same_event_again_makes_no_second_pod() {
    let world = World::start().await;
    let _replica = world.scaler().lead().await;
    for _ in 0..5 {
        world.submit(&event("t", &[("request_id", "once")])).await;
    }
    world.submit(&event("marker", &[])).await;
    let names = world.pods_are(2).await;
    assert_eq!(names.iter().filter(|name| name.starts_with("otto-agent-t-")).count(), 1, "{names:?}");
}

#[tokio::test]
async fn a_pod_tells_its_worker_in_labels_and_annotations_and_passes_the_restricted_standard() {
    let world = World::start().await;
    world.restrict().await;
    let _replica = world.scaler().lead().await;
    let entry = world.submit(&event("Task_1/ä", &[("command", "echo $HOME"), ("repository", "r")])).await;
    let name = world.pods_are(1).await.pop_first().unwrap();
    let pod: Pod = world.pods().get(&name).await.unwrap();
    let (labels, annotations) = (pod.metadata.labels.unwrap(), pod.metadata.annotations.unwrap());
    assert_eq!(labels["app"], "otto-agent");
    assert_eq!(labels["managed-by"], "ottoscaler");
    assert_eq!(annotations["ottoscaler.dev/task-id"], "Task_1/ä");
    assert_eq!(annotations["ottoscaler.dev/entry-id"], entry);
}

#[tokio::test]
async fn a_scale_down_takes_what_waits_first_and_stops_the_rest_by_one_graceful_delete() {
    let world = World::start().await;
    let replica = world.scaler().with(&["--max-workers=2"]).lead().await;
    let _kubelet = world.kubelet().run(Behaviour::Stay);
    world.submit(&[("type", "scale_up"), ("worker_count", "3"), ("task_id", "t")]).await;
    world.pods_are(2).await;
    world.submit(&[("type", "scale_down"), ("worker_count", "2"), ("task_id", "t")]).await;
    let mut redis = world.redis().await;
    wait::until("the one that waits is cancelled", LIMIT, || async {
        let states = scaler::states(&mut redis.clone(), "t").await;
        let cancelled = states.values().filter(|entry| entry["state"] == "cancelled").count();
        if cancelled == 1 { Ok(()) } else { Err(format!("{states:#?}")) }
    })
    .await;
    assert_eq!(world.pod_names().await.len(), 2, "those that run stay");
    world.submit(&[("type", "scale_down"), ("task_id", "t")]).await;
    let ended = world.ended("t", 3).await;
    assert!(ended.values().all(|entry| entry["state"] == "cancelled"), "{ended:#?}");
    world.pods_are(0).await;
    let _unused: () = redis::cmd("PING").query_async::<String>(&mut redis).await.map(drop).unwrap();
    assert_eq!(replica.metric("otto_scaler_stops_total").await, 2.0);
}

#[tokio::test]
async fn p9_a_pod_stays_until_its_log_is_settled_and_a_log_left_open_is_closed_with_the_reason() {
    let mut world = World::start().await;
    let replica = world.scaler().lead().await;
    world.ingest.kill().await;
    let kubelet = world.kubelet();
    world.submit(&event("t", &[])).await;
    let name = world.pods_are(1).await.pop_first().unwrap();
    kubelet.bind(&name, "node-1").await;
    kubelet.start(&name).await;
    kubelet.finish(&name, 3, "").await;
    let ended = world.ended("t", 1).await;
    assert_eq!(ended[&name]["exit_code"], "3");
    let waits = |worker: &serde_json::Value| worker["waits_for"].as_str().unwrap().contains("log-ingest");
    let worker = world.explained(&replica, "t", waits).await;
    assert!(worker["next"].as_str().unwrap().contains("stays until its log is complete"), "{worker}");
    assert_eq!(world.pod_names().await.len(), 1, "its log is not settled");
    world.ingest.resume().await;
    world.pods_are(0).await;
    let text = world.log(&name).await;
    assert!(text.contains("the agent is gone and left the log open"), "{text:?}");
}
