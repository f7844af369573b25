//! One connection: from connecting to its end, whichever way that comes; and what the other kind of
//! connection, `entries`, has in common with it.

use std::sync::Arc;
use std::time::Duration;

use ottoscaler_proto::checksum::{Checked, Checks};
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{LogBatch, LogResponse};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};

use super::connector::Connector;
use super::greeting::Objection;
use super::link_error::{LinkError, ended, is_unknown, known_late, unknown};
use super::pace::Pace;
use super::registration;
use super::retries::Retries;
use super::session::{self, Next};
use super::{Finish, Identity, Shipped};
use crate::buffer::Piece;
use crate::ids::WorkerId;
use crate::log::Log;

/// What a server means that calls a log neither complete nor open, and says no more.
const CLOSED_EARLY: &str = "the log was closed before its end";

/// Of a call that is no stream.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A silent connection is asked after the first and given up after the second.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that takes batches and answers none for so long is stuck.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// A batch that is not full goes at the latest so long after the one before.
const LINGER: Duration = Duration::from_millis(5);

/// After which a spool that could not be read is read again.
const UNREADABLE: Duration = Duration::from_secs(1);

/// Batches that wait for HTTP/2 to take them. They are part of the window.
const QUEUE: usize = 4;

/// An answer, if it is as it was sent.
pub(crate) fn intact<T: Checked>(answer: T) -> Result<T, LinkError> {
    if answer.is_intact() { Ok(answer) } else { Err(LinkError::Changed) }
}

/// A client that gives up on servers that do not answer.
/// Beside it what the server's first bytes will have said.
pub(crate) async fn connect(url: &str) -> Result<(LogStreamingServiceClient<Channel>, Objection), LinkError> {
    let connector = Connector::default();
    let objection = connector.objection();
    let channel = Endpoint::from_shared(url.to_owned())?
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await?;
    Ok((LogStreamingServiceClient::new(channel), objection))
}

/// A stream of batches, and the answers to it.
pub(super) struct Link {
    worker_id: WorkerId,
    log: Arc<Log>,
    client: LogStreamingServiceClient<Channel>,
    is_compressed: bool,
    batches: mpsc::Sender<LogBatch>,
    responses: Streaming<LogResponse>,
    checks: Checks,
    last_sent: Instant,
    /// The last answer, or the first batch after it.
    waiting_since: Instant,
    paused_until: Instant,
    retries: Retries,
    pace: Pace,
}

/// When more may go.
pub(super) enum Due {
    Now,
    At(Instant),
    WhenSomethingHappens,
}

/// The answers of a stream that is being opened.
pub(super) async fn opened(
    opening: impl Future<Output = Result<Response<Streaming<LogResponse>>, Status>>,
) -> Result<Streaming<LogResponse>, LinkError> {
    let timeout = || LinkError::NotNow(format!("no stream within {CALL_TIMEOUT:?}"));
    let opened = tokio::time::timeout(CALL_TIMEOUT, opening).await.map_err(|_| timeout())?;
    Ok(opened.map_err(ended)?.into_inner())
}

/// Whether all is durable, what has to be said of losses included.
pub(super) fn is_drained(log: &Log) -> bool {
    let drained = log.buffer().is_drained();
    drained && !log.say_what_is_missing()
}

/// The next piece. Where the spool does not give it back for now, that is tried again later.
pub(super) fn take(log: &Log, paused_until: &mut Instant) -> Option<Piece> {
    let (piece, unreadable) = {
        let mut buffer = log.buffer();
        (buffer.take_all(), buffer.unreadable())
    };
    if let Some(error) = unreadable {
        log.held_up(&format!("the spool cannot be read: {error}"));
        *paused_until = Instant::now() + UNREADABLE;
    }
    piece
}

/// Ends the log.
pub(super) async fn complete(
    client: &mut LogStreamingServiceClient<Channel>,
    worker_id: &str,
    finish: Finish,
    log: &Log,
) -> Result<Shipped, LinkError> {
    let completion = finish.completion(worker_id, log.buffer().last());
    let mut request = tonic::Request::new(completion.sealed());
    request.set_timeout(CALL_TIMEOUT);
    let call = client.complete_worker(request);
    let timeout = || LinkError::NotNow(format!("no answer to CompleteWorker within {CALL_TIMEOUT:?}"));
    let answer = tokio::time::timeout(CALL_TIMEOUT, call).await.map_err(|_| timeout())??;
    let answer = intact(answer.into_inner())?;
    if answer.complete {
        return Ok(Shipped::Complete);
    }
    if answer.missing.is_empty() {
        let said = Some(answer.message).filter(|message| !message.is_empty());
        return Ok(Shipped::Incomplete(said.unwrap_or_else(|| CLOSED_EARLY.to_owned())));
    }
    Err(LinkError::NotNow(answer.message))
}

impl Link {
    /// Over a connection on which this process is about to go on after what the server has.
    pub(super) async fn open(
        identity: &Identity,
        mut client: LogStreamingServiceClient<Channel>,
        session_id: &str,
        log: &Arc<Log>,
        pace: Pace,
    ) -> Result<Self, LinkError> {
        let encoding = identity.compression.encoding();
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let is_compressed = encoding.is_some();
        let (batches, outgoing) = mpsc::channel(QUEUE);
        let stream = registration::in_session(ReceiverStream::new(outgoing), session_id);
        let responses = opened(client.stream_log_batches(stream)).await;
        let responses =
            responses.map_err(|error| if is_unknown(&error) { unknown(is_compressed) } else { error })?;
        let now = Instant::now();
        Ok(Self {
            worker_id: identity.worker_id.clone(),
            log: Arc::clone(log),
            client,
            is_compressed,
            batches,
            responses,
            checks: Checks::default(),
            last_sent: now,
            waiting_since: now,
            paused_until: now,
            retries: Retries::new(log.buffer().window()),
            pace,
        })
    }

    /// Sends and takes answers until the log is complete or the connection ends. Cancel safe: what was
    /// not acknowledged stays in the buffer.
    pub(super) async fn run(
        &mut self,
        finish: &mut watch::Receiver<Option<Finish>>,
        last_try: &mut watch::Receiver<bool>,
    ) -> Result<Shipped, LinkError> {
        let batches = self.batches.clone();
        loop {
            let end = *finish.borrow_and_update();
            self.retries.is_last_try = *last_try.borrow();
            if let Some(end) = end.filter(|_| is_drained(&self.log)) {
                return complete(&mut self.client, self.worker_id.as_str(), end, &self.log).await;
            }
            let due = self.due();
            let stalled = self.waiting_since + STALL;
            let waits_for_answer = self.log.buffer().in_flight() > 0;
            let (now, at) = match due {
                Due::Now => (true, None),
                Due::At(at) => (false, Some(at)),
                Due::WhenSomethingHappens => (false, None),
            };
            // Cancel safe: a permit that is not used is given back, `message` keeps a part that has
            // come, `notified` is asked again by the loop, whose conditions look at the state itself.
            tokio::select! {
                permit = batches.reserve(), if now => {
                    let permit = permit.map_err(|_| LinkError::Ended)?;
                    self.last_sent = Instant::now();
                    // What is sent behind an unanswered batch does not make that one younger.
                    if !waits_for_answer {
                        self.waiting_since = self.last_sent;
                    }
                    if let Some(piece) = take(&self.log, &mut self.paused_until) {
                        self.pace.sent(piece.lines(), self.last_sent);
                        self.retries.sent();
                        permit.send(piece.to_wire(self.worker_id.as_str()));
                    }
                }
                response = self.responses.message() => {
                    let response = response.map_err(|status| known_late(status, self.is_compressed))?;
                    self.answered(&response.ok_or(LinkError::Ended)?)?;
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

    fn due(&self) -> Due {
        let buffer = self.log.buffer();
        let now = Instant::now();
        let ready_at = self.paused_until.max(self.pace.ready_at());
        if now < ready_at {
            return Due::At(ready_at);
        }
        let may_go = buffer.in_flight() < self.retries.window();
        if !may_go || !(buffer.has_complete() || buffer.has_open()) {
            return Due::WhenSomethingHappens;
        }
        // The first line of a burst goes at once; those behind it wait for company.
        let lingered = self.last_sent + LINGER;
        if buffer.has_complete() || buffer.in_flight() == 0 || lingered <= now {
            Due::Now
        } else {
            Due::At(lingered)
        }
    }

    fn answered(&mut self, response: &LogResponse) -> Result<(), LinkError> {
        self.waiting_since = Instant::now();
        if !self.checks.holds(response) {
            return Err(LinkError::Changed);
        }
        let (next, stored) = {
            let mut buffer = self.log.buffer();
            let (acked, in_flight) = (buffer.acked(), buffer.in_flight());
            let next = session::step(&mut buffer, response);
            let is_progress = buffer.acked() > acked;
            (next, is_progress.then(|| in_flight - buffer.in_flight()))
        };
        if let Some(stored) = stored {
            self.retries.stored(stored);
            self.log.freed();
        }
        match next {
            Next::Continue => Ok(()),
            // What was behind lines that were refused misses them, and does not make them come sooner.
            Next::Pause(asked) if session::is_gap(response) => {
                self.paused_until = self.paused_until.max(Instant::now() + asked);
                Ok(())
            }
            Next::Pause(asked) => {
                let reason = session::reason(response);
                self.log.refused(reason);
                self.paused_until = Instant::now() + self.retries.refused(reason, asked, rand::random());
                Ok(())
            }
            Next::Reconnect => Err(LinkError::NotNow(format!("an answer that does not fit: {response:?}"))),
            Next::Stop(reason) => Err(LinkError::Permanent(reason)),
        }
    }
}
