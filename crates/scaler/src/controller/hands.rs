//! What the controller has others do: each piece of work runs by itself, and what became of it comes
//! back. Nothing here decides anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::ids::{RecordId, TaskId, WorkerId};
use crate::logs::{Closing, LogAnswer, LogIngest};
use crate::metrics::{Metrics, kind};
use crate::reconcile::rebuild;
use crate::record::{Record, Store, TaskRecord, WorkerSpec, Written};
use crate::runtime::{Created, HandedIn, Observation, Runtime, RuntimeError};

/// A piece of work.
#[derive(Debug)]
pub(super) enum Work {
    Create(Box<WorkerSpec>),
    Stop(WorkerId),
    Remove(WorkerId),
    AskLogs(TaskId, Vec<WorkerId>),
    CloseLog(Box<Closing>),
    /// With all workers that are there.
    Adopt(WorkerId, RecordId, Arc<Observation>),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Done {
    /// A worker was made, stopped or removed.
    Worker(WorkerId),
    Created(Box<WorkerSpec>),
    NotCreated(Box<WorkerSpec>, RuntimeError),
    Failed(WorkerId),
    Logs(BTreeMap<WorkerId, LogAnswer>),
    /// What log-ingest said to the end of its log.
    Closed(WorkerId, LogAnswer),
    /// Its log stays open for now.
    NotClosed(WorkerId),
    Adopted(WorkerId, RecordId, Adopted),
}

/// Whose record a worker turned out to be of.
#[derive(Debug)]
pub(super) enum Adopted {
    /// This one's, which is in Redis.
    Record(Box<TaskRecord>),
    /// It was lost, and written again.
    Rebuilt(Box<TaskRecord>),
    /// Nobody's: it does not say what it was made for.
    Nobody,
    /// Redis or the runtime could not say.
    Unknown(String),
}

/// Everything that work needs; cheap to clone.
#[derive(Debug)]
pub(super) struct Hands<R> {
    pub(super) runtime: Arc<R>,
    pub(super) store: Store,
    pub(super) ingest: LogIngest,
    pub(super) metrics: Metrics,
}

impl<R> Clone for Hands<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: Arc::clone(&self.runtime),
            store: self.store.clone(),
            ingest: self.ingest.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl<R: Runtime> Hands<R> {
    pub(super) async fn work(self, work: Work) -> Done {
        match work {
            Work::Create(spec) => match self.create(&spec).await {
                Ok(()) => Done::Created(spec),
                Err(error) => Done::NotCreated(spec, self.failed(error)),
            },
            Work::Stop(worker) => match self.runtime.stop(&worker).await {
                Ok(()) => {
                    self.metrics.stops.inc();
                    Done::Worker(worker)
                }
                Err(error) => {
                    self.failed(error);
                    Done::Failed(worker)
                }
            },
            Work::Remove(worker) => match self.runtime.remove(&worker).await {
                Ok(()) => {
                    self.metrics.removes.inc();
                    Done::Worker(worker)
                }
                Err(error) => {
                    self.failed(error);
                    Done::Failed(worker)
                }
            },
            Work::AskLogs(task, workers) => Done::Logs(self.ingest.ask(&task, &workers).await),
            Work::CloseLog(closing) => self.close(*closing).await,
            Work::Adopt(worker, record, observation) => {
                let adopted = self.adopt(&worker, &record, &observation).await;
                let adopted = adopted.unwrap_or_else(|error| Adopted::Unknown(error.to_string()));
                Done::Adopted(worker, record, adopted)
            }
        }
    }

    /// What its agent left behind is handed in first: a closed log takes no more lines.
    async fn close(&self, closing: Closing) -> Done {
        let closing = match self.runtime.hand_in(&closing.worker).await {
            Ok(HandedIn::Nothing) => closing,
            Ok(HandedIn::All) => {
                self.metrics.spools_handed_in.get_or_create(&kind("all")).inc();
                closing
            }
            Ok(HandedIn::NotAll(reason)) => {
                self.metrics.spools_handed_in.get_or_create(&kind("not_all")).inc();
                tracing::warn!(worker_id = %closing.worker, reason, "not all that an agent left is in its log");
                closing.without_its_spool(&reason)
            }
            Err(error) => {
                self.failed(error);
                return Done::NotClosed(closing.worker);
            }
        };
        let answer = self.ingest.close(&closing).await;
        if answer.status.is_ok() {
            self.metrics.logs_closed.inc();
        }
        Done::Closed(closing.worker, answer)
    }

    fn failed(&self, error: RuntimeError) -> RuntimeError {
        self.metrics.runtime_failures.get_or_create(&kind(error.kind().as_str())).inc();
        tracing::warn!(error = %error, transient = error.is_transient(), "runtime failed");
        error
    }

    async fn create(&self, spec: &WorkerSpec) -> Result<(), RuntimeError> {
        // Before the call, since this is what the scaler answers for; the call is the runtime's time.
        if spec.identity.attempt == crate::ids::Attempt::FIRST {
            self.metrics.event_to_create.observe(seconds_since(spec.identity.entry_id.unix_millis()));
        }
        match self.runtime.create(spec).await? {
            Created::New => {
                self.metrics.creates.get_or_create(&kind("new")).inc();
                tracing::info!(
                    task_id = %spec.identity.task_id,
                    worker_id = %spec.worker_id,
                    "worker made"
                );
            }
            Created::AlreadyThere => {
                self.metrics.creates.get_or_create(&kind("already_there")).inc();
            }
        }
        Ok(())
    }

    /// Reads the record of a worker, or writes it again from what the worker carries with it.
    async fn adopt(
        &self,
        worker: &WorkerId,
        record: &RecordId,
        observation: &Observation,
    ) -> anyhow::Result<Adopted> {
        if let Some(task) = self.fetch(record).await? {
            return Ok(Adopted::Record(task));
        }
        let Some(spec) = self.runtime.spec(worker).await? else { return Ok(Adopted::Nobody) };
        let (task, told) = rebuild(&spec, observation, R::STOPS_ARE_OURS, Timestamp::now());
        if task.id() != record {
            return Ok(Adopted::Nobody);
        }
        if self.store.rebuild(&task, &told).await? == Written::Done {
            return Ok(Adopted::Rebuilt(Box::new(task)));
        }
        Ok(self.fetch(record).await?.map_or(Adopted::Nobody, Adopted::Record))
    }

    async fn fetch(&self, record: &RecordId) -> anyhow::Result<Option<Box<TaskRecord>>> {
        match self.store.fetch(record).await? {
            Some(Ok(Record::Task(task))) => Ok(Some(task)),
            Some(Ok(Record::ScaleDown(_))) | None => Ok(None),
            Some(Err(error)) => Err(error.context(format!("record {record} cannot be read"))),
        }
    }
}

/// Redis's clock and ours may differ; that is no negative time.
fn seconds_since(unix_millis: u64) -> f64 {
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
    Duration::from_millis(now.saturating_sub(unix_millis)).as_secs_f64()
}
