//! The bounded queue to the writer. Full, it refuses at once, so that a client is told to come back
//! instead of being left waiting; only uploads wait for room.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ottoscaler_proto::v1::WorkerMetadata;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::metrics::Metrics;
use crate::reason::Retry;
use crate::session::{Answer, Item};
use crate::worker::{Closing, WorkerState};

/// Submissions that may wait. With the usual 64 KiB batches the bytes run out first.
const SUBMISSIONS: usize = 4096;

/// A permit stands for so many bytes, because a semaphore counts to 2³².
const PERMIT_BYTES: usize = 1024;

/// What the writer is asked to do, and where the answer goes.
pub enum Submission {
    /// Introduce a worker.
    Register(Introduction, oneshot::Sender<Registered>),
    /// Store lines. One answer for each item, in their order.
    Append(Append, oneshot::Sender<Vec<Answer>>),
    /// Close a log.
    Complete(Completion, oneshot::Sender<Completed>),
    /// Do one step of what retention asks for, if any; the answer is whether there may be another.
    Tend(oneshot::Sender<bool>),
}

/// A worker that introduces itself.
pub struct Introduction {
    /// The worker.
    pub worker: WorkerId,
    /// Its task, where it says so; otherwise it is one of its own.
    pub task: Option<TaskId>,
    /// Which attempt it is; 0 where it does not say.
    pub attempt: i32,
    /// Empty where the client does not tell its runs apart.
    pub incarnation: Bytes,
    /// Where it runs.
    pub metadata: WorkerMetadata,
}

/// The answer to a registration.
#[derive(Debug)]
pub enum Registered {
    /// It is new.
    New(Arc<WorkerState>),
    /// It is known.
    Known(Arc<WorkerState>),
    /// It is known, and this is another run under its name.
    OtherIncarnation,
    /// It is known as a worker of this task, and not of the one that was named.
    OtherTask(TaskId),
    /// There is no room for another worker.
    Full,
    /// Not stored, and why.
    NotStored(Retry),
}

/// Lines for a worker's log.
pub struct Append {
    /// The worker.
    pub worker: WorkerId,
    /// Whose log they are for.
    pub claim: Claim,
    /// What is offered.
    pub items: Vec<Item>,
}

/// Whose log lines are for, of those that have had the worker's name.
#[derive(Clone, Debug)]
pub enum Claim {
    /// The one with this session, and nobody who came under its name after it was forgotten.
    Session(Arc<str>),
    /// Whoever has the name; where nobody has, it is registered under this task.
    Name(TaskId),
}

/// The end of a log.
pub struct Completion {
    /// The worker.
    pub worker: WorkerId,
    /// The last sequence that it gave to a line.
    pub last: Sequence,
    /// How it ended. With a reason, the log is closed even where lines are missing.
    pub closing: Closing,
}

/// The answer to a completion.
#[derive(Debug, PartialEq, Eq)]
pub enum Completed {
    /// The log is closed, and whole.
    Complete,
    /// The log is closed, and was not whole.
    Closed,
    /// Still missing: from the first to the last.
    Missing(Sequence, Sequence),
    /// No such worker.
    Unknown,
    /// Not stored, and why.
    NotStored(Retry),
}

/// A submission in the queue. Its room is given back once the writer has taken it into a group, so that
/// the next group can gather while this one is synced: memory holds two limits at the most.
pub struct Queued {
    /// What is asked.
    pub submission: Submission,
    /// When it came.
    pub since: Instant,
    _room: Room,
}

/// Room in the queue, counted while it is taken.
struct Room {
    permit: OwnedSemaphorePermit,
    queue_bytes: Gauge,
}

impl Room {
    fn new(permit: OwnedSemaphorePermit, metrics: &Metrics) -> Self {
        let room = Self { permit, queue_bytes: metrics.queue_bytes.clone() };
        room.queue_bytes.inc_by(room.bytes());
        room
    }

    fn bytes(&self) -> i64 {
        i64::try_from(self.permit.num_permits() * PERMIT_BYTES).unwrap_or(i64::MAX)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.queue_bytes.dec_by(self.bytes());
    }
}

/// There is no room now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The queue is full.
    Full,
    /// The writer has stopped.
    Stopped,
}

impl From<Refused> for Retry {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::QueueFull,
            Refused::Stopped => Self::Draining,
        }
    }
}

/// The sending side; cheap to clone.
#[derive(Clone)]
pub struct Queue {
    sender: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    permits: usize,
    metrics: Metrics,
}

/// A queue that holds at most `bytes`.
pub fn bounded(bytes: usize, metrics: Metrics) -> (Queue, mpsc::Receiver<Queued>) {
    let (sender, receiver) = mpsc::channel(SUBMISSIONS);
    let permits = (bytes / PERMIT_BYTES).max(1);
    (Queue { sender, room: Arc::new(Semaphore::new(permits)), permits, metrics }, receiver)
}

impl Queue {
    /// Queues `submission` of about `bytes`, if there is room now.
    pub fn try_submit(&self, bytes: usize, submission: Submission) -> Result<(), Refused> {
        let permit = Arc::clone(&self.room).try_acquire_many_owned(self.permits_for(bytes));
        let room = Room::new(permit.map_err(|_| Refused::Full)?, &self.metrics);
        let queued = Queued { submission, since: Instant::now(), _room: room };
        self.sender.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Full,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopped,
        })
    }

    /// Queues `submission` as soon as there is room. Cancel safe: it is queued or it is not.
    pub async fn submit(&self, bytes: usize, submission: Submission) -> Result<(), Refused> {
        let permit = Arc::clone(&self.room).acquire_many_owned(self.permits_for(bytes)).await;
        let room = Room::new(permit.map_err(|_| Refused::Stopped)?, &self.metrics);
        let queued = Queued { submission, since: Instant::now(), _room: room };
        self.sender.send(queued).await.map_err(|_| Refused::Stopped)
    }

    /// One that is larger than all the room there is gets all of it, rather than none for ever.
    fn permits_for(&self, bytes: usize) -> u32 {
        u32::try_from((bytes / PERMIT_BYTES + 1).min(self.permits)).unwrap_or(u32::MAX)
    }
}
