//! Each way in which a worker does not get on or ends badly, on a real kubelet: its state, its class, and
//! what an operator is told, which is printed as it is.

use std::sync::Arc;

use kube::api::DeleteParams;
use ottoscaler_tests::scaler::Entry;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::world::{Grounds, Site};

/// The only worker of a task, once it has ended like this; the explanation of its end is printed.
async fn ended_as(site: &Site, what: &str, task: &str, state: &str, class: &str) -> (String, Entry) {
    let (worker, ended) = site.ended(task).await;
    assert_eq!((&*ended["state"], &*ended["class"]), (state, class), "{ended:?}");
    let explained = site.explained(task, |worker| worker["state"] == state).await;
    assert_eq!((&explained["class"], &explained["reason"]), (&json!(class), &json!(ended["reason"])));
    print(what, &explained);
    (worker, ended)
}

/// Waits until the only worker of a task waits for something that contains these words, and prints the
/// explanation.
async fn waits_for(site: &Site, what: &str, task: &str, words: &str) -> Value {
    let says = |worker: &Value| worker["waits_for"].as_str().is_some_and(|text| text.contains(words));
    let explained = site.explained(task, says).await;
    print(what, &explained);
    explained
}

fn print(what: &str, worker: &Value) {
    let text = |field: &str| worker[field].as_str().unwrap_or_default().to_owned();
    let words = match worker["class"].as_str() {
        Some(class) => format!("{} ({class}): {}", text("state"), text("reason")),
        None => format!("{}, waits for {}; next: {}", text("state"), text("waits_for"), text("next")),
    };
    println!("EXPLAIN {what}: {words}");
}

pub(crate) async fn an_image_name_that_can_never_be_fails_at_once(site: Arc<Site>) {
    site.submit("name", 1, &[("image", "no image::at all")]).await;
    let (worker, ended) = ended_as(&site, "invalid image name", "name", "failed", "policy").await;
    assert!(ended["reason"].contains("InvalidImageName"), "{ended:?}");
    site.is_gone(&worker).await;
}

/// A registry that has nothing.
async fn empty_registry(listener: TcpListener) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _whatever_it_asks = connection.read(&mut [0; 4096]).await;
        let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _it_may_have_gone = connection.write_all(answer).await;
    }
}

pub(crate) async fn an_image_that_is_not_there_is_waited_for_and_then_given_up(site: Arc<Site>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let image = format!("{}/none:1", listener.local_addr().unwrap());
    let mut registry = JoinSet::new();
    registry.spawn(empty_registry(listener));
    site.submit("image", 1, &[("image", &image)]).await;
    let waits = waits_for(&site, "image not there", "image", "Image").await;
    assert!(waits["next"].as_str().unwrap().contains("it fails (infra) if that lasts longer than 4s"));
    let (worker, ended) = ended_as(&site, "image not there", "image", "failed", "infra").await;
    assert!(ended["reason"].contains("not found"), "{ended:?}");
    site.is_gone(&worker).await;
}

pub(crate) async fn a_secret_that_is_not_there_is_waited_for_and_then_given_up(site: Arc<Site>) {
    site.submit("secret", 1, &[("secret_env", r#"{"TOKEN":"absent/token"}"#)]).await;
    waits_for(&site, "missing Secret", "secret", "CreateContainerConfigError").await;
    let (worker, ended) = ended_as(&site, "missing Secret", "secret", "failed", "policy").await;
    assert!(ended["reason"].contains("secret \"absent\" not found"), "{ended:?}");
    site.is_gone(&worker).await;
}

pub(crate) async fn a_worker_that_no_node_has_room_for_is_given_up_at_its_pending_timeout(site: Arc<Site>) {
    site.submit("huge", 1, &[("resource_class", "huge"), ("pending_timeout_seconds", "3")]).await;
    waits_for(&site, "no node has room", "huge", "Insufficient memory").await;
    let (worker, ended) = ended_as(&site, "no node has room", "huge", "failed", "policy").await;
    assert!(ended["reason"].starts_with("pending timeout"), "{ended:?}");
    site.is_gone(&worker).await;
}

pub(crate) async fn a_command_that_fails_is_its_users_and_keeps_its_code(site: Arc<Site>) {
    site.submit("fails", 1, &[("command", "echo broken >&2; exit 7")]).await;
    let (worker, ended) = ended_as(&site, "command fails", "fails", "failed", "user").await;
    assert_eq!(ended["exit_code"], "7");
    site.is_gone(&worker).await;
}

pub(crate) async fn a_command_that_runs_too_long_is_ended_and_its_lines_are_kept(site: Arc<Site>) {
    let command = "echo before; sleep 600";
    site.submit("late", 1, &[("timeout_seconds", "2"), ("command", command)]).await;
    let (worker, ended) = ended_as(&site, "deadline", "late", "failed", "policy").await;
    assert!(ended["reason"].starts_with("deadline"), "{ended:?}");
    site.grounds.ingest.completed("late", &worker).await;
    site.has_said(&worker, "before").await;
    site.is_gone(&worker).await;
}

/// Takes memory until there is none left.
const GREED: &str = "exec tail -c 500m /dev/zero";

pub(crate) async fn a_command_that_needs_too_much_memory_is_told_so(site: Arc<Site>) {
    let command = format!("echo before; {GREED}");
    site.submit("greedy", 1, &[("resource_class", "tight"), ("command", &command)]).await;
    let (worker, ended) = ended_as(&site, "OOM", "greedy", "failed", "policy").await;
    assert_eq!(ended["exit_code"], "137");
    assert!(ended["reason"].starts_with("out of memory"), "{ended:?}");
    // Whether the agent outlives the command is the kernel's to say, and so is who closes the log.
    site.grounds.ingest.completed("greedy", &worker).await;
    site.has_said(&worker, "before").await;
    site.is_gone(&worker).await;
}

pub(crate) async fn a_command_that_gets_over_a_child_without_memory_has_not_failed(site: Arc<Site>) {
    let command = "tail -c 500m /dev/zero; echo after; exit 0";
    site.submit("over-it", 1, &[("resource_class", "tight"), ("command", command)]).await;
    let (worker, ended) = site.ended("over-it").await;
    // With cgroup v2 the kernel ends all of the container together, and there is no "after".
    let (code, state) = (&*ended["exit_code"], &*ended["state"]);
    assert!([("0", "succeeded"), ("137", "failed")].contains(&(code, state)), "{ended:?}");
    site.grounds.ingest.completed("over-it", &worker).await;
    site.is_gone(&worker).await;
}

pub(crate) async fn an_agent_image_without_the_agent_is_infrastructure(grounds: Arc<Grounds>) {
    let site = Site::start(&grounds, &["--agent-image=bare:test"]).await;
    site.submit("agentless", 1, &[]).await;
    let (worker, ended) = ended_as(&site, "agent image without agent", "agentless", "failed", "infra").await;
    assert!(ended["reason"].contains("init container otto-agent failed"), "{ended:?}");
    site.is_gone(&worker).await;
}

pub(crate) async fn a_failing_init_container_is_infrastructure(site: Arc<Site>) {
    site.submit("setup", 1, &[("resource_class", "setup")]).await;
    let (worker, ended) = ended_as(&site, "init container", "setup", "failed", "infra").await;
    assert!(ended["reason"].contains("setup failed with 3: no such volume"), "{ended:?}");
    site.is_gone(&worker).await;
}

pub(crate) async fn a_pod_that_somebody_deletes_is_infrastructure(site: Arc<Site>) {
    site.submit("deleted", 1, &[("command", "echo before; exec sleep 600")]).await;
    let worker = site.are("deleted", 1, "running").await.remove(0);
    site.has_said(&worker, "before").await;
    site.pods().delete(&worker, &DeleteParams::default()).await.unwrap();
    let (_, ended) = ended_as(&site, "Pod deleted by hand", "deleted", "failed", "infra").await;
    assert!(ended["reason"].contains("its Pod was deleted"), "{ended:?}");
    site.grounds.ingest.completed("deleted", &worker).await;
    site.is_gone(&worker).await;
}

pub(crate) async fn a_pod_that_somebody_deletes_by_force_is_lost(site: Arc<Site>) {
    site.submit("forced", 1, &[("command", "echo before; exec sleep 600")]).await;
    let worker = site.are("forced", 1, "running").await.remove(0);
    site.has_said(&worker, "before").await;
    site.pods().delete(&worker, &DeleteParams::default().grace_period(0)).await.unwrap();
    let (_, ended) = ended_as(&site, "Pod deleted by force", "forced", "lost", "infra").await;
    assert!(ended["reason"].contains("its Pod was deleted"), "{ended:?}");
}

/// The last of all: nothing runs here any more after it.
pub(crate) async fn a_node_that_is_gone_takes_its_workers_with_it(site: &Site) {
    site.submit("stranded", 1, &[("command", "echo before; exec sleep 600")]).await;
    let worker = site.are("stranded", 1, "running").await.remove(0);
    site.has_said(&worker, "before").await;
    site.grounds.cluster.lose_node().await;
    let (_, ended) = ended_as(site, "node deleted", "stranded", "failed", "infra").await;
    assert!(ended["reason"].contains("node no longer exists"), "{ended:?}");
    let settled = |worker: &Value| worker["log"]["incomplete"].is_object() || worker["log"] == "complete";
    site.explained("stranded", settled).await;
    let last = site.grounds.lines(&worker).await.pop().unwrap();
    let marker = last["gap"]["reason"].as_str().unwrap();
    assert!(marker.contains("the agent is gone and left the log open"), "{last}");
    println!("EXPLAIN node deleted, in the log: {marker}");
}
