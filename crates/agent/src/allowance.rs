//! How long a command may be held up by a log that takes its lines too slowly; pure.
//!
//! Waiting is worth it for what comes in bursts, and costs no lines then. But a command that goes on to print faster than
//! the server takes would run at the server's pace for ever, and `drop-oldest` says that it does not (P7).

use std::time::Duration;

use tokio::time::Instant;

/// What a command may wait at once.
const MOST: Duration = Duration::from_secs(10);

/// So much of its time it may wait in the long run: a tenth.
const SHARE: u32 = 10;

/// When all was spent, nothing waits before so much has come together again. A wait for each read would be as
/// long as a timer's step, however little is left.
const LEAST: Duration = Duration::from_secs(1);

/// What is left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    left: Duration,
    /// When that was so.
    at: Instant,
    is_spent: bool,
}

impl Allowance {
    /// All of it.
    pub(crate) fn new(now: Instant) -> Self {
        Self { left: MOST, at: now, is_spent: false }
    }

    /// How long may be waited from now on.
    pub(crate) fn left(&mut self, now: Instant) -> Duration {
        self.left = MOST.min(self.left + now.duration_since(self.at) / SHARE);
        self.at = now;
        self.is_spent &= self.left < LEAST;
        if self.is_spent { Duration::ZERO } else { self.left }
    }

    /// Since it was asked, all the time was waited.
    pub(crate) fn waited(&mut self, now: Instant) {
        self.left = self.left.saturating_sub(now.duration_since(self.at));
        self.at = now;
        self.is_spent |= self.left.is_zero();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_waits_a_while_and_a_tenth_of_its_time_in_the_long_run() {
        let (start, read) = (Instant::now(), Duration::from_millis(1));
        let (mut allowance, mut now, mut waited) = (Allowance::new(start), start, Duration::ZERO);
        while now < start + Duration::from_mins(10) {
            // No answer ever takes longer than this.
            let wait = allowance.left(now).min(Duration::from_millis(300));
            now += wait;
            allowance.waited(now);
            waited += wait;
            now += read;
        }
        assert!(
            waited > Duration::from_secs(50) && waited <= MOST + Duration::from_mins(10) / SHARE,
            "{waited:?}"
        );
    }

    #[test]
    fn what_is_spent_is_not_spent_again_in_crumbs() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert_eq!(allowance.left(start), MOST);
        let now = start + MOST;
        allowance.waited(now);
        assert_eq!(allowance.left(now + LEAST * (SHARE - 1)), Duration::ZERO);
        assert_eq!(allowance.left(now + LEAST * SHARE), LEAST);
        assert_eq!(allowance.left(now + Duration::from_hours(1)), MOST);
    }
}
