//! What becomes of the claim of the logs, on a real API server: no release deletes it unasked, and what it cannot become
//! is refused before anything is made.

use std::collections::BTreeSet;
use std::path::PathBuf;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use ottoscaler_tests::kube_api::{ADMIN, KubeApi};
use serde_json::json;

use crate::api::{there, try_helm};
use crate::helm::{HELMS, RELEASE, case, chart};

/// The claim that the chart makes, and the StatefulSet that mounts it.
const INGEST: &str = "ottoscaler-log-ingest";

/// A release of one of the Helms, in a namespace of its own.
struct Release<'a> {
    api: &'a KubeApi,
    helm: &'static str,
    namespace: String,
    kubeconfig: PathBuf,
}

impl<'a> Release<'a> {
    async fn new(api: &'a KubeApi, helm: &'static str) -> Self {
        let namespace = api.namespace().await;
        let kubeconfig = api.kubeconfig(ADMIN, &namespace);
        Self { api, helm, namespace, kubeconfig }
    }

    /// Installs or upgrades it with these values.
    fn attempt(&self, how: &str, set: &[&str]) -> Result<String, String> {
        let (chart, values) = (chart(), case("trial").values);
        let mut args = vec![how, RELEASE, chart.to_str().unwrap(), "--values", values.to_str().unwrap()];
        for set in set {
            // As JSON a map or a list can be set, too.
            args.extend(["--set-json", *set]);
        }
        try_helm(self.helm, &self.kubeconfig, &self.namespace, &args)
    }

    fn done(&self, how: &str, set: &[&str]) {
        self.attempt(how, set).unwrap_or_else(|error| panic!("{}, {how}, {set:?}: {error}", self.helm));
    }

    fn refused(&self, how: &str, set: &[&str], words: &[&str]) {
        let error = self.attempt(how, set).expect_err(&format!("{}, {how}: {set:?} is taken", self.helm));
        for word in words {
            assert!(error.contains(word), "{}, {how}, {set:?}: no {word:?} in {error}", self.helm);
        }
    }

    fn uninstall(&self) {
        let args = ["uninstall", RELEASE, "--no-hooks"];
        try_helm(self.helm, &self.kubeconfig, &self.namespace, &args).unwrap();
    }

    fn claims(&self) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.api.client(ADMIN), &self.namespace)
    }

    async fn delete_scalers(&self) {
        let deployments: Api<Deployment> = Api::namespaced(self.api.client(ADMIN), &self.namespace);
        deployments.delete("ottoscaler", &DeleteParams::default()).await.unwrap();
    }

    async fn delete_ingest(&self) {
        let sets: Api<StatefulSet> = Api::namespaced(self.api.client(ADMIN), &self.namespace);
        sets.delete(INGEST, &DeleteParams::default()).await.unwrap();
    }
}

/// What becomes of it where nothing makes it any more.
const GONE: &str = "persistentvolumeclaim/ottoscaler-log-ingest is the release's no more";

/// That its logs are kept or not, that its objects are called otherwise, and that its old claim is mounted all the same.
const KEPT: &str = "logIngest.persistence.keep=true";
const UNKEPT: &str = "logIngest.persistence.keep=false";
const RENAMED: &str = "fullnameOverride=\"logs\"";
const MOUNTED: &str = "logIngest.persistence.existingClaim=\"ottoscaler-log-ingest\"";

#[tokio::test]
async fn what_would_delete_the_logs_of_another_name_is_refused_until_they_are_kept() {
    let api = KubeApi::start().await;
    for helm in HELMS {
        let release = Release::new(&api, helm).await;
        let way = [GONE, "First upgrade with logIngest.persistence.keep=true"];
        release.done("install", &[UNKEPT]);
        release.refused("upgrade", &[UNKEPT, MOUNTED], &way);
        release.refused("upgrade", &[UNKEPT, RENAMED], &way);
        // By log-ingest where the scalers are away, and by the claim where both are.
        release.delete_scalers().await;
        release.refused("upgrade", &[UNKEPT, RENAMED], &way);
        release.refused("upgrade", &[UNKEPT, RENAMED, MOUNTED], &way);
        release.delete_ingest().await;
        release.refused("upgrade", &[UNKEPT, RENAMED, MOUNTED], &way);
        // The way that is told there, which brings both back.
        release.done("upgrade", &[KEPT]);
        let first = ["first upgrade with logIngest.persistence.keep=true", "delete deployment ottoscaler "];
        release.refused("upgrade", &[UNKEPT, RENAMED, MOUNTED], &first);
        release.delete_scalers().await;
        release.done("upgrade", &[UNKEPT, RENAMED, MOUNTED]);
        let claim = release.claims().get(INGEST).await.unwrap();
        assert!(claim.metadata.deletion_timestamp.is_none(), "{helm}: {claim:?}");
        release.done("upgrade", &[UNKEPT, RENAMED, MOUNTED, "ottoscaler.replicas=3"]);
    }
}

/// Of the release as well, which goes on making it.
#[tokio::test]
async fn a_claim_among_more_objects_is_mounted() {
    let api = KubeApi::start().await;
    let claim = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "mine"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    let more = format!("extraObjects=[{claim}]");
    let mounted = "logIngest.persistence.existingClaim=\"mine\"";
    for helm in HELMS {
        let release = Release::new(&api, helm).await;
        release.done("install", &[&more]);
        release.done("upgrade", &[&more, mounted]);
        release.done("upgrade", &[&more, mounted, "ottoscaler.replicas=3"]);
    }
}

const FAST: &str = "logIngest.persistence.storageClass=\"fast\"";

/// What a claim of 20Gi whose class was named cannot become, and what is said.
const OTHERS: [(&[&str], &str); 3] = [
    (
        &["logIngest.persistence.storageClass=\"slow\""],
        "is of class \"fast\", which cannot be changed to \"slow\"",
    ),
    (&["ottoscaler.replicas=3"], "was made with the class \"fast\" named, which cannot be taken away"),
    (
        &[FAST, "logIngest.persistence.size=\"10Gi\""],
        "logIngest.persistence.size: 10Gi is less than the 20Gi of persistentvolumeclaim/ottoscaler-log-ingest",
    ),
];

#[tokio::test]
async fn what_the_claim_that_is_there_cannot_become_is_refused_before_anything_is_made() {
    let api = KubeApi::start().await;
    for helm in HELMS {
        let release = Release::new(&api, helm).await;
        release.done("install", &[FAST]);
        for (set, said) in OTHERS {
            release.refused("upgrade", set, &[said]);
        }
        release.done("upgrade", &[FAST, "ottoscaler.replicas=3"]);
        // A release of the same name takes it up again.
        release.uninstall();
        for (set, said) in OTHERS {
            release.refused("install", set, &[said]);
        }
        let left = BTreeSet::from([format!("PersistentVolumeClaim/{INGEST}")]);
        assert_eq!(there(&api, &release.namespace).await, left, "{helm}");
        // Written otherwise it is the same.
        let same = ["global.storageClass=\"fast\"", "logIngest.persistence.size=\"20480Mi\""];
        release.done("install", &same);
    }
}

#[tokio::test]
async fn a_class_that_the_cluster_has_filled_in_need_not_be_named() {
    let api = KubeApi::start().await;
    for helm in HELMS {
        let release = Release::new(&api, helm).await;
        release.done("install", &[]);
        let filled_in = Patch::Merge(json!({"spec": {"storageClassName": "standard"}}));
        release.claims().patch(INGEST, &PatchParams::default(), &filled_in).await.unwrap();
        release.done("upgrade", &["ottoscaler.replicas=3"]);
        let slow = ["logIngest.persistence.storageClass=\"slow\""];
        release.refused("upgrade", &slow, &["is of class \"standard\", which cannot be changed"]);
        // Helm 3 could not go back from that.
        let standard = ["logIngest.persistence.storageClass=\"standard\""];
        if helm == "helm3" {
            release.refused("upgrade", &standard, &["was made without a class named", "Leave it out"]);
        } else {
            release.done("upgrade", &standard);
            let back = ["rollback", RELEASE, "2"];
            try_helm(helm, &release.kubeconfig, &release.namespace, &back).unwrap();
        }
        release.uninstall();
        release.done("install", &[]);
        release.done("upgrade", &["ottoscaler.replicas=3"]);
        let claim = release.claims().get(INGEST).await.unwrap();
        assert_eq!(claim.spec.unwrap().storage_class_name.as_deref(), Some("standard"), "{helm}");
    }
}

/// Kubernetes takes less than was asked for then, if it is more than there is.
#[tokio::test]
async fn a_claim_that_could_not_grow_may_be_asked_for_less() {
    let api = KubeApi::start().await;
    let size = |size: &str| format!("logIngest.persistence.size=\"{size}\"");
    for helm in HELMS {
        let release = Release::new(&api, helm).await;
        release.done("install", &[&size("100Gi")]);
        release.refused("upgrade", &[&size("50Gi")], &["50Gi is less than the 100Gi"]);
        let (claims, params) = (release.claims(), PatchParams::default());
        let volume = Patch::Merge(json!({"spec": {"volumeName": "disk"}}));
        claims.patch(INGEST, &params, &volume).await.unwrap();
        let bound = Patch::Merge(json!({"status": {"phase": "Bound", "capacity": {"storage": "20Gi"}}}));
        claims.patch_status(INGEST, &params, &bound).await.unwrap();
        release.done("upgrade", &[&size("50Gi")]);
        release.refused("upgrade", &[&size("20Gi")], &["20Gi is less than the 50Gi"]);
    }
}
