//! What says of a volume, a container or a network that it is ours, and of which worker it is: labels, with the
//! names that Pods have for the same.
//!
//! A worker's volume carries all that the worker was made for. Its container carries only who it is: Docker
//! repeats the labels of a container in each event about it.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::ids::WorkerId;
use crate::record::{Identity, WorkerSpec};
use crate::runtime::kubernetes::names::{self, ENTRY, IDENTITY, SPEC, TASK};

/// The label that tells a worker from what else there is.
const COMPONENT: &str = "app.kubernetes.io/component";

/// What an object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    /// A worker: its volume, its container.
    Worker,
    /// The agent: a volume that holds it, a container that it is put in by.
    Agent,
    /// A container that hands in what a worker's agent left in its volume.
    HandIn,
    /// What workers reach log-ingest by.
    Network,
}

impl Component {
    fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Agent => "agent",
            Self::HandIn => "hand-in",
            Self::Network => "network",
        }
    }
}

/// Labels of whatever an installation makes.
pub(super) fn labels(instance: &str, component: Component) -> HashMap<String, String> {
    let mut labels: HashMap<_, _> = names::labels(instance).into_iter().collect();
    labels.insert(COMPONENT.to_owned(), component.as_str().to_owned());
    labels
}

/// Labels of a worker's container.
pub(super) fn container_labels(instance: &str, spec: &WorkerSpec) -> HashMap<String, String> {
    let mut labels = labels(instance, Component::Worker);
    labels.extend([
        (IDENTITY.to_owned(), json(serde_json::to_string(&spec.identity))),
        names::record_label(spec),
        (TASK.to_owned(), spec.identity.task_id.to_string()),
        (ENTRY.to_owned(), spec.identity.entry_id.to_string()),
    ]);
    labels
}

/// Labels of a worker's volume.
pub(super) fn place_labels(instance: &str, spec: &WorkerSpec) -> HashMap<String, String> {
    let mut labels = container_labels(instance, spec);
    labels.insert(SPEC.to_owned(), json(serde_json::to_string(spec)));
    labels
}

fn json(text: serde_json::Result<String>) -> String {
    text.expect("plain data with text keys")
}

/// What Docker selects an installation's objects of one kind by.
pub(super) fn filter(instance: &str, component: Component) -> HashMap<String, Vec<String>> {
    let of_component = format!("{COMPONENT}={}", component.as_str());
    let labels = vec![
        "managed-by=ottoscaler".to_owned(),
        format!("app.kubernetes.io/instance={instance}"),
        of_component,
    ];
    HashMap::from([("label".to_owned(), labels)])
}

/// Whether labels are of this installation.
pub(super) fn is_ours(instance: &str, labels: &HashMap<String, String>) -> bool {
    let says = |name: &str, value: &str| labels.get(name).is_some_and(|found| found == value);
    says("managed-by", "ottoscaler") && says("app.kubernetes.io/instance", instance)
}

/// Which worker something is of; nothing where it does not say so.
pub(super) fn identity(labels: &HashMap<String, String>) -> Option<Identity> {
    serde_json::from_str(labels.get(IDENTITY)?).ok()
}

/// What a worker was made for; nothing where its volume does not say so.
pub(super) fn spec(labels: &HashMap<String, String>) -> Option<WorkerSpec> {
    serde_json::from_str(labels.get(SPEC)?).ok()
}

/// A worker by the name of its container, which Docker gives with a slash before it.
pub(super) fn worker(name: &str) -> Option<WorkerId> {
    name.trim_start_matches('/').parse().ok()
}

/// The container that hands in what a worker's agent left. No worker's name has a dot.
pub(super) fn hand_in(worker: &WorkerId) -> String {
    format!("{worker}.hand-in")
}

/// A time as Docker writes it; the year 1 is its word for never.
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing;

    #[test]
    fn a_worker_is_known_again_by_its_labels_and_only_its_volume_says_what_it_was_made_for() {
        let made_for = testing::worker_spec("Task 1", "r");
        let volume = place_labels("ci", &made_for);
        assert_eq!(identity(&volume), Some(made_for.identity.clone()));
        assert_eq!(spec(&volume), Some(made_for.clone()));
        let container = container_labels("ci", &made_for);
        assert_eq!(identity(&container), Some(made_for.identity));
        assert_eq!(spec(&container), None);
        assert!(is_ours("ci", &container) && !is_ours("other", &container));
        for selected in &filter("ci", Component::Worker)["label"] {
            let (name, value) = selected.split_once('=').unwrap();
            assert_eq!(container[name], value);
        }
        assert_ne!(labels("ci", Component::Agent)[COMPONENT], container[COMPONENT]);
    }

    #[test]
    fn a_time_that_never_was_is_none() {
        assert_eq!(time(Some("0001-01-01T00:00:00Z")), None);
        assert_eq!(time(Some("1970-01-01T00:00:05Z")), Some(testing::at(5)));
        assert_eq!(time(None), None);
    }
}
