//! Tasks of which a worker could not be made a moment ago: they let others go first, so that one that
//! asks for more than its quota has, or that a webhook fails on, holds up nobody else.
//!
//! Each is tried again after a pause of its own, doubled each time. The more of them there are, the longer
//! the pauses get: together they are tried a few times a second at most.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::ids::RecordId;
use crate::reconcile::{Aside, Trouble};

/// The pause after a failure; doubled up to the limit each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Of many, each waits for so long at most for each of them.
const SHARE: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Asides {
    tasks: BTreeMap<RecordId, Aside>,
    pauses: BTreeMap<RecordId, Pause>,
}

#[derive(Debug)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Asides {
    /// A worker of the task could not be made. Those that were being made beside it fail for the same
    /// reason, and are no reason to wait longer.
    pub(super) fn failed(&mut self, task: &RecordId, reason: &str) {
        let trouble = Trouble { reason: reason.to_owned(), at: Timestamp::now() };
        self.tasks.insert(task.clone(), Aside { trouble, waits: true });
        let many = u32::try_from(self.tasks.len()).unwrap_or(u32::MAX);
        let longest = PAUSE_MAX.max(SHARE.saturating_mul(many));
        let now = Instant::now();
        let pause = self.pauses.entry(task.clone()).or_insert(Pause { length: Duration::ZERO, until: now });
        if pause.until <= now {
            pause.length = (pause.length * 2).clamp(PAUSE_MIN, longest);
            pause.until = now + pause.length;
        }
    }

    /// One was made.
    pub(super) fn succeeded(&mut self, task: &RecordId) {
        self.tasks.remove(task);
        self.pauses.remove(task);
    }

    /// Forgets those that are not wanted any more.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&RecordId) -> bool) {
        self.tasks.retain(|task, _| is_wanted(task));
        self.pauses.retain(|task, _| is_wanted(task));
    }

    /// As it is now.
    pub(super) fn now(&mut self) -> &BTreeMap<RecordId, Aside> {
        let now = Instant::now();
        for (task, aside) in &mut self.tasks {
            aside.waits = self.pauses.get(task).is_some_and(|pause| pause.until > now);
        }
        &self.tasks
    }

    /// As it was when it was last looked at.
    pub(super) fn known(&self) -> &BTreeMap<RecordId, Aside> {
        &self.tasks
    }

    /// Waits until one of them may be tried again. Cancel safe.
    pub(super) async fn over(&self) {
        let now = Instant::now();
        match self.pauses.values().map(|pause| pause.until).filter(|until| *until > now).min() {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing;

    fn task(number: usize) -> RecordId {
        let spec = testing::worker_spec(&format!("t{number}"), "r");
        crate::name::task_record(&spec.identity.task_id, &spec.identity.request_id)
    }

    fn waits(asides: &mut Asides, task: &RecordId) -> bool {
        asides.now().get(task).is_some_and(|aside| aside.waits)
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_waits_longer_each_time_and_is_told_of_until_one_is_made() {
        let (mut asides, task) = (Asides::default(), task(0));
        let mut paused = Vec::new();
        for _ in 0..8 {
            asides.failed(&task, "exceeded quota");
            asides.failed(&task, "exceeded quota");
            assert!(waits(&mut asides, &task));
            let start = Instant::now();
            asides.over().await;
            paused.push(start.elapsed().as_millis() / 100);
            assert!(!waits(&mut asides, &task));
            assert_eq!(asides.now()[&task].trouble.reason, "exceeded quota");
        }
        assert_eq!(paused, [1, 2, 4, 8, 16, 32, 50, 50]);
        asides.succeeded(&task);
        assert!(asides.now().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn many_are_tried_a_few_times_a_second_together() {
        let mut asides = Asides::default();
        let tasks: Vec<RecordId> = (0..500).map(task).collect();
        let mut tries = 0;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1_000) {
            for task in &tasks {
                if !waits(&mut asides, task) {
                    asides.failed(task, "exceeded quota");
                    tries += 1;
                }
            }
            asides.over().await;
        }
        // Each has doubled its pause some ten times before.
        assert!(tries < 5 * 1_000 + 12 * 500, "{tries}");
        asides.retain(|_| false);
        assert!(asides.now().is_empty());
    }
}
