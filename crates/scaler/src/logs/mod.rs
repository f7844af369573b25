//! What the scaler has to do with logs: it asks log-ingest whether an ended worker's log is complete
//! (P9), has one closed that its agent left open, and tells in a log of the task's own what the
//! runtime said of its workers.
//!
//! log-ingest being away is an answer like any other: workers run on, and ended ones wait.

mod narrator;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ottoscaler_kit::ident;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::log_query_service_client::LogQueryServiceClient;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_proto::v1::{
    GetTaskRequest, LogState, Worker as LoggedWorker, WorkerCompletion, WorkerRegistration,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Response, Status};

pub use self::narrator::{Narration, Narrator, narrator};
use crate::ids::{TaskId, WorkerId};
use crate::record::{Outcome, TaskRecord};

/// Within this a connection is made and a call answered, or it has failed. tonic's own limit ends with the
/// head of an answer, so whole calls are limited as well.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Closing a log takes up to three calls.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection over which nothing comes for so long is asked, and given up after as long again: one whose
/// other end is gone without a word is otherwise kept for a quarter of an hour.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A task of a thousand workers, each with labels, in one answer.
const ANSWER_BYTES: usize = 32 << 20;

/// Of a closing marker, where two things have to be said in it.
const MARKER_HALF: usize = ident::MAX_BYTES / 2;

/// Which run registers a log that its worker's agent never did.
const INCARNATION: &[u8] = b"ottoscaler";

/// What log-ingest says of a worker's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStatus {
    /// It never heard of the worker.
    Unknown,
    /// More lines may come.
    Open,
    /// No more lines will come.
    Closed {
        /// Every line is there.
        complete: bool,
        /// What is not, in words.
        reason: String,
    },
}

/// What was last heard of a worker's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAnswer {
    /// The status, or why it could not be had.
    pub status: Result<LogStatus, String>,
    /// When.
    pub at: Timestamp,
    /// When the first was had in this leadership.
    pub since: Timestamp,
}

impl LogAnswer {
    /// The first.
    pub fn new(status: Result<LogStatus, String>, at: Timestamp) -> Self {
        Self { status, at, since: at }
    }

    /// One after another, if there was one.
    #[must_use]
    pub fn after(self, last: Option<&Self>) -> Self {
        Self { since: last.map_or(self.since, |last| last.since), ..self }
    }
}

/// A log that is to be closed because its agent is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The worker.
    pub worker: WorkerId,
    /// Its task.
    pub task: TaskId,
    /// The command's exit code, where it is known.
    pub exit_code: Option<i32>,
    /// What is put into the log.
    pub reason: String,
}

impl Closing {
    /// Closes the log of a worker that ended like this.
    pub fn new(task: &TaskRecord, worker: WorkerId, outcome: &Outcome) -> Self {
        let ended = if outcome.reason.is_empty() { "it ended" } else { &outcome.reason };
        let reason = marker(&format!("the agent is gone and left the log open: {ended}"));
        Self { worker, task: task.spec().task_id.clone(), exit_code: outcome.exit_code, reason }
    }

    /// Says as well why lines that the agent left behind are not in the log.
    #[must_use]
    pub fn without_its_spool(self, why: &str) -> Self {
        // What comes first may be long, and must not push this out.
        let ended = &self.reason[..self.reason.floor_char_boundary(MARKER_HALF)];
        Self { reason: marker(&format!("{ended}; its spool was not handed in: {why}")), ..self }
    }
}

/// As much of a text as log-ingest takes for a reason.
fn marker(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    text[..text.floor_char_boundary(ident::MAX_BYTES)].to_owned()
}

/// Talks to log-ingest; cheap to clone. Connects when it is first used, and again when that is lost.
#[derive(Clone, Debug)]
pub struct LogIngest {
    query: LogQueryServiceClient<Channel>,
    streaming: LogStreamingServiceClient<Channel>,
}

impl LogIngest {
    /// Reads the URL; connects to nothing yet.
    pub fn new(url: &str) -> Result<Self, tonic::transport::Error> {
        let channel = Endpoint::from_shared(url.to_owned())?
            .connect_timeout(CALL_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Ok(Self {
            query: LogQueryServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_BYTES),
            streaming: LogStreamingServiceClient::new(channel),
        })
    }

    /// What it says of these workers of a task.
    pub async fn ask(&self, task: &TaskId, workers: &[WorkerId]) -> BTreeMap<WorkerId, LogAnswer> {
        let logged = whole(CALL_TIMEOUT, self.workers(task)).await;
        let at = Timestamp::now();
        let status = |worker: &WorkerId| match &logged {
            Ok(logged) => Ok(logged.get(worker.as_str()).map_or(LogStatus::Unknown, status)),
            Err(error) => Err(shown(error)),
        };
        workers.iter().map(|worker| (worker.clone(), LogAnswer::new(status(worker), at))).collect()
    }

    /// Closes a log, with a line in it that says why.
    pub async fn close(&self, closing: &Closing) -> LogAnswer {
        let status = whole(CLOSE_TIMEOUT, self.try_close(closing)).await.map_err(|error| shown(&error));
        LogAnswer::new(status, Timestamp::now())
    }

    async fn try_close(&self, closing: &Closing) -> Result<LogStatus, Status> {
        let logged = self.workers(&closing.task).await?;
        match logged.get(closing.worker.as_str()) {
            Some(worker) if worker.state() == LogState::Closed => return Ok(status(worker)),
            Some(_) => {}
            None => self.register(closing).await?,
        }
        let completion = WorkerCompletion {
            worker_id: closing.worker.to_string(),
            exit_code: closing.exit_code.unwrap_or_default(),
            exit_code_unknown: closing.exit_code.is_none(),
            // Nobody knows, and the agent may live on: the marker stands behind whatever is there.
            last_sequence: 0,
            reason: closing.reason.clone(),
            ..WorkerCompletion::default()
        };
        let answer = intact(self.streaming.clone().complete_worker(completion.sealed()).await?)?;
        Ok(LogStatus::Closed { complete: answer.complete, reason: closing.reason.clone() })
    }

    async fn register(&self, closing: &Closing) -> Result<(), Status> {
        let registration = WorkerRegistration {
            worker_id: closing.worker.to_string(),
            task_id: closing.task.to_string(),
            incarnation: INCARNATION.into(),
            ..WorkerRegistration::default()
        };
        intact(self.streaming.clone().register_worker(registration.sealed()).await?).map(drop)
    }

    /// All workers of a task that have a log, by their names.
    async fn workers(&self, task: &TaskId) -> Result<BTreeMap<String, LoggedWorker>, Status> {
        let request = GetTaskRequest { task_id: task.to_string() };
        match self.query.clone().get_task(request).await {
            Ok(answer) => {
                let workers = answer.into_inner().workers.into_iter();
                Ok(workers.map(|worker| (worker.worker_id.clone(), worker)).collect())
            }
            Err(error) if error.code() == Code::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}

/// What was answered, if it came as it was sent.
fn intact<T: Checked>(answer: Response<T>) -> Result<T, Status> {
    let answer = answer.into_inner();
    if answer.is_intact() { Ok(answer) } else { Err(Status::data_loss("an answer was changed on the way")) }
}

/// A call, and the reading of its answer, within a limit.
async fn whole<T>(limit: Duration, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let answer = tokio::time::timeout(limit, call).await;
    answer.unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("no whole answer within {limit:?}"))))
}

fn status(worker: &LoggedWorker) -> LogStatus {
    match worker.state() {
        LogState::Closed if worker.complete => LogStatus::Closed { complete: true, reason: String::new() },
        LogState::Closed => {
            let said = Some(worker.reason.clone()).filter(|reason| !reason.is_empty());
            let reason = said.unwrap_or_else(|| format!("{} lines are lost", worker.lost));
            LogStatus::Closed { complete: false, reason }
        }
        LogState::Open | LogState::Unspecified => LogStatus::Open,
    }
}

fn shown(error: &Status) -> String {
    format!("{} ({:?})", error.message(), error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_what_goes_into_a_closing_marker_is_what_log_ingest_takes() {
        let closing = |reason: &str| Closing {
            worker: "w".parse().expect("it is a name"),
            task: "t".parse().expect("it is a name"),
            exit_code: None,
            reason: marker(reason),
        };
        for reason in ["short", "of two\nlines", &"\u{e9}".repeat(1000)] {
            let closing = closing(reason);
            assert_eq!(ident::check(&closing.reason), Ok(()));
            let closing = closing.without_its_spool("damaged\nhead");
            assert_eq!(ident::check(&closing.reason), Ok(()));
            assert!(closing.reason.ends_with("its spool was not handed in: damaged head"), "{closing:?}");
        }
    }
}
