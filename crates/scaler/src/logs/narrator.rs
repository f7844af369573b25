//! The log of a task's own: what the runtime said of its workers, as lines of the source `system`, for
//! the people who wait for the task and see nothing else of the cluster.
//!
//! At least once. It must hold up nothing: what log-ingest does not take in a few tries is dropped and
//! counted, and so is what does not fit into the queue.

use std::time::Duration;

use anyhow::Result;
use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::{LogEntry, WorkerCompletion};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{CALL_TIMEOUT, LogIngest, whole};
use crate::ids::TaskId;

/// Lines that wait: a few hundred bytes each, so this is well below a MiB.
const QUEUE: usize = 1_024;

/// Tries for one line, over some seconds.
const TRIES: usize = 4;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Something to be put into a task's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Narration {
    /// A line.
    Line {
        /// The task.
        task: TaskId,
        /// Its log.
        log: String,
        /// The line.
        text: String,
        /// When it was so.
        at: Timestamp,
    },
    /// Nothing more will come for this log.
    End {
        /// The log.
        log: String,
    },
}

/// Takes narrations; cheap to clone.
#[derive(Clone, Debug)]
pub struct Narrator {
    queue: mpsc::Sender<Narration>,
    dropped: Counter,
}

/// Writes them.
#[derive(Debug)]
pub struct NarratorTask {
    queue: mpsc::Receiver<Narration>,
    ingest: LogIngest,
    dropped: Counter,
}

/// The two ends.
pub fn narrator(ingest: LogIngest, dropped: Counter) -> (Narrator, NarratorTask) {
    let (sender, queue) = mpsc::channel(QUEUE);
    (Narrator { queue: sender, dropped: dropped.clone() }, NarratorTask { queue, ingest, dropped })
}

impl Narrator {
    /// Puts it into the queue, if there is room.
    pub fn tell(&self, narration: Narration) {
        if self.queue.try_send(narration).is_err() {
            self.dropped.inc();
        }
    }
}

impl NarratorTask {
    /// Writes until `stop`; what is queued then is dropped.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        while let Some(Some(narration)) = stop.run_until_cancelled(self.queue.recv()).await {
            let Some(written) = stop.run_until_cancelled(self.keep_writing(&narration)).await else { break };
            if let Err(error) = written {
                self.dropped.inc();
                tracing::warn!(error = %error.message(), "log-ingest did not take a line about a task");
            }
        }
        self.dropped.inc_by(self.queue.len() as u64);
        Ok(())
    }

    async fn keep_writing(&self, narration: &Narration) -> Result<(), Status> {
        let pauses =
            ExponentialBuilder::new().with_jitter().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
        let mut pauses = pauses.with_max_times(TRIES - 1).build();
        loop {
            match (whole(CALL_TIMEOUT, self.write(narration)).await, pauses.next()) {
                (Err(_), Some(pause)) => tokio::time::sleep(pause).await,
                (written, _) => return written,
            }
        }
    }

    async fn write(&self, narration: &Narration) -> Result<(), Status> {
        let mut client = self.ingest.streaming.clone();
        match narration {
            Narration::Line { task, log, text, at } => {
                let entry = LogEntry {
                    worker_id: log.clone(),
                    task_id: task.to_string(),
                    timestamp: at.to_string(),
                    level: "info".to_owned(),
                    source: "system".to_owned(),
                    message: text.clone(),
                    ..LogEntry::default()
                };
                let entries = futures::stream::iter([entry]);
                let mut answers = client.stream_logs(entries).await?.into_inner();
                let answer = answers.message().await?;
                match answer {
                    Some(answer) if answer.status() == ottoscaler_proto::v1::log_response::Status::Retry => {
                        Err(Status::unavailable(answer.message))
                    }
                    Some(_) => Ok(()),
                    None => Err(Status::unavailable("no answer to a line")),
                }
            }
            Narration::End { log } => {
                let completion = WorkerCompletion { worker_id: log.clone(), ..WorkerCompletion::default() };
                match client.complete_worker(completion.sealed()).await {
                    Err(error) if error.code() != Code::NotFound => Err(error),
                    // There was nothing to tell.
                    Ok(_) | Err(_) => Ok(()),
                }
            }
        }
    }
}
