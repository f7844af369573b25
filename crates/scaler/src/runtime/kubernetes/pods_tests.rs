use serde_json::json;

use super::*;
use crate::reconcile::testing::{at, worker_spec};
use crate::runtime::ObstacleKind;

/// A Pod of the worker of a task, with a status.
fn pod(task: &str, uid: &str, status: &serde_json::Value) -> WorkerPod {
    let spec = worker_spec(task, "r");
    let mut pod: WorkerPod = serde_json::from_value(json!({
        "metadata": { "name": spec.worker_id.to_string(), "uid": uid }, "status": status,
    }))
    .unwrap();
    pod.metadata.annotations = Some(names::annotations(&spec));
    pod
}

fn worker(state: &serde_json::Value) -> serde_json::Value {
    json!({ "phase": "Running", "containerStatuses": [
        { "name": "worker", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": state },
    ] })
}

fn running() -> serde_json::Value {
    worker(&json!({ "running": {} }))
}

fn ended() -> serde_json::Value {
    worker(&json!({ "terminated": { "exitCode": 0 } }))
}

fn id(task: &str) -> WorkerId {
    worker_spec(task, "r").worker_id
}

fn synced(pods: &[WorkerPod]) -> Pods {
    let mut known = Pods::default();
    known.list_begins();
    for pod in pods {
        known.seen(pod, at(1));
    }
    known.list_ends(at(1));
    known
}

fn phase_of(pods: &Pods, task: &str) -> Option<Phase> {
    pods.observe().unwrap().get(&id(task)).map(|observed| observed.phase.clone())
}

#[test]
fn before_the_first_list_is_complete_nothing_is_known() {
    let mut pods = Pods::default();
    assert_eq!(pods.observe(), Err(NotSynced));
    pods.list_begins();
    pods.seen(&pod("a", "1", &running()), at(1));
    assert_eq!(pods.observe(), Err(NotSynced));
    pods.list_ends(at(1));
    assert_eq!(pods.observe().unwrap().len(), 1);
}

#[test]
fn whoever_begins_to_lead_knows_nothing_before_a_list_of_its_own() {
    let mut pods = synced(&[pod("a", "1", &running())]);
    pods.list_begins();
    pods.forget_list();
    pods.list_ends(at(2));
    assert_eq!(pods.observe(), Err(NotSynced), "that list was older");
    pods.list_begins();
    pods.seen(&pod("b", "2", &running()), at(3));
    pods.list_ends(at(3));
    assert!(matches!(phase_of(&pods, "a"), Some(Phase::Vanished { .. })));
    assert!(matches!(phase_of(&pods, "b"), Some(Phase::Running { .. })));
}

#[test]
fn a_pod_made_here_outlives_a_list_that_is_older_than_it() {
    let mut pods = synced(&[]);
    pods.list_begins();
    pods.made(&pod("a", "1", &json!({})), at(2));
    pods.list_ends(at(3));
    assert!(matches!(phase_of(&pods, "a"), Some(Phase::Pending { .. })));
    pods.seen(&pod("a", "1", &running()), at(4));
    pods.list_begins();
    pods.list_ends(at(5));
    assert!(matches!(phase_of(&pods, "a"), Some(Phase::Vanished { .. })), "the watch has told of it since");
}

#[test]
fn an_answer_that_comes_after_the_watch_brings_nothing_back() {
    let mut pods = synced(&[]);
    pods.seen(&pod("a", "1", &json!({})), at(2));
    pods.deleted(&pod("a", "1", &json!({})), at(3));
    pods.made(&pod("a", "1", &json!({})), at(4));
    assert!(matches!(phase_of(&pods, "a"), Some(Phase::Vanished { .. })));
    assert_eq!(pods.uid(&id("a")), None);
}

#[test]
fn what_was_removed_here_is_not_brought_back_by_a_watch_that_lags() {
    let mut pods = synced(&[pod("a", "1", &ended())]);
    pods.remove(&id("a"));
    pods.seen(&pod("a", "1", &ended()), at(2));
    assert_eq!(phase_of(&pods, "a"), None);
    pods.deleted(&pod("a", "1", &ended()), at(3));
    assert_eq!(phase_of(&pods, "a"), None);
    pods.seen(&pod("a", "2", &running()), at(4));
    assert!(phase_of(&pods, "a").is_some(), "another Pod of the same name");
}

#[test]
fn a_pod_that_somebody_else_deleted_stays_with_its_last_words() {
    let mut pods = synced(&[pod("a", "1", &running()), pod("b", "2", &running()), pod("c", "3", &running())]);
    pods.deleted(&pod("a", "1", &ended()), at(5));
    pods.deleted(&pod("b", "2", &running()), at(5));
    pods.list_begins();
    pods.list_ends(at(6));
    assert!(matches!(phase_of(&pods, "a"), Some(Phase::Ended(_))));
    assert!(matches!(phase_of(&pods, "b"), Some(Phase::Vanished { .. })));
    assert!(matches!(phase_of(&pods, "c"), Some(Phase::Vanished { noticed_at, .. }) if noticed_at == at(6)));
    pods.remove(&id("a"));
    assert_eq!(phase_of(&pods, "a"), None);
    assert_eq!(pods.worker(&id("a")), None);
}

#[test]
fn an_obstacle_counts_from_when_it_was_first_seen() {
    let waiting = |reason: &str| worker(&json!({ "waiting": { "reason": reason } }));
    let since = |pods: &Pods| match phase_of(pods, "a") {
        Some(Phase::Pending { obstacle: Some(obstacle), .. }) => (obstacle.kind, obstacle.since),
        other => panic!("{other:?}"),
    };
    let mut pods = synced(&[]);
    pods.seen(&pod("a", "1", &waiting("ErrImagePull")), at(10));
    pods.seen(&pod("a", "1", &waiting("ImagePullBackOff")), at(20));
    assert_eq!(since(&pods), (ObstacleKind::Image, at(10)));
    pods.seen(&pod("a", "1", &waiting("CreateContainerConfigError")), at(30));
    assert_eq!(since(&pods), (ObstacleKind::Configuration, at(30)));
}

#[test]
fn a_stop_shows_before_the_watch_tells_of_it() {
    let mut pods = synced(&[pod("a", "1", &running())]);
    pods.stopping(&id("a"));
    assert!(pods.worker(&id("a")).unwrap().stopping);
}

/// The leader removes them; nobody would here, and there is no end of them.
#[test]
fn a_replica_that_follows_forgets_pods_that_have_been_gone_for_a_while() {
    let mut pods = synced(&[pod("a", "1", &running()), pod("b", "2", &running()), pod("c", "3", &running())]);
    pods.deleted(&pod("a", "1", &ended()), at(100));
    pods.deleted(&pod("b", "2", &ended()), at(150));
    pods.forget_gone(SignedDuration::from_secs(60), at(170));
    assert_eq!(phase_of(&pods, "a"), None);
    assert!(matches!(phase_of(&pods, "b"), Some(Phase::Ended(_))), "its end may not be on record yet");
    assert!(phase_of(&pods, "c").is_some_and(|phase| phase.takes_capacity()));
    assert_eq!(pods.uid(&id("c")).as_deref(), Some("3"));
}
