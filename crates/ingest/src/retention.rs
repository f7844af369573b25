//! What may go when there is too much of it, or when it is too old: decided here, carried out by the writer.
//!
//! Whole parts of the store go, the oldest first, and never the one that is being written. Lines of logs that are
//! still open go with them like any others: a worker may run for longer than its lines are wanted. What is known
//! of a worker outlives its lines: the high-water mark, how it ended, and how many lines there were. Readers see
//! one gap with the reason [`REASON`] in place of what is gone.
//!
//! A task that has more than it may loses its oldest lines alone, in parts that others have lines in: these stay, with
//! a hole. It is brought below its limit by a sixteenth, so that this is not done for each line.
//!
//! The writer is asked once a second whether there is something to do, and does it in steps that are each about
//! as long as a commit, so that lines never wait for long.

mod trust;

use std::time::Duration;

use anyhow::Result;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::queue::{Queue, Submission};
use crate::store::Part;

pub use trust::{HELD, Trust, is_nearly_full};

/// Why the lines are missing that retention took.
pub const REASON: &str = "retention";

/// How often it is looked whether there is something to do.
const INTERVAL: Duration = Duration::from_secs(1);

/// Between two steps: lines go first.
const REST: Duration = Duration::from_millis(5);

/// A part that is being written is ended when it has been so for this share of the age at which lines go, or
/// a quiet server would keep them for as long as it takes to fill one.
const SHARE_OF_AGE: u32 = 8;

/// A task is brought below its limit by this share of it.
const SHARE_OF_TASK: u64 = 16;

/// It is looked so often whom to forget: that takes a look at everybody.
const LOOK_INTERVAL: Duration = Duration::from_mins(1);

/// How much is kept. By default everything is: what was deleted cannot be had back, a full disk can be helped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What is older goes.
    pub age: Option<Duration>,
    /// What is more than this goes.
    pub bytes: Option<u64>,
    /// What one task has more than this goes.
    pub task_bytes: Option<u64>,
}

/// Why a part goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// All of it is too old.
    Age,
    /// The store is too large.
    Size,
    /// The lines of its task are too many.
    Task,
}

impl Why {
    /// All of them, for metrics.
    pub const ALL: [Self; 3] = [Self::Age, Self::Size, Self::Task];

    /// The word.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Task => "task",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// End the part that is being written.
    Seal,
    /// Remove a part.
    Remove(Part, Why),
}

/// The next step for a store of these parts, oldest first; none where all is well.
pub fn decide(parts: &[Part], limits: &Limits, now_ns: i64) -> Option<Step> {
    let age_ns = limits.age.map(nanoseconds);
    let is_older = |at_ns: i64, age_ns: i64| now_ns.saturating_sub(at_ns) > age_ns;
    let (written, sealed) = parts.split_last()?;
    // What stands behind it is younger, whatever its own time says.
    let until_ns = parts.iter().find_map(|part| believable_ns(part, now_ns));
    if let (Some(oldest), Some(age_ns)) = (sealed.first(), age_ns)
        && until_ns.is_some_and(|until_ns| is_older(until_ns, age_ns))
    {
        return Some(Step::Remove(*oldest, Why::Age));
    }
    let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
    // What holds no lines holds what is known of workers, and to write that anew would make no room.
    let helps = sealed.iter().any(|part| part.has_lines);
    if let Some(oldest) = sealed.first()
        && limits.bytes.is_some_and(|limit| bytes > limit)
        && helps
    {
        return Some(Step::Remove(*oldest, Why::Size));
    }
    // Emptied line by line: what is left of it is what is known of workers.
    if let Some(oldest) = sealed.first()
        && limits.task_bytes.is_some()
        && oldest.is_hollow
    {
        return Some(Step::Remove(*oldest, Why::Task));
    }
    let share_ns = age_ns.map(|age_ns| age_ns / i64::from(SHARE_OF_AGE));
    let is_due = share_ns.is_some_and(|share_ns| is_older(written.oldest_ns, share_ns));
    (written.has_lines && is_due).then_some(Step::Seal)
}

/// Time of the newest record that there is, for a clock that says `now_ns`.
pub fn newest_ns(parts: &[Part], now_ns: i64) -> Option<i64> {
    parts.iter().filter_map(|part| believable_ns(part, now_ns)).max()
}

/// Time of a part's newest record, unless there is none, or a clock that was ahead has stamped one.
fn believable_ns(part: &Part, now_ns: i64) -> Option<i64> {
    Some(part.newest_ns).filter(|newest_ns| (1..=now_ns).contains(newest_ns))
}

/// Whether it is time to look for workers to forget. The clock may have been set back meanwhile.
pub fn is_look_due(looked_ns: i64, now_ns: i64) -> bool {
    now_ns.abs_diff(looked_ns) >= nanoseconds(LOOK_INTERVAL).unsigned_abs()
}

/// What a task is brought down to once it has more than `limit`.
pub fn brought_to(limit: u64) -> u64 {
    limit - limit / SHARE_OF_TASK
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Asks the writer for step after step until it is told to stop.
pub async fn run(queue: Queue, stop: CancellationToken) -> Result<()> {
    let mut pause = INTERVAL;
    loop {
        let next = async {
            tokio::time::sleep(pause).await;
            ask(&queue).await
        };
        // What was asked is done by the writer, whether anybody waits for it or not.
        let has_more = tokio::select! {
            has_more = next => has_more,
            () = stop.cancelled() => return Ok(()),
        };
        pause = if has_more { REST } else { INTERVAL };
    }
}

/// One step; whether there may be another. In a full queue it waits for its turn like everybody else: a server that
/// has more to do than it can is the one whose disk fills up.
async fn ask(queue: &Queue) -> bool {
    let (reply, more) = oneshot::channel();
    // A writer that ends tends to nothing any more.
    queue.submit(0, Submission::Tend(reply)).await.is_ok() && more.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::Metrics;
    use crate::queue::{self, Refused};

    /// Whoever does not wait gets the room that is free, and here there is never any.
    #[tokio::test(start_paused = true)]
    async fn p6_retention_has_its_turn_however_full_the_queue_is() {
        let (queue, mut submissions) = queue::bounded(1, Metrics::register(&mut Registry::default()));
        let fill = || queue.try_submit(1, Submission::Tend(oneshot::channel().0));
        fill().unwrap();
        let stop = CancellationToken::new();
        let mut running = Box::pin(run(queue.clone(), stop.clone()));
        // The clock stands still but for this: by then it has asked.
        tokio::select! {
            ended = &mut running => panic!("{ended:?}"),
            () = tokio::time::sleep(2 * INTERVAL) => {}
        }
        drop(submissions.recv().await);
        assert_eq!(fill(), Err(Refused::Full), "the room is given to who waits for it");
        let queued = tokio::select! {
            ended = &mut running => panic!("{ended:?}"),
            queued = submissions.recv() => queued.expect("the queue is open"),
        };
        let Submission::Tend(reply) = queued.submission else { panic!("nothing else was asked") };
        assert!(reply.send(false).is_ok(), "somebody waits for the answer");
        stop.cancel();
        running.await.unwrap();
    }

    const SECOND: i64 = 1_000_000_000;

    fn part(number: u32, from: i64, to: i64, bytes: u64, has_lines: bool) -> Part {
        let (oldest_ns, newest_ns) = (from * SECOND, to * SECOND);
        Part { number, bytes, oldest_ns, newest_ns, has_lines, is_hollow: false }
    }

    /// What it is about, parts, limits, now in seconds, what is to be done.
    type Row<'a> = (&'a str, &'a [Part], Limits, i64, Option<Step>);

    #[test]
    fn what_goes_next() {
        let parts = [part(3, 0, 10, 100, true), part(5, 10, 20, 100, true), part(6, 20, 30, 50, true)];
        let states = [part(1, 0, 9, 100, false), part(2, 9, 10, 100, true)];
        let age = |seconds| Limits { age: Some(Duration::from_secs(seconds)), ..Limits::default() };
        let size = |bytes| Limits { bytes: Some(bytes), ..Limits::default() };
        let task = Limits { task_bytes: Some(1), ..Limits::default() };
        let hollow = [Part { is_hollow: true, ..states[0] }, states[1]];
        // Whoever stamped its last record was ahead.
        let ahead = |part: Part| Part { newest_ns: 9_000 * SECOND, ..part };
        let [first, second] = [ahead(parts[0]), ahead(parts[1])];
        let (one, two) = ([first, parts[1], parts[2]], [first, second, parts[2]]);
        let unwritten = [first, second, part(6, 0, 0, 20, false)];
        let table: [Row<'_>; 17] = [
            ("from the future, and older than what is young", &one, age(100), 120, Some(Step::Seal)),
            (
                "from the future, and older than what is old",
                &one,
                age(100),
                121,
                Some(Step::Remove(first, Why::Age)),
            ),
            ("two of these", &two, age(100), 131, Some(Step::Remove(first, Why::Age))),
            ("two before what is young", &two, age(1000), 131, None),
            ("nobody knows how old they are", &unwritten, age(100), 1000, None),
            ("nothing is limited", &parts, Limits::default(), 1000, None),
            ("nothing is too old", &parts, age(100), 31, None),
            ("the oldest is too old", &parts, age(100), 111, Some(Step::Remove(parts[0], Why::Age))),
            ("the written one is due", &parts, age(100), 105, Some(Step::Seal)),
            ("it fits", &parts, size(250), 31, None),
            ("it does not fit", &parts, size(249), 31, Some(Step::Remove(parts[0], Why::Size))),
            ("only the written one is there", &parts[2..], size(1), 31, None),
            ("an empty one is not ended", &[part(1, 0, 0, 20, false)], age(1), 1000, None),
            ("states are not written anew for room", &states, size(1), 11, None),
            ("states are not written anew for a task", &states, task, 11, None),
            ("but where its lines were", &hollow, task, 11, Some(Step::Remove(hollow[0], Why::Task))),
            ("and only if tasks have a limit", &hollow, Limits::default(), 11, None),
        ];
        for (what, parts, limits, now, expected) in table {
            assert_eq!(decide(parts, &limits, now * SECOND), expected, "{what}");
        }
    }

    /// A clock that is ahead once more would seem right beside it, and make all others too old.
    #[test]
    fn a_record_from_the_future_does_not_make_a_clock_that_leaps_look_right() {
        let part = |newest_ns| Part { newest_ns, ..part(1, 0, 0, 20, true) };
        for (newest, now_ns, expected) in [
            (&[10, 20, 15][..], 30, Some(20)),
            (&[10, 90, 20], 30, Some(20)),
            (&[10, 0], 30, Some(10)),
            (&[90, 80], 30, None),
            (&[0], 30, None),
            (&[], 30, None),
        ] {
            let parts: Vec<_> = newest.iter().map(|newest_ns| part(*newest_ns)).collect();
            assert_eq!(newest_ns(&parts, now_ns), expected, "{newest:?}");
        }
    }

    proptest! {
        /// Carried out, it ends, inside its limits as far as what is not written allows.
        #[test]
        fn steps_end_and_leave_what_is_allowed(
            sizes in prop::collection::vec((1_u64..100, any::<bool>()), 1..12),
            age in prop::option::of(1_u64..50),
            bytes in prop::option::of(0_u64..500),
            now in 0_i64..100,
        ) {
            let mut parts: Vec<_> = (0..).zip(&sizes).map(|(at, (bytes, has_lines))| {
                let from = i64::from(at) * 10;
                part(at, from, from + 10, *bytes, *has_lines)
            }).collect();
            let written = parts.len() - 1;
            let limits = Limits { age: age.map(Duration::from_secs), bytes, task_bytes: None };
            while let Some(Step::Remove(gone, _)) = decide(&parts, &limits, now * SECOND) {
                prop_assert_eq!(gone, parts[0]);
                prop_assert!(gone.number != u32::try_from(written).unwrap());
                parts.remove(0);
            }
            let (_, sealed) = parts.split_last().unwrap();
            let total: u64 = parts.iter().map(|part| part.bytes).sum();
            let fits = limits.bytes.is_none_or(|limit| total <= limit);
            prop_assert!(fits || !sealed.iter().any(|part| part.has_lines));
            if let (Some(age), Some(oldest)) = (age, sealed.first()) {
                prop_assert!(now * SECOND - oldest.newest_ns <= i64::try_from(age).unwrap() * SECOND);
            }
        }
    }
}
