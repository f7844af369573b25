//! Where what goes wrong, and how often that was so: a simulation in which no crash ever hit a write
//! would say nothing about it.

/// A step of a replica after, before and within which something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    TakeLease,
    RenewLease,
    TakeTerm,
    ClaimEvents,
    ReadEvents,
    Record,
    DeadLetter,
    LoadRecords,
    Decide,
    UpdateWorkers,
    ScaleDown,
    Create,
    Stop,
    Remove,
    AskLogs,
    CloseLog,
    Adopt,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The other side is not reached, or refuses.
    Fails,
    /// It is done, and its answer is lost.
    AnswerLost,
    /// The replica is killed before the step.
    CrashBefore,
    /// It is killed when the step is done, before it knows.
    CrashAfter,
    /// It stands still before the step, for as long as it takes.
    Frozen,
}

const SITES: [Site; 17] = [
    Site::TakeLease,
    Site::RenewLease,
    Site::TakeTerm,
    Site::ClaimEvents,
    Site::ReadEvents,
    Site::Record,
    Site::DeadLetter,
    Site::LoadRecords,
    Site::Decide,
    Site::UpdateWorkers,
    Site::ScaleDown,
    Site::Create,
    Site::Stop,
    Site::Remove,
    Site::AskLogs,
    Site::CloseLog,
    Site::Adopt,
];

const FAULTS: [Fault; 5] =
    [Fault::Fails, Fault::AnswerLost, Fault::CrashBefore, Fault::CrashAfter, Fault::Frozen];

/// How often each was so.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: [[u64; FAULTS.len()]; SITES.len()],
    pub(super) steps: u64,
    pub(super) workers: u64,
    pub(super) takeovers: u64,
    pub(super) fenced: u64,
    pub(super) over_capacity: u64,
}

impl Tally {
    pub(super) fn count(&mut self, site: Site, fault: Fault) {
        self.counts[site as usize][fault as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (row, others) in self.counts.iter_mut().zip(&other.counts) {
            row.iter_mut().zip(others).for_each(|(count, more)| *count += more);
        }
        self.steps += other.steps;
        self.workers += other.workers;
        self.takeovers += other.takeovers;
        self.fenced += other.fenced;
        self.over_capacity += other.over_capacity;
    }

    /// So many kinds of faults were there: each fault at each step is one.
    pub(super) fn kinds(&self) -> (usize, usize) {
        let there = self.counts.iter().flatten().filter(|count| **count > 0).count();
        (there, SITES.len() * FAULTS.len() - IMPOSSIBLE.len())
    }

    /// Those that never were, though they can be.
    pub(super) fn missing(&self) -> Vec<(Site, Fault)> {
        let all = SITES.iter().flat_map(|site| FAULTS.iter().map(move |fault| (*site, *fault)));
        all.filter(|kind| self.counts[kind.0 as usize][kind.1 as usize] == 0)
            .filter(|kind| !IMPOSSIBLE.contains(kind))
            .collect()
    }

    pub(super) fn table(&self) -> String {
        let mut lines = vec![format!("{:>14} {FAULTS:?}", "")];
        for (site, counts) in SITES.iter().zip(&self.counts) {
            lines.push(format!("{:>14} {counts:?}", format!("{site:?}")));
        }
        lines.join("\n")
    }
}

/// To decide is no call: nothing of it can be refused or lost on the way.
const IMPOSSIBLE: [(Site, Fault); 3] =
    [(Site::Decide, Fault::Fails), (Site::Decide, Fault::AnswerLost), (Site::Decide, Fault::CrashAfter)];
