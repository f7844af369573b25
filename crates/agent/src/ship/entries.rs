//! One connection to a server that knows only the fixed RPCs: a line an entry, an answer an entry.
//!
//! Such a server does not say what it has, so after a cut everything that is not acknowledged is sent again,
//! numbered as before: one that heeds the numbers stores each line once, any other at least once.

use std::pin::Pin;
use std::sync::Arc;

use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{LogEntry, LogResponse, RegistrationResponse};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Streaming};

use super::denial::Denial;
use super::flight::{Answer, Flight};
use super::link::{self, Due, STALL};
use super::link_error::{self, LinkError};
use super::pace::Pace;
use super::retries::Retries;
use super::{Finish, Identity, Shipped, registration, session};
use crate::log::Log;

/// Entries that wait for their answers at the most; each is a line and some 200 bytes.
const WINDOW: usize = 1024;

/// Entries that wait for HTTP/2 to take them.
const QUEUE: usize = 64;

/// A stream of entries, and the answers to it.
pub(super) struct EntryLink {
    log: Arc<Log>,
    client: LogStreamingServiceClient<Channel>,
    /// What is the same in all entries.
    entry: LogEntry,
    entries: mpsc::Sender<LogEntry>,
    answers: Answers,
    /// What is on its way, and the sequence of its last line.
    flight: Option<(Flight, u64)>,
    waiting_since: Instant,
    paused_until: Instant,
    retries: Retries,
    pace: Pace,
}

/// The answers to a stream. Servers in Node send nothing before the first of them, not even that the stream
/// is open: whoever waits for that before the first entry waits for ever.
enum Answers {
    Opening(Pin<Box<dyn Future<Output = Result<Streaming<LogResponse>, LinkError>> + Send>>),
    Open(Box<Streaming<LogResponse>>),
}

impl Answers {
    fn of(
        mut client: LogStreamingServiceClient<Channel>,
        entries: Request<ReceiverStream<LogEntry>>,
    ) -> Self {
        Self::Opening(Box::pin(async move {
            let opened = client.stream_logs(entries).await.map_err(link_error::ended);
            let opened =
                opened.map_err(|error| if link_error::is_unknown(&error) { takes_none() } else { error });
            Ok(opened?.into_inner())
        }))
    }

    /// Cancel safe: how far the opening is, and a part of an answer that has come, are kept.
    async fn next(&mut self) -> Result<Option<LogResponse>, LinkError> {
        loop {
            match self {
                Self::Opening(opening) => {
                    let open = opening.await?;
                    *self = Self::Open(Box::new(open));
                }
                Self::Open(responses) => return responses.message().await.map_err(link_error::ended),
            }
        }
    }
}

impl EntryLink {
    /// Over a connection on which this process has registered.
    pub(super) fn open(
        identity: &Identity,
        client: LogStreamingServiceClient<Channel>,
        registered: &RegistrationResponse,
        log: &Arc<Log>,
    ) -> Self {
        let (entries, outgoing) = mpsc::channel(QUEUE);
        let stream = registration::in_session(ReceiverStream::new(outgoing), &registered.session_id);
        let answers = Answers::of(client.clone(), stream);
        let config = registered.config.as_ref();
        let pace = Pace::of(config);
        let asked = config.and_then(|config| usize::try_from(config.buffer_size).ok()).unwrap_or(0);
        let entry = LogEntry {
            worker_id: identity.worker_id.to_string(),
            task_id: identity.task_id.to_string(),
            ..LogEntry::default()
        };
        let window = if asked == 0 { WINDOW } else { asked.min(WINDOW) };
        let now = Instant::now();
        Self {
            log: Arc::clone(log),
            client,
            entry,
            entries,
            answers,
            flight: None,
            waiting_since: now,
            paused_until: now,
            retries: Retries::new(window),
            pace,
        }
    }

    /// Sends and takes answers until the log is complete or the connection ends. Cancel safe: what was
    /// not acknowledged stays in the buffer.
    pub(super) async fn run(
        &mut self,
        finish: &mut watch::Receiver<Option<Finish>>,
        last_try: &mut watch::Receiver<bool>,
    ) -> Result<Shipped, LinkError> {
        let entries = self.entries.clone();
        loop {
            let end = *finish.borrow_and_update();
            self.retries.is_last_try = *last_try.borrow();
            if let Some(end) = end.filter(|_| link::is_drained(&self.log)) {
                return self.complete(end).await;
            }
            self.take_off();
            let due = self.due();
            let stalled = self.waiting_since + STALL;
            let waits_for_answer = self.flight.as_ref().is_some_and(|(flight, _)| flight.is_waiting());
            let now = matches!(due, Due::Now);
            let at = if let Due::At(at) = due { Some(at) } else { None };
            // Cancel safe: a permit that is not used is given back, `next` keeps a part that has come,
            // `notified` is asked again by the loop, whose conditions look at the state itself.
            tokio::select! {
                permit = entries.reserve(), if now => {
                    let permit = permit.map_err(|_| LinkError::Ended)?;
                    let now = Instant::now();
                    if !waits_for_answer {
                        self.waiting_since = now;
                    }
                    self.pace.sent(1, now);
                    let window = self.retries.window();
                    if let Some(entry) = self.flight.as_mut().and_then(|(flight, _)| flight.send(window)) {
                        self.retries.sent();
                        permit.send(entry);
                    }
                }
                response = self.answers.next() => {
                    let response = response?.ok_or(LinkError::Ended)?;
                    self.answered(&response)?;
                }
                () = sleep_until(at.unwrap_or(stalled)), if at.is_some() => {}
                () = sleep_until(stalled), if waits_for_answer => return Err(LinkError::Stalled),
                () = self.log.arrived.notified(), if !now => {}
                // The senders live as long as the agent.
                _ = finish.changed() => {}
                _ = last_try.changed() => self.paused_until = Instant::now(),
            }
        }
    }

    /// Takes what there is of the log, once the piece before has arrived: lines gather meanwhile.
    fn take_off(&mut self) {
        if self.flight.is_some() || Instant::now() < self.paused_until {
            return;
        }
        let piece = link::take(&self.log, &mut self.paused_until);
        self.flight = piece.map(|piece| (Flight::new(piece.to_entries(&self.entry)), piece.last()));
    }

    fn due(&self) -> Due {
        match &self.flight {
            Some((flight, _)) if flight.is_ready(self.retries.window()) => {
                let ready_at = self.paused_until.max(self.pace.ready_at());
                if Instant::now() < ready_at { Due::At(ready_at) } else { Due::Now }
            }
            None if Instant::now() < self.paused_until => Due::At(self.paused_until),
            Some(_) | None => Due::WhenSomethingHappens,
        }
    }

    fn answered(&mut self, response: &LogResponse) -> Result<(), LinkError> {
        self.waiting_since = Instant::now();
        let Some((flight, last)) = &mut self.flight else { return Err(stray()) };
        match flight.answer(response) {
            Answer::Stored => self.retries.stored(1),
            Answer::Again(asked) if session::is_gap(response) => {
                self.paused_until = self.paused_until.max(Instant::now() + asked);
            }
            Answer::Again(asked) => {
                let reason = session::reason(response);
                self.log.refused(reason);
                self.paused_until = Instant::now() + self.retries.refused(reason, asked, rand::random());
            }
            Answer::Refused(sequence) => self.log.buffer().refuse_line(sequence),
            Answer::Stop(reason) => return Err(LinkError::Permanent(reason)),
            Answer::Stray => return Err(stray()),
        }
        if flight.is_settled() {
            self.log.buffer().ack(*last);
            self.flight = None;
            self.log.freed();
        }
        Ok(())
    }

    /// Such a server may have no end of a log either. Then every line was answered, and that is all there is.
    async fn complete(&mut self, finish: Finish) -> Result<Shipped, LinkError> {
        match link::complete(&mut self.client, &self.entry.worker_id, finish, &self.log).await {
            Err(LinkError::Call(status)) if status.code() == Code::Unimplemented => {
                match self.log.buffer().dropped() {
                    0 => Ok(Shipped::Complete),
                    dropped => Ok(Shipped::Incomplete(format!("{dropped} lines were dropped"))),
                }
            }
            other => other,
        }
    }
}

fn takes_none() -> LinkError {
    let said = "the server takes no lines: it knows neither StreamLogBatches nor StreamLogs";
    LinkError::Denied(Denial::Entries, said.to_owned())
}

fn stray() -> LinkError {
    LinkError::NotNow("the server answers what was not sent".to_owned())
}
