//! What a worker Pod says of itself: labels to find it by, annotations to know it again. Docker's containers
//! say the same.

use std::collections::BTreeMap;

use super::worker_pod::WorkerPod;
use crate::ids::WorkerId;
use crate::record::{Identity, WorkerSpec};

/// The container that runs the command.
pub(super) const WORKER: &str = "worker";
/// The container that puts the agent into place.
pub(super) const INSTALL: &str = "otto-agent";

/// Which worker this is, as JSON.
pub(in crate::runtime) const IDENTITY: &str = "ottoscaler.dev/identity";
/// All that it was made for, as JSON: a record that Redis lost is written again from it.
pub(in crate::runtime) const SPEC: &str = "ottoscaler.dev/spec";
/// The task, as its producer calls it; a label could not hold it.
pub(in crate::runtime) const TASK: &str = "ottoscaler.dev/task-id";
/// The stream entry that asked for it.
pub(in crate::runtime) const ENTRY: &str = "ottoscaler.dev/entry-id";
/// A hash of task and request, to select by.
const RECORD: &str = "ottoscaler.dev/record";

/// Labels of every worker of an installation.
pub(in crate::runtime) fn labels(instance: &str) -> BTreeMap<String, String> {
    let labels = [
        ("app", "otto-agent"),
        ("managed-by", "ottoscaler"),
        ("app.kubernetes.io/name", "otto-agent"),
        ("app.kubernetes.io/instance", instance),
        ("app.kubernetes.io/component", "worker"),
        ("app.kubernetes.io/part-of", "ottoscaler"),
        ("app.kubernetes.io/managed-by", "ottoscaler"),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What selects the workers of an installation, and nothing else.
pub(super) fn selector(instance: &str) -> String {
    format!("managed-by=ottoscaler,app.kubernetes.io/instance={instance}")
}

/// The label of a worker's request.
pub(in crate::runtime) fn record_label(spec: &WorkerSpec) -> (String, String) {
    let record = crate::name::task_record(&spec.identity.task_id, &spec.identity.request_id);
    (RECORD.to_owned(), record.to_string())
}

/// Annotations of a worker.
pub(super) fn annotations(spec: &WorkerSpec) -> BTreeMap<String, String> {
    let json = |what: serde_json::Result<String>| what.expect("plain data with text keys");
    BTreeMap::from([
        (IDENTITY.to_owned(), json(serde_json::to_string(&spec.identity))),
        (SPEC.to_owned(), json(serde_json::to_string(spec))),
        (TASK.to_owned(), spec.identity.task_id.to_string()),
        (ENTRY.to_owned(), spec.identity.entry_id.to_string()),
        // Whoever moves Pods about should know that this one cannot be moved.
        ("cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(), "false".to_owned()),
        ("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned()),
    ])
}

/// Which worker a Pod is; nothing where it does not say so.
pub(super) fn identity(pod: &WorkerPod) -> Option<(WorkerId, Identity)> {
    let name = pod.metadata.name.as_deref()?.parse().ok()?;
    let identity = annotation(pod, IDENTITY)?;
    Some((name, serde_json::from_str(identity).ok()?))
}

/// What a Pod was made for; nothing where it does not say so.
pub(super) fn spec(pod: &WorkerPod) -> Option<WorkerSpec> {
    serde_json::from_str(annotation(pod, SPEC)?).ok()
}

fn annotation<'a>(pod: &'a WorkerPod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}
