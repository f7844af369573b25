//! What the API server's no means.
//!
//! Kubernetes tells kinds of 403 apart by their text alone: a quota that is used up (waiting), a
//! policy that this Pod breaks (final), and a right that the scaler lacks or a namespace that goes
//! (somebody has to act, and then the same works).

use std::time::Duration;

use kube::core::Status;

use crate::ids::WorkerId;
use crate::runtime::{ErrorKind, RuntimeError};

/// The error of a call about a worker.
pub(super) fn error(attempted: &'static str, worker: &WorkerId, error: &kube::Error) -> RuntimeError {
    match error {
        kube::Error::Api(status) => {
            let pause = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|s| *s > 0);
            let pause = pause.map(|seconds| Duration::from_secs(seconds.into()));
            let reason = format!("{} ({})", status.message, status.code);
            RuntimeError::new(kind(status), attempted, worker, reason).retry_after(pause)
        }
        other => {
            let reason = format!("the API server cannot be reached: {}", chain(other));
            RuntimeError::new(ErrorKind::Unavailable, attempted, worker, reason)
        }
    }
}

/// The reason that kube gives where what it was answered is no Status: not the API server said that, but
/// something in front of it.
const NOT_A_STATUS: &str = "Failed to parse error data";

/// Whether the API server says that there is no such object.
pub(super) fn is_absent(status: &Status) -> bool {
    status.code == 404 && status.reason != NOT_A_STATUS
}

/// Whether it says that there is another one, or that it has changed. A create may also be in conflict over a
/// quota (kubernetes#67761), which says nothing of the object.
pub(super) fn is_conflict(status: &Status) -> bool {
    let is_of_quota = status.message.contains("resourcequotas");
    status.code == 409 && status.reason != NOT_A_STATUS && !is_of_quota
}

fn kind(status: &Status) -> ErrorKind {
    let says = |text: &str| status.message.contains(text);
    match status.code {
        _ if status.reason == NOT_A_STATUS => ErrorKind::Unavailable,
        403 if says("exceeded quota") || says("status unknown for quota") => ErrorKind::Quota,
        403 if says("cannot create resource") || says("cannot delete resource") => ErrorKind::Unavailable,
        403 if says("cannot list resource") || says("error looking up service account") => {
            ErrorKind::Unavailable
        }
        403 if says("being terminated") => ErrorKind::Unavailable,
        400 | 403 | 413 | 422 => ErrorKind::Refused,
        _ => ErrorKind::Unavailable,
    }
}

/// An error with all of its causes: the outer ones alone say little.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let mut words: Vec<String> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing;

    fn refused(code: u16, message: &str) -> RuntimeError {
        let status: Status = serde_json::from_value(serde_json::json!({
            "code": code, "message": message, "details": { "retryAfterSeconds": 3 },
        }))
        .unwrap();
        let worker = testing::worker_spec("t", "r").worker_id;
        error("create", &worker, &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_no_is_waiting_or_final_or_a_matter_for_somebody() {
        for (code, message, expected) in [
            (403, "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1", ErrorKind::Quota),
            (403, "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"", ErrorKind::Refused),
            (403, "pods is forbidden: User \"u\" cannot create resource \"pods\"", ErrorKind::Unavailable),
            (403, "namespace n because it is being terminated", ErrorKind::Unavailable),
            (403, "pods \"x\" is forbidden: status unknown for quota: q, resources: pods", ErrorKind::Quota),
            (403, "pods \"x\" is forbidden: error looking up service account n/s", ErrorKind::Unavailable),
            (403, "pods is forbidden: User \"u\" cannot list resource \"pods\"", ErrorKind::Unavailable),
            (409, "Operation cannot be fulfilled on resourcequotas \"q\"", ErrorKind::Unavailable),
            (422, "Pod \"x\" is invalid: spec.containers[0].image", ErrorKind::Refused),
            (400, "bad", ErrorKind::Refused),
            (404, "namespaces \"n\" not found", ErrorKind::Unavailable),
            (429, "too many requests", ErrorKind::Unavailable),
            (500, "etcdserver: request timed out", ErrorKind::Unavailable),
        ] {
            let error = refused(code, message);
            assert_eq!(error.kind(), expected, "{code} {message}");
            assert!(error.to_string().contains(message));
            assert_eq!(error.pause(), Some(Duration::from_secs(3)));
        }
    }

    /// kube makes a Status of any body.
    #[test]
    fn what_something_in_front_of_the_api_server_says_is_never_its_word() {
        for code in [400, 403, 404, 409, 413, 422] {
            let status = Status::failure("<html>no backend</html>", NOT_A_STATUS).with_code(code);
            assert_eq!(kind(&status), ErrorKind::Unavailable, "{code}");
            assert!(!is_absent(&status) && !is_conflict(&status), "{code}");
        }
        assert!(is_absent(&Status::failure("pods \"x\" not found", "NotFound").with_code(404)));
        assert!(is_conflict(&Status::failure("pods \"x\" already exists", "AlreadyExists").with_code(409)));
        let quota = "Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified";
        assert!(!is_conflict(&Status::failure(quota, "Conflict").with_code(409)));
    }
}
