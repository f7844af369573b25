//! From a Pod as the API server tells it to what a worker's phase is: PURE, in the kubelet's words.
//!
//! The kubelet's word on the exit code counts. The agent's summary, in the termination message, only tells the
//! command's own end from one that somebody else brought about.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PodCondition, PodStatus};

use super::names::WORKER;
use super::obstacle::obstacle;
use super::worker_pod::WorkerPod;
use crate::runtime::summary::{Said, Summary};
use crate::runtime::{Cause, Exit, Phase};

/// Reasons of the kubelet and of controllers for a Pod's end that is not its command's doing.
const POD_ENDED: [&str; 10] = [
    "Evicted",
    "NodeLost",
    "NodeShutdown",
    "NodeAffinity",
    "Terminated",
    "Shutdown",
    "Preempting",
    "UnexpectedAdmissionError",
    "OutOfcpu",
    "OutOfmemory",
];

/// What an agent exits with that was told nonsense, and wrote no summary: nothing was run, nor will be.
const NOT_CONFIGURED: i32 = 64;

/// What containerd gives as the reason, with a code of its own, where nobody saw a container end: its machine went
/// down and came up again.
const UNSEEN: &str = "Unknown";

/// The phase of a Pod that is there. Times that it does not tell are `now`.
pub(super) fn phase(pod: &WorkerPod, now: Timestamp) -> Phase {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let worker = worker_status(status);
    let state = worker.and_then(|worker| worker.state.as_ref());
    if let Some(terminated) = state.and_then(|state| state.terminated.as_ref()) {
        return Phase::Ended(exit(pod, status, terminated, now));
    }
    if let Some("Failed" | "Succeeded") = status.phase.as_deref() {
        return Phase::Ended(ended_without_worker(status, now));
    }
    if let Some(running) = state.and_then(|state| state.running.as_ref()) {
        return Phase::Running { started_at: running.started_at.as_ref().map(|time| time.0) };
    }
    let since = pod.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    Phase::Pending { since, obstacle: obstacle(status, now) }
}

/// The same, of a Pod that is no longer there.
pub(super) fn last_phase(pod: &WorkerPod, now: Timestamp) -> Phase {
    match phase(pod, now) {
        ended @ Phase::Ended(_) => ended,
        Phase::Running { .. } | Phase::Pending { .. } | Phase::Unstarted | Phase::Vanished { .. } => {
            let why = pod.status.as_ref().and_then(disruption);
            let reason = match why {
                Some(why) => format!("its Pod was deleted: {why}"),
                None => "its Pod was deleted before its command had ended".to_owned(),
            };
            Phase::Vanished { reason, noticed_at: now }
        }
    }
}

fn worker_status(status: &PodStatus) -> Option<&ContainerStatus> {
    status.container_statuses.iter().flatten().find(|container| container.name == WORKER)
}

fn exit(pod: &WorkerPod, status: &PodStatus, terminated: &ContainerStateTerminated, now: Timestamp) -> Exit {
    // What is there of an end that nobody saw was the command's to write.
    let was_seen = terminated.reason.as_deref() != Some(UNSEEN);
    let message = terminated.message.as_deref().filter(|_| was_seen);
    let said = message.map_or(Said::Nothing, |message| Said::of(message.as_bytes()));
    let summary = said.of_end(terminated.exit_code);
    let started_at = summary.and_then(|summary| summary.started_at);
    let was_deleted = deleted_at(pod)
        .is_some_and(|at| terminated.finished_at.as_ref().is_none_or(|finished| at <= finished.0));
    let cause = cause(status, terminated, &said, was_deleted);
    // A container that never started has no exit code of a command.
    let ran = !matches!(terminated.reason.as_deref(), Some("ContainerCannotRun" | "StartError"));
    Exit {
        code: ran.then_some(terminated.exit_code),
        signal: summary
            .and_then(Summary::ended_by)
            .or_else(|| terminated.signal.filter(|signal| *signal != 0)),
        cause,
        started_at: started_at.or_else(|| terminated.started_at.as_ref().map(|time| time.0)).filter(|_| ran),
        ended_at: terminated.finished_at.as_ref().map_or(now, |time| time.0),
    }
}

/// When the end of a Pod was asked for; what is on it is when its grace is over.
fn deleted_at(pod: &WorkerPod) -> Option<Timestamp> {
    let due = pod.metadata.deletion_timestamp.as_ref()?.0;
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default();
    due.checked_sub(SignedDuration::from_secs(grace)).ok()
}

fn cause(status: &PodStatus, terminated: &ContainerStateTerminated, said: &Said, was_deleted: bool) -> Cause {
    let code = terminated.exit_code;
    let summary = said.of_end(code);
    match terminated.reason.as_deref() {
        // Without cgroup v2 the kernel may end a child alone, and what counts is what its command made of it.
        Some("OOMKilled") if code != 0 => return Cause::OutOfMemory,
        Some(reason @ ("ContainerCannotRun" | "StartError" | "ContainerStatusUnknown")) => {
            let message = terminated.message.as_deref().unwrap_or_default();
            return Cause::Infrastructure(format!("its container could not run: {reason}: {message}"));
        }
        Some(_) | None => {}
    }
    if let Some(Summary { timed_out, .. }) = summary.filter(|summary| summary.is_its_own_end()) {
        return if *timed_out { Cause::Deadline } else { Cause::Command };
    }
    let asked = summary.and_then(Summary::asked);
    // A command that was through before its Pod was disturbed has had its say. One that was asked to stop while it ran
    // and says 0 was cut off all the same: nobody may take that for a success.
    let is_through = code == 0 && asked.is_none();
    if !is_through && let Some(why) = pod_ended(status) {
        return why;
    }
    if summary.is_some_and(|summary| summary.timed_out) {
        return Cause::Deadline;
    }
    if !is_through && was_deleted {
        // Whoever stops a worker on purpose has put that on record before, and that counts.
        return Cause::Infrastructure("its Pod was deleted, and its command ended by that".to_owned());
    }
    match (summary, asked) {
        // A node that goes down may have no time to say so.
        (_, Some(signal)) => Cause::Infrastructure(format!(
            "its agent was sent signal {signal}, and nobody says why; its command ended with {code}"
        )),
        (None, _) if code != 0 && code != NOT_CONFIGURED => {
            Cause::Infrastructure(said.why_unknown(code, "node"))
        }
        _ => Cause::Command,
    }
}

/// A Pod that has ended and whose worker's container says nothing.
fn ended_without_worker(status: &PodStatus, now: Timestamp) -> Exit {
    let init = status.init_container_statuses.iter().flatten().find_map(|container| {
        let terminated = container.state.as_ref()?.terminated.as_ref()?;
        let said = terminated.message.as_deref().or(terminated.reason.as_deref()).unwrap_or_default();
        (terminated.exit_code != 0).then(|| {
            format!("init container {} failed with {}: {said}", container.name, terminated.exit_code)
        })
    });
    let cause = match (pod_ended(status), init) {
        (Some(why), _) => why,
        (None, Some(init)) => Cause::Infrastructure(init),
        (None, None) => Cause::Infrastructure(words(status)),
    };
    Exit { code: None, signal: None, cause, started_at: None, ended_at: now }
}

fn words(status: &PodStatus) -> String {
    let phase = status.phase.as_deref().unwrap_or("unknown");
    let reason = status.reason.as_deref().unwrap_or("no reason given");
    let message = status.message.as_deref().unwrap_or("no message given");
    format!("its Pod ended as {phase}: {reason}: {message}")
}

/// Why the Pod as a whole was ended, where somebody other than its command did that.
fn pod_ended(status: &PodStatus) -> Option<Cause> {
    match status.reason.as_deref() {
        Some("DeadlineExceeded") => Some(Cause::Deadline),
        Some(reason) if POD_ENDED.contains(&reason) => {
            let message = status.message.as_deref().unwrap_or_default();
            Some(Cause::Infrastructure(format!("{reason}: {message}")))
        }
        Some(_) | None => disruption(status).map(Cause::Infrastructure),
    }
}

/// Who or what took the Pod away, as its condition says.
fn disruption(status: &PodStatus) -> Option<String> {
    let condition = condition(status, "DisruptionTarget", "True")?;
    let reason = condition.reason.as_deref().unwrap_or("disrupted");
    Some(format!("{reason}: {}", condition.message.as_deref().unwrap_or_default()))
}

pub(super) fn condition<'a>(status: &'a PodStatus, type_: &str, is: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == type_ && condition.status == is)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::testing::at;

    fn seen(status: &Value) -> Phase {
        let pod = json!({ "metadata": { "creationTimestamp": "1970-01-01T00:00:05Z" }, "status": status });
        phase(&serde_json::from_value(pod).unwrap(), at(60))
    }

    fn worker(state: &Value) -> Value {
        json!({ "name": "worker", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state })
    }

    fn ended(status: &Value) -> Exit {
        match seen(status) {
            Phase::Ended(exit) => exit,
            other => panic!("{other:?}"),
        }
    }

    fn terminated(more: &Value) -> Value {
        let mut state = json!({
            "exitCode": 137, "startedAt": "1970-01-01T00:00:10Z", "finishedAt": "1970-01-01T00:00:20Z",
        });
        state.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "phase": "Failed", "containerStatuses": [worker(&json!({ "terminated": state }))] })
    }

    fn with(mut status: Value, more: &Value) -> Value {
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        status
    }

    #[test]
    fn an_exit_is_the_kubelets_and_the_summary_tells_a_deadline() {
        let seven = json!({ "exitCode": 7, "reason": "Error", "message": r#"{"exit_code":7}"# });
        let exit = ended(&terminated(&seven));
        assert_eq!((exit.code, exit.cause, exit.ended_at), (Some(7), Cause::Command, at(20)));
        let late = r#"{"exit_code":143,"signal":15,"timed_out":true,"started_at":"1970-01-01T00:00:12Z"}"#;
        let exit = ended(&terminated(&json!({ "exitCode": 143, "message": late })));
        assert_eq!((exit.code, exit.signal, exit.started_at), (Some(143), Some(15), Some(at(12))));
        assert_eq!(exit.cause, Cause::Deadline);
        let silent = |exit_code: i32| ended(&terminated(&json!({ "exitCode": exit_code }))).cause;
        assert_eq!(silent(0), Cause::Command);
        assert_eq!(silent(64), Cause::Command, "another attempt would be told the same nonsense");
    }

    #[test]
    fn an_end_of_which_the_agent_says_nothing_is_infrastructure() {
        let why = |more: &Value| {
            let exit = ended(&terminated(more));
            let Cause::Infrastructure(why) = exit.cause else { panic!("{:?}", exit.cause) };
            (exit.code, why)
        };
        let (code, killed) = why(&json!({ "reason": "Error", "message": "no json" }));
        assert!(killed.contains("ended with 137") && code == Some(137), "{killed}");
        // The command's own end is known, and the agent was killed as it delivered, or that is forged.
        let (code, forged) = why(&json!({ "exitCode": 137, "message": r#"{"exit_code":0}"# }));
        assert!(forged.contains("did not say") && code == Some(137), "{forged}");
        let cut = json!({ "exitCode": 1, "message": r#"{"exit_code":1,"sig"# });
        assert!(why(&cut).1.contains("is damaged"), "nothing was killed");
        assert!(why(&json!({ "exitCode": 70 })).1.contains("the agent itself failed"));
        let reset = json!({ "exitCode": 255, "reason": "Unknown", "message": r#"{"exit_code":255}"# });
        assert!(why(&reset).1.contains("the node went down"));
    }

    #[test]
    fn an_end_that_is_not_the_commands_is_told_apart() {
        assert_eq!(ended(&terminated(&json!({ "reason": "OOMKilled" }))).cause, Cause::OutOfMemory);
        let got_over_it = json!({ "reason": "OOMKilled", "exitCode": 0 });
        assert_eq!(ended(&terminated(&got_over_it)).cause, Cause::Command);
        let evicted = json!({ "reason": "Evicted", "message": "The node was low on resource: memory." });
        let infrastructure = |exit: Exit| match exit.cause {
            Cause::Infrastructure(why) => why,
            other => panic!("{other:?}"),
        };
        let why = infrastructure(ended(&with(terminated(&json!({})), &evicted)));
        assert!(why.contains("low on resource"), "{why}");
        let spot = json!({ "conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "gone",
        }] });
        assert!(infrastructure(ended(&with(terminated(&json!({})), &spot))).contains("TaintManager"));
        let asked = r#"{"exit_code":143,"stop_signal":15}"#;
        let asked = ended(&terminated(&json!({ "exitCode": 143, "message": asked })));
        assert!(infrastructure(asked).contains("signal 15"));
        let through = ended(&with(terminated(&json!({ "exitCode": 0 })), &spot));
        assert_eq!(through.cause, Cause::Command, "it was through before");
        let cut_off = json!({ "exitCode": 0, "message": r#"{"exit_code":0,"stop_signal":15}"# });
        assert!(infrastructure(ended(&terminated(&cut_off))).contains("signal 15"));
        assert!(infrastructure(ended(&with(terminated(&cut_off), &spot))).contains("TaintManager"));
        let start =
            ended(&terminated(&json!({ "exitCode": 128, "reason": "StartError", "message": "exec" })));
        assert_eq!((start.code, start.started_at), (None, None));
        assert!(infrastructure(start).contains("could not run"));
        let init = json!({ "phase": "Failed", "initContainerStatuses": [{
            "name": "otto-agent", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 1, "reason": "Error" } },
        }] });
        assert!(infrastructure(ended(&init)).contains("init container otto-agent failed with 1"));
        let late = json!({ "phase": "Failed", "reason": "DeadlineExceeded" });
        assert_eq!(ended(&late).cause, Cause::Deadline);
        assert!(infrastructure(ended(&json!({ "phase": "Failed" }))).contains("no reason given"));
    }

    #[test]
    fn a_command_that_ends_because_somebody_deletes_its_pod_is_not_to_blame() {
        // Asked for at second 15, with 30 seconds of grace; the command ends at second 20.
        let deleted = json!({
            "deletionTimestamp": "1970-01-01T00:00:45Z", "deletionGracePeriodSeconds": 30,
        });
        let cause = |exit_code: i32, more: &Value| {
            let metadata = with(deleted.clone(), more);
            let message = json!({ "exit_code": exit_code }).to_string();
            let status = terminated(&json!({ "exitCode": exit_code, "reason": "Error", "message": message }));
            let pod = json!({ "metadata": metadata, "status": status });
            match phase(&serde_json::from_value(pod).unwrap(), at(60)) {
                Phase::Ended(exit) => exit.cause,
                other => panic!("{other:?}"),
            }
        };
        let by_deletion = cause(143, &json!({}));
        assert!(matches!(&by_deletion, Cause::Infrastructure(why) if why.contains("deleted")));
        assert_eq!(cause(0, &json!({})), Cause::Command, "it was through all the same");
        let later = json!({ "deletionTimestamp": "1970-01-01T00:00:55Z" });
        assert_eq!(cause(7, &later), Cause::Command, "it had failed before");
    }

    #[test]
    fn what_befalls_a_pod_whose_agent_still_delivers_has_no_part_in_its_commands_end() {
        let drained = json!({ "conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained",
        }] });
        let cause = |exit_code: i32, message: &str| {
            ended(&with(terminated(&json!({ "exitCode": exit_code, "message": message })), &drained)).cause
        };
        assert_eq!(cause(7, r#"{"exit_code":7,"stop_signal":0}"#), Cause::Command);
        let late = r#"{"exit_code":143,"signal":15,"timed_out":true,"stop_signal":0}"#;
        assert_eq!(cause(143, late), Cause::Deadline);
        for message in [r#"{"exit_code":7}"#, r#"{"exit_code":7,"stop_signal":15}"#] {
            let cause = cause(7, message);
            assert!(matches!(&cause, Cause::Infrastructure(why) if why.contains("drained")), "{cause:?}");
        }
    }

    #[test]
    fn a_pod_that_does_not_get_on_is_pending_since_it_was_made() {
        let stuck = json!({ "waiting": { "reason": "ErrImagePull", "message": "m" } });
        let phase = seen(&json!({ "phase": "Pending", "containerStatuses": [worker(&stuck)] }));
        assert!(
            matches!(&phase, Phase::Pending { since, obstacle: Some(_) } if *since == at(5)),
            "{phase:?}"
        );
        assert_eq!(seen(&json!({})), Phase::Pending { since: at(5), obstacle: None });
    }

    #[test]
    fn a_pod_that_is_gone_is_known_by_its_last_words() {
        let running = json!({ "metadata": {}, "status": { "phase": "Running", "containerStatuses": [
            worker(&json!({ "running": { "startedAt": "1970-01-01T00:00:10Z" } })),
        ] } });
        let pod: WorkerPod = serde_json::from_value(running).unwrap();
        assert_eq!(phase(&pod, at(60)), Phase::Running { started_at: Some(at(10)) });
        assert!(
            matches!(last_phase(&pod, at(60)), Phase::Vanished { noticed_at, .. } if noticed_at == at(60))
        );
    }
}
