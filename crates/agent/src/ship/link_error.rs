//! Why a connection or a stream has ended, from what the server and its library say.

use thiserror::Error;
use tonic::{Code, Status};

use super::denial::Denial;
use super::link::STALL;
use super::registration;

/// What the library says of an answer over HTTP/2 that is none of gRPC: a page, a status of HTTP.
const NO_GRPC: [&str; 2] = ["invalid compression flag", FROM_HTTP];

/// What it says of a status of HTTP that it has made one of gRPC.
const FROM_HTTP: &str = "mapped from HTTP status";

/// What it means.
const NO_GRPC_SERVER: &str = "this is not a gRPC server: the URL names a port of HTTP where log-ingest's gRPC port (50051) \
                              is meant, or a proxy answers in its place";

/// Why a connection has ended.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    #[error("cannot connect: {}", chain(.0))]
    Connect(#[from] tonic::transport::Error),
    #[error("{}", said(.0))]
    Call(#[from] Status),
    #[error("the server has ended the stream")]
    Ended,
    #[error("the server has answered nothing for {STALL:?}")]
    Stalled,
    #[error("{0}")]
    NotNow(String),
    #[error("an answer was changed on the way")]
    Changed,
    /// Of how batches are compressed, if not of them altogether: gRPC has one word for both.
    #[error("the server does not know how batches are compressed")]
    NoEncoding,
    /// It takes lines one by one, if at all.
    #[error("the server does not know StreamLogBatches")]
    NoBatches,
    /// Trying again cannot help, says a status.
    #[error("{1}")]
    Denied(Denial, String),
    /// Trying again cannot help.
    #[error("{0}")]
    Permanent(String),
}

impl LinkError {
    /// What the server seems not to want, or not to know.
    pub(super) const fn denial(&self) -> Option<Denial> {
        match self {
            Self::NoEncoding => Some(Denial::Encoding),
            Self::NoBatches => Some(Denial::Batches),
            Self::Denied(denial, _) => Some(*denial),
            Self::Connect(_)
            | Self::Call(_)
            | Self::Ended
            | Self::Stalled
            | Self::NotNow(_)
            | Self::Changed
            | Self::Permanent(_) => None,
        }
    }
}

/// tonic's own message says only that there was an error; what it was comes after.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.last().unwrap_or(error).to_string()
}

/// What a call came to, in words; those of gRPC's own library do not say what to do.
fn said(status: &Status) -> String {
    let (message, cause, code) = (status.message(), chain(status), status.code());
    // Without a cause it is its own.
    let cause =
        if std::error::Error::source(status).is_some() { format!(": {cause}") } else { String::new() };
    let said = format!("{message}{cause} ({code:?})");
    let is_none = !registration::is_grpc(status) && NO_GRPC.iter().any(|sign| said.contains(sign));
    if is_none { format!("{NO_GRPC_SERVER}: {said}") } else { said }
}

/// How a stream of lines has ended. Whoever may not send any may hear the same for ever.
pub(super) fn ended(status: Status) -> LinkError {
    let is_denied = matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated);
    // A status of HTTP is that of a proxy which has lost its server.
    if is_denied && !status.message().contains(FROM_HTTP) {
        LinkError::Denied(Denial::Lines(status.code()), said(&status))
    } else {
        status.into()
    }
}

/// gRPC's own word for a call that a server does not know; a plain 404 looks like it, and is not.
pub(super) fn is_unknown(error: &LinkError) -> bool {
    let LinkError::Call(status) = error else { return false };
    status.code() == Code::Unimplemented && registration::is_grpc(status)
}

/// What a server does not know that says so of batches. Whether it is only how they were compressed shows
/// when they are not.
pub(super) const fn unknown(is_compressed: bool) -> LinkError {
    if is_compressed { LinkError::NoEncoding } else { LinkError::NoBatches }
}

/// The same in a stream that a server opens before it finds that it does not know it.
pub(super) fn known_late(status: Status, is_compressed: bool) -> LinkError {
    if status.code() == Code::Unimplemented { unknown(is_compressed) } else { ended(status) }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::super::link::opened;
    use super::*;

    /// Whether the registration before was taken or not: what may send no lines waits for nothing.
    #[tokio::test]
    async fn p7_a_stream_that_is_denied_counts_as_a_denial_whenever_that_is_said() {
        let http = format!("grpc-status header missing, {FROM_HTTP} code 403");
        for (code, message, expected) in [
            (Code::PermissionDenied, "RBAC: access denied", Some(Denial::Lines(Code::PermissionDenied))),
            (Code::Unauthenticated, "no token", Some(Denial::Lines(Code::Unauthenticated))),
            (Code::PermissionDenied, &*http, None),
            (Code::Unavailable, "no healthy upstream", None),
        ] {
            let status = || Status::new(code, message);
            let at_once = opened(ready(Err(status()))).await.expect_err("it did not open");
            assert_eq!(at_once.denial(), expected, "{message}");
            assert_eq!(known_late(status(), false).denial(), expected, "{message}, late");
            assert!(at_once.to_string().contains(message), "{at_once}");
        }
    }
}
