//! A log-ingest in memory that misbehaves as it is told.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_response::Status as Answer;
use ottoscaler_proto::v1::log_streaming_service_server::{LogStreamingService, LogStreamingServiceServer};
use ottoscaler_proto::v1::registration_response::Status as Registered;
use ottoscaler_proto::v1::{
    CompletionResponse, LogBatch, LogEntry, LogResponse, LoggingConfig, RegistrationResponse, SequenceRange,
    UploadSummary, WorkerCompletion, WorkerRegistration,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::mischief::Mischief;
use crate::proxy::{Denial, Proxy};

/// What it has seen and stored.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each test sets one habit of the server, and leaves the others"
)]
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What happens to the next batches; afterwards it behaves.
    pub(crate) mischief: VecDeque<Mischief>,
    /// What the next registrations get, where it is not an answer.
    pub(crate) denials: VecDeque<Option<Denial>>,
    /// How long each answer to a batch takes.
    pub(crate) delay: Duration,
    /// What the next uploads get before anything of them is read.
    pub(crate) refused_uploads: VecDeque<Status>,
    /// What the next completions get.
    pub(crate) refused_completions: VecDeque<Status>,
    /// Whether it stores what is uploaded and never says so.
    pub(crate) is_mute_to_uploads: bool,
    /// Lines that it says it refused of an upload.
    pub(crate) dropped: i64,
    /// Whether it refuses registrations for good.
    pub(crate) refuses: bool,
    /// Whether it never answers a registration.
    pub(crate) is_mute: bool,
    /// Whether it knows only the fixed RPCs, in their first form: answers to entries carry no sequence, and
    /// registrations do not say what is there.
    pub(crate) is_old: bool,
    /// Entries as they came, to an old server.
    pub(crate) entries: Vec<LogEntry>,
    /// The longest line that it takes; 0: any.
    pub(crate) max_line: i32,
    /// Lines a second that it asks for; 0: any.
    pub(crate) rate_limit: i32,
    /// The stored lines, a gap as `Err` of its reason, in order of sequence from 1.
    pub(crate) lines: Vec<Result<Vec<u8>, String>>,
    /// How many batches or entries were here and not answered when one was stored, and that one; none for each that was
    /// refused.
    pub(crate) waiting: Vec<Option<usize>>,
    /// It has asked for a flight again, and what is left of that is passed over.
    pub(crate) has_asked: bool,
    /// Entries that it wants in flight at the most; 0: any.
    pub(crate) window: i32,
    /// Lines of each batch, as it came.
    pub(crate) batches: Vec<usize>,
    /// As the streams named it, of lines or of uploads.
    pub(crate) sessions: Vec<String>,
    pub(crate) registrations: Vec<WorkerRegistration>,
    pub(crate) completions: Vec<WorkerCompletion>,
}

impl Seen {
    fn high(&self) -> i64 {
        i64::try_from(self.lines.len()).unwrap()
    }

    /// Stores what is new of a batch.
    fn store(&mut self, batch: &LogBatch) {
        let skip = usize::try_from(self.high() + 1 - batch.first_sequence).unwrap();
        if let Some(gap) = &batch.gap {
            let count = usize::try_from(gap.last_sequence - batch.first_sequence + 1).unwrap();
            let new = count.saturating_sub(skip);
            self.lines.extend(std::iter::repeat_n(Err(gap.reason.clone()), new));
            return;
        }
        let mut at = 0;
        let lines = batch.lengths.iter().map(|length| {
            let end = at + *length as usize;
            let line = batch.data[at..end].to_vec();
            at = end;
            Ok(line)
        });
        self.lines.extend(lines.skip(skip));
    }

    fn heard_of<T>(&mut self, stream: &Request<T>) {
        let session = stream.metadata().get("otto-session");
        self.sessions.push(session.map_or_else(String::new, |session| session.to_str().unwrap().to_owned()));
    }

    /// Stored lines as text, gaps in angle brackets.
    pub(crate) fn text(&self) -> Vec<String> {
        let show = |line: &Result<Vec<u8>, String>| match line {
            Ok(line) => String::from_utf8_lossy(line).into_owned(),
            Err(reason) => format!("<{reason}>"),
        };
        self.lines.iter().map(show).collect()
    }
}

/// The server; it ends with this.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port.
    pub(crate) async fn start(mischief: impl IntoIterator<Item = Mischief>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { mischief: mischief.into_iter().collect(), ..Seen::default() }));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = LogStreamingServiceServer::new(Streams(Arc::clone(&seen)));
        let proxy = Proxy { server, seen: Arc::clone(&seen) };
        let router = tonic::transport::Server::builder().add_service(proxy);
        #[allow(clippy::disallowed_methods, reason = "Drop ends it")]
        let serving = tokio::spawn(async move {
            router.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { url, seen, serving }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Clone)]
pub(crate) struct Streams(Arc<Mutex<Seen>>);

fn answer(status: Answer, message: &str, sequence: i64) -> LogResponse {
    LogResponse { status: status.into(), message: message.to_owned(), sequence, crc32c: None }
}

/// What a client sends, read as soon as it is here: then all that is in flight is.
fn read_on<T: Send + 'static>(mut messages: Streaming<T>) -> mpsc::Receiver<T> {
    let (here, waiting) = mpsc::channel(1024);
    #[allow(clippy::disallowed_methods, reason = "ends with its stream")]
    tokio::spawn(async move {
        while let Ok(Some(message)) = messages.message().await {
            let Ok(()) = here.send(message).await else { return };
        }
    });
    waiting
}

/// The answers to a batch, and whether the stream goes on. So many are `here`, with this one.
fn respond(seen: &mut Seen, batch: &LogBatch, here: usize) -> Result<Vec<LogResponse>, Status> {
    seen.batches.push(batch.lengths.len());
    let high = seen.high();
    if batch.first_sequence > high + 1 && seen.mischief.front() != Some(&Mischief::RetryEach) {
        let retry = answer(Answer::Retry, "reason=gap;retry_after_ms=0", high);
        let was_asked = std::mem::replace(&mut seen.has_asked, true);
        return Ok(if was_asked { Vec::new() } else { vec![retry] });
    }
    seen.has_asked = matches!(
        seen.mischief.front(),
        Some(Mischief::Retry | Mischief::RetryEach | Mischief::RetryLater | Mischief::DiskFull)
    );
    seen.waiting.push((!seen.has_asked).then_some(here));
    match seen.mischief.pop_front() {
        None => seen.store(batch),
        Some(Mischief::Retry | Mischief::RetryEach) => {
            return Ok(vec![answer(Answer::Retry, "reason=queue_full;retry_after_ms=20", high)]);
        }
        Some(Mischief::DiskFull) => {
            return Ok(vec![answer(Answer::Retry, "reason=disk_full;retry_after_ms=300", high)]);
        }
        Some(Mischief::RetryLater) => {
            return Ok(vec![answer(Answer::Retry, "reason=rate_limited;retry_after_ms=700", high)]);
        }
        Some(Mischief::StoreAndCut) => {
            seen.store(batch);
            return Err(Status::aborted("cut"));
        }
        Some(Mischief::LoseAll) => {
            seen.store(batch);
            let acked = answer(Answer::Ack, "", seen.high());
            seen.lines.clear();
            return Ok(vec![acked]);
        }
        Some(Mischief::DropSecondLine) => {
            seen.store(batch);
            let second = usize::try_from(batch.first_sequence).unwrap();
            seen.lines[second] = Err("message_too_large".to_owned());
            let dropped = answer(Answer::Drop, "reason=message_too_large", batch.first_sequence + 1);
            return Ok(vec![dropped, answer(Answer::Ack, "", seen.high())]);
        }
        Some(Mischief::NotRegistered) => return Err(Status::failed_precondition("register first")),
        Some(Mischief::Freeze) => {
            seen.mischief.push_front(Mischief::Freeze);
            return Ok(Vec::new());
        }
        Some(Mischief::Closed) => {
            return Ok(vec![answer(Answer::Drop, "reason=log_closed", batch.first_sequence)]);
        }
        Some(Mischief::AckTooMuch) => return Ok(vec![answer(Answer::Ack, "", high + 1_000_000)]),
        Some(Mischief::Flip) => {
            let last = batch.first_sequence + i64::try_from(batch.lengths.len()).unwrap() - 1;
            let retry = answer(Answer::Retry, "", high).sealed();
            return Ok(vec![LogResponse { status: Answer::Ack.into(), sequence: last, ..retry }]);
        }
    }
    Ok(vec![answer(Answer::Ack, "", seen.high())])
}

/// The answer to an entry, of a server that knows no sequences.
fn respond_to_entry(seen: &mut Seen, entry: LogEntry, here: usize) -> Result<LogResponse, Status> {
    seen.waiting.push((seen.mischief.front() != Some(&Mischief::Retry)).then_some(here));
    match seen.mischief.pop_front() {
        Some(Mischief::Retry) => return Ok(answer(Answer::Retry, "reason=busy;retry_after_ms=5", 0)),
        Some(Mischief::Closed) => return Ok(answer(Answer::Drop, "reason=log_closed", 0)),
        Some(Mischief::StoreAndCut) => {
            seen.entries.push(entry);
            return Err(Status::unavailable("cut"));
        }
        _ => seen.entries.push(entry),
    }
    Ok(answer(Answer::Ack, "", 0))
}

#[async_trait]
impl LogStreamingService for Streams {
    type StreamLogsStream = ReceiverStream<Result<LogResponse, Status>>;
    type StreamLogBatchesStream = ReceiverStream<Result<LogResponse, Status>>;

    async fn register_worker(
        &self,
        request: Request<WorkerRegistration>,
    ) -> Result<Response<RegistrationResponse>, Status> {
        let is_mute = self.0.lock().unwrap().is_mute;
        if is_mute {
            std::future::pending::<()>().await;
        }
        let mut seen = self.0.lock().unwrap();
        seen.registrations.push(request.into_inner());
        let status = if seen.refuses { Registered::InvalidRequest } else { Registered::Success };
        Ok(Response::new(RegistrationResponse {
            status: status.into(),
            message: if seen.refuses { "another incarnation".to_owned() } else { String::new() },
            last_sequence: if seen.is_old { 0 } else { seen.high() },
            config: Some(LoggingConfig {
                rate_limit: seen.rate_limit,
                max_message_size: seen.max_line,
                buffer_size: seen.window,
                ..LoggingConfig::default()
            }),
            session_id: "the session".to_owned(),
            ..RegistrationResponse::default()
        }))
    }

    async fn stream_log_batches(
        &self,
        request: Request<Streaming<LogBatch>>,
    ) -> Result<Response<Self::StreamLogBatchesStream>, Status> {
        if self.0.lock().unwrap().is_old {
            return Err(Status::unimplemented("unknown method StreamLogBatches"));
        }
        let (answers, outgoing) = mpsc::channel(64);
        self.0.lock().unwrap().heard_of(&request);
        let (seen, mut batches) = (Arc::clone(&self.0), read_on(request.into_inner()));
        #[allow(clippy::disallowed_methods, reason = "ends with its stream")]
        tokio::spawn(async move {
            while let Some(batch) = batches.recv().await {
                let delay = seen.lock().unwrap().delay;
                tokio::time::sleep(delay).await;
                let responses = respond(&mut seen.lock().unwrap(), &batch, batches.len() + 1);
                match responses {
                    Ok(responses) => {
                        for response in responses {
                            let _gone = answers.send(Ok(response)).await;
                        }
                    }
                    Err(status) => {
                        let _gone = answers.send(Err(status)).await;
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }

    async fn complete_worker(
        &self,
        request: Request<WorkerCompletion>,
    ) -> Result<Response<CompletionResponse>, Status> {
        let (mut seen, completion) = (self.0.lock().unwrap(), request.into_inner());
        if seen.is_old {
            return Err(Status::unimplemented("unknown method CompleteWorker"));
        }
        if let Some(status) = seen.refused_completions.pop_front() {
            return Err(status);
        }
        let high = seen.high();
        let (last, closes) = (completion.last_sequence, !completion.reason.is_empty());
        seen.completions.push(completion);
        let complete = high >= last;
        let missing = if complete || closes { vec![] } else { vec![SequenceRange { first: high + 1, last }] };
        Ok(Response::new(CompletionResponse { complete, missing, ..CompletionResponse::default() }))
    }

    async fn stream_logs(
        &self,
        request: Request<Streaming<LogEntry>>,
    ) -> Result<Response<Self::StreamLogsStream>, Status> {
        let (answers, outgoing) = mpsc::channel(64);
        self.0.lock().unwrap().heard_of(&request);
        let (seen, mut entries) = (Arc::clone(&self.0), read_on(request.into_inner()));
        // As servers in Node do: before the first entry nothing goes back, not even that the stream is open.
        let mut next = entries.recv().await;
        #[allow(clippy::disallowed_methods, reason = "ends with its stream")]
        tokio::spawn(async move {
            while let Some(entry) = next {
                let delay = seen.lock().unwrap().delay;
                tokio::time::sleep(delay).await;
                let response = respond_to_entry(&mut seen.lock().unwrap(), entry, entries.len() + 1);
                let ends = response.is_err();
                let _gone = answers.send(response).await;
                if ends {
                    return;
                }
                next = entries.recv().await;
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }

    async fn upload_logs(
        &self,
        request: Request<Streaming<LogBatch>>,
    ) -> Result<Response<UploadSummary>, Status> {
        self.0.lock().unwrap().heard_of(&request);
        let refused = self.0.lock().unwrap().refused_uploads.pop_front();
        if let Some(status) = refused {
            return Err(status);
        }
        let mut batches = request.into_inner();
        while let Some(batch) = batches.message().await? {
            self.0.lock().unwrap().store(&batch);
        }
        let is_mute = self.0.lock().unwrap().is_mute_to_uploads;
        if is_mute {
            std::future::pending::<()>().await;
        }
        let seen = self.0.lock().unwrap();
        let (last_sequence, dropped) = (seen.high(), seen.dropped);
        let summary = UploadSummary { last_sequence, dropped, ..UploadSummary::default() };
        Ok(Response::new(summary.sealed()))
    }
}
