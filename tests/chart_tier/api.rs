//! What a real API server says to it, where Pods have to keep to the restricted standard.

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use ottoscaler_tests::kube_api::{ADMIN, KubeApi};
use serde_json::{Value, json};

use crate::helm::{Object, case, objects};

/// A namespace that takes restricted Pods alone, called as in what is rendered.
async fn restricted(api: &KubeApi, name: &str) {
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace = json!({"metadata": {"name": name, "labels": labels}});
    let namespaces: Api<Namespace> = Api::all(api.client(ADMIN));
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.unwrap();
}

/// Names of kinds in URLs, as far as they are not the kind and an s.
fn plural(kind: &str) -> String {
    match kind {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        "Ingress" => "ingresses".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    }
}

async fn create(api: &KubeApi, object: &Object) {
    let kind: GroupVersionKind = {
        let version = object.value["apiVersion"].as_str().unwrap();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        GroupVersionKind::gvk(group, version, object.kind())
    };
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural(object.kind()));
    let namespace = object.value["metadata"]["namespace"].as_str().unwrap();
    let objects: Api<DynamicObject> = Api::namespaced_with(api.client(ADMIN), namespace, &resource);
    let manifest: DynamicObject = serde_json::from_value(object.value.clone()).unwrap();
    let created = objects.create(&PostParams::default(), &manifest).await;
    created.unwrap_or_else(|error| panic!("{}: {error}", object.id()));
}

/// The Pod that a workload's controller would make; none runs here.
async fn create_pod(api: &KubeApi, object: &Object, spec: &Value) {
    let namespace = object.value["metadata"]["namespace"].as_str().unwrap();
    let mut spec = spec.clone();
    // A claim's template is a volume once its controller has made the claim.
    for claim in object.value["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let volume = json!({"name": claim["metadata"]["name"], "emptyDir": {}});
        if spec["volumes"].is_null() {
            spec["volumes"] = json!([]);
        }
        spec["volumes"].as_array_mut().unwrap().push(volume);
    }
    let name = format!("{}-{}", object.name(), object.kind().to_lowercase());
    let pod = json!({"metadata": {"name": name}, "spec": spec});
    let pods: Api<Pod> = Api::namespaced(api.client(ADMIN), namespace);
    let created = pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await;
    created.unwrap_or_else(|error| panic!("the Pod of {}: {error}", object.id()));
}

#[tokio::test]
async fn a_namespace_that_enforces_the_restricted_standard_takes_all_of_it() {
    let api = KubeApi::start().await;
    restricted(&api, "otto").await;
    // No controller manager runs here that would make it.
    let accounts: Api<ServiceAccount> = Api::namespaced(api.client(ADMIN), "otto");
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();

    let objects = objects(&case("trial"));
    let (accounts, others): (Vec<_>, Vec<_>) =
        objects.iter().partition(|object| object.kind() == "ServiceAccount");
    for object in accounts.into_iter().chain(others) {
        create(&api, object).await;
        if let Some(spec) = object.pod().filter(|_| object.kind() != "Pod") {
            create_pod(&api, object, spec).await;
        }
    }
}
