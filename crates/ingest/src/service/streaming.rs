//! LogStreamingService.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use ottoscaler_kit::ident;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::registration_response::Status as RegistrationStatus;
use ottoscaler_proto::v1::{
    CompletionResponse, LogBatch, LogResponse, LoggingConfig, RegistrationResponse, SequenceRange,
    UploadSummary, WorkerCompletion, WorkerRegistration,
};
use prost::Message;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::generated::log_streaming_service_server::LogStreamingService;
use super::runs::Run;
use super::session::Session;
use super::upload::Upload;
use super::{EncodedEntry, EntryResponse, batches, entries};
use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::parse::LAST_LINE;
use crate::queue::{Completed, Completion, Introduction, Refused, Registered, Submission};
use crate::reason::Retry;
use crate::server::Server;
use crate::worker::{Closing, WorkerState};

/// Room that a request without lines takes in the queue.
const SMALL: usize = 1024;

/// Bytes of an incarnation; UUIDs and hashes fit.
const MAX_INCARNATION: usize = 64;

/// Bytes of a worker's metadata. It is kept in memory for every worker that the server knows.
const MAX_METADATA: usize = 16 << 10;

/// Lines in.
#[derive(Clone)]
pub struct Streaming(pub Server);

/// How a stream of answers ends: ABORTED where a newer stream of the same worker has taken over,
/// UNAVAILABLE where the server is about to stop, and without an error otherwise.
pub(super) fn ending<T: Send>(
    superseded: CancellationToken,
    draining: CancellationToken,
) -> impl Stream<Item = Result<T, Status>> + Send {
    let status = move || {
        if superseded.is_cancelled() {
            Some(Err(Status::aborted("a newer stream of the same worker took over")))
        } else if draining.is_cancelled() {
            Some(Err(Status::unavailable(Retry::Draining.message())))
        } else {
            None
        }
    };
    stream::iter(std::iter::once_with(status)).filter_map(std::future::ready)
}

impl Streaming {
    /// Asks the writer, and waits for what it says.
    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Submission) -> Result<T, Status> {
        if self.0.draining.is_cancelled() {
            return Err(Status::unavailable(Retry::Draining.message()));
        }
        let (reply, answer) = oneshot::channel();
        self.0.queue.try_submit(SMALL, make(reply)).map_err(|refused| match refused {
            Refused::Full => Status::resource_exhausted(Retry::QueueFull.message()),
            Refused::Stopped => Status::unavailable(Retry::Draining.message()),
        })?;
        answer.await.map_err(|_| Status::unavailable(Retry::Draining.message()))
    }

    /// What became of a closed log that is not complete, and whether it had an end before.
    fn closed(&self, worker: &WorkerId, exit_code: Option<i32>) -> String {
        let state = self.0.catalog.worker(worker);
        let reason = state.as_ref().and_then(|state| state.closing.as_ref()).map(|closing| &*closing.reason);
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            return format!("the log was closed before its end: {reason}");
        }
        let lost = state.as_ref().map_or(0, |state| state.lost);
        match &*self.closed_otherwise(worker, exit_code) {
            "" => format!("the log is closed, and {lost} of its lines are lost"),
            otherwise => format!("{otherwise}, and {lost} of its lines are lost"),
        }
    }

    /// Empty, or that a log had another end before: the first one stands.
    fn closed_otherwise(&self, worker: &WorkerId, exit_code: Option<i32>) -> String {
        let state = self.0.catalog.worker(worker);
        let before = state.as_ref().and_then(|state| state.closing.as_ref()).map(|closing| closing.exit_code);
        match before.filter(|before| *before != exit_code) {
            None => String::new(),
            Some(Some(code)) => format!("the log was closed before, with exit code {code}"),
            Some(None) => "the log was closed before, without an exit code".to_owned(),
        }
    }

    fn config(&self) -> LoggingConfig {
        LoggingConfig {
            rate_limit: self.0.rates.told().try_into().unwrap_or(i32::MAX),
            buffer_size: 0,
            max_message_size: i32::try_from(self.0.limits.max_line).unwrap_or(i32::MAX),
            include_metadata: true,
        }
    }

    fn registered(&self, status: RegistrationStatus, state: &WorkerState) -> RegistrationResponse {
        RegistrationResponse {
            status: status.into(),
            message: String::new(),
            session_id: state.registration.session_id.to_string(),
            config: Some(self.config()),
            last_sequence: state.high.to_wire(),
            crc32c: None,
        }
    }

    /// What is asked for, if it came as it was sent.
    fn intact<T: Checked>(&self, request: Request<T>) -> Result<T, Status> {
        let request = request.into_inner();
        if request.is_intact() { Ok(request) } else { Err(changed(&self.0)) }
    }
}

/// How a call ends whose request was changed on the way: it may be made again.
pub(super) fn changed(server: &Server) -> Status {
    server.metrics.retry(Retry::ChecksumMismatch);
    Status::data_loss(Retry::ChecksumMismatch.message())
}

fn not_registered(status: RegistrationStatus, message: impl Into<String>) -> RegistrationResponse {
    RegistrationResponse { status: status.into(), message: message.into(), ..RegistrationResponse::default() }
}

fn introduction(request: WorkerRegistration) -> Result<Introduction, String> {
    let worker = WorkerId::try_from(&*request.worker_id).map_err(|why| format!("worker_id: {why}"))?;
    let task = match &*request.task_id {
        "" => None,
        task => Some(TaskId::try_from(task).map_err(|why| format!("task_id: {why}"))?),
    };
    // A copy: a slice would keep the connection's whole buffer in memory for as long as the worker is known.
    let incarnation = Bytes::copy_from_slice(&request.incarnation);
    let metadata = request.metadata.unwrap_or_default();
    at_most("incarnation", incarnation.len(), MAX_INCARNATION)?;
    at_most("metadata", metadata.encoded_len(), MAX_METADATA)?;
    Ok(Introduction { worker, task, attempt: request.attempt, incarnation, metadata })
}

fn at_most(field: &str, bytes: usize, limit: usize) -> Result<(), String> {
    if bytes <= limit {
        return Ok(());
    }
    Err(format!("{field}: must be at most {limit} bytes, and has {bytes}"))
}

fn completion(request: &WorkerCompletion) -> Result<Completion, Status> {
    let invalid = |message: String| Status::invalid_argument(message);
    let worker =
        WorkerId::try_from(&*request.worker_id).map_err(|why| invalid(format!("worker_id: {why}")))?;
    let last = Sequence::from_wire(request.last_sequence).ok_or_else(|| {
        invalid(format!("last_sequence: must not be negative, and is {}", request.last_sequence))
    })?;
    // A gap to there may become part of the log.
    if last.get() > LAST_LINE {
        return Err(invalid(format!("last_sequence: must be at most {LAST_LINE}, and is {}", last.get())));
    }
    if !request.reason.is_empty() {
        ident::check(&request.reason).map_err(|why| invalid(format!("reason: {why}")))?;
    }
    let exit_code = (!request.exit_code_unknown).then_some(request.exit_code);
    let closing = Closing { exit_code, signal: request.signal, reason: Arc::from(&*request.reason) };
    Ok(Completion { worker, last, closing })
}

#[tonic::async_trait]
impl LogStreamingService for Streaming {
    async fn register_worker(
        &self,
        request: Request<WorkerRegistration>,
    ) -> Result<Response<RegistrationResponse>, Status> {
        let introduction = match introduction(self.intact(request)?) {
            Ok(introduction) => introduction,
            Err(why) => {
                let refused = not_registered(RegistrationStatus::InvalidRequest, why);
                return Ok(Response::new(refused.sealed()));
            }
        };
        let worker = introduction.worker.clone();
        let answer = self.ask(|reply| Submission::Register(introduction, reply)).await?;
        match &answer {
            Registered::Known(_) => self.0.catalog.dispute(&worker, false),
            Registered::OtherIncarnation => self.0.catalog.dispute(&worker, true),
            Registered::New(_) | Registered::OtherTask(_) | Registered::Full | Registered::NotStored(_) => {}
        }
        let response = match answer {
            Registered::New(state) => self.registered(RegistrationStatus::Success, &state),
            Registered::Known(state) => self.registered(RegistrationStatus::AlreadyRegistered, &state),
            Registered::OtherIncarnation => not_registered(
                RegistrationStatus::InvalidRequest,
                "incarnation: another run has this worker_id; give each run a worker_id of its own",
            ),
            Registered::OtherTask(task) => not_registered(
                RegistrationStatus::InvalidRequest,
                format!(
                    "task_id: this worker is one of task {task}; give each worker a worker_id of its own"
                ),
            ),
            Registered::Full => not_registered(
                RegistrationStatus::ServerFull,
                "this server takes no more workers; raise --max-workers",
            ),
            Registered::NotStored(retry) => return Err(Status::unavailable(retry.message())),
        };
        Ok(Response::new(response.sealed()))
    }

    type StreamLogsStream = BoxStream<'static, Result<EntryResponse, Status>>;

    async fn stream_logs(
        &self,
        request: Request<tonic::Streaming<EncodedEntry>>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        let session = Session::of(request.metadata().as_ref());
        let runs = request.into_inner().map(|entry| entry.map(|EncodedEntry(entry)| Run::of(&entry)));
        Ok(Response::new(entries::responses(&self.0, session, runs)))
    }

    type StreamLogBatchesStream = BoxStream<'static, Result<LogResponse, Status>>;

    async fn stream_log_batches(
        &self,
        request: Request<tonic::Streaming<LogBatch>>,
    ) -> Result<Response<Self::StreamLogBatchesStream>, Status> {
        let session = Session::of(request.metadata().as_ref());
        Ok(Response::new(batches::responses(&self.0, session, request.into_inner())))
    }

    async fn upload_logs(
        &self,
        request: Request<tonic::Streaming<LogBatch>>,
    ) -> Result<Response<UploadSummary>, Status> {
        let session = Session::of(request.metadata().as_ref());
        let summary = Upload::new(&self.0, session).all(request.into_inner()).await?;
        Ok(Response::new(summary.sealed()))
    }

    async fn complete_worker(
        &self,
        request: Request<WorkerCompletion>,
    ) -> Result<Response<CompletionResponse>, Status> {
        let completion = completion(&self.intact(request)?)?;
        let (worker, exit_code) = (completion.worker.clone(), completion.closing.exit_code);
        let answer = self.ask(|reply| Submission::Complete(completion, reply)).await?;
        let response = match answer {
            Completed::Complete => CompletionResponse {
                complete: true,
                message: self.closed_otherwise(&worker, exit_code),
                ..CompletionResponse::default()
            },
            Completed::Closed => CompletionResponse {
                message: self.closed(&worker, exit_code),
                ..CompletionResponse::default()
            },
            Completed::Missing(first, last) => CompletionResponse {
                complete: false,
                missing: vec![SequenceRange { first: first.to_wire(), last: last.to_wire() }],
                message: "lines are missing, so the log stays open".to_owned(),
                crc32c: None,
            },
            Completed::Unknown => return Err(Status::not_found(format!("worker {worker} is not known"))),
            Completed::NotStored(retry) => return Err(Status::unavailable(retry.message())),
        };
        Ok(Response::new(response.sealed()))
    }
}
