//! The one thread that decides and stores. All sequence state is its own, so that there is no
//! difference between what was accepted and what is durable: it takes what waits as one group, decides
//! each submission ([`session::decide`]), commits the group with one sync, and only then publishes and
//! answers. While a sync runs, the next group gathers by itself.
//!
//! A full disk fails the group as if it had never come: every line of it is asked for again. If the disk
//! is in a state that nobody knows, the writer stops, and the service with it: recovery reads what is
//! really there.

pub mod held;
pub mod home;
mod newcomer;
mod refusal;
mod reply;
mod tending;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use self::held::Held;
use self::home::Home;
use self::newcomer::{nobodys, registration, server_full, unannounced};
use self::reply::{Appended, Reply};
use crate::alarm::Alarm;
use crate::catalog::Catalog;
use crate::ids::WorkerId;
use crate::line::{Block, Content, Sequence};
use crate::metrics::Metrics;
use crate::queue::{Append, Claim, Completed, Completion, Introduction, Queued, Registered, Submission};
use crate::reason::Retry;
use crate::retention::{self, Limits, Trust};
use crate::session::{self, Answer, Decision, Item, Refusal};
use crate::space::Space;
use crate::store::{CommitError, LogStore};
use crate::worker::{Change, Closing, Numbering, Record, Registration, WorkerState};

/// Submissions that one sync may cover. A group is also bounded by the queue's bytes.
const GROUP: usize = 1024;

const FAILED: &str = "the log store failed; restart log-ingest to recover what is on the disk";

/// What the writer works with.
pub struct Writer {
    /// Where records go.
    pub store: Box<dyn LogStore>,
    /// Where their effect is published.
    pub catalog: Arc<Catalog>,
    /// More workers than this are refused.
    pub max_workers: usize,
    /// Room on the disk, where the store is on one.
    pub space: Option<Space>,
    /// Whether the store is where it was put.
    pub home: Home,
    /// Whose lines wait for others.
    pub held: Held,
    /// Whether nearly as many workers are known as may be.
    pub crowd: Alarm,
    /// How much is kept.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the clock is believed.
    pub trust: Trust,
    /// When it was last looked for workers to forget; 0 for never.
    pub looked_ns: i64,
}

/// A group that is being put together: its records, and the states as if they were durable.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    states: HashMap<WorkerId, WorkerState>,
    replies: Vec<Reply>,
    /// Lines that were there already.
    duplicates: u64,
    /// Workers that are new with this group.
    introduced: usize,
    /// There is little room on the disk: lines have to wait.
    is_disk_low: bool,
    /// Who asks for a step of retention, once the group is done.
    tends: Vec<oneshot::Sender<bool>>,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub fn run(mut self, mut queue: mpsc::Receiver<Queued>) -> Result<()> {
        // Before the first record has the time of a clock that may be wrong.
        self.learn_time(now_ns());
        let mut waiting = Vec::with_capacity(GROUP);
        loop {
            if queue.blocking_recv_many(&mut waiting, GROUP) == 0 {
                return Ok(());
            }
            let since: Vec<_> = waiting.iter().map(|queued| queued.since).collect();
            let size = self.store.size();
            let is_disk_low = self.space.as_mut().is_some_and(|space| space.is_low(size));
            let mut group = Group { is_disk_low, ..Group::default() };
            self.held.release(Instant::now());
            // Room in the queue is given back here: what was in it is now the group's.
            for queued in waiting.drain(..) {
                self.decide(&mut group, queued.submission);
            }
            let tends = std::mem::take(&mut group.tends);
            self.commit(group).context(FAILED)?;
            self.make_room().context(FAILED)?;
            for reply in tends {
                // What is in the place of a store that is gone is another's.
                let has_more = self.home.is_there() && self.tend().context(FAILED)?;
                // Nobody waits for it only when the service stops.
                let _sent = reply.send(has_more);
            }
            for since in since {
                self.metrics.ack_seconds.observe(since.elapsed().as_secs_f64());
            }
        }
    }

    fn decide(&self, group: &mut Group, submission: Submission) {
        match submission {
            Submission::Register(introduction, reply) => {
                let worker = introduction.worker.clone();
                let registered = self.register(group, introduction);
                group.replies.push(Reply::Register(registered, worker, reply));
            }
            Submission::Append(append, reply) => {
                let numbering = append.items.first().map_or(Numbering::Client, Item::numbering);
                let appended = Appended { worker: append.worker.clone(), numbering };
                let answers = self.append(group, append);
                group.replies.push(Reply::Append(appended, answers, reply));
            }
            Submission::Complete(completion, reply) => {
                let completed = self.complete(group, completion);
                group.replies.push(Reply::Complete(completed, reply));
            }
            Submission::Tend(reply) => group.tends.push(reply),
        }
    }

    /// The worker's state as this group leaves it so far.
    fn state<'a>(&self, group: &'a mut Group, worker: &WorkerId) -> Option<&'a mut WorkerState> {
        if !group.states.contains_key(worker) {
            let state = WorkerState::clone(&*self.catalog.worker(worker)?);
            group.states.insert(worker.clone(), state);
        }
        group.states.get_mut(worker)
    }

    fn register(&self, group: &mut Group, introduction: Introduction) -> Registered {
        let Some(known) = self.state(group, &introduction.worker) else {
            return match self.introduce(group, introduction) {
                Some(state) => Registered::New(state),
                None => Registered::Full,
            };
        };
        let before = known.registration.incarnation.clone();
        let is_same_run = before == introduction.incarnation;
        // One that had no incarnation may tell it before its first line, or where a damaged store has
        // forgotten it. With lines, it was another run: to take its lines for this one's would lose these.
        let adopts = before.is_empty() && (known.high == Sequence::ZERO || known.registration.is_recovered());
        if !is_same_run && !adopts {
            return Registered::OtherIncarnation;
        }
        // Its lines would be looked for where they are not. What a damaged store has forgotten nobody contradicts.
        let is_same_task = introduction.task.as_ref().is_none_or(|task| *task == known.registration.task);
        if !is_same_task && !known.registration.is_recovered() {
            return Registered::OtherTask(known.registration.task.clone());
        }
        if is_same_run {
            return Registered::Known(Arc::new(known.clone()));
        }
        let (task, session_id) =
            (known.registration.task.clone(), Arc::clone(&known.registration.session_id));
        let registration = Registration { task, session_id, ..registration(introduction) };
        let record = Record { at_ns: now_ns(), change: Change::Registered(registration) };
        known.apply(&record);
        let state = Arc::new(known.clone());
        group.records.push(record);
        Registered::Known(state)
    }

    /// Adds a worker to the group; none where there is no room for it.
    fn introduce(&self, group: &mut Group, introduction: Introduction) -> Option<Arc<WorkerState>> {
        if self.catalog.len() + group.introduced >= self.max_workers {
            return None;
        }
        group.introduced += 1;
        let registration = registration(introduction);
        let state = WorkerState::new(registration.clone(), now_ns());
        group.states.insert(registration.worker.clone(), state.clone());
        group.records.push(Record { at_ns: state.created_ns, change: Change::Registered(registration) });
        Some(Arc::new(state))
    }

    fn append(&self, group: &mut Group, append: Append) -> Vec<Answer> {
        let Append { worker, claim, items } = append;
        let known = self.state(group, &worker).map(|state| Arc::clone(&state.registration.session_id));
        match claim {
            Claim::Session(session) if known.as_ref() != Some(&session) => {
                return items.iter().map(nobodys).collect();
            }
            Claim::Name(task) if known.is_none() => {
                if self.introduce(group, unannounced(&worker, task)).is_none() {
                    return items.iter().map(server_full).collect();
                }
            }
            Claim::Session(_) | Claim::Name(_) => {}
        }
        items.into_iter().map(|item| self.append_item(group, &worker, item)).collect()
    }

    fn append_item(&self, group: &mut Group, worker: &WorkerId, item: Item) -> Answer {
        let is_disk_low = group.is_disk_low;
        let state = self.state(group, worker).expect("it was looked up or introduced before");
        let numbering = item.numbering();
        let held = (numbering == Numbering::Server).then(|| self.held.why(worker)).flatten();
        let Decision { store, answer } = session::decide(state, item);
        let no_room = (is_disk_low && waits_for_room(store.as_ref(), &answer)).then_some(Retry::DiskFull);
        if let Some(retry) = no_room.or(held.filter(|_| store.is_some())) {
            let refusal = Some(Refusal::Retry(retry, state.high));
            return Answer { acked: Sequence::ZERO, stored: 0, refusal, ..answer };
        }
        let repeated = repeated(store.as_ref(), &answer);
        if let Some(block) = store {
            let change = Change::Appended { worker: worker.clone(), numbering, block };
            let record = Record { at_ns: now_ns(), change };
            state.apply(&record);
            group.records.push(record);
        }
        group.duplicates += repeated;
        answer
    }

    fn complete(&self, group: &mut Group, completion: Completion) -> Completed {
        let Completion { worker, last, closing } = completion;
        let Some(state) = self.state(group, &worker) else { return Completed::Unknown };
        let (high, complete) = (state.high, state.is_complete());
        // Whoever closes a log that is not his own knows no last line, and there may be more by now than he has heard of.
        let is_foreign = last == Sequence::ZERO && !closing.reason.is_empty();
        let last = if is_foreign { high.next() } else { last };
        if state.closing.is_some() {
            return if complete { Completed::Complete } else { Completed::Closed };
        }
        if last > high && closing.reason.is_empty() {
            return Completed::Missing(high.next(), last);
        }
        // A client that gives up names its last line; where that is here, nothing was given up.
        let whole = last <= high;
        let closing = if whole { Closing { reason: Arc::default(), ..closing } } else { closing };
        if last > high {
            lose(group, &worker, last, &closing.reason);
        }
        let complete = close(group, &worker, closing);
        if complete { Completed::Complete } else { Completed::Closed }
    }

    /// Whether it was stored: if not, there is no room.
    fn commit(&mut self, group: Group) -> Result<bool, CommitError> {
        let Group { records, states, replies, duplicates, .. } = group;
        let started = Instant::now();
        // What is there already is acknowledged as well, and may be gone by now.
        let stored = if records.is_empty() { self.store.check() } else { self.store.commit(&records) };
        self.home.learn(&stored);
        match stored {
            Ok(()) => {
                if !records.is_empty() {
                    self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                }
                for record in &records {
                    self.metrics.stored(&record.change);
                }
                self.metrics.repeated(duplicates);
                for state in states.into_values() {
                    self.publish(state);
                }
                for record in &records {
                    self.forget(&record.change);
                }
                self.count_workers();
                self.show_size();
                let now = Instant::now();
                for reply in replies {
                    self.held.learn(&reply, now);
                    reply.count(&self.metrics);
                    reply.send();
                }
                Ok(true)
            }
            Err(CommitError::Full(error)) => {
                warn!(%error, "the disk is full: nothing is stored until there is room");
                self.refuse(replies, Retry::DiskFull);
                Ok(false)
            }
            Err(CommitError::Gone(_)) => {
                self.refuse(replies, Retry::StoreGone);
                Ok(false)
            }
            Err(broken @ CommitError::Broken(_)) => Err(broken),
        }
    }

    fn publish(&self, state: WorkerState) {
        let worker = &state.registration.worker;
        let before = self.catalog.worker(worker).map_or(Sequence::ZERO, |known| known.trimmed);
        self.metrics.trimmed(state.trimmed.since(before));
        self.catalog.publish(state);
    }

    fn forget(&self, change: &Change) {
        if let Change::Forgotten { worker } = change {
            self.catalog.forget(worker);
            self.metrics.forgotten();
        }
    }

    fn show_size(&self) {
        self.metrics.store_bytes.set(i64::try_from(self.store.size()).unwrap_or(i64::MAX));
    }

    /// Shows how many workers are known, and tells when there is little room for more, or enough again.
    fn count_workers(&mut self) {
        let workers = self.catalog.len();
        self.metrics.workers.set(i64::try_from(workers).unwrap_or(i64::MAX));
        if !self.crowd.set(retention::is_nearly_full(workers, self.max_workers)) {
            return;
        }
        let max_workers = self.max_workers;
        if self.crowd.is_on() {
            warn!(
                workers,
                max_workers,
                "nearly as many workers are known as may be, and beyond that new ones are refused; \
                 raise --max-workers, or set --retain-for"
            );
        } else {
            info!(workers, max_workers, "there is room for more workers again");
        }
    }
}

/// Whether an item has to come again once there is room: it brings lines, or stands behind one that does.
fn waits_for_room(store: Option<&Block>, answer: &Answer) -> bool {
    store.is_some() || matches!(answer.refusal, Some(Refusal::Retry(..)))
}

/// Lines of an item that were there already.
fn repeated(stored: Option<&Block>, answer: &Answer) -> u64 {
    match (stored, &answer.refusal) {
        (Some(block), _) => block.first.since(answer.first),
        (None, None) => answer.acked.next().since(answer.first),
        (None, Some(_)) => 0,
    }
}

fn push<'a>(group: &'a mut Group, worker: &WorkerId, change: Change) -> &'a WorkerState {
    let record = Record { at_ns: now_ns(), change };
    let state = group.states.get_mut(worker).expect("its state was looked up before");
    state.apply(&record);
    group.records.push(record);
    state
}

/// Closes a log; whether it is complete.
fn close(group: &mut Group, worker: &WorkerId, closing: Closing) -> bool {
    let last = group.states[worker].high;
    push(group, worker, Change::Closed { worker: worker.clone(), closing, last }).is_complete()
}

/// Puts a gap where lines are missing at the end of a log that is closed all the same.
fn lose(group: &mut Group, worker: &WorkerId, last: Sequence, reason: &Arc<str>) {
    let state = &group.states[worker];
    let (first, numbering) = (state.high.next(), state.numbering.unwrap_or(Numbering::Client));
    let block = Block { first, content: Content::Gap { last, reason: Arc::clone(reason) } };
    push(group, worker, Change::Appended { worker: worker.clone(), numbering, block });
}

/// Server time in Unix nanoseconds.
pub(crate) fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
