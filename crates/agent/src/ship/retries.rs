//! How long to wait where a server asks for lines again and again, and how much to send then; pure.
//!
//! A server that is too busy, or whose disk is full, looks at whatever comes before it refuses it. So agents that
//! all come back in the same moment with all that they have would keep it from what they wait for.

use std::time::Duration;

/// The longest wait, but for a server that asks for a longer one.
const LONGEST: Duration = Duration::from_secs(2);

/// A first wait that a server leaves open, for what doubles.
const SHORTEST: Duration = Duration::from_millis(10);

/// Since a line was stored last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retries {
    in_a_row: u32,
    /// Something went since the last of them: another one before that only answers the same flight.
    has_sent: bool,
}

impl Retries {
    /// The server asks for lines again, after `asked`. Gives how long to wait; `chance` is from 0 to 1, another one
    /// each time.
    pub(super) fn refused(&mut self, asked: Duration, chance: f64) -> Duration {
        if self.in_a_row == 0 || self.has_sent {
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.has_sent = false;
        }
        let doubled = asked.max(SHORTEST).saturating_mul(1 << (self.in_a_row - 1).min(16)).min(LONGEST);
        // Never sooner than it asks for.
        let wait = if self.in_a_row > 1 { asked.max(doubled) } else { asked };
        wait + wait.min(LONGEST).mul_f64(chance / 4.0)
    }

    /// A batch goes.
    pub(super) fn sent(&mut self) {
        self.has_sent = true;
    }

    /// Lines were stored.
    pub(super) fn stored(&mut self) {
        *self = Self::default();
    }

    /// Whether only one batch may be in flight: what was refused twice is first tried alone.
    pub(super) const fn probes(self) -> bool {
        self.in_a_row > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Duration = Duration::from_millis(50);

    #[test]
    fn waits_double_until_lines_are_stored() {
        let mut retries = Retries::default();
        for expected in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
            assert_eq!(retries.refused(ASKED, 0.0), Duration::from_millis(expected));
            retries.sent();
        }
        assert_eq!(
            retries.refused(Duration::from_secs(30), 0.0),
            Duration::from_secs(30),
            "no sooner than asked"
        );
        retries.stored();
        assert_eq!(retries.refused(ASKED, 0.0), ASKED);
    }

    #[test]
    fn one_refusal_costs_no_more_than_what_was_asked_for_and_a_second_makes_it_try_one_batch() {
        let mut retries = Retries::default();
        for _ in 0..10 {
            assert_eq!(retries.refused(ASKED, 0.0), ASKED, "all of one flight");
        }
        retries.sent();
        assert!(!retries.probes());
        retries.refused(ASKED, 0.0);
        assert!(retries.probes());
        retries.stored();
        assert!(!retries.probes());
    }

    #[test]
    fn no_two_agents_come_back_in_the_same_moment() {
        let wait = |chance| Retries::default().refused(ASKED, chance);
        assert!(
            wait(0.0) == ASKED && wait(0.5) > ASKED && wait(1.0) > wait(0.5) && wait(1.0) <= ASKED * 5 / 4
        );
    }
}
