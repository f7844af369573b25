//! Retention as the writer carries it out, a step at a time between two groups: what it has to say is committed and
//! published like anything else, and only then something is removed.

use std::time::Instant;

use tracing::{info, warn};

use super::{Group, Writer, now_ns};
use crate::retention::{self, Limits, Step, Why};
use crate::store::{CommitError, Excess, Stint};
use crate::worker::{Change, Record};

/// Workers of whom one step of retention speaks: less than a millisecond's worth of bytes.
const STEP: usize = 1000;

/// What one step takes from a task. Beside two syncs that is a few ten milliseconds where the disk has to read what is
/// around each hole, and 400 MiB a second where the holes are large: more than the store is ever given.
const STINT: Stint = Stint { workers: STEP, bytes: 8 << 20, holes: 256 };

impl Writer {
    /// One step of what retention asks for. Whether there may be another.
    pub(super) fn tend(&mut self) -> Result<bool, CommitError> {
        if let Err(error) = self.store.catch_up() {
            warn!(%error, "cannot write the index of a segment for now");
        }
        let now_ns = now_ns();
        self.learn_time(now_ns);
        let now = Instant::now();
        let is_trusted = self.trust.is_given(now);
        self.metrics.retention_held.set(i64::from(!is_trusted));
        let limits = Limits { age: self.limits.age.filter(|_| is_trusted), ..self.limits };
        let Some(store) = self.store.retain() else { return Ok(false) };
        match retention::decide(&store.parts(), &limits, now_ns) {
            None => Ok(self.tend_tasks(now_ns)? || self.forget_silent(now_ns, now)?),
            Some(Step::Seal) => Ok(done(store.seal())),
            Some(Step::Remove(part, why)) => {
                let workers = self.catalog.len();
                let before_ns = self.trust.forget_before(workers, self.max_workers, now_ns, now);
                let farewell = store.farewell(part.number, before_ns, STEP);
                if !farewell.is_empty() {
                    return self.say(farewell, now_ns);
                }
                let removed = done(store.remove(part.number));
                if removed {
                    self.metrics.removed(why, part.bytes);
                    info!(
                        segment = part.number,
                        bytes = part.bytes,
                        reason = why.reason(),
                        "removed old lines"
                    );
                }
                Ok(removed)
            }
        }
    }

    /// Looks at the clock. Whatever it says, what it makes too old all of a sudden stays for a while.
    pub(super) fn learn_time(&mut self, now_ns: i64) {
        let parts = self.store.retain().map(|store| store.parts()).unwrap_or_default();
        let newest_ns = retention::newest_ns(&parts, now_ns);
        let leap = self.trust.learn(newest_ns, now_ns, Instant::now());
        if let Some(ahead) = leap.filter(|_| self.limits != Limits::default()) {
            warn!(
                ?ahead,
                held = ?retention::HELD,
                "the clock is far ahead of the newest record, or was set so: for now no line goes because of its age, \
                 and no worker is forgotten while there is room; if the clock is wrong, set it right before that time is over"
            );
        }
    }

    /// One step towards no task having more than it may. Whether there may be another.
    fn tend_tasks(&mut self, now_ns: i64) -> Result<bool, CommitError> {
        let Some((limit, store)) = self.limits.task_bytes.zip(self.store.retain()) else { return Ok(false) };
        let changes = match store.excess(limit, STINT) {
            Excess::Nothing => return Ok(false),
            Excess::Unsealed => return Ok(done(store.seal())),
            Excess::Lines(changes) => changes,
        };
        if !self.say(changes, now_ns)? {
            return Ok(false);
        }
        let Some(store) = self.store.retain() else { return Ok(false) };
        self.metrics.removed(Why::Task, store.give_back());
        Ok(true)
    }

    /// Takes what a store holds in memory back below its limit, where the last group brought it beyond.
    pub(super) fn make_room(&mut self) -> Result<(), CommitError> {
        let Some((limit, store)) = self.limits.bytes.zip(self.store.retain()) else { return Ok(()) };
        let changes = store.overflow(limit);
        // First for readers, as ever.
        if changes.is_empty() || !self.say(changes, now_ns())? {
            return Ok(());
        }
        let Some(store) = self.store.retain() else { return Ok(()) };
        self.metrics.removed(Why::Size, store.give_back());
        self.show_size();
        Ok(())
    }

    /// One step of forgetting those of whom no line is left, which also has to come where no new line ever ends a part:
    /// a full table lets nobody send any. Whether there may be another.
    fn forget_silent(&mut self, now_ns: i64, now: Instant) -> Result<bool, CommitError> {
        if self.limits == retention::Limits::default() || !retention::is_look_due(self.looked_ns, now_ns) {
            return Ok(false);
        }
        let (workers, max) = (self.catalog.len(), self.max_workers);
        let ended_before_ns = self.trust.forget_before(workers, max, now_ns, now);
        let open_before_ns = self.trust.forget_open_before(workers, max, now_ns, now);
        let Some(store) = self.store.retain() else { return Ok(false) };
        let changes = store.forget(ended_before_ns, open_before_ns, STEP);
        if changes.is_empty() {
            self.looked_ns = now_ns;
            return Ok(false);
        }
        info!(workers = changes.len(), "forgot workers of whom no line is left");
        self.say(changes, now_ns)
    }

    /// Commits what retention has to say before it removes anything. Whether it was stored.
    fn say(&mut self, changes: Vec<Change>, at_ns: i64) -> Result<bool, CommitError> {
        let mut group = Group::default();
        for change in changes {
            let worker = change.worker().clone();
            if let Some(state) = self.state(&mut group, &worker) {
                let record = Record { at_ns, change };
                state.apply(&record);
                group.records.push(record);
            }
        }
        self.commit(group)
    }
}

/// Whether a step of retention was done. Where it was not, it is tried again later.
fn done(result: std::io::Result<()>) -> bool {
    result.inspect_err(|error| warn!(%error, "retention cannot go on for now")).is_ok()
}
