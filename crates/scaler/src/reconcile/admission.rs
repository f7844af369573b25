//! Who gets capacity next: PURE. By priority, then fair between tenants, then in order.
//!
//! Fair means: of the tenants that wait, the one that has the fewest workers gets the next one. What
//! a tenant has is what is observed and what is being made, so there is no counter to go wrong (P3);
//! each worker given makes its tenant less urgent. Who is less urgent waits for as long as there are
//! others: only a queue timeout ends that.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque, btree_map};
use std::num::NonZeroUsize;

use super::{Busy, Known};
use crate::ids::{Attempt, EntryId, Tenant, WorkerId, WorkerIndex};
use crate::record::{Progress, Slot, TaskRecord, WorkerSpec};
use crate::runtime::{Observed, Phase};

/// A worker that waits for capacity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting<'a> {
    pub(super) task: &'a TaskRecord,
    pub(super) index: WorkerIndex,
    attempt: Attempt,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(task: &'a TaskRecord, index: WorkerIndex, attempt: Attempt) -> Self {
        Self { task, index, attempt }
    }

    /// Its place among those of its tenant and priority.
    fn place(&self) -> (EntryId, WorkerIndex) {
        (self.task.spec().entry_id, self.index)
    }

    fn tenant(&self) -> Option<&'a Tenant> {
        self.task.spec().tenant.as_ref()
    }
}

/// Makes those whose turn it is, as many as there is capacity for and as may be made now (P3).
pub(super) fn admit<'a>(
    waiting: Vec<Waiting<'a>>,
    known: &Known<'a>,
    max: NonZeroUsize,
) -> impl Iterator<Item = WorkerSpec> {
    let room = max.get().saturating_sub(in_use(known)).min(known.may_create);
    let mut waiting = if room == 0 { Vec::new() } else { waiting };
    waiting.retain(|one| !known.aside.get(one.task.id()).is_some_and(|aside| aside.waits));
    order(waiting, known).take(room).map(|waiting| waiting.task.worker_spec(waiting.index, waiting.attempt))
}

/// Those that wait, in the order in which they get capacity.
pub(super) fn order<'a>(waiting: Vec<Waiting<'a>>, known: &Known<'a>) -> impl Iterator<Item = Waiting<'a>> {
    let mut priorities: BTreeMap<Reverse<i32>, BTreeMap<Option<&Tenant>, Vec<Waiting<'a>>>> = BTreeMap::new();
    for one in waiting {
        let tenants = priorities.entry(Reverse(one.task.spec().priority)).or_default();
        tenants.entry(one.tenant()).or_default().push(one);
    }
    let in_use = if priorities.is_empty() { BTreeMap::new() } else { in_use_by_tenant(known) };
    Order { priorities: priorities.into_values(), round: Round::default(), in_use }
}

/// Puts those that wait in order one by one: mostly there is room for a few of many.
struct Order<'a> {
    /// Those of less urgent priorities, by tenant.
    priorities: btree_map::IntoValues<Reverse<i32>, BTreeMap<Option<&'a Tenant>, Vec<Waiting<'a>>>>,
    round: Round<'a>,
    in_use: BTreeMap<Option<&'a Tenant>, usize>,
}

/// How many workers a tenant has, and the place of its first that waits.
type Turn<'a> = (usize, (EntryId, WorkerIndex), Option<&'a Tenant>);

/// Those of one priority.
#[derive(Default)]
struct Round<'a> {
    queues: BTreeMap<Option<&'a Tenant>, VecDeque<Waiting<'a>>>,
    /// The tenant with the fewest workers first, then the one whose first waits longest.
    next: BinaryHeap<Reverse<Turn<'a>>>,
}

impl<'a> Iterator for Order<'a> {
    type Item = Waiting<'a>;

    fn next(&mut self) -> Option<Waiting<'a>> {
        loop {
            let Some(Reverse((has, _, tenant))) = self.round.next.pop() else {
                let tenants = self.priorities.next()?;
                self.begin(tenants);
                continue;
            };
            let queue = self.round.queues.get_mut(&tenant)?;
            let first = queue.pop_front()?;
            self.in_use.insert(tenant, has + 1);
            if let Some(second) = queue.front() {
                self.round.next.push(Reverse((has + 1, second.place(), tenant)));
            }
            return Some(first);
        }
    }
}

impl<'a> Order<'a> {
    fn begin(&mut self, tenants: BTreeMap<Option<&'a Tenant>, Vec<Waiting<'a>>>) {
        for (tenant, mut queue) in tenants {
            queue.sort_unstable_by_key(Waiting::place);
            let has = self.in_use.get(&tenant).copied().unwrap_or_default();
            self.round.next.push(Reverse((has, queue[0].place(), tenant)));
            self.round.queues.insert(tenant, queue.into());
        }
    }
}

/// Whether a worker that has not ended waits for capacity.
pub(super) fn waits(task: &TaskRecord, index: WorkerIndex, slot: &Slot, known: &Known<'_>) -> bool {
    let worker = task.worker_id(index, slot.attempt);
    let is_there = known.observation.get(&worker).is_some_and(|seen| seen.phase != Phase::Unstarted);
    slot.progress == Progress::Queued && slot.stop.is_none() && !is_there && !known.busy.contains_key(&worker)
}

/// All that takes up capacity, with and without a record.
pub fn in_use(known: &Known<'_>) -> usize {
    let takes = |observed: &Observed| observed.phase.takes_capacity();
    let seen = known.observation.values().filter(|observed| takes(observed)).count();
    let is_unseen = |worker: &WorkerId| !known.observation.get(worker).is_some_and(takes);
    let coming = |(worker, busy): &(&WorkerId, &Busy)| **busy == Busy::Creating && is_unseen(worker);
    seen + known.busy.iter().filter(coming).count()
}

fn in_use_by_tenant<'a>(known: &Known<'a>) -> BTreeMap<Option<&'a Tenant>, usize> {
    let mut in_use: BTreeMap<_, usize> = BTreeMap::new();
    for task in known.records.tasks() {
        let takes = |(index, slot): &(WorkerIndex, &Slot)| {
            let worker = task.worker_id(*index, slot.attempt);
            known.observation.get(&worker).is_some_and(|observed| observed.phase.takes_capacity())
                || known.busy.get(&worker) == Some(&Busy::Creating)
        };
        let workers = task.workers().filter(takes).count();
        *in_use.entry(task.spec().tenant.as_ref()).or_default() += workers;
    }
    in_use
}
