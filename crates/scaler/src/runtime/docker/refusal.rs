//! What Docker's no means: PURE.

use bollard::errors::Error;

use crate::ids::WorkerId;
use crate::runtime::{ErrorKind, ObstacleKind, RuntimeError};

/// Why a worker's container does not get on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) kind: ObstacleKind,
    pub(super) message: String,
}

impl Trouble {
    /// The image does not come.
    pub(super) fn image(image: &str, error: &Error) -> Self {
        // Docker cannot even read such a name.
        let kind = if code(error) == Some(400) { ObstacleKind::Refused } else { ObstacleKind::Image };
        Self { kind, message: format!("image {image}: {}", words(error)) }
    }

    /// Docker does not make the container, or not start it.
    pub(super) fn container(attempted: &str, error: &Error) -> Self {
        let says = |text: &str| words(error).to_lowercase().contains(text);
        let kind = match code(error) {
            // It was gone again before its container was made.
            Some(404) if says("no such image") => ObstacleKind::Image,
            // Another scaler is about it as well, and has just taken it away to make it anew; or nobody answers.
            None | Some(409) => ObstacleKind::Unschedulable,
            Some(404) if says("no such container") => ObstacleKind::Unschedulable,
            Some(400) if attempted == "create" => ObstacleKind::Refused,
            Some(_) => ObstacleKind::Configuration,
        };
        Self { kind, message: format!("cannot {attempted} its container: {}", words(error)) }
    }

    /// Docker cannot be asked, which no worker is to blame for.
    pub(super) fn unreachable(message: String) -> Self {
        Self { kind: ObstacleKind::Unschedulable, message }
    }

    /// Something that the operator has to see to.
    pub(super) fn configuration(message: String) -> Self {
        Self { kind: ObstacleKind::Configuration, message }
    }
}

/// The error of a call about a worker.
pub(super) fn error(attempted: &'static str, worker: &WorkerId, error: &Error) -> RuntimeError {
    let kind = match code(error) {
        Some(400) => ErrorKind::Refused,
        Some(_) | None => ErrorKind::Unavailable,
    };
    RuntimeError::new(kind, attempted, worker, words(error))
}

/// Whether Docker says that there is no such thing.
pub(super) fn is_absent(error: &Error) -> bool {
    code(error) == Some(404)
}

/// Whether it says that there is another one, or that it is not in the right state for that.
pub(super) fn is_conflict(error: &Error) -> bool {
    code(error) == Some(409)
}

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Docker's own words, or why there are none.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { status_code, message } => format!("{message} ({status_code})"),
        // What a pull is answered in the middle of its progress.
        Error::DockerStreamError { error } => error.clone(),
        Error::RequestTimeoutError => "Docker did not answer in time".to_owned(),
        other => format!("Docker cannot be reached: {}", chain(other)),
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

    fn answered(status_code: u16, message: &str) -> Error {
        Error::DockerResponseServerError { status_code, message: message.to_owned() }
    }

    #[test]
    fn an_image_that_can_never_come_is_told_from_one_that_may() {
        let reference = answered(400, "invalid reference format: repository name must be lowercase");
        assert_eq!(Trouble::image("Bad Image", &reference).kind, ObstacleKind::Refused);
        for error in [
            answered(
                404,
                "pull access denied for x, repository does not exist or may require 'docker login'",
            ),
            answered(500, "Get \"https://registry-1.docker.io/v2/\": no such host"),
            Error::DockerStreamError { error: "unauthorized".to_owned() },
            Error::RequestTimeoutError,
        ] {
            let trouble = Trouble::image("app:1", &error);
            assert_eq!(trouble.kind, ObstacleKind::Image, "{error}");
            assert!(trouble.message.starts_with("image app:1: "), "{trouble:?}");
        }
    }

    #[test]
    fn what_keeps_a_container_from_being_made_or_started_is_told_apart() {
        let kind = |attempted, error: Error| Trouble::container(attempted, &error).kind;
        assert_eq!(kind("create", answered(404, "No such image: app:1")), ObstacleKind::Image);
        assert_eq!(
            kind("create", answered(400, "Minimum memory limit allowed is 6MB")),
            ObstacleKind::Refused
        );
        assert_eq!(kind("start", answered(400, "OCI runtime create failed")), ObstacleKind::Configuration);
        assert_eq!(kind("start", answered(404, "network otto not found")), ObstacleKind::Configuration);
        assert_eq!(kind("start", answered(500, "no space left on device")), ObstacleKind::Configuration);
        let removed = answered(409, "container is marked for removal and cannot be started");
        assert_eq!(kind("start", removed), ObstacleKind::Unschedulable);
        assert_eq!(kind("prepare", answered(404, "No such container: w")), ObstacleKind::Unschedulable);
        assert_eq!(kind("start", Error::RequestTimeoutError), ObstacleKind::Unschedulable);
    }

    #[test]
    fn only_what_docker_refuses_is_final() {
        let worker = testing::worker_spec("t", "r").worker_id;
        for (code, expected) in
            [(400, ErrorKind::Refused), (404, ErrorKind::Unavailable), (500, ErrorKind::Unavailable)]
        {
            let error = error("create", &worker, &answered(code, "why"));
            assert_eq!(error.kind(), expected, "{code}");
            assert_eq!(error.reason(), format!("why ({code})"));
        }
        assert_eq!(error("stop", &worker, &Error::RequestTimeoutError).kind(), ErrorKind::Unavailable);
    }
}
