//! When lines of a stream may come: at the rate of its worker and of its task, and not past others of the stream that
//! were sent away.
//!
//! Behind numbered lines that came too soon, others would only be asked for again, so they are not counted, and sent
//! away as well. Lines without numbers would be stored in the order in which they come: so for as long as those are to
//! wait that were refused, all others of the stream are told to come later, too (behind those that the writer refuses,
//! it does so itself). A client that sends on without a look at the answers for longer than that gets them in another
//! order.

use std::time::{Duration, Instant};

use crate::ids::{TaskId, WorkerId};
use crate::line::Sequence;
use crate::rate::{Charge, Rates};
use crate::reason::Retry;
use crate::session::Item;

/// Of one stream.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Numbered lines that came too soon: what is behind them waits for them.
    early: Option<Sequence>,
    /// Why lines without numbers were refused, and when they are to come again.
    held: Option<(Retry, Instant)>,
}

/// What wants to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    /// The first line; none where it has no number.
    pub(super) first: Option<Sequence>,
    /// Lines that are new.
    pub(super) lines: u64,
    /// The mark.
    pub(super) high: Sequence,
}

impl Coming {
    pub(super) fn of(items: &[Item], high: Sequence) -> Self {
        let lines = items.iter().map(|item| item.lines_after(high)).sum();
        Self { first: items.first().and_then(|item| item.first), lines, high }
    }
}

impl Gate {
    /// Whether lines of these names may come now.
    pub(super) fn admit(
        &mut self,
        rates: &Rates,
        (worker, task): (&WorkerId, &TaskId),
        coming: Coming,
        now: Instant,
    ) -> Result<Charge, Retry> {
        let admit = |lines| rates.admit(worker, task, lines, now).map_err(Retry::RateLimited);
        let Some(first) = coming.first else {
            self.is_held(now)?;
            return admit(coming.lines).inspect_err(|retry| self.refuse(coming, *retry, now));
        };
        // Those directly behind the mark are behind nobody.
        let waits = self.early.is_some_and(|early| first > early) && first > coming.high.next();
        if waits {
            return Err(admit(0).err().unwrap_or(Retry::RateLimited(Duration::ZERO)));
        }
        let admitted = admit(coming.lines);
        self.early = admitted.as_ref().err().map(|_| first);
        admitted
    }

    /// What was admitted was refused after all.
    pub(super) fn refuse(&mut self, coming: Coming, retry: Retry, now: Instant) {
        if coming.first.is_none() {
            self.held = now.checked_add(retry.delay()).map(|until| (retry, until));
        }
    }

    fn is_held(&mut self, now: Instant) -> Result<(), Retry> {
        match self.held {
            Some((Retry::RateLimited(_), until)) if until > now => {
                Err(Retry::RateLimited(until.duration_since(now)))
            }
            Some((retry, until)) if until > now => Err(retry),
            _ => {
                self.held = None;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coming(first: Option<u64>, lines: u64) -> Coming {
        Coming { first: first.map(Sequence::new), lines, high: Sequence::new(10) }
    }

    fn admit(gate: &mut Gate, rates: &Rates, coming: Coming, now: Instant) -> Result<(), Retry> {
        let worker = WorkerId::try_from("w").unwrap();
        let task = TaskId::from(&worker);
        gate.admit(rates, (&worker, &task), coming, now).map(|charge| charge.settle(coming.lines))
    }

    #[test]
    fn lines_without_numbers_do_not_come_before_those_that_a_full_queue_refused() {
        let (rates, mut gate, now) = (Rates::new(0, 0, 10), Gate::default(), Instant::now());
        let line = coming(None, 1);
        assert_eq!(admit(&mut gate, &rates, line, now), Ok(()));
        gate.refuse(line, Retry::QueueFull, now);
        assert_eq!(admit(&mut gate, &rates, line, now), Err(Retry::QueueFull));
        let later = now + Retry::QueueFull.delay();
        assert_eq!(admit(&mut gate, &rates, line, later), Ok(()), "by then it was to be sent again");
        assert_eq!(admit(&mut gate, &rates, line, later), Ok(()));
    }

    #[test]
    fn lines_without_numbers_that_came_too_soon_hold_back_the_others_of_their_stream_alone() {
        let (rates, mut gate, now) = (Rates::new(10, 0, 10), Gate::default(), Instant::now());
        admit(&mut gate, &rates, coming(None, 30), now).unwrap();
        let wait = Duration::from_secs(1);
        assert_eq!(admit(&mut gate, &rates, coming(None, 1), now), Err(Retry::RateLimited(wait)));
        let soon = now + wait / 2;
        assert_eq!(admit(&mut gate, &rates, coming(None, 1), soon), Err(Retry::RateLimited(wait / 2)));
        assert_eq!(admit(&mut Gate::default(), &rates, coming(None, 1), now + wait), Ok(()));
    }

    #[test]
    fn numbered_lines_behind_others_that_came_too_soon_wait_for_them_and_count_for_nothing() {
        let (rates, mut gate, now) = (Rates::new(10, 0, 10), Gate::default(), Instant::now());
        admit(&mut gate, &rates, coming(Some(11), 30), now).unwrap();
        assert!(admit(&mut gate, &rates, coming(Some(41), 5), now).is_err());
        let later = now + Duration::from_secs(1);
        for _ in 0..100 {
            let behind = admit(&mut gate, &rates, coming(Some(46), 5), later);
            assert_eq!(behind, Err(Retry::RateLimited(Duration::ZERO)));
        }
        assert_eq!(admit(&mut gate, &rates, coming(Some(41), 5), later), Ok(()));
    }
}
