//! What of a Pod matters once it is made: who it is, and how it fares. The larger part of what the API
//! server tells of it, its spec and who manages which field, is not even taken out of the answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer};

/// See the module. Answers that hold metadata alone are read as one without a status.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct WorkerPod {
    #[serde(default, deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) status: Option<PodStatus>,
}

/// What is used of a Pod's metadata.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let metadata = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: metadata.name,
        namespace: metadata.namespace,
        uid: metadata.uid,
        resource_version: metadata.resource_version,
        annotations: metadata.annotations,
        creation_timestamp: metadata.creation_timestamp,
        deletion_timestamp: metadata.deletion_timestamp,
        deletion_grace_period_seconds: metadata.deletion_grace_period_seconds,
        ..ObjectMeta::default()
    })
}

impl Resource for WorkerPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Pod::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Pod::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Pod::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_what_a_pod_says_without_what_nobody_asks_it() {
        let told = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": "n", "namespace": "s", "uid": "u", "resourceVersion": "7", "labels": { "l": "v" },
                "annotations": { "a": "b" }, "creationTimestamp": "2026-01-02T03:04:05Z",
                "deletionTimestamp": "2026-01-02T03:05:05Z", "deletionGracePeriodSeconds": 60,
                "managedFields": [{ "manager": "m", "fieldsV1": { "f:spec": {} } }],
            },
            "spec": { "containers": [] }, "status": { "phase": "Running" },
        });
        let mut whole: Pod = serde_json::from_value(told.clone()).unwrap();
        whole.metadata.managed_fields = None;
        whole.metadata.labels = None;
        let ours: WorkerPod = serde_json::from_value(told).unwrap();
        assert_eq!((ours.metadata, ours.status), (whole.metadata, whole.status));
    }
}
