//! `ottoscaler cleanup`: what `helm uninstall` ends with.

use std::process::Output;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Api;
use kube::api::PostParams;
use ottoscaler_tests::binary;
use ottoscaler_tests::kube_api::{ADMIN, SCALER};
use ottoscaler_tests::kubelet_actor::Behaviour;
use serde_json::json;
use tokio::process::Command;

use crate::world::{LIMIT, World};

/// Those of the chart's own role for it.
fn rules() -> Vec<PolicyRule> {
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["ottoscaler"], "verbs": ["delete"]},
    ]);
    serde_json::from_value(rules).unwrap()
}

async fn cleanup(world: &World) -> Output {
    let mut command = Command::new(binary::path("ottoscaler"));
    command.args(["cleanup", "--stop-within=1s"]).kill_on_drop(true);
    command.env("KUBECONFIG", world.api.kubeconfig(SCALER, &world.namespace));
    tokio::time::timeout(LIMIT, command.output()).await.expect("in time").unwrap()
}

#[tokio::test]
async fn nothing_is_left_but_what_is_others() {
    let world = World::start().await;
    let leases: Api<Lease> = Api::namespaced(world.api.client(ADMIN), &world.namespace);
    let replica = world.scaler().lead().await;
    world.submit(&[("type", "scale_up"), ("worker_count", "2"), ("task_id", "t")]).await;
    let two = world.pods_are(2).await;
    // One runs on a node, where it ends when its kubelet has ended it.
    let kubelet = world.kubelet();
    let runs = two.first().unwrap();
    kubelet.bind(runs, "node-1").await;
    kubelet.start(runs).await;
    replica.kill().await;
    assert!(leases.get_opt("ottoscaler").await.unwrap().is_some());

    let stranger = json!({
        "metadata": {"name": "stranger", "labels": {"managed-by": "ottoscaler", "app.kubernetes.io/instance": "another"}},
        "spec": {"containers": [{"name": "worker", "image": "worker:1"}]},
    });
    world
        .pods()
        .create(&PostParams::default(), &serde_json::from_value::<Pod>(stranger).unwrap())
        .await
        .unwrap();
    world.allow(rules()).await;
    let _kubelet = kubelet.run(Behaviour::Stay);
    let done = cleanup(&world).await;
    assert!(done.status.success(), "{done:?}");
    assert_eq!(world.pod_names().await.into_iter().collect::<Vec<_>>(), ["stranger"]);
    assert!(leases.get_opt("ottoscaler").await.unwrap().is_none());

    let again = cleanup(&world).await;
    assert!(again.status.success(), "{again:?}");
}

#[tokio::test]
async fn without_the_rights_it_fails_and_says_which() {
    let world = World::start().await;
    world.allow(Vec::new()).await;
    let refused = cleanup(&world).await;
    assert!(!refused.status.success(), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("cannot list the Pods of workers") && said.contains("forbidden"), "{said}");
}
