//! How fast lines may go, as the server asks; pure.
//!
//! What is not yet allowed to go waits in the buffer and the spool, as with a slow network.

use std::time::Duration;

use ottoscaler_proto::v1::LoggingConfig;
use tokio::time::Instant;

/// Lines of so long a time may go at once: a burst after silence is no flood.
const BURST: Duration = Duration::from_secs(1);

/// A rate of lines, and when the next may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// What one line takes; nothing where there is no limit.
    per_line: Duration,
    /// When all that was sent would have gone at that rate.
    until: Instant,
}

impl Pace {
    /// What the server asks for; no limit where that is 0 or nothing.
    pub(super) fn of(config: Option<&LoggingConfig>) -> Self {
        let rate = config.map_or(0, |config| config.rate_limit.max(0).cast_unsigned());
        let per_line = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
        Self { per_line, until: Instant::now() }
    }

    /// So many lines went.
    pub(super) fn sent(&mut self, lines: u64, now: Instant) {
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        self.until = self.until.max(now) + self.per_line.saturating_mul(lines);
    }

    /// When more may go.
    pub(super) fn ready_at(&self) -> Instant {
        self.until.checked_sub(BURST).unwrap_or(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate_limit: i32) -> Pace {
        Pace::of(Some(&LoggingConfig { rate_limit, ..LoggingConfig::default() }))
    }

    #[test]
    fn lines_go_at_the_rate_behind_a_burst_of_a_second() {
        let mut pace = pace(100);
        let start = pace.until;
        pace.sent(100, start);
        assert!(pace.ready_at() <= start, "a second's lines go at once");
        pace.sent(50, start);
        assert_eq!(pace.ready_at() - start, Duration::from_millis(500));
        let later = start + Duration::from_mins(1);
        pace.sent(100, later);
        assert!(pace.ready_at() <= later, "silence is no debt, and no credit beyond the burst");
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        for mut pace in [pace(0), pace(-1), Pace::of(None)] {
            let now = pace.until;
            pace.sent(u64::MAX, now);
            assert!(pace.ready_at() <= now);
        }
    }
}
