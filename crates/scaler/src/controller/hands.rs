//! What works on the runtime for a pass: makes, stops and removes workers, and counts and says what it
//! could not do.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::ids::WorkerId;
use crate::metrics::{Metrics, kind};
use crate::record::WorkerSpec;
use crate::runtime::{Created, Runtime, RuntimeError};

/// A change of workers.
#[derive(Debug)]
pub(super) enum Work {
    Create(Box<WorkerSpec>),
    Stop(WorkerId),
    Remove(WorkerId),
}

/// Work that was not done.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) work: Work,
    pub(super) error: RuntimeError,
}

/// What works on the runtime while records are being written.
pub(super) struct Hands<R> {
    pub(super) runtime: Arc<R>,
    pub(super) metrics: Metrics,
}

impl<R: Runtime> Hands<R> {
    pub(super) async fn do_one(&self, work: Work) -> Option<Failure> {
        let result = match &work {
            Work::Create(spec) => self.create(spec).await,
            Work::Stop(worker) => self.runtime.stop(worker).await,
            Work::Remove(worker) => self.runtime.remove(worker).await,
        };
        let Err(error) = result else {
            self.count(&work);
            return None;
        };
        self.metrics.runtime_failures.get_or_create(&kind(error.kind().as_str())).inc();
        tracing::warn!(error = %error, transient = error.is_transient(), "runtime failed");
        Some(Failure { work, error })
    }

    fn count(&self, work: &Work) {
        match work {
            Work::Create(_) => {}
            Work::Stop(_) => {
                self.metrics.stops.inc();
            }
            Work::Remove(_) => {
                self.metrics.removes.inc();
            }
        }
    }

    async fn create(&self, spec: &WorkerSpec) -> Result<(), RuntimeError> {
        match self.runtime.create(spec).await? {
            Created::New => {
                self.metrics.creates.get_or_create(&kind("new")).inc();
                self.metrics.event_to_create.observe(seconds_since(spec.identity.entry_id.unix_millis()));
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
}

/// Redis's clock and ours may differ; that is no negative time.
fn seconds_since(unix_millis: u64) -> f64 {
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
    Duration::from_millis(now.saturating_sub(unix_millis)).as_secs_f64()
}
