//! Whether the clock is believed by what it would make go, and whom it lets be forgotten while it is not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::nanoseconds;

/// An ended worker whose lines are gone is remembered for so long after it was last heard of: a late repeat of
/// what it sent is recognised until then.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// The same with the table nearly full: whoever asks for an answer again that was lost on its way, or whether a
/// log is complete, has done so by then.
const AT_LEAST: Duration = Duration::from_mins(15);

/// The same of one that never ended, and may be at work without a word.
const AT_LEAST_OPEN: Duration = Duration::from_hours(24);

/// A clock that is further ahead than this of where it has to be may be wrong: a server that was off for a weekend has
/// to wait, too, and that costs an hour.
const LEAP: Duration = Duration::from_hours(24);

/// For so long nothing goes because of its age then: time to set the clock right.
pub const HELD: Duration = Duration::from_hours(1);

/// What the clock has said lately is kept by the minute.
const MINUTE: Duration = Duration::from_mins(1);

/// Whether the clock is believed. One that is years ahead makes all lines too old at once.
#[derive(Debug, Default)]
pub struct Trust {
    /// What it said last, and when that was by the clock that only goes on.
    last: Option<(i64, Instant)>,
    held_until: Option<Instant>,
    lately: Lately,
}

impl Trust {
    /// Learns what the clock says now; `newest_ns` is the time of the newest record, for the first time. How far it has
    /// leapt, where nothing is to go because of its age from now on.
    pub fn learn(&mut self, newest_ns: Option<i64>, now_ns: i64, now: Instant) -> Option<Duration> {
        let since = |(at_ns, at): (i64, Instant)| at_ns.saturating_add(nanoseconds(now.duration_since(at)));
        let expected_ns = self.last.map(since).or(newest_ns).unwrap_or(now_ns);
        self.last = Some((now_ns, now));
        self.lately.learn(now_ns, now);
        let leap =
            u64::try_from(now_ns.saturating_sub(expected_ns)).map(Duration::from_nanos).unwrap_or_default();
        (leap > LEAP).then(|| {
            self.held_until = now.checked_add(HELD);
            leap
        })
    }

    /// Whether something may go because of its age.
    pub fn is_given(&self, now: Instant) -> bool {
        self.held_until.is_none_or(|until| now >= until)
    }

    /// Ended workers without lines that were last heard of before this are nobody any more. With the table of
    /// workers nearly full, of those that were just heard of more is still asked; and room is made in it whatever the
    /// clock says.
    pub fn forget_before(&self, workers: usize, max_workers: usize, now_ns: i64, now: Instant) -> i64 {
        let is_full = is_nearly_full(workers, max_workers);
        match (self.is_given(now), is_full) {
            (true, false) => now_ns.saturating_sub(nanoseconds(REMEMBERED)),
            (true, true) => now_ns.saturating_sub(nanoseconds(AT_LEAST)),
            (false, true) => self.lately.silent_before(now).unwrap_or(i64::MIN),
            (false, false) => i64::MIN,
        }
    }

    /// The same of workers that never ended: one that still runs could not go on with its log, so however full the
    /// table is, it is given a day of a clock that is believed.
    pub fn forget_open_before(&self, workers: usize, max_workers: usize, now_ns: i64, now: Instant) -> i64 {
        if !self.is_given(now) {
            return i64::MIN;
        }
        let silence = if is_nearly_full(workers, max_workers) { AT_LEAST_OPEN } else { REMEMBERED };
        now_ns.saturating_sub(nanoseconds(silence))
    }
}

/// Whether there is little room for more workers.
pub fn is_nearly_full(workers: usize, max_workers: usize) -> bool {
    workers >= max_workers - max_workers / 10
}

/// What the clock has said for as long as an ended worker is asked about, however often it was set meanwhile. Whoever
/// was heard of since then has no time that is below the lowest of these.
#[derive(Debug, Default)]
struct Lately {
    /// The lowest of each minute, and when that began by the clock that only goes on.
    lowest: VecDeque<(Instant, i64)>,
}

impl Lately {
    fn learn(&mut self, now_ns: i64, now: Instant) {
        match self.lowest.back_mut() {
            Some((begin, lowest_ns)) if now.duration_since(*begin) < MINUTE => {
                *lowest_ns = now_ns.min(*lowest_ns);
            }
            _ => self.lowest.push_back((now, now_ns)),
        }
        while self.lowest.get(1).is_some_and(|(begin, _)| now.duration_since(*begin) >= AT_LEAST) {
            self.lowest.pop_front();
        }
    }

    /// Whoever has an older time was not heard of for so long. None until that long is known of.
    fn silent_before(&self, now: Instant) -> Option<i64> {
        let (begin, _) = self.lowest.front()?;
        let lowest_ns = self.lowest.iter().map(|(_, lowest_ns)| *lowest_ns).min()?;
        // Set back between two looks, the clock may have said a little less.
        (now.duration_since(*begin) >= AT_LEAST).then(|| lowest_ns.saturating_sub(nanoseconds(MINUTE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_clock_that_leaps_ahead_by_more_than_a_day_is_not_believed_for_an_hour() {
        let (start, day) = (Instant::now(), 24 * 3600 * SECOND);
        let after = |seconds| start + Duration::from_secs(seconds);
        // The newest record, what the clock says at first and a second later, and whether it is believed then.
        let table = [
            ("a store without records", None, day * 9000, SECOND, true),
            ("a clock that is right", Some(day), day + SECOND, SECOND, true),
            ("a server that was off for a night", Some(day), 2 * day, SECOND, true),
            ("a clock that is ahead at the start", Some(day), 2 * day + 1, SECOND, false),
            ("one that is set a day ahead later", Some(day), day, day + SECOND, true),
            ("one that is set further ahead later", Some(day), day, day + SECOND + 1, false),
            ("one that is set back", Some(9 * day), 9 * day, -8 * day, true),
        ];
        for (what, newest, first, step, is_given) in table {
            let mut trust = Trust::default();
            let told = [(first, 0), (first + step, 1)]
                .map(|(now, at)| trust.learn(newest, now, after(at)).is_some());
            assert_eq!(told.contains(&true), !is_given, "{what}");
            assert_eq!(trust.is_given(after(2)), is_given, "{what}");
            let told = trust.learn(newest, first + step + SECOND, after(2));
            assert_eq!(told, None, "{what}: it is told once");
            assert!(trust.is_given(after(2) + HELD), "{what}: an hour later it is");
        }
    }

    /// As after a start with a clock that is a year ahead, and set right five minutes later.
    #[test]
    fn p6_a_full_table_forgets_who_was_silent_for_long_although_the_clock_is_not_believed() {
        let (start, year) = (Instant::now(), 365 * 24 * 3600 * SECOND);
        let right_ns = |minute: i64| 9 * year + minute * 60 * SECOND;
        let (mut trust, mut said) = (Trust::default(), Vec::new());
        for minute in 0..60 {
            let now = start + minute * MINUTE;
            let minute = i64::from(minute);
            let now_ns = right_ns(minute) + if minute < 5 { year } else { 0 };
            trust.learn(Some(right_ns(-9)), now_ns, now);
            assert!(!trust.is_given(now));
            assert_eq!(trust.forget_before(89, 100, now_ns, now), i64::MIN, "there is room");
            assert_eq!(trust.forget_open_before(100, 100, now_ns, now), i64::MIN, "it may be at work");
            said.push(now_ns);
            let before_ns = trust.forget_before(90, 100, now_ns, now);
            let mut since = said.iter().rev().take(16);
            assert!(since.all(|heard_ns| *heard_ns >= before_ns), "{minute}: it was heard of just now");
            assert_eq!(before_ns > right_ns(-9), minute >= 15, "{minute}: it ended before the start");
            assert_eq!(before_ns > right_ns(10), minute >= 27, "{minute}: it ended a while ago");
        }
    }
}
