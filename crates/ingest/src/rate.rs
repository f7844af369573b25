//! How many lines a second a worker, and all workers of a task together, may send.
//!
//! Agents keep to what they are told of it and never meet this; it is for the workers of one task together, which
//! know nothing of each other, and for clients that do not care.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ids::{TaskId, WorkerId};

/// Lines of so long a time may come at once. Twice what agents allow themselves, so that their clock and this one
/// need not agree.
const BURST: Duration = Duration::from_secs(2);

/// A table that has grown to so many entries is looked through for those that say nothing any more.
const FEW: usize = 1024;

/// The limits, and who has come how close to them; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rates {
    worker: Option<NonZeroU32>,
    task: Option<NonZeroU32>,
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    workers: Table<WorkerId>,
    tasks: Table<TaskId>,
}

impl Rates {
    /// Lines a second of one worker, and of one task; 0 for no limit.
    pub fn new(worker: u32, task: u32) -> Self {
        Self { worker: NonZeroU32::new(worker), task: NonZeroU32::new(task), tables: Arc::default() }
    }

    /// What a worker is told: the limit that it alone could reach; 0 for none.
    pub fn told(&self) -> u32 {
        self.worker.into_iter().chain(self.task).min().map_or(0, NonZeroU32::get)
    }

    /// Counts lines, if they may come now; otherwise says when to come again. However many there are, they may
    /// come in the end: what is beyond the limit is waited for afterwards.
    pub fn admit(&self, worker: &WorkerId, task: &TaskId, lines: u64, now: Instant) -> Result<(), Duration> {
        if self.worker.is_none() && self.task.is_none() {
            return Ok(());
        }
        let mut tables = self.tables();
        let of_worker = self.worker.map(|rate| (rate, tables.workers.get(worker)));
        let of_task = self.task.map(|rate| (rate, tables.tasks.get(task)));
        let waits = [of_worker.map(|(_, bucket)| bucket), of_task.map(|(_, bucket)| bucket)];
        let wait = waits.into_iter().flatten().map(|bucket| bucket.ready_in(now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        if let Some((rate, bucket)) = of_worker {
            tables.workers.put(worker, bucket.taken(rate, lines, now), now);
        }
        if let Some((rate, bucket)) = of_task {
            tables.tasks.put(task, bucket.taken(rate, lines, now), now);
        }
        Ok(())
    }

    /// Plain data: no panic can leave it half changed.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When all that came would have come at the limit; none where that is long ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// How long more has to wait.
    fn ready_in(self, now: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |until| until.saturating_duration_since(now).saturating_sub(BURST))
    }

    /// After so many lines.
    fn taken(self, rate: NonZeroU32, lines: u64, now: Instant) -> Self {
        let nanoseconds = lines.saturating_mul(1_000_000_000) / u64::from(rate.get());
        let from = self.0.map_or(now, |until| until.max(now));
        Self(from.checked_add(Duration::from_nanos(nanoseconds)).or(self.0))
    }

    /// Whether it says anything still.
    fn is_empty(self, now: Instant) -> bool {
        self.0.is_none_or(|until| until <= now)
    }
}

/// Buckets by name. Those that are empty go, so that it holds at most twice as many as are in use, and never
/// more than twice the workers that the server knows.
#[derive(Debug)]
struct Table<K> {
    buckets: HashMap<K, Bucket>,
    cleared_at: usize,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { buckets: HashMap::new(), cleared_at: FEW }
    }
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn get(&self, name: &K) -> Bucket {
        self.buckets.get(name).copied().unwrap_or_default()
    }

    fn put(&mut self, name: &K, bucket: Bucket, now: Instant) {
        if let Some(known) = self.buckets.get_mut(name) {
            *known = bucket;
            return;
        }
        if self.buckets.len() >= self.cleared_at {
            self.buckets.retain(|_, bucket| !bucket.is_empty(now));
            self.cleared_at = FEW.max(2 * self.buckets.len());
        }
        self.buckets.insert(name.clone(), bucket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerId {
        WorkerId::try_from(name).unwrap()
    }

    fn task() -> TaskId {
        TaskId::from(&worker("t"))
    }

    #[test]
    fn lines_come_at_the_limit_behind_a_burst() {
        // Lines at a millisecond, and how long they are sent away.
        let table = [
            (0, 100, 0),
            (0, 100, 0),
            (0, 1, 0),
            (0, 50, 10),
            (9, 50, 1),
            (10, 50, 0),
            (20, 50, 490),
            (60_000, 200, 0),
            (60_000, 0, 0),
            (60_000, 1, 0),
            (60_000, 1, 10),
        ];
        let (rates, start) = (Rates::new(100, 0), Instant::now());
        for (at, (ms, lines, wait)) in table.into_iter().enumerate() {
            let admitted = rates.admit(&worker("w"), &task(), lines, start + Duration::from_millis(ms));
            let expected = if wait == 0 { Ok(()) } else { Err(Duration::from_millis(wait)) };
            assert_eq!(admitted, expected, "row {at}");
        }
    }

    #[test]
    fn the_workers_of_a_task_share_its_limit_and_others_do_not_feel_it() {
        let (rates, now) = (Rates::new(0, 10), Instant::now());
        assert_eq!(rates.admit(&worker("a"), &task(), 20, now), Ok(()));
        assert_eq!(rates.admit(&worker("b"), &task(), 10, now), Ok(()));
        assert_eq!(rates.admit(&worker("a"), &task(), 1, now), Err(Duration::from_secs(1)));
        assert_eq!(rates.admit(&worker("a"), &TaskId::from(&worker("u")), 1, now), Ok(()));
    }

    #[test]
    fn what_is_sent_away_counts_for_neither() {
        let (rates, now) = (Rates::new(10, 100), Instant::now());
        rates.admit(&worker("a"), &task(), 30, now).unwrap();
        for _ in 0..100 {
            assert!(rates.admit(&worker("a"), &task(), 30, now).is_err());
        }
        assert_eq!(rates.admit(&worker("b"), &task(), 1, now), Ok(()));
    }

    #[test]
    fn p6_however_large_a_batch_is_it_comes_through_and_the_next_one_waits() {
        let (rates, now) = (Rates::new(1, 0), Instant::now());
        assert_eq!(rates.admit(&worker("w"), &task(), u64::MAX, now), Ok(()));
        assert!(rates.admit(&worker("w"), &task(), 1, now).is_err());
    }

    #[test]
    fn p6_names_that_have_fallen_silent_are_forgotten() {
        let (rates, start) = (Rates::new(1000, 0), Instant::now());
        for at in 0..10_000 {
            let now = start + Duration::from_millis(at);
            rates.admit(&worker(&format!("w-{at}")), &task(), 1, now).unwrap();
        }
        assert!(rates.tables().workers.buckets.len() <= FEW);
    }

    #[test]
    fn a_worker_is_told_the_lower_limit() {
        for (worker, task, told) in [(0, 0, 0), (5, 0, 5), (0, 7, 7), (5, 7, 5), (9, 7, 7)] {
            assert_eq!(Rates::new(worker, task).told(), told);
        }
    }
}
