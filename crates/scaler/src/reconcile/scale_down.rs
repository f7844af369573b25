//! Which workers a scale-down takes away: PURE.
//!
//! Only workers of earlier entries are meant, and only those that no earlier scale-down takes. What still waits goes first, then what is not running
//! yet, then the youngest; of two alike the later asked for goes first.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Known;
use crate::event::{ScaleDown, ScaleUp, Selector};
use crate::ids::{EntryId, RecordId, WorkerIndex};
use crate::record::{Slot, Stop};
use crate::runtime::Phase;

/// How hard it is to lose a worker, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Waiting,
    Pending,
    /// By the time of its start, youngest first; an unknown time is a start just now.
    Running(Reverse<Timestamp>),
}

struct Candidate {
    loss: Loss,
    place: Reverse<(EntryId, WorkerIndex)>,
    chosen: (RecordId, WorkerIndex, Slot),
}

/// The workers to cancel, with their slots as they are to be from now on.
pub(super) fn choose(
    down: &ScaleDown,
    known: &Known<'_>,
    taken: &BTreeSet<(RecordId, WorkerIndex)>,
) -> Vec<(RecordId, WorkerIndex, Slot)> {
    let mut candidates = candidates(down, known);
    candidates.retain(|candidate| {
        let (record, index, _) = &candidate.chosen;
        taken.is_empty() || !taken.contains(&(record.clone(), *index))
    });
    candidates.sort_by_key(|candidate| (candidate.loss, candidate.place));
    let keep = usize::try_from(down.keep).unwrap_or(usize::MAX);
    let surplus = candidates.len().saturating_sub(keep);
    candidates.into_iter().take(surplus).map(|candidate| candidate.chosen).collect()
}

fn candidates(down: &ScaleDown, known: &Known<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let meant = |spec: &ScaleUp| spec.entry_id < down.entry_id && selects(&down.selector, spec);
    for task in known.records.tasks().filter(|task| meant(task.spec())) {
        for (index, slot) in task.workers().filter(|(_, slot)| !slot.is_ended() && slot.stop.is_none()) {
            let observed = known.observation.get(&task.worker_id(index, slot.attempt));
            let Some(loss) = loss(observed.map(|observed| &observed.phase)) else { continue };
            candidates.push(Candidate {
                loss,
                place: Reverse((task.spec().entry_id, index)),
                chosen: (task.id().clone(), index, Slot { stop: Some(Stop::Cancelled), ..slot.clone() }),
            });
        }
    }
    candidates
}

fn selects(selector: &Selector, spec: &ScaleUp) -> bool {
    match selector {
        Selector::Task(task) => *task == spec.task_id,
        Selector::Group(group) => Some(group) == spec.group.as_ref(),
    }
}

/// `None` for a worker that has ended, which only is not on record yet: its end is its own, and it
/// is none of those that stay.
fn loss(phase: Option<&Phase>) -> Option<Loss> {
    match phase {
        None | Some(Phase::Unstarted) => Some(Loss::Waiting),
        Some(Phase::Pending { .. }) => Some(Loss::Pending),
        Some(Phase::Running { started_at }) => {
            Some(Loss::Running(Reverse(started_at.unwrap_or(Timestamp::MAX))))
        }
        Some(Phase::Ended(_) | Phase::Vanished { .. }) => None,
    }
}
