//! Workers as processes of this machine: each is an agent that runs the command, in a directory.
//!
//! The directory is the truth (`dir`); the map here is what was last read from it, so that
//! observing costs nothing. [`Watch`] keeps it up to date. Agents outlive the scaler: the next one
//! finds them by their directories and adopts them. Two scalers on one state directory would each
//! adopt the other's, so the directory is locked.

mod dir;
mod leftovers;
mod spawn;
mod spools;
mod stop;
mod watch;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::process::Child;
use tokio::sync::{Notify, mpsc};

use self::dir::{Made, WorkerDir};
pub use self::spawn::AgentConfig;
use self::stop::Stop;
pub use self::watch::Watch;
use super::{Created, ErrorKind, HandedIn, NotSynced, Observation, Observed, Phase, Runtime, RuntimeError};
use crate::ids::{RecordId, WorkerId};
use crate::name;
use crate::record::{Identity, WorkerSpec};

/// Children started and not yet waited for by the watch; it takes them in at once, so this is room
/// for one pass's creates (16) and more.
const CHILDREN: usize = 64;

/// An agent that ends so many times before it starts its command will not do better another time.
const SPAWNS: u8 = 3;

/// Makes workers as processes; cheap to clone.
#[derive(Clone, Debug)]
pub struct ProcessRuntime(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workers_dir: PathBuf,
    trash_dir: PathBuf,
    home: String,
    agent: AgentConfig,
    workers: Mutex<BTreeMap<WorkerId, Worker>>,
    changed: Notify,
    children: mpsc::Sender<(WorkerId, Child)>,
    _lock: Flock<File>,
}

/// What is known of one worker.
#[derive(Clone, Debug)]
struct Worker {
    identity: Identity,
    record: RecordId,
    phase: Phase,
    agent: Agent,
    spawns: u8,
    stop: Option<Stop>,
}

/// Whose child the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    /// Ours, and it lives.
    Child,
    /// That of an earlier scaler, or none: its lock says whether it lives.
    Adopted,
}

impl ProcessRuntime {
    /// Takes over the state directory and reads what is in it. The error says what to change.
    pub fn open(state_dir: &Path, agent: AgentConfig) -> Result<(Self, Watch)> {
        let shown = state_dir.display();
        let hint = "choose another with --state-dir (OTTO_STATE_DIR)";
        let workers_dir = state_dir.join("workers");
        let trash_dir = state_dir.join("trash");
        for dir in [&workers_dir, &trash_dir] {
            fs::create_dir_all(dir)
                .with_context(|| format!("cannot write to the state directory {shown}; {hint}"))?;
        }
        // Agents run elsewhere, so every path has to be absolute.
        let workers_dir = workers_dir.canonicalize()?;
        let trash_dir = trash_dir.canonicalize()?;
        let lock = lock_state(state_dir)
            .with_context(|| format!("cannot take over the state directory {shown}; {hint}"))?;
        empty(&trash_dir);
        let workers =
            read_workers(&workers_dir).with_context(|| format!("cannot read the workers in {shown}"))?;
        let (children, receiver) = mpsc::channel(CHILDREN);
        let inner = Inner {
            home: home(state_dir, &workers_dir)?,
            workers_dir,
            trash_dir,
            agent,
            workers: Mutex::new(workers),
            changed: Notify::new(),
            children,
            _lock: lock,
        };
        let runtime = Self(Arc::new(inner));
        Ok((runtime.clone(), Watch::new(runtime, receiver)))
    }

    fn dir(&self, worker: &WorkerId) -> WorkerDir {
        WorkerDir::new(self.0.workers_dir.join(worker.as_str()))
    }

    /// Plain data that no panic can leave half changed; never held across an await.
    fn workers(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Worker>> {
        self.0.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(&self, id: &WorkerId) -> Option<Worker> {
        self.workers().get(id).cloned()
    }

    async fn try_create(&self, spec: &WorkerSpec) -> Result<Created, Refusal> {
        if self.worker(&spec.worker_id).is_some_and(|known| known.agent == Agent::Child) {
            return Ok(Created::AlreadyThere);
        }
        let dir = self.dir(&spec.worker_id);
        let phase = make(dir.clone(), spec.clone()).await?;
        let mut worker = self.worker(&spec.worker_id).unwrap_or_else(|| Worker::new(spec, phase.clone()));
        worker.phase = phase;
        let child = match worker.phase {
            Phase::Unstarted => Some(self.0.agent.spawn(&dir, spec).map_err(Refusal::spawn)?),
            Phase::Pending { .. } | Phase::Running { .. } | Phase::Ended(_) | Phase::Vanished { .. } => None,
        };
        if child.is_some() {
            worker.phase = Phase::Pending { since: Timestamp::now(), obstacle: None };
            worker.agent = Agent::Child;
            worker.spawns = worker.spawns.saturating_add(1);
        }
        self.workers().insert(spec.worker_id.clone(), worker);
        self.0.changed.notify_one();
        let Some(child) = child else { return Ok(Created::AlreadyThere) };
        // Without a watch the service is stopping, and the agent will be adopted by the next one.
        let _no_watch = self.0.children.send((spec.worker_id.clone(), child)).await;
        Ok(Created::New)
    }

    async fn try_remove(&self, id: &WorkerId) -> io::Result<()> {
        let dir = self.dir(id);
        // What cannot be deleted stays there, and must not be in the way of another attempt's.
        let trash = self.0.trash_dir.join(format!("{id}-{}", Timestamp::now().as_nanosecond()));
        blocking(move || {
            if dir.is_locked()? {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "its agent still lives"));
            }
            // Renamed first: a crash leaves either the whole worker or none.
            match fs::rename(dir.path(), &trash) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
            discard(&trash);
            Ok(())
        })
        .await?;
        self.workers().remove(id);
        Ok(())
    }
}

impl Runtime for ProcessRuntime {
    const STOPS_ARE_OURS: bool = true;

    async fn create(&self, spec: &WorkerSpec) -> Result<Created, RuntimeError> {
        let error =
            |refusal: Refusal| RuntimeError::new(refusal.kind, "create", &spec.worker_id, refusal.reason);
        self.try_create(spec).await.map_err(error)
    }

    async fn stop(&self, worker: &WorkerId) -> Result<(), RuntimeError> {
        let error =
            |error: io::Error| RuntimeError::new(ErrorKind::Unavailable, "stop", worker, error.to_string());
        self.try_stop(worker).await.map_err(error)
    }

    async fn remove(&self, worker: &WorkerId) -> Result<(), RuntimeError> {
        let error =
            |error: io::Error| RuntimeError::new(ErrorKind::Unavailable, "remove", worker, error.to_string());
        self.try_remove(worker).await.map_err(error)
    }

    async fn hand_in(&self, worker: &WorkerId) -> Result<HandedIn, RuntimeError> {
        let error = |error: io::Error| {
            RuntimeError::new(ErrorKind::Unavailable, "hand in the lines of", worker, error.to_string())
        };
        self.try_hand_in(worker).await.map_err(error)
    }

    async fn spec(&self, worker: &WorkerId) -> Result<Option<WorkerSpec>, RuntimeError> {
        let dir = self.dir(worker);
        let error =
            |error: io::Error| RuntimeError::new(ErrorKind::Unavailable, "read", worker, error.to_string());
        blocking(move || dir.spec()).await.map_err(error)
    }

    fn home(&self) -> &str {
        &self.0.home
    }

    fn observe(&self) -> Result<Arc<Observation>, NotSynced> {
        let observed = |(id, worker): (&WorkerId, &Worker)| (id.clone(), worker.observed());
        Ok(Arc::new(self.workers().iter().map(observed).collect()))
    }

    /// Nobody else makes workers here.
    fn refresh(&self) {}

    async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

impl Worker {
    fn new(spec: &WorkerSpec, phase: Phase) -> Self {
        let identity = spec.identity.clone();
        let record = name::task_record(&identity.task_id, &identity.request_id);
        Self { identity, record, phase, agent: Agent::Adopted, spawns: 0, stop: None }
    }

    fn observed(&self) -> Observed {
        Observed {
            identity: self.identity.clone(),
            record: self.record.clone(),
            phase: self.phase.clone(),
            stopping: self.stop.is_some(),
        }
    }
}

/// Why a worker was not made.
#[derive(Debug)]
struct Refusal {
    kind: ErrorKind,
    reason: String,
}

impl Refusal {
    fn io(error: &io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::InvalidFilename {
            ErrorKind::Refused
        } else {
            ErrorKind::Unavailable
        };
        Self { kind, reason: error.to_string() }
    }

    /// A command too long for the system will never be short enough; no room for a process may pass.
    #[allow(clippy::needless_pass_by_value, reason = "it is the end of a result")]
    fn spawn(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ArgumentListTooLong => ErrorKind::Refused,
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => ErrorKind::Quota,
            _ => ErrorKind::Unavailable,
        };
        Self { kind, reason: format!("cannot start its agent: {error}") }
    }
}

async fn make(dir: WorkerDir, spec: WorkerSpec) -> Result<Phase, Refusal> {
    let made = blocking(move || Ok((dir.make(&spec)?, dir.phase(false)?))).await;
    match made {
        Ok((Made::Ready, phase)) => Ok(phase),
        Ok((Made::Other(found), _)) => Err(Refusal {
            kind: ErrorKind::Refused,
            reason: format!(
                "its name is taken by worker {} of task {}, request {}",
                found.identity.index, found.identity.task_id, found.identity.request_id
            ),
        }),
        Err(error) => Err(Refusal::io(&error)),
    }
}

/// The file system may keep us waiting; the runtime's threads must not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A scaler that was killed while it started an agent holds its lock for a moment yet: what was forked, and has not come to
/// its own program, has open what it had.
const HANDOVER: Duration = Duration::from_secs(2);
const HANDOVER_LOOK: Duration = Duration::from_millis(20);

#[allow(clippy::disallowed_methods, reason = "nothing else runs yet, and a lock of the kernel tells nobody")]
fn lock_state(state_dir: &Path) -> Result<Flock<File>> {
    let mut file = File::create(state_dir.join("lock"))?;
    let until = Instant::now() + HANDOVER;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((held, Errno::EWOULDBLOCK)) if Instant::now() < until => file = held,
            Err((_, Errno::EWOULDBLOCK)) => bail!("another ottoscaler uses it"),
            Err((_, errno)) => return Err(errno.into()),
        }
        std::thread::sleep(HANDOVER_LOOK);
    }
}

/// Where the workers are, in words, with a mark that no other directory has.
fn home(state_dir: &Path, workers_dir: &Path) -> Result<String> {
    let path = state_dir.join("id");
    let id = match fs::read_to_string(&path) {
        Ok(id) => id,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = hex::encode(Timestamp::now().as_nanosecond().to_be_bytes());
            // Whole or not at all: an empty one would be every directory's.
            let unfinished = state_dir.join("id.new");
            fs::write(&unfinished, &id)?;
            fs::rename(unfinished, &path)?;
            id
        }
        Err(error) => return Err(error).context("cannot read the state directory's id"),
    };
    let host = nix::unistd::gethostname().unwrap_or_default();
    let state_dir = workers_dir.parent().unwrap_or(workers_dir).display();
    Ok(format!("process: {state_dir} on {} ({})", host.to_string_lossy(), id.trim()))
}

/// What cannot be deleted now is tried again by the next start.
fn empty(trash: &Path) {
    match fs::read_dir(trash) {
        Ok(entries) => entries.filter_map(Result::ok).for_each(|entry| discard(&entry.path())),
        Err(error) => tracing::warn!(path = %trash.display(), %error, "cannot look for leftovers of workers"),
    }
}

/// Deletes what a worker left. A command may leave what cannot be deleted, such as files of another user: that
/// costs room and nothing else, and is no reason to keep its worker, or not to start.
fn discard(path: &Path) {
    let deleted = match fs::remove_dir_all(path) {
        // Go's module cache is read-only to its owner, too.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        deleted => deleted,
    };
    match deleted {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot delete what a worker left; please do");
        }
        _ => {}
    }
}

/// All directories below, as far as that goes.
fn make_writable(dir: &Path) {
    let _as_far_as_it_goes = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// All workers that are there. One without a spec was never started: making it again completes it.
fn read_workers(dir: &Path) -> Result<BTreeMap<WorkerId, Worker>> {
    let mut workers = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let dir = WorkerDir::new(entry?.path());
        let spec = match dir.spec() {
            Ok(Some(spec)) => spec,
            Ok(None) => continue,
            Err(error) => {
                let path = dir.path().display();
                tracing::error!(%path, %error, "worker directory cannot be read; it is left alone");
                continue;
            }
        };
        let mut worker = Worker::new(&spec, dir.phase(false)?);
        worker.stop = dir.is_stopping().then(Stop::adopted);
        workers.insert(spec.worker_id, worker);
    }
    Ok(workers)
}

#[cfg(test)]
mod tests;
