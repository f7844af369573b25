//! How many lines a second a worker, and all workers of a task together, may send.
//!
//! Lines count before it is known what becomes of them, or whoever sends many at once would never meet a limit. Those
//! that were not taken, because they were refused or there already, are given back once that is known.
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

/// How long a name waits for which there is no room in the table, and how often is looked whether there is.
const ROOM: Duration = Duration::from_secs(1);

/// The limits, and who has come how close to them; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rates {
    worker: Option<NonZeroU32>,
    task: Option<NonZeroU32>,
    /// Names that a table holds.
    most: usize,
    clock: Clock,
    tables: Arc<Mutex<Tables>>,
}

/// Which time it is. Tests have one that stands still.
#[derive(Clone, Debug)]
enum Clock {
    Running,
    #[cfg(test)]
    Stopped(Arc<Mutex<Stopped>>),
}

/// Which time it is in a test, and how often somebody had to wait so far.
#[cfg(test)]
#[derive(Debug)]
struct Stopped {
    now: Instant,
    waits: u64,
}

#[derive(Debug, Default)]
struct Tables {
    workers: Table<WorkerId>,
    tasks: Table<TaskId>,
}

impl Rates {
    /// Lines a second of one worker, and of one task; 0 for no limit. As many names as the server knows workers have
    /// come close to one of them at most; more than `most` have to wait.
    pub fn new(worker: u32, task: u32, most: usize) -> Self {
        let (worker, task) = (NonZeroU32::new(worker), NonZeroU32::new(task));
        Self { worker, task, most, clock: Clock::Running, tables: Arc::default() }
    }

    /// Which time it is for those who are to come later.
    pub(crate) fn now(&self) -> Instant {
        match &self.clock {
            Clock::Running => Instant::now(),
            #[cfg(test)]
            Clock::Stopped(stopped) => stopped.lock().unwrap_or_else(PoisonError::into_inner).now,
        }
    }

    /// With a clock that stands still until it is moved on.
    #[cfg(test)]
    pub(crate) fn stopped(self) -> Self {
        let stopped = Stopped { now: Instant::now(), waits: 0 };
        Self { clock: Clock::Stopped(Arc::new(Mutex::new(stopped))), ..self }
    }

    /// Moves the clock on.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: Duration) {
        let Clock::Stopped(stopped) = &self.clock else { panic!("the clock runs") };
        stopped.lock().unwrap().now += by;
    }

    /// How often somebody was told to come again.
    #[cfg(test)]
    pub(crate) fn waits(&self) -> u64 {
        let Clock::Stopped(stopped) = &self.clock else { panic!("the clock runs") };
        stopped.lock().unwrap().waits
    }

    /// What a worker is told: the limit that it alone could reach; 0 for none.
    pub fn told(&self) -> u32 {
        self.worker.into_iter().chain(self.task).min().map_or(0, NonZeroU32::get)
    }

    /// Counts lines, if they may come now; otherwise says when to come again. However many there are, they may
    /// come in the end: what is beyond the limit is waited for afterwards.
    pub fn admit(
        &self,
        worker: &WorkerId,
        task: &TaskId,
        lines: u64,
        now: Instant,
    ) -> Result<Charge, Duration> {
        if self.worker.is_none() && self.task.is_none() {
            return Ok(Charge::default());
        }
        let mut tables = self.tables();
        let has_room = (self.worker.is_none() || tables.workers.has_room(worker, self.most, now))
            && (self.task.is_none() || tables.tasks.has_room(task, self.most, now));
        if !has_room {
            return Err(ROOM);
        }
        let of_worker = self.worker.map(|rate| (rate, tables.workers.get(worker)));
        let of_task = self.task.map(|rate| (rate, tables.tasks.get(task)));
        let waits = [of_worker.map(|(_, bucket)| bucket), of_task.map(|(_, bucket)| bucket)];
        let wait = waits.into_iter().flatten().map(|bucket| bucket.ready_in(now)).max().unwrap_or_default();
        if !wait.is_zero() {
            #[cfg(test)]
            if let Clock::Stopped(stopped) = &self.clock {
                stopped.lock().unwrap().waits += 1;
            }
            return Err(wait);
        }
        if let Some((rate, bucket)) = of_worker {
            tables.workers.put(worker, bucket.taken(rate, lines, now));
        }
        if let Some((rate, bucket)) = of_task {
            tables.tasks.put(task, bucket.taken(rate, lines, now));
        }
        Ok(Charge { of: Some((self.clone(), worker.clone(), task.clone())), lines })
    }

    fn give_back(&self, worker: &WorkerId, task: &TaskId, lines: u64) {
        let mut tables = self.tables();
        if let (Some(rate), Some(bucket)) = (self.worker, tables.workers.buckets.get_mut(worker)) {
            *bucket = bucket.given_back(rate, lines);
        }
        if let (Some(rate), Some(bucket)) = (self.task, tables.tasks.buckets.get_mut(task)) {
            *bucket = bucket.given_back(rate, lines);
        }
    }

    /// Plain data: no panic can leave it half changed.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines that were counted. Whoever does not stay to hear what became of them has them counted for good, or a client
/// could send what it likes and hang up.
#[derive(Debug, Default)]
#[must_use]
pub struct Charge {
    /// None without a limit.
    of: Option<(Rates, WorkerId, TaskId)>,
    lines: u64,
}

impl Charge {
    /// So many of the lines were taken; the others count for nothing.
    pub fn settle(self, taken: u64) {
        let rest = self.lines.saturating_sub(taken);
        if let (Some((rates, worker, task)), 1..) = (self.of, rest) {
            rates.give_back(&worker, &task, rest);
        }
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
        let from = self.0.map_or(now, |until| until.max(now));
        Self(from.checked_add(time(rate, lines)).or(self.0))
    }

    /// Without so many of them.
    fn given_back(self, rate: NonZeroU32, lines: u64) -> Self {
        Self(self.0.and_then(|until| until.checked_sub(time(rate, lines))))
    }

    /// Whether it says anything still.
    fn is_empty(self, now: Instant) -> bool {
        self.0.is_none_or(|until| until <= now)
    }
}

/// In which so many lines come at the limit.
fn time(rate: NonZeroU32, lines: u64) -> Duration {
    Duration::from_nanos(lines.saturating_mul(1_000_000_000) / u64::from(rate.get()))
}

/// Buckets by name. Those that are empty go, so that it holds at most twice as many as are in use, and never more
/// than it is told: names are what clients call themselves.
#[derive(Debug)]
struct Table<K> {
    buckets: HashMap<K, Bucket>,
    /// It is looked through when it has so many, and when it is full, but then not all the time.
    cleared_at: usize,
    cleared: Option<Instant>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { buckets: HashMap::new(), cleared_at: FEW, cleared: None }
    }
}

impl<K: Clone + Eq + Hash> Table<K> {
    fn get(&self, name: &K) -> Bucket {
        self.buckets.get(name).copied().unwrap_or_default()
    }

    /// Whether this name is known, or may be.
    fn has_room(&mut self, name: &K, most: usize, now: Instant) -> bool {
        if self.buckets.contains_key(name) {
            return true;
        }
        let is_due = self.cleared.is_none_or(|at| now.saturating_duration_since(at) >= ROOM);
        if self.buckets.len() >= self.cleared_at || (self.buckets.len() >= most && is_due) {
            self.buckets.retain(|_, bucket| !bucket.is_empty(now));
            self.cleared_at = FEW.max(2 * self.buckets.len());
            self.cleared = Some(now);
        }
        self.buckets.len() < most
    }

    fn put(&mut self, name: &K, bucket: Bucket) {
        if let Some(known) = self.buckets.get_mut(name) {
            *known = bucket;
        } else {
            self.buckets.insert(name.clone(), bucket);
        }
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

    fn limits(worker: u32, task: u32) -> Rates {
        Rates::new(worker, task, 1_000_000)
    }

    /// Lines that are all taken.
    fn admit(
        rates: &Rates,
        worker: &WorkerId,
        task: &TaskId,
        lines: u64,
        now: Instant,
    ) -> Result<(), Duration> {
        rates.admit(worker, task, lines, now).map(|charge| charge.settle(lines))
    }

    #[test]
    fn lines_that_were_not_taken_are_given_back_to_worker_and_task() {
        let (rates, now) = (limits(10, 15), Instant::now());
        for taken in [0, 0, 0, 20] {
            rates.admit(&worker("a"), &task(), 1000, now).unwrap().settle(taken);
        }
        assert_eq!(admit(&rates, &worker("a"), &task(), 10, now), Ok(()), "20 lines are a burst");
        assert_eq!(admit(&rates, &worker("a"), &task(), 1, now), Err(Duration::from_secs(1)));
        let of_task = admit(&rates, &worker("b"), &task(), 1, now);
        assert_eq!(of_task, Ok(()), "30 lines are the burst of the task");
    }

    #[test]
    fn who_does_not_wait_for_the_answer_pays_for_what_it_sent() {
        let (rates, now) = (limits(10, 0), Instant::now());
        drop(rates.admit(&worker("a"), &task(), 1000, now));
        assert!(admit(&rates, &worker("a"), &task(), 1, now).is_err());
    }

    #[test]
    fn p6_names_beyond_the_room_wait_until_others_have_fallen_silent() {
        let (rates, start) = (Rates::new(1, 0, 3), Instant::now());
        for name in ["a", "b", "c"] {
            assert_eq!(admit(&rates, &worker(name), &task(), 1, start), Ok(()));
        }
        for at in 0..10_000 {
            let name = worker(&format!("w-{at}"));
            assert_eq!(admit(&rates, &name, &task(), 1, start), Err(ROOM));
        }
        assert_eq!(rates.tables().workers.buckets.len(), 3);
        assert_eq!(admit(&rates, &worker("a"), &task(), 1, start), Ok(()), "who is known is not held up");
        assert_eq!(admit(&rates, &worker("d"), &task(), 1, start + 2 * ROOM), Ok(()));
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
        let (rates, start) = (limits(100, 0), Instant::now());
        for (at, (ms, lines, wait)) in table.into_iter().enumerate() {
            let admitted = admit(&rates, &worker("w"), &task(), lines, start + Duration::from_millis(ms));
            let expected = if wait == 0 { Ok(()) } else { Err(Duration::from_millis(wait)) };
            assert_eq!(admitted, expected, "row {at}");
        }
    }

    #[test]
    fn the_workers_of_a_task_share_its_limit_and_others_do_not_feel_it() {
        let (rates, now) = (limits(0, 10), Instant::now());
        assert_eq!(admit(&rates, &worker("a"), &task(), 20, now), Ok(()));
        assert_eq!(admit(&rates, &worker("b"), &task(), 10, now), Ok(()));
        assert_eq!(admit(&rates, &worker("a"), &task(), 1, now), Err(Duration::from_secs(1)));
        assert_eq!(admit(&rates, &worker("a"), &TaskId::from(&worker("u")), 1, now), Ok(()));
    }

    #[test]
    fn what_is_sent_away_counts_for_neither() {
        let (rates, now) = (limits(10, 100), Instant::now());
        admit(&rates, &worker("a"), &task(), 30, now).unwrap();
        for _ in 0..100 {
            assert!(rates.admit(&worker("a"), &task(), 30, now).is_err());
        }
        assert_eq!(admit(&rates, &worker("b"), &task(), 1, now), Ok(()));
    }

    #[test]
    fn p6_however_large_a_batch_is_it_comes_through_and_the_next_one_waits() {
        let (rates, now) = (limits(1, 0), Instant::now());
        assert_eq!(admit(&rates, &worker("w"), &task(), u64::MAX, now), Ok(()));
        assert!(rates.admit(&worker("w"), &task(), 1, now).is_err());
    }

    #[test]
    fn p6_names_that_have_fallen_silent_are_forgotten() {
        let (rates, start) = (limits(1000, 0), Instant::now());
        for at in 0..10_000 {
            let now = start + Duration::from_millis(at);
            admit(&rates, &worker(&format!("w-{at}")), &task(), 1, now).unwrap();
        }
        assert!(rates.tables().workers.buckets.len() <= FEW);
    }

    #[test]
    fn a_worker_is_told_the_lower_limit() {
        for (worker, task, told) in [(0, 0, 0), (5, 0, 5), (0, 7, 7), (5, 7, 5), (9, 7, 7)] {
            assert_eq!(limits(worker, task).told(), told);
        }
    }
}
