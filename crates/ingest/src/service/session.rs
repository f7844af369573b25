//! Whose log a stream is for, and whether its client is the one that registered as that.
//!
//! Agents show with each stream the session that they registered as, so a run that was refused the name of another, or
//! a stranger, cannot write the other's log, nor end its stream. Clients of the fixed contract know nothing of
//! that, and neither do agents of before: what they show nothing of is believed, but not against one that shows its
//! session with an open stream, nor where the last run that came to register was another and was refused.

use std::sync::Arc;

use tonic::Status;
use tonic::codegen::http::HeaderMap;

use crate::fence::{Held, Place, Shown};
use crate::ids::{TaskId, WorkerId};
use crate::queue::Claim;
use crate::server::Server;
use crate::worker::WorkerState;
use tokio_util::sync::CancellationToken;

/// The metadata in which a client shows the `session_id` of its registration.
const SESSION: &str = "otto-session";

/// What a client shows of its session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session(Option<Box<str>>);

impl Session {
    /// As it stands in a request.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        // What is no text is no session of this server.
        let text = headers.get(SESSION).map(|value| value.to_str().unwrap_or("?"));
        Self(text.filter(|text| !text.is_empty()).map(Box::from))
    }

    fn shown(&self) -> Shown {
        if self.0.is_some() { Shown::Session } else { Shown::Nothing }
    }

    /// Whose log lines of `worker` are for; of a worker that nobody knows, only `task` could say.
    pub(super) fn claim(
        &self,
        server: &Server,
        worker: &WorkerId,
        task: Option<&TaskId>,
    ) -> Result<Claim, Status> {
        let state = server.catalog.worker(worker);
        match (&state, &self.0, task) {
            (None, None, Some(task)) => Ok(Claim::Name(task.clone())),
            (None, _, _) => Err(unknown(worker)),
            (Some(state), Some(shown), _) if **shown != *state.registration.session_id => Err(other(worker)),
            (Some(state), None, _) if has_incarnation(state) && server.catalog.is_disputed(worker) => {
                Err(other(worker))
            }
            (Some(state), None, Some(task)) if !has_incarnation(state) => Ok(Claim::Name(task.clone())),
            (Some(state), _, _) => Ok(Claim::Session(Arc::clone(&state.registration.session_id))),
        }
    }

    /// Whether lines may come beside the worker's stream, if it has one.
    pub(super) fn passes(&self, server: &Server, worker: &WorkerId) -> Result<(), Status> {
        server.fence.passes(worker, self.shown()).map_err(|Held| other(worker))
    }

    /// Takes the worker's place for a stream.
    pub(super) fn take(
        &self,
        server: &Server,
        worker: &WorkerId,
        superseded: CancellationToken,
    ) -> Result<Place, Status> {
        server.fence.take(worker, self.shown(), superseded).map_err(|Held| other(worker))
    }
}

fn has_incarnation(state: &WorkerState) -> bool {
    !state.registration.incarnation.is_empty()
}

/// Whether a log is still that of a claim.
pub(super) fn holds(claim: &Claim, state: Option<&WorkerState>) -> bool {
    match claim {
        Claim::Name(_) => true,
        Claim::Session(session) => state.is_some_and(|state| state.registration.session_id == *session),
    }
}

/// How a stream ends of whose worker nothing is known, or no more.
pub(super) fn unknown(worker: &WorkerId) -> Status {
    Status::failed_precondition(format!("worker {worker} is not registered: call RegisterWorker first"))
}

fn other(worker: &WorkerId) -> Status {
    Status::failed_precondition(format!(
        "{SESSION}: worker {worker} is another run's; call RegisterWorker, and send its session_id as {SESSION}"
    ))
}
