//! The worker Pods that are known: what the watch told, and what a create's own answer told before it.
//!
//! The watch lags behind, and a list that it starts from may be older than a create. So a Pod made
//! here is kept until the watch has caught up; one removed here is not brought back by what the watch
//! still tells of it; and one that somebody else took away stays, as vanished, until it is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::worker_pod::WorkerPod;
use super::{names, phase};
use crate::ids::WorkerId;
use crate::record::Identity;
use crate::runtime::{NotSynced, Observation, Observed, Phase};

/// What is known of the Pods of workers.
#[derive(Debug, Default)]
pub(super) struct Pods {
    observation: Arc<Observation>,
    known: BTreeMap<WorkerId, Known>,
    /// Removed here, by the ids of their Pods, until the watch says so, too.
    removed: BTreeMap<WorkerId, String>,
    /// The names in a list that is being read.
    listing: Option<BTreeSet<WorkerId>>,
    is_synced: bool,
}

/// What is known of a Pod beside its worker.
#[derive(Clone, Debug)]
struct Known {
    uid: String,
    /// Since when it is no longer there.
    gone_at: Option<Timestamp>,
    /// Made here while this list was being read, or not yet seen by the watch.
    unseen: bool,
}

impl Pods {
    /// All workers, once the first list was read.
    pub(super) fn observe(&self) -> Result<Arc<Observation>, NotSynced> {
        if self.is_synced { Ok(Arc::clone(&self.observation)) } else { Err(NotSynced) }
    }

    /// The id of a worker's Pod while that is there.
    pub(super) fn uid(&self, worker: &WorkerId) -> Option<String> {
        self.known.get(worker).filter(|known| known.gone_at.is_none()).map(|known| known.uid.clone())
    }

    /// A worker that is known, and whether its Pod is on its way out.
    pub(super) fn worker(&self, worker: &WorkerId) -> Option<&Observed> {
        self.observation.get(worker)
    }

    /// What is known may be old. Only a list that begins after this is new enough.
    pub(super) fn forget_list(&mut self) {
        self.listing = None;
        self.is_synced = false;
    }

    /// Lets go of workers whose Pods have been gone for so long. For a replica that does not lead: the one that
    /// does puts their ends on record, and removes them itself.
    pub(super) fn forget_gone(&mut self, longer_than: SignedDuration, now: Timestamp) {
        let is_old = |known: &Known| known.gone_at.is_some_and(|gone| now.duration_since(gone) > longer_than);
        let old: Vec<_> =
            self.known.extract_if(.., |_, known| is_old(known)).map(|(worker, _)| worker).collect();
        if !old.is_empty() {
            let observation = Arc::make_mut(&mut self.observation);
            for worker in &old {
                observation.remove(worker);
            }
        }
    }

    /// The watch starts over, from a list.
    pub(super) fn list_begins(&mut self) {
        self.listing = Some(BTreeSet::new());
    }

    /// The list is complete: what is not in it is gone.
    pub(super) fn list_ends(&mut self, now: Timestamp) {
        let Some(listed) = self.listing.take() else { return };
        let gone: Vec<_> = self
            .known
            .iter()
            .filter(|(worker, known)| !known.unseen && known.gone_at.is_none() && !listed.contains(*worker))
            .map(|(worker, _)| worker.clone())
            .collect();
        for worker in gone {
            self.mark_gone(&worker, None, now);
        }
        // Whatever they were told of before the list, they are not in it.
        self.removed.retain(|worker, _| listed.contains(worker));
        self.is_synced = true;
    }

    /// The watch, or a list, tells of a Pod. Says whether that is news.
    pub(super) fn seen(&mut self, pod: &WorkerPod, now: Timestamp) -> bool {
        let Some((worker, identity)) = names::identity(pod) else { return false };
        if let Some(listing) = &mut self.listing {
            listing.insert(worker.clone());
        }
        self.put(worker, identity, pod, false, now)
    }

    /// A create was answered with this Pod.
    pub(super) fn made(&mut self, pod: &WorkerPod, now: Timestamp) {
        let Some((worker, identity)) = names::identity(pod) else { return };
        // What the watch told since is newer.
        if !self.known.contains_key(&worker) {
            self.put(worker, identity, pod, true, now);
        }
    }

    /// The watch tells that a Pod is gone, and what was last known of it.
    pub(super) fn deleted(&mut self, pod: &WorkerPod, now: Timestamp) {
        let Some((worker, _)) = names::identity(pod) else { return };
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if self.removed.get(&worker).is_some_and(|removed| removed == uid) {
            self.removed.remove(&worker);
            return;
        }
        if self.known.get(&worker).is_none_or(|known| known.uid == uid) {
            self.seen(pod, now);
            self.mark_gone(&worker, Some(phase::last_phase(pod, now)), now);
        }
    }

    /// Its end was asked for.
    pub(super) fn stopping(&mut self, worker: &WorkerId) {
        if let Some(observed) = Arc::make_mut(&mut self.observation).get_mut(worker) {
            observed.stopping = true;
        }
    }

    /// The API server says that it is not there.
    pub(super) fn absent(&mut self, worker: &WorkerId, now: Timestamp) {
        self.mark_gone(worker, None, now);
    }

    /// It was removed, on purpose.
    pub(super) fn remove(&mut self, worker: &WorkerId) {
        Arc::make_mut(&mut self.observation).remove(worker);
        if let Some(known) = self.known.remove(worker)
            && known.gone_at.is_none()
        {
            self.removed.insert(worker.clone(), known.uid);
        }
    }

    fn put(
        &mut self,
        worker: WorkerId,
        identity: Identity,
        pod: &WorkerPod,
        unseen: bool,
        now: Timestamp,
    ) -> bool {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if self.removed.get(&worker) == Some(&uid) {
            return false;
        }
        let before = self.observation.get(&worker);
        let mut phase = phase::phase(pod, now);
        keep_since(before.map(|observed| &observed.phase), &mut phase);
        let stopping = pod.metadata.deletion_timestamp.is_some();
        let observed = Observed::new(identity, phase, stopping);
        // Of each Pod made here the watch tells once what its create has told before.
        let is_news = before != Some(&observed);
        if is_news {
            Arc::make_mut(&mut self.observation).insert(worker.clone(), observed);
        }
        self.known.insert(worker, Known { uid, gone_at: None, unseen });
        is_news
    }

    fn mark_gone(&mut self, worker: &WorkerId, last: Option<Phase>, now: Timestamp) {
        let Some(known) = self.known.get_mut(worker) else { return };
        known.gone_at.get_or_insert(now);
        let Some(observed) = Arc::make_mut(&mut self.observation).get_mut(worker) else { return };
        if observed.phase.takes_capacity() {
            let reason = "its Pod is gone, and how it ended was not seen".to_owned();
            observed.phase = last.unwrap_or(Phase::Vanished { reason, noticed_at: now });
        }
    }
}

/// An obstacle has been there since it was first seen: the kubelet does not say since when, and goes
/// back and forth between words for the same.
fn keep_since(before: Option<&Phase>, phase: &mut Phase) {
    if let (
        Some(Phase::Pending { obstacle: Some(before), .. }),
        Phase::Pending { obstacle: Some(obstacle), .. },
    ) = (before, phase)
        && before.kind == obstacle.kind
    {
        obstacle.since = before.since;
    }
}

#[cfg(test)]
#[path = "pods_tests.rs"]
mod tests;
