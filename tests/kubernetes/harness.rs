//! The harness itself.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use nix::sys::signal::Signal;
use ottoscaler_tests::kube_api::{ADMIN, KubeApi, SCALER};
use ottoscaler_tests::kubelet_actor::{Behaviour, KubeletActor};
use ottoscaler_tests::wait;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

fn pod(name: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "worker", "image": "worker:1"}]},
    }))
    .unwrap()
}

/// The Pod's phase, and its container's exit code and message.
async fn state(pods: &Api<Pod>, name: &str) -> (String, Option<i32>, String) {
    let status = pods.get(name).await.unwrap().status.unwrap();
    let container = status.container_statuses.unwrap_or_default().pop().and_then(|known| known.state);
    let ended = container.and_then(|state| state.terminated);
    let message = ended.as_ref().and_then(|ended| ended.message.clone()).unwrap_or_default();
    (status.phase.unwrap(), ended.map(|ended| ended.exit_code), message)
}

async fn phase_is(pods: &Api<Pod>, name: &str, phase: &str) {
    wait::until(&format!("{name} is {phase}"), LIMIT, || async {
        let seen = state(pods, name).await;
        if seen.0 == phase { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

async fn is_gone(pods: &Api<Pod>, name: &str) {
    wait::until(&format!("{name} is gone"), LIMIT, || async {
        let found = pods.get_opt(name).await.map_err(|error| error.to_string())?;
        found.map_or(Ok(()), |pod| Err(format!("{:?}", pod.metadata)))
    })
    .await;
}

#[tokio::test]
async fn the_actor_takes_pods_through_their_lives() {
    let api = KubeApi::start().await;
    let namespace = api.namespace().await;
    let pods: Api<Pod> = Api::namespaced(api.client(ADMIN), &namespace);
    let create = async |name: &str| drop(pods.create(&PostParams::default(), &pod(name)).await.unwrap());
    let actor = KubeletActor::new(&api, &namespace);

    for name in ["good", "bad", "stuck", "evicted"] {
        create(name).await;
    }
    assert_eq!(api.pod_requests("POST").await, 4);
    assert_eq!(api.pod_requests("DELETE").await, 0);

    actor.unschedulable("good", "0/1 nodes are available").await;
    actor.bind("good", "node-1").await;
    actor.start("good").await;
    assert_eq!(state(&pods, "good").await.0, "Running");
    actor.finish("good", 0, "done").await;
    assert_eq!(state(&pods, "good").await, ("Succeeded".to_owned(), Some(0), "done".to_owned()));
    actor.start("bad").await;
    actor.finish("bad", 7, "broken").await;
    assert_eq!(state(&pods, "bad").await, ("Failed".to_owned(), Some(7), "broken".to_owned()));
    actor.waiting("stuck", "ImagePullBackOff", "no such image").await;
    actor.start("evicted").await;
    actor.evict("evicted").await;
    assert_eq!(pods.get("evicted").await.unwrap().status.unwrap().reason.unwrap(), "Evicted");

    create("deleted").await;
    actor.bind("deleted", "node-1").await;
    pods.delete("deleted", &DeleteParams::default()).await.unwrap();
    assert!(pods.get("deleted").await.unwrap().metadata.deletion_timestamp.is_some());
    actor.remove("deleted").await;
    is_gone(&pods, "deleted").await;

    // All of it by itself, and again after the API was away.
    let mut api = api;
    let running = actor.run(Behaviour::Exit(3));
    create("first").await;
    phase_is(&pods, "first", "Failed").await;
    phase_is(&pods, "stuck", "Failed").await;
    api.kill_api().await;
    api.resume_api().await;
    create("second").await;
    phase_is(&pods, "second", "Failed").await;
    assert_eq!(state(&pods, "second").await.1, Some(3));
    drop(running);

    let _running = actor.run(Behaviour::Stay);
    create("third").await;
    phase_is(&pods, "third", "Running").await;
    pods.delete("third", &DeleteParams::default()).await.unwrap();
    is_gone(&pods, "third").await;
}

#[tokio::test]
async fn the_api_server_hangs_and_goes_on() {
    let api = KubeApi::start().await;
    let pods: Api<Pod> = Api::namespaced(api.client(ADMIN), &api.namespace().await);
    api.signal_api(Signal::SIGSTOP);
    let hangs = tokio::time::timeout(Duration::from_millis(500), pods.get_opt("none")).await;
    assert!(hangs.is_err(), "{hangs:?}");
    api.signal_api(Signal::SIGCONT);
    assert!(pods.get_opt("none").await.unwrap().is_none());
}

#[tokio::test]
async fn the_scaler_may_do_nothing_by_itself() {
    let api = KubeApi::start().await;
    let namespace = api.namespace().await;
    let pods: Api<Pod> = Api::namespaced(api.client(SCALER), &namespace);
    let refused = pods.get_opt("none").await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");

    let file = Kubeconfig::read_from(api.kubeconfig(SCALER, &namespace)).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    assert_eq!(client.default_namespace(), namespace);
    client.apiserver_version().await.unwrap();
}
