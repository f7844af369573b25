//! A replica of the scaler: its watch on Pods, its share in the Lease, and, while it leads or thinks
//! so, what a leader does. It can be killed and can stand still before and after each step.

use std::collections::VecDeque;
use std::sync::Arc;

use super::api::Told;
use super::calls::{Call, CallState};
use super::controller::Controller;
use super::faults::{Fault, Site};
use super::intake::Intake;
use super::redis::Fenced;
use super::world::World;
use crate::record::Term;
use crate::runtime::kubernetes::testing::{PodMemory, WorkerPod};

/// Another replica leads once it has seen the Lease unchanged for so many milliseconds.
const LEASE: i64 = 4_000;
/// A leader acts for so long after it renewed the Lease; calls end within the rest.
const ACT: i64 = LEASE / 2;
/// Between two renewals.
const RENEW: i64 = LEASE / 8;
pub(super) const CALL: i64 = LEASE - ACT;

/// Why a step came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Failed,
    Fenced,
    Crashed,
    Frozen,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Replica {
    /// Its name in the Lease.
    pub(super) holder: u64,
    pub(super) is_down: bool,
    pub(super) is_frozen: bool,
    pub(super) memory: PodMemory,
    /// Up to where the watch has told; nothing: it begins with a list.
    heard: Option<usize>,
    listing: VecDeque<Arc<WorkerPod>>,
    is_listing: bool,
    /// The version of the Lease, and since when it is seen.
    seen: Option<(u64, i64)>,
    renewed: i64,
    tenure: i64,
    pub(super) leader: Option<Box<Leader>>,
}

/// What a replica is while it leads, or thinks so.
#[derive(Debug)]
pub(super) struct Leader {
    at_least: u64,
    pub(super) term: Option<Term>,
    pub(super) intake: Intake,
    pub(super) controller: Controller,
    pub(super) calls: Vec<Call>,
}

impl Leader {
    pub(super) fn term(&self) -> Term {
        self.term.unwrap_or_default()
    }
}

impl Replica {
    pub(super) fn new(holder: u64) -> Self {
        Self { holder, ..Self::default() }
    }

    pub(super) fn may_act(&self, now: i64) -> bool {
        now < self.tenure
    }

    pub(super) fn watch_breaks(&mut self) {
        self.heard = None;
        self.is_listing = false;
        self.listing.clear();
    }
}

impl World {
    /// One step of a replica, whichever of its parts gets to run.
    pub(super) fn act(&mut self, r: usize) {
        if self.replicas[r].is_down {
            return if self.rng.chance(300) {
                self.restart(r);
            };
        }
        if self.replicas[r].is_frozen {
            if self.rng.chance(self.thaw_rate) {
                self.thaw(r);
            } else {
                self.network(r);
            }
            return;
        }
        self.tally.steps += 1;
        let is_due = self.now - self.replicas[r].renewed >= RENEW;
        let is_leader = self.replicas[r].leader.is_some();
        match self.rng.below(if is_leader { 100 } else { 30 }) {
            0..10 if is_due => self.keep_lease(r),
            10..60 if is_due && is_leader => self.keep_lease(r),
            0..28 => self.watch(r),
            28..40 => self.lead(r, World::take_in),
            40..75 => self.lead(r, World::control),
            _ => self.lead(r, World::make_call),
        }
    }

    fn restart(&mut self, r: usize) {
        // The process may come back under its old name, or another Pod in its place.
        let holder = if self.rng.chance(500) { self.replicas[r].holder } else { self.next_holder() };
        self.note(|| format!("replica {r} starts as {holder}"));
        self.replicas[r] = Replica::new(holder);
    }

    pub(super) fn thaw(&mut self, r: usize) {
        self.note(|| format!("replica {r} goes on"));
        self.replicas[r].is_frozen = false;
    }

    /// Lets a part of the leader run, and deals with what came of it.
    pub(super) fn lead(&mut self, r: usize, part: fn(&mut Self, usize, &mut Leader) -> Result<(), Trouble>) {
        let Some(mut leader) = self.replicas[r].leader.take() else { return };
        let result =
            if leader.term.is_none() { self.begin(r, &mut leader) } else { part(self, r, &mut leader) };
        match result {
            Ok(()) | Err(Trouble::Failed) => self.replicas[r].leader = Some(leader),
            Err(Trouble::Frozen) => {
                self.note(|| format!("replica {r} stands still"));
                self.replicas[r].is_frozen = true;
                self.replicas[r].leader = Some(leader);
            }
            Err(Trouble::Crashed) => self.crash(r, Some(leader)),
            Err(Trouble::Fenced) => {
                self.tally.fenced += 1;
                self.resign(r, leader);
            }
        }
    }

    fn begin(&mut self, r: usize, leader: &mut Leader) -> Result<(), Trouble> {
        let at_least = leader.at_least;
        let away = self.redis.away;
        let term = self.remote(r, Site::TakeTerm, away, |world| Ok(world.redis.take_term(at_least)))?;
        self.note(|| format!("replica {r} leads in term {}", term.get()));
        self.tally.takeovers += 1;
        leader.term = Some(term);
        self.replicas[r].memory.forget_list();
        self.replicas[r].watch_breaks();
        Ok(())
    }

    pub(super) fn crash(&mut self, r: usize, leader: Option<Box<Leader>>) {
        self.note(|| format!("replica {r} is killed"));
        self.leave_calls(leader);
        self.replicas[r].leader = None;
        self.replicas[r].is_down = true;
    }

    /// What is under way to the API server may still arrive.
    fn leave_calls(&mut self, leader: Option<Box<Leader>>) {
        let calls = leader.into_iter().flat_map(|leader| leader.calls);
        self.orphans.extend(calls.filter(|call| matches!(call.state, CallState::Sent { .. })));
    }

    fn resign(&mut self, r: usize, leader: Box<Leader>) {
        self.note(|| format!("replica {r} leads no more"));
        self.leave_calls(Some(leader));
        let (now, away) = (self.now, self.server.away);
        let replica = &mut self.replicas[r];
        if replica.may_act(now) && !away && self.server.lease.holder == Some(replica.holder) {
            self.server.lease.holder = None;
            self.server.lease.version += 1;
        }
        (replica.tenure, replica.seen) = (0, None);
    }

    /// Takes the Lease, or renews it, or notices that it is another one's.
    pub(super) fn keep_lease(&mut self, r: usize) {
        let result = match self.replicas[r].leader.take() {
            Some(leader) => {
                let result = self.renew(r);
                if result == Err(Trouble::Fenced) {
                    return self.resign(r, leader);
                }
                if result == Err(Trouble::Crashed) {
                    return self.crash(r, Some(leader));
                }
                self.replicas[r].leader = Some(leader);
                result
            }
            None => self.look(r),
        };
        match result {
            Err(Trouble::Crashed) => self.crash(r, None),
            Err(Trouble::Frozen) => self.replicas[r].is_frozen = true,
            Ok(()) | Err(Trouble::Failed | Trouble::Fenced) => {}
        }
    }

    fn renew(&mut self, r: usize) -> Result<(), Trouble> {
        let (holder, begun) = (self.replicas[r].holder, self.now);
        if begun - self.replicas[r].renewed >= ACT {
            return Err(Trouble::Fenced);
        }
        let away = self.server.away;
        let renew = move |world: &mut Self| {
            let is_mine = world.server.lease.holder == Some(holder);
            world.server.lease.version += u64::from(is_mine);
            Ok(is_mine)
        };
        if !self.remote(r, Site::RenewLease, away, renew)? {
            return Err(Trouble::Fenced);
        }
        self.holds_since(r, begun);
        Ok(())
    }

    fn holds_since(&mut self, r: usize, begun: i64) {
        self.replicas[r].renewed = begun;
        self.replicas[r].tenure = begun + ACT;
    }

    fn look(&mut self, r: usize) -> Result<(), Trouble> {
        if self.server.away {
            return Err(Trouble::Failed);
        }
        let (now, holder, version) = (self.now, self.replicas[r].holder, self.server.lease.version);
        let seen = self.replicas[r].seen.filter(|seen| seen.0 == version).unwrap_or((version, now));
        self.replicas[r].seen = Some(seen);
        let held_by = self.server.lease.holder;
        if held_by.is_some_and(|other| other != holder) && now - seen.1 < LEASE {
            return Ok(());
        }
        // A request whose sender is gone is carried out soon, or aborted: before anybody leads again, and
        // also where that need not wait for the Lease to run out.
        while !self.orphans.is_empty() {
            self.deliver_orphan();
        }
        let take = move |world: &mut Self| {
            let lease = &mut world.server.lease;
            lease.transitions += u64::from(lease.holder != Some(holder));
            lease.holder = Some(holder);
            lease.version += 1;
            Ok(lease.transitions)
        };
        let at_least = self.remote(r, Site::TakeLease, false, take)?;
        self.note(|| format!("replica {r} has the lease"));
        self.holds_since(r, now);
        let (intake, controller) = (Intake::default(), Controller::default());
        let leader = Leader { at_least, term: None, intake, controller, calls: Vec::new() };
        self.replicas[r].leader = Some(Box::new(leader));
        Ok(())
    }

    /// The watch tells the next thing, or begins with a list.
    pub(super) fn watch(&mut self, r: usize) {
        if self.server.away {
            return;
        }
        let (now, replica) = (self.at(), &mut self.replicas[r]);
        let Some(heard) = replica.heard else {
            replica.memory.list_begins();
            replica.listing = self.server.pods.keys().filter_map(|worker| self.server.read(worker)).collect();
            (replica.heard, replica.is_listing) = (Some(self.server.told.len()), true);
            return;
        };
        if let Some(pod) = replica.listing.pop_front() {
            replica.memory.seen(&pod, now);
            return;
        }
        if replica.is_listing {
            replica.is_listing = false;
            return replica.memory.list_ends(now);
        }
        match self.server.told.get(heard) {
            Some(Told::Is(pod)) => replica.memory.seen(pod, now),
            Some(Told::IsGone(pod)) => replica.memory.deleted(pod, now),
            None => return,
        }
        replica.heard = Some(heard + 1);
    }

    /// Whether the watch has told everything.
    pub(super) fn has_heard_all(&self, r: usize) -> bool {
        let replica = &self.replicas[r];
        replica.heard == Some(self.server.told.len()) && !replica.is_listing
    }

    /// A call to another machine, with all that may happen before and after it.
    pub(super) fn remote<T>(
        &mut self,
        r: usize,
        site: Site,
        away: bool,
        call: impl FnOnce(&mut Self) -> Result<T, Fenced>,
    ) -> Result<T, Trouble> {
        self.before(r, site)?;
        if away {
            return Err(Trouble::Failed);
        }
        let answer = call(self);
        self.after(r, site)?;
        answer.map_err(|Fenced| Trouble::Fenced)
    }

    pub(super) fn before(&mut self, r: usize, site: Site) -> Result<(), Trouble> {
        if self.calm || !self.rng.chance(self.fault_rate) {
            return Ok(());
        }
        let faults = [
            (Fault::Fails, Trouble::Failed),
            (Fault::CrashBefore, Trouble::Crashed),
            (Fault::Frozen, Trouble::Frozen),
        ];
        let faults = if site == Site::Decide { &faults[1..] } else { &faults[..] };
        let (fault, trouble) = self.rng.pick(faults);
        self.tally.count(site, fault);
        self.note(|| format!("replica {r}: {fault:?} at {site:?}"));
        Err(trouble)
    }

    pub(super) fn after(&mut self, r: usize, site: Site) -> Result<(), Trouble> {
        if self.calm || !self.rng.chance(self.fault_rate) {
            return Ok(());
        }
        let faults = [(Fault::AnswerLost, Trouble::Failed), (Fault::CrashAfter, Trouble::Crashed)];
        let (fault, trouble) = self.rng.pick(&faults);
        self.tally.count(site, fault);
        self.note(|| format!("replica {r}: {fault:?} at {site:?}"));
        Err(trouble)
    }
}
