//! The workers that are known: what lists and looks told of their volumes and containers, and what was done here
//! since.
//!
//! A worker's volume is its place: there from its create until its remove, whatever becomes of its container. So
//! a container that is not there says "not yet", "not any more" or "somebody took it away" by what was known
//! before. A list takes its time and may be older than what was done meanwhile: that wins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::known::{Hand, Known, Stop, Tick};
use super::refusal::Trouble;
use super::told::{Container, Life, Listed, Seen, State};
use crate::ids::WorkerId;
use crate::record::Identity;
use crate::runtime::{NotSynced, Observation, Observed, Obstacle, Phase};

/// What is known of workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    observation: Arc<Observation>,
    known: BTreeMap<WorkerId, Known>,
    /// Removed here, and when: a list that began before may still tell of them.
    removed: BTreeMap<WorkerId, Tick>,
    /// The last signal that each container was sent, as Docker says. Of containers that no list knows it is
    /// forgotten with the next one.
    signals: BTreeMap<WorkerId, i32>,
    now: Tick,
    is_synced: bool,
}

/// What a create found.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is ours to start, until the token says otherwise.
    Start(CancellationToken),
    /// It is there, or somebody is on it.
    Nothing,
}

impl Workers {
    /// All workers, once a list was read.
    pub(super) fn observe(&self) -> Result<Arc<Observation>, NotSynced> {
        if self.is_synced { Ok(Arc::clone(&self.observation)) } else { Err(NotSynced) }
    }

    /// What is known may be old. Only a list that begins after this is new enough.
    pub(super) fn forget_list(&mut self) {
        self.is_synced = false;
    }

    /// Marks the moment at which a list begins.
    pub(super) fn list_begins(&mut self) -> Tick {
        self.now
    }

    /// Of the containers in a list those that are not as they were: the list does not tell enough of them.
    pub(super) fn due<'a>(&self, listed: &'a [Listed]) -> Vec<&'a Listed> {
        let is_due = |listed: &&Listed| {
            let known = self.known.get(&listed.worker);
            let is_known = |container: &Container| known.is_some_and(|known| known.was_told_of(container));
            listed.container.as_ref().is_some_and(|container| !is_known(container))
        };
        listed.iter().filter(is_due).collect()
    }

    /// A list is complete, and those that were due were looked at: what is not in it is gone. Says whether that
    /// is news.
    pub(super) fn list_ends(&mut self, begun: Tick, listed: &[Listed], now: Timestamp) -> bool {
        let mut is_news = !self.is_synced;
        let mut places: BTreeMap<&WorkerId, (&Listed, bool)> = BTreeMap::new();
        for found in listed {
            let place = places.entry(&found.worker).or_insert((found, false));
            place.1 |= found.container.is_some();
        }
        let is_newer = |changed: Tick| changed > begun;
        for (worker, (found, _)) in &places {
            let was_removed = self.removed.contains_key(*worker);
            if !was_removed && !self.known.contains_key(*worker) {
                self.put(worker, &found.identity, Phase::Unstarted);
                is_news = true;
            }
        }
        let lost: Vec<(WorkerId, bool)> = self
            .known
            .iter()
            .filter(|(_, known)| !is_newer(known.changed) && known.start.is_none())
            .filter_map(|(worker, known)| match places.get(worker) {
                Some((_, true)) => None,
                Some((_, false)) => known.has_container().then(|| (worker.clone(), true)),
                None => Some((worker.clone(), known.has_container())),
            })
            .collect();
        for (worker, had_container) in lost {
            is_news |= self.lose(&worker, had_container, now);
        }
        self.removed.retain(|_, removed| *removed > begun);
        let known = &self.known;
        self.signals.retain(|worker, _| known.contains_key(worker));
        self.is_synced = true;
        is_news
    }

    /// A create has made the worker's place, or found it.
    pub(super) fn begin(&mut self, worker: &WorkerId, identity: &Identity, since: Timestamp) -> Begun {
        let phase = self.observation.get(worker).map(|observed| &observed.phase);
        let is_there = phase.is_some_and(|phase| *phase != Phase::Unstarted);
        if is_there || self.known.get(worker).is_some_and(|known| known.start.is_some()) {
            return Begun::Nothing;
        }
        self.put(worker, identity, Phase::Pending { since, obstacle: None });
        let token = CancellationToken::new();
        if let Some(known) = self.known.get_mut(worker) {
            known.start = Some(token.clone());
        }
        Begun::Start(token)
    }

    /// What keeps a worker from getting on; the same for as long as it is the same.
    pub(super) fn hindered(&mut self, worker: &WorkerId, trouble: Trouble, now: Timestamp) {
        let Some(observed) = Arc::make_mut(&mut self.observation).get_mut(worker) else { return };
        if let Phase::Pending { obstacle, .. } = &mut observed.phase {
            let since = obstacle.as_ref().filter(|before| before.kind == trouble.kind).map(|o| o.since);
            let Trouble { kind, message } = trouble;
            *obstacle = Some(Obstacle { kind, message, since: since.unwrap_or(now) });
        }
    }

    /// Docker lists a container and does not tell how it fares. What is known of the worker stays; of one that is
    /// found, there is what the list said: it runs, or did, or is still to be started.
    pub(super) fn unanswered(&mut self, listed: &Listed, trouble: Trouble, now: Timestamp) {
        let Listed { worker, identity, container: Some(container) } = listed else { return };
        if self.removed.contains_key(worker) {
            return;
        }
        if !self.observation.contains_key(worker) {
            let phase = match container.life {
                // Its clock is not that of one which does not get to its command.
                Life::Running | Life::Exited => Phase::Running { started_at: None },
                Life::Created => Phase::Pending { since: now, obstacle: None },
            };
            self.put(worker, identity, phase);
        }
        if let Some(known) = self.known.get_mut(worker) {
            known.unanswered = Some(container.clone());
        }
        self.hindered(worker, trouble, now);
    }

    /// Nobody works on its start any more.
    pub(super) fn start_ended(&mut self, worker: &WorkerId) {
        self.touch(worker);
        if let Some(known) = self.known.get_mut(worker) {
            known.start = None;
        }
    }

    /// A look has found a container. Says whether that is news.
    pub(super) fn seen(&mut self, seen: Seen) -> bool {
        let Seen { worker, identity, id, state } = seen;
        if self.removed.contains_key(&worker) {
            return false;
        }
        let is_started_here = self.known.get(&worker).is_some_and(|known| known.start.is_some());
        let container = Container { id, life: state.life() };
        let (phase, stopping) = match state {
            State::Created if is_started_here => {
                self.hold(&worker, container);
                return false;
            }
            State::Created => (Phase::Unstarted, false),
            State::Running { started_at, stopping } => (Phase::Running { started_at }, stopping),
            State::Exited { exit, stopping } => (Phase::Ended(exit), stopping),
        };
        let before = self.observation.get(&worker).map(|observed| &observed.phase);
        if matches!(before, Some(Phase::Ended(_) | Phase::Vanished { .. })) {
            // An end is final, whatever is made of its container.
            return false;
        }
        let is_news = before != Some(&phase);
        self.put(&worker, &identity, phase);
        self.hold(&worker, container);
        if stopping {
            self.stopping(&worker);
        }
        is_news || stopping
    }

    /// A look has found no container. Says whether that is news.
    pub(super) fn gone(&mut self, worker: &WorkerId, now: Timestamp) -> bool {
        let Some(known) = self.known.get(worker) else { return false };
        if known.start.is_some() {
            return false;
        }
        let had_container = known.has_container();
        self.lose(worker, had_container, now)
    }

    fn lose(&mut self, worker: &WorkerId, had_container: bool, now: Timestamp) -> bool {
        self.touch(worker);
        if let Some(known) = self.known.get_mut(worker) {
            known.loses_container();
        }
        let Some(observed) = Arc::make_mut(&mut self.observation).get_mut(worker) else { return false };
        let reason = match (&observed.phase, had_container) {
            (Phase::Ended(_) | Phase::Vanished { .. }, _) => return false,
            (Phase::Unstarted | Phase::Pending { .. }, true) => {
                "its container was removed before it was started"
            }
            (Phase::Running { .. }, _) => "its container was removed, and how it ended was not seen",
            (Phase::Unstarted | Phase::Pending { .. }, false) => {
                "its volume was removed before it was started"
            }
        };
        observed.phase = Phase::Vanished { reason: reason.to_owned(), noticed_at: now };
        true
    }

    /// Docker says that a container was sent a signal.
    pub(super) fn killed(&mut self, worker: WorkerId, signal: i32) {
        self.signals.insert(worker, signal);
    }

    /// The last signal that a worker's container was sent.
    pub(super) fn signal(&self, worker: &WorkerId) -> Option<i32> {
        self.signals.get(worker).copied()
    }

    /// Its command must not start any more.
    pub(super) fn bar(&mut self, worker: &WorkerId) {
        let Some(known) = self.known.get_mut(worker) else { return };
        known.stop.get_or_insert(Stop { since: Instant::now(), barred: false }).barred = true;
        if let Some(start) = &known.start {
            start.cancel();
        }
    }

    /// Whether its command must not start any more.
    pub(super) fn is_barred(&self, worker: &WorkerId) -> bool {
        self.known.get(worker).and_then(|known| known.stop).is_some_and(|stop| stop.barred)
    }

    /// Its command never started, and never will.
    pub(super) fn never_started(&mut self, worker: &WorkerId, now: Timestamp) {
        self.touch(worker);
        if let Some(known) = self.known.get_mut(worker) {
            known.loses_container();
        }
        if let Some(observed) = Arc::make_mut(&mut self.observation).get_mut(worker)
            && matches!(observed.phase, Phase::Unstarted | Phase::Pending { .. })
        {
            let reason = "stopped before its command started".to_owned();
            observed.phase = Phase::Vanished { reason, noticed_at: now };
        }
    }

    /// It has no container, where one was to be ended.
    pub(super) fn absent(&mut self, worker: &WorkerId, now: Timestamp) {
        let had_container = self.known.get(worker).is_some_and(Known::has_container);
        if had_container {
            self.lose(worker, had_container, now);
        } else {
            self.never_started(worker, now);
        }
    }

    /// Its end was asked for.
    pub(super) fn stopping(&mut self, worker: &WorkerId) {
        if let Some(known) = self.known.get_mut(worker) {
            known.stop.get_or_insert(Stop { since: Instant::now(), barred: false });
        }
        if let Some(observed) = Arc::make_mut(&mut self.observation).get_mut(worker) {
            observed.stopping = true;
        }
    }

    /// Those that run on long after they should have ended; each is told once in so much time.
    pub(super) fn overdue(&mut self, patience: Duration) -> Vec<WorkerId> {
        let mut overdue = Vec::new();
        for (worker, known) in &mut self.known {
            let runs = known.container.as_ref().is_some_and(|container| container.life == Life::Running);
            if let Some(stop) = &mut known.stop
                && runs
                && stop.since.elapsed() > patience
            {
                stop.since = Instant::now();
                overdue.push(worker.clone());
            }
        }
        overdue
    }

    /// Since when it is tried to hand in what its agent left: from now on, if nobody has tried before.
    pub(super) fn hands_in(&mut self, worker: &WorkerId) -> Instant {
        let now = Instant::now();
        self.known.get_mut(worker).map_or(now, |known| *known.hands_in.get_or_insert(now))
    }

    /// What whoever touches its container has to hold.
    pub(super) fn hand(&self, worker: &WorkerId) -> Option<Hand> {
        self.known.get(worker).map(|known| Arc::clone(&known.hand))
    }

    /// Whether it is known.
    pub(super) fn contains(&self, worker: &WorkerId) -> bool {
        self.known.contains_key(worker)
    }

    /// Whether its container, if there is one, was neither started nor seen here before.
    pub(super) fn is_found(&self, worker: &WorkerId) -> bool {
        self.known.get(worker).is_none_or(|known| known.container.is_none() && known.start.is_none())
    }

    /// Whether its end was asked for.
    pub(super) fn is_stopping(&self, worker: &WorkerId) -> bool {
        self.observation.get(worker).is_some_and(|observed| observed.stopping)
    }

    /// It was removed, on purpose.
    pub(super) fn remove(&mut self, worker: &WorkerId) {
        self.now += 1;
        Arc::make_mut(&mut self.observation).remove(worker);
        self.known.remove(worker);
        self.removed.insert(worker.clone(), self.now);
    }

    fn hold(&mut self, worker: &WorkerId, container: Container) {
        self.touch(worker);
        if let Some(known) = self.known.get_mut(worker) {
            known.holds(container);
        }
    }

    fn touch(&mut self, worker: &WorkerId) {
        self.now += 1;
        if let Some(known) = self.known.get_mut(worker) {
            known.changed = self.now;
        }
    }

    fn put(&mut self, worker: &WorkerId, identity: &Identity, phase: Phase) {
        self.removed.remove(worker);
        let stopping = self.is_stopping(worker);
        let observed = Observed::new(identity.clone(), phase, stopping);
        Arc::make_mut(&mut self.observation).insert(worker.clone(), observed);
        self.known.entry(worker.clone()).or_default();
        self.touch(worker);
    }
}

#[cfg(test)]
#[path = "workers_tests.rs"]
mod tests;
