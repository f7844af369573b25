//! Who writes the log: this process says so on each connection, and learns what the server has of it.

use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::registration_response::Status;
use ottoscaler_proto::v1::{RegistrationResponse, WorkerRegistration};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tracing::warn;

use super::Identity;
use super::denial::Denial;
use super::link::{self, CALL_TIMEOUT};
use super::link_error::LinkError;
use crate::log::Log;

/// The metadata of a stream that names the session of its registration.
const SESSION: &str = "otto-session";

/// What the server has said to this process so far.
#[derive(Debug, Default)]
pub(super) struct Registration {
    is_confirmed: bool,
}

impl Registration {
    /// Whether the server took this process for the one that writes the log. Until then the worker id may
    /// be another run's.
    pub(super) const fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Registers, again after each cut. Gives what the server says.
    pub(super) async fn renew(
        &mut self,
        identity: &Identity,
        log: &Log,
        client: &mut LogStreamingServiceClient<Channel>,
    ) -> Result<RegistrationResponse, LinkError> {
        let answer = register(identity.registration(), client).await.map_err(lasting_or_not)?;
        match answer.status() {
            Status::Success | Status::AlreadyRegistered => {}
            Status::ServerFull => return Err(LinkError::NotNow(server_full(&answer))),
            Status::InvalidRequest => return Err(LinkError::Permanent(answer.message)),
        }
        let max_line = answer.config.as_ref().map_or(0, |config| config.max_message_size);
        if let Ok(max_line @ 1..) = usize::try_from(max_line) {
            log.lower_line_limit(max_line);
        }
        Ok(answer)
    }

    /// Goes on after what the server has.
    pub(super) fn resume(
        &mut self,
        identity: &Identity,
        log: &Log,
        answer: &RegistrationResponse,
    ) -> Result<(), LinkError> {
        resume(identity, log, answer.last_sequence.max(0).cast_unsigned())?;
        self.is_confirmed = true;
        Ok(())
    }

    /// The server does not say what it has.
    pub(super) const fn resume_anywhere(&mut self) {
        self.is_confirmed = true;
    }
}

/// Whether or not the server took the log once: its rights, or those of its worker, may have been taken away since.
fn lasting_or_not(error: LinkError) -> LinkError {
    match error {
        LinkError::Call(status) if is_lasting(&status) => {
            let denial = Denial::Registration(status.code());
            LinkError::Denied(denial, format!("{} ({:?})", status.message(), status.code()))
        }
        error => error,
    }
}

/// A stream of whoever registered: the server knows it by that from others that name the same worker. Some servers
/// have no sessions.
pub(crate) fn in_session<T>(stream: T, session_id: &str) -> Request<T> {
    let mut request = Request::new(stream);
    if let Ok(session) = AsciiMetadataValue::try_from(session_id)
        && !session.is_empty()
    {
        request.metadata_mut().insert(SESSION, session);
    }
    request
}

/// In the words of the other reasons.
pub(crate) fn server_full(answer: &RegistrationResponse) -> String {
    format!("server_full: {}", answer.message)
}

/// One call of RegisterWorker.
pub(crate) async fn register(
    registration: WorkerRegistration,
    client: &mut LogStreamingServiceClient<Channel>,
) -> Result<RegistrationResponse, LinkError> {
    let call = client.register_worker(registration.sealed());
    let timeout = || LinkError::NotNow(format!("no answer to RegisterWorker within {CALL_TIMEOUT:?}"));
    let called = tokio::time::timeout(CALL_TIMEOUT, call).await.map_err(|_| timeout())?;
    link::intact(called?.into_inner())
}

/// Goes on after what the server has, if that came from this process.
fn resume(identity: &Identity, log: &Log, last_sequence: u64) -> Result<(), LinkError> {
    let (lost, got_on) = {
        let mut buffer = log.buffer();
        let last_offered = buffer.last_offered();
        if last_sequence > last_offered {
            return Err(LinkError::Permanent(format!(
                "another run wrote to this log: it has {last_sequence} lines, and this run sent {last_offered}"
            )));
        }
        let before = buffer.acked();
        let lost = buffer.forget(last_sequence);
        buffer.ack(last_sequence);
        (lost, buffer.acked() > before)
    };
    // Being connected again makes no room: whoever was not to wait any more does not wait anew.
    if got_on {
        log.freed();
    }
    if lost > 0 {
        warn!(worker_id = %identity.worker_id, lost, "the server has lost lines that it had acknowledged");
    }
    Ok(())
}

/// Whether the server may well say the same again. tonic makes these codes of a plain 404, 401 or 403 as well, and
/// that is a proxy which has lost its server. One that speaks gRPC cannot be told from a server, so whether the
/// word lasts is what [`Denials`](super::denial::Denials) waits for.
fn is_lasting(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated)
        && is_grpc(status)
}

/// Whether it was said in gRPC's own terms, by a server or by a proxy that speaks them.
pub(super) fn is_grpc(status: &tonic::Status) -> bool {
    let content_type = status.metadata().get("content-type").and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.starts_with("application/grpc"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::batch::Source;
    use crate::buffer::WhenFull;
    use crate::config::Compression;
    use crate::ids::{Incarnation, WorkerId};
    use crate::line::Ending;
    use crate::spool::Spool;

    #[tokio::test(start_paused = true)]
    async fn p7_being_connected_again_does_not_make_the_command_wait_anew() {
        let worker_id = WorkerId::made_up();
        let identity = Identity {
            ingest_url: String::new(),
            compression: Compression::None,
            task_id: worker_id.clone().into(),
            worker_id,
            attempt: 1,
            incarnation: Incarnation::random(),
        };
        let log = Log::new(256 << 10, WhenFull::DropOldest, 64 << 10, Spool::none());
        while log.buffer().has_room() {
            log.buffer().push(0, Source::Stdout, &[b'x'; 1000], Ending::Newline);
        }
        let waits = async |log: &Log| {
            let before = Instant::now();
            log.room().await;
            before.elapsed() > Duration::ZERO
        };
        assert!(waits(&log).await, "for a server that may take lines");
        resume(&identity, &log, 0).unwrap();
        assert!(!waits(&log).await, "it has taken none");
        log.buffer().take_all();
        resume(&identity, &log, 1).unwrap();
        assert!(waits(&log).await, "it has taken one");
    }

    /// What a server took once it need not take for ever.
    #[test]
    fn a_registration_that_is_denied_in_grpcs_own_terms_may_be_so_for_good() {
        for (code, content_type, expected) in [
            (Code::PermissionDenied, "application/grpc", Some(Denial::Registration(Code::PermissionDenied))),
            (Code::PermissionDenied, "text/html", None),
            (Code::Unavailable, "application/grpc", None),
        ] {
            let mut status = tonic::Status::new(code, "said");
            status.metadata_mut().insert("content-type", content_type.parse().unwrap());
            assert_eq!(lasting_or_not(status.into()).denial(), expected, "{code:?} {content_type}");
        }
    }
}
