//! What keeps a Pod from getting on, from its containers' reasons and its conditions: PURE, in the kubelet's words.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateWaiting, PodStatus};

use super::phase::condition;
use crate::runtime::{Obstacle, ObstacleKind};

/// The worst of what keeps a Pod from getting on, if anything does.
pub(super) fn obstacle(status: &PodStatus, now: Timestamp) -> Option<Obstacle> {
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let waits = containers.filter_map(|container| {
        let ContainerState { waiting: Some(waiting), .. } = container.state.as_ref()? else { return None };
        let kind = waiting_kind(waiting)?;
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or_default();
        let message = format!("{reason} of container {}: {message}", container.name);
        Some(Obstacle { kind, message, since: now })
    });
    waits.min_by_key(|obstacle| obstacle.kind as u8).or_else(|| unschedulable(status, now))
}

fn waiting_kind(waiting: &ContainerStateWaiting) -> Option<ObstacleKind> {
    match waiting.reason.as_deref()? {
        "InvalidImageName" | "ErrImageNeverPull" => Some(ObstacleKind::Refused),
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(ObstacleKind::Image),
        "CreateContainerConfigError"
        | "CreateContainerError"
        | "RunContainerError"
        | "PreCreateHookError"
        | "PreStartHookError" => Some(ObstacleKind::Configuration),
        _ => None,
    }
}

fn unschedulable(status: &PodStatus, now: Timestamp) -> Option<Obstacle> {
    let scheduled = condition(status, "PodScheduled", "False")?;
    let reason = scheduled.reason.as_deref().unwrap_or("Unschedulable");
    let message = scheduled.message.as_deref().unwrap_or_default();
    let since = scheduled.last_transition_time.as_ref().map_or(now, |time| time.0);
    Some(Obstacle { kind: ObstacleKind::Unschedulable, message: format!("{reason}: {message}"), since })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::testing::at;

    fn named(status: &Value) -> Option<(ObstacleKind, String)> {
        let status = serde_json::from_value(status.clone()).unwrap();
        obstacle(&status, at(60)).map(|obstacle| (obstacle.kind, obstacle.message))
    }

    fn waiting(reason: &str) -> Value {
        let state = json!({ "waiting": { "reason": reason, "message": "m" } });
        let worker = json!({
            "name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        });
        json!({ "phase": "Pending", "containerStatuses": [worker] })
    }

    #[test]
    fn what_keeps_a_pod_from_getting_on_is_named() {
        for (reason, expected) in [
            ("InvalidImageName", ObstacleKind::Refused),
            ("ErrImageNeverPull", ObstacleKind::Refused),
            ("ErrImagePull", ObstacleKind::Image),
            ("ImagePullBackOff", ObstacleKind::Image),
            ("CreateContainerConfigError", ObstacleKind::Configuration),
        ] {
            let (kind, message) = named(&waiting(reason)).unwrap();
            assert_eq!(kind, expected, "{reason}");
            assert!(message.contains(reason) && message.contains("worker"), "{message}");
        }
        assert_eq!(named(&waiting("ContainerCreating")), None);
        let unschedulable = json!({ "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes",
        }] });
        assert!(named(&unschedulable).unwrap().1.contains("0/1 nodes"));
        assert_eq!(named(&json!({})), None, "just made");
    }
}
