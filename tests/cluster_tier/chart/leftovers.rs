//! What there is in a namespace, of every kind that the API server knows.

use std::collections::BTreeSet;

use kube::api::{DynamicObject, ListParams};
use kube::discovery::{ApiGroup, Discovery, Scope, verbs};
use kube::{Api, Client};

/// What is in every namespace without anybody's doing.
const ALWAYS: [&str; 2] = ["ServiceAccount/default", "ConfigMap/kube-root-ca.crt"];

/// Each object as `Kind/name`. What is only told of the past (events) does not count.
pub(super) async fn of(client: &Client, namespace: &str) -> BTreeSet<String> {
    let known = Discovery::new(client.clone()).run().await.unwrap();
    let kinds = known.groups().flat_map(ApiGroup::recommended_resources);
    let mut found = BTreeSet::new();
    for (kind, can) in kinds {
        if can.scope != Scope::Namespaced || !can.supports_operation(verbs::LIST) || kind.kind == "Event" {
            continue;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        let objects = api.list(&ListParams::default()).await.unwrap().items;
        found.extend(
            objects.into_iter().map(|object| format!("{}/{}", kind.kind, object.metadata.name.unwrap())),
        );
    }
    found.retain(|object| !ALWAYS.contains(&&**object));
    found
}
