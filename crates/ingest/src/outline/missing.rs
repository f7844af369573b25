//! The gaps of a log, put together where they touch.

use std::sync::Arc;

use crate::line::Sequence;

/// Far more than a log has that was not broken on purpose.
const GAPS: usize = 10_000;

/// Lines that are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    pub(crate) reason: Arc<str>,
}

/// All of a log, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Missing {
    gaps: Vec<Gap>,
    left_out: u64,
}

impl Missing {
    /// One more, behind all others.
    pub(super) fn add(&mut self, gap: Gap) {
        if let Some(before) = self.gaps.last_mut()
            && before.last.next() == gap.first
            && before.reason == gap.reason
        {
            before.last = gap.last;
        } else if self.gaps.len() < GAPS {
            self.gaps.push(gap);
        } else {
            self.left_out += 1;
        }
    }

    /// Those that are kept.
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// How many others there are.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What they take up.
    pub(super) fn bytes(&self) -> usize {
        let reasons: usize = self.gaps.iter().map(|gap| gap.reason.len()).sum();
        self.gaps.capacity() * size_of::<Gap>() + reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(first: u64, last: u64, reason: &str) -> Gap {
        Gap { first: Sequence::new(first), last: Sequence::new(last), reason: reason.into() }
    }

    #[test]
    fn gaps_that_touch_are_one_where_their_reason_is() {
        let mut missing = Missing::default();
        for next in [gap(1, 2, "a"), gap(3, 9, "a"), gap(10, 10, "b"), gap(12, 13, "b")] {
            missing.add(next);
        }
        assert_eq!(missing.gaps(), [gap(1, 9, "a"), gap(10, 10, "b"), gap(12, 13, "b")]);
    }

    #[test]
    fn p6_more_gaps_than_anybody_has_use_for_are_counted_only() {
        let mut missing = Missing::default();
        for at in 1..=1_000_000 {
            missing.add(gap(2 * at, 2 * at, "a"));
        }
        assert_eq!((missing.gaps().len(), missing.left_out()), (GAPS, 990_000));
    }
}
