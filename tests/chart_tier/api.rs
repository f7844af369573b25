//! What a real API server says to it, where Pods have to keep to the restricted standard.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use ottoscaler_tests::chart_tools::shell;
use ottoscaler_tests::document::Document;
use ottoscaler_tests::kube_api::{ADMIN, KubeApi, SCALER};
use ottoscaler_tests::rights;
use serde_json::{Value, json};

use crate::helm::{HELMS, Object, RELEASE, case, chart, objects, text, tool};

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

/// Where objects of this one's kind are, in a namespace.
fn of_kind(api: &KubeApi, object: &Object, namespace: &str) -> Api<DynamicObject> {
    let version = object.value["apiVersion"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, object.kind());
    let resource = ApiResource::from_gvk_with_plural(&kind, &plural(object.kind()));
    Api::namespaced_with(api.client(ADMIN), namespace, &resource)
}

async fn create(api: &KubeApi, object: &Object) {
    let namespace = object.value["metadata"]["namespace"].as_str().unwrap();
    let manifest: DynamicObject = serde_json::from_value(object.value.clone()).unwrap();
    let created = of_kind(api, object, namespace).create(&PostParams::default(), &manifest).await;
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

/// Runs one of the Helms against this API server; gives what it says, or what it says against it.
fn run(mut command: Command, kubeconfig: &Path) -> Result<String, String> {
    command.env("KUBECONFIG", kubeconfig);
    // What caches of discovery hold is about another API server.
    command.env("HOME", kubeconfig.parent().unwrap()).env("NO_PROXY", "127.0.0.1");
    let output = command.output().unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Has one of the Helms do something to the release, or refuse it.
pub(crate) fn try_helm(
    helm: &str,
    kubeconfig: &Path,
    namespace: &str,
    args: &[&str],
) -> Result<String, String> {
    let mut command = tool(helm);
    command.args(args).args(["--namespace", namespace]);
    run(command, kubeconfig)
}

/// The same, which has to succeed.
fn helm(helm: &str, kubeconfig: &Path, namespace: &str, args: &[&str]) -> String {
    let done = try_helm(helm, kubeconfig, namespace, args);
    done.unwrap_or_else(|error| panic!("{helm} {args:?}: {error}"))
}

/// Which of the chart's objects are there; hooks come and go by themselves.
pub(crate) async fn there(api: &KubeApi, namespace: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for object in objects(&case("trial")) {
        let is_hook = !object.value["metadata"]["annotations"]["helm.sh/hook"].is_null();
        let known = of_kind(api, &object, namespace).get_opt(object.name()).await.unwrap();
        if !is_hook && known.is_some() {
            found.insert(object.id());
        }
    }
    found
}

#[tokio::test]
async fn a_release_is_installed_upgraded_rolled_back_and_leaves_the_log_volume_which_the_next_one_takes_up() {
    let api = KubeApi::start().await;
    let (chart, values) = (chart(), case("trial").values);
    let with = ["--values", values.to_str().unwrap()];
    for name in HELMS {
        let namespace = api.namespace().await;
        let kubeconfig = api.kubeconfig(ADMIN, &namespace);
        let helm = |args: &[&str]| helm(name, &kubeconfig, &namespace, args);
        let chart = chart.to_str().unwrap();
        let replicas = async || {
            let deployments: Api<Deployment> = Api::namespaced(api.client(ADMIN), &namespace);
            deployments.get("ottoscaler").await.unwrap().spec.unwrap().replicas
        };
        helm(&[&["install", RELEASE, chart][..], &with].concat());
        let all = there(&api, &namespace).await;
        assert!(all.len() > 15, "{all:?}");
        let more = ["--set", "ottoscaler.replicas=3,redis.bundled.resources.limits.memory=1Gi"];
        helm(&[&["upgrade", RELEASE, chart][..], &with, &more].concat());
        assert_eq!(replicas().await, Some(3), "{name}");
        helm(&["rollback", RELEASE, "1"]);
        assert_eq!((replicas().await, there(&api, &namespace).await), (Some(2), all.clone()), "{name}");

        // Its last Job would wait for a kubelet; what that does has tests of its own.
        helm(&["uninstall", RELEASE, "--no-hooks"]);
        let left = there(&api, &namespace).await;
        assert_eq!(
            left.into_iter().collect::<Vec<_>>(),
            ["PersistentVolumeClaim/ottoscaler-log-ingest"],
            "{name}"
        );
        helm(&[&["install", RELEASE, chart][..], &with].concat());
        assert_eq!(there(&api, &namespace).await, all, "{name}");
    }
}

/// What nobody on this API server waits for: no kubelet runs here.
const WAIT: &str = " --wait";

#[tokio::test]
async fn an_upgrade_by_the_pages_own_commands_keeps_what_was_set() {
    let api = KubeApi::start().await;
    let (page, chart) = (Document::read("docs/upgrade.md"), chart());
    for name in HELMS {
        let namespace = api.namespace().await;
        let kubeconfig = api.kubeconfig(ADMIN, &namespace);
        let set = ["--set", "redis.bundled.enabled=true,ottoscaler.replicas=3"];
        let install = [&["install", RELEASE, chart.to_str().unwrap()][..], &set].concat();
        helm(name, &kubeconfig, &namespace, &install);
        let dir = tempfile::tempdir().unwrap();
        for beginning in ["helm get values ", "helm upgrade ", "helm rollback "] {
            let line = page
                .command(beginning)
                .replace("--namespace ottoscaler", &format!("--namespace {namespace}"));
            let done = run(shell(name, dir.path(), &line.replace(WAIT, "")), &kubeconfig);
            done.unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
            let deployments: Api<Deployment> = Api::namespaced(api.client(ADMIN), &namespace);
            let replicas = deployments.get("ottoscaler").await.unwrap().spec.unwrap().replicas;
            assert_eq!(replicas, Some(3), "{name}: {line}");
        }
        let history = helm(name, &kubeconfig, &namespace, &["history", RELEASE, "--output=json"]);
        let history: Value = serde_json::from_str(&history).unwrap();
        assert_eq!(history.as_array().unwrap().len(), 3, "installed, upgraded and rolled back: {history}");
    }
}

#[tokio::test]
async fn what_would_leave_running_workers_behind_is_refused_while_there_is_a_scaler() {
    let api = KubeApi::start().await;
    let (chart, values) = (chart(), case("trial").values);
    for name in HELMS {
        let (namespace, other) = (api.namespace().await, api.namespace().await);
        let kubeconfig = api.kubeconfig(ADMIN, &namespace);
        let with = [RELEASE, chart.to_str().unwrap(), "--values", values.to_str().unwrap()];
        let upgrade = |set: &str| {
            try_helm(name, &kubeconfig, &namespace, &[&["upgrade"][..], &with, &["--set", set]].concat())
        };
        helm(name, &kubeconfig, &namespace, &[&["install"][..], &with].concat());
        let moved = format!("worker.namespace={other}");
        for (set, named) in [
            (&*moved, "worker.namespace"),
            ("ottoscaler.instance=another", "ottoscaler.instance"),
            ("fullnameOverride=another", "fullnameOverride"),
            ("nameOverride=another", "nameOverride"),
            ("fullnameOverride=another,ottoscaler.instance=ottoscaler", "another log-ingest"),
            (NO_SCALER, "ottoscaler.enabled"),
        ] {
            let error = upgrade(set).expect_err(&format!("{name}: {set} is taken"));
            for word in [named, "delete deployment ottoscaler ", "docs/upgrade.md"] {
                assert!(error.contains(word), "{name}, {set}: no {word:?} in {error}");
            }
        }
        // The way that is told there, which brings the scalers back; and the one that Helm goes alone.
        let deployments: Api<Deployment> = Api::namespaced(api.client(ADMIN), &namespace);
        deployments.delete("ottoscaler", &DeleteParams::default()).await.unwrap();
        upgrade(&moved).unwrap_or_else(|error| panic!("{name}: {error}"));
        let moved_to = deployments.get("ottoscaler").await.unwrap();
        assert!(serde_json::to_string(&moved_to).unwrap().contains(&other), "{name}: {moved_to:?}");
        upgrade(&format!("{moved},ottoscaler.replicas=0")).unwrap();
        upgrade(NO_SCALER).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(deployments.get_opt("ottoscaler").await.unwrap().is_none(), "{name}");
    }
}

/// Without a Redis too, which is the scaler's.
const NO_SCALER: &str = "ottoscaler.enabled=false,redis.bundled.enabled=false";

/// A deployer's rights, who does all that Helm does and lists nothing but Helm's own records.
fn deployer() -> Vec<PolicyRule> {
    let verbs = ["get", "create", "update", "patch", "delete", "bind", "escalate"];
    let rules = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]},
    ]);
    serde_json::from_value(rules).unwrap()
}

#[tokio::test]
async fn who_may_list_no_deployment_upgrades_all_the_same_and_is_refused_what_others_are() {
    let api = KubeApi::start().await;
    let (chart, values) = (chart(), case("trial").values);
    for name in HELMS {
        let (namespace, other) = (api.namespace().await, api.namespace().await);
        let kubeconfig = api.kubeconfig(ADMIN, &namespace);
        // By its own name its Role would be the deployer's.
        let with = [RELEASE, chart.to_str().unwrap(), "--values", values.to_str().unwrap()];
        let with = [&with[..], &["--set", "fullnameOverride=ci"]].concat();
        helm(name, &kubeconfig, &namespace, &[&["install"][..], &with].concat());
        rights::allow(&api, &namespace, deployer()).await;
        let kubeconfig = api.kubeconfig(SCALER, &namespace);
        let upgrade = |set: &str| {
            try_helm(name, &kubeconfig, &namespace, &[&["upgrade"][..], &with, &["--set", set]].concat())
        };
        upgrade("ottoscaler.replicas=3").unwrap_or_else(|error| panic!("{name}: {error}"));
        let error = upgrade(&format!("worker.namespace={other}")).unwrap_err();
        assert!(error.contains("worker.namespace: is"), "{name}: {error}");
        let error = upgrade("fullnameOverride=another").unwrap_err();
        assert!(error.contains("cannot list resource \"deployments\""), "{name}: {error}");
    }
}

#[tokio::test]
async fn what_would_delete_the_logs_is_refused_until_they_are_kept() {
    let api = KubeApi::start().await;
    let (chart, values) = (chart(), case("trial").values);
    for name in HELMS {
        let namespace = api.namespace().await;
        let kubeconfig = api.kubeconfig(ADMIN, &namespace);
        let with = [RELEASE, chart.to_str().unwrap(), "--values", values.to_str().unwrap()];
        let with = [&with[..], &["--set", "logIngest.persistence.keep=false"]].concat();
        let upgrade = |set: &str| {
            try_helm(name, &kubeconfig, &namespace, &[&["upgrade"][..], &with, &["--set", set]].concat())
        };
        helm(name, &kubeconfig, &namespace, &[&["install"][..], &with].concat());
        let moved = "logIngest.persistence.existingClaim=mine";
        for set in [moved, "logIngest.persistence.enabled=false", "logIngest.config.store=memory"] {
            let error = upgrade(set).expect_err(&format!("{name}: {set} is taken"));
            for word in ["persistentvolumeclaim/ottoscaler-log-ingest", "logIngest.persistence.keep=true"] {
                assert!(error.contains(word), "{name}, {set}: no {word:?} in {error}");
            }
        }
        // The way that is told there.
        upgrade("logIngest.persistence.keep=true").unwrap();
        upgrade(moved).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Nobody takes a deleted one away here.
        let claims: Api<PersistentVolumeClaim> = Api::namespaced(api.client(ADMIN), &namespace);
        let claim = claims.get("ottoscaler-log-ingest").await.unwrap();
        assert!(claim.metadata.deletion_timestamp.is_none(), "{name}: {claim:?}");
        upgrade("logIngest.persistence.enabled=false").unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// What the API server refuses in the middle of an upgrade, if the chart has not before: each with something else than
/// it is.
const FIXED: [(&str, &str); 7] = [
    ("global.storageClass", "\"another\""),
    ("logIngest.persistence.accessModes", "[\"ReadWriteMany\"]"),
    ("logIngest.persistence.selector", "{\"disk\":\"fast\"}"),
    ("logIngest.persistence.storageClass", "\"another\""),
    ("redis.bundled.persistence.enabled", "false"),
    ("redis.bundled.persistence.size", "\"2Gi\""),
    ("redis.bundled.persistence.storageClass", "\"another\""),
];

#[tokio::test]
async fn the_page_names_what_no_upgrade_can_change() {
    let text = Document::read("docs/upgrade.md").text;
    let row = text.lines().find(|line| line.starts_with("| never |")).unwrap();
    let values = row.split(" | ").nth(1).unwrap();
    let mut named: Vec<_> = values.split('`').skip(1).step_by(2).collect();
    named.sort_unstable();
    assert_eq!(named, FIXED.map(|(name, _)| name));
    let api = KubeApi::start().await;
    let (chart, values) = (chart(), case("trial").values);
    let namespace = api.namespace().await;
    let kubeconfig = api.kubeconfig(ADMIN, &namespace);
    // A claim without a class may still be given one.
    let class = ["--set-json", "global.storageClass=\"fast\""];
    let with =
        [&[RELEASE, chart.to_str().unwrap(), "--values", values.to_str().unwrap()][..], &class].concat();
    helm("helm3", &kubeconfig, &namespace, &[&["install"][..], &with].concat());
    for (name, value) in FIXED {
        let set = format!("{name}={value}");
        let upgrade = [&["upgrade"][..], &with, &["--set-json", &set]].concat();
        let error =
            try_helm("helm3", &kubeconfig, &namespace, &upgrade).expect_err(&format!("{set} is taken"));
        // By the chart where Helm 3 could not go back.
        let by_us = name.ends_with("storageClass") && !name.starts_with("redis");
        let is_said = if by_us {
            error.contains("is of class \"fast\", which cannot be changed")
        } else {
            error.contains("orbidden") || error.contains("immutable")
        };
        assert!(is_said, "{set}: {error}");
    }
}
