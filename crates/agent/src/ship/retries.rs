//! How much may be in flight, and how long to wait, where a server asks for lines again; pure.
//!
//! Many agents share a queue that takes whoever comes first. So each does as TCP does: what is in flight halves with
//! a refusal, and grows by a little with what is stored. Who has much in flight meets a full queue more often than who
//! has little, so that in the end all have the same, and no more than there is room for. Nobody waits for long: room
//! comes and goes, and whoever sleeps through it leaves it to the others.

use std::time::Duration;

/// The longest wait for room in a queue. There is some each time that a group is stored, and a server looks at no
/// more than what is in flight.
const CROWDED: Duration = Duration::from_millis(250);

/// The longest wait for what may last, such as a full disk.
const LONGEST: Duration = Duration::from_secs(2);

/// The first wait that doubles, where a server leaves it open.
const SHORTEST: Duration = Duration::from_millis(10);

/// As much is in flight at the least: one batch, of the usual window.
const LEAST: usize = 64;

/// So much more of the whole window may be in flight once all that was has been stored. It is back after as many of
/// these.
const STEP: usize = 16;

/// Of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retries {
    /// What may be in flight where nothing is refused: bytes, or entries.
    whole: usize,
    window: usize,
    /// Refusals since lines were stored last.
    in_a_row: u32,
    /// Something went since the last of them: another one before that only answers the same flight.
    has_sent: bool,
    /// There is no time left to wait for more than what is asked for.
    pub(super) is_last_try: bool,
}

impl Retries {
    /// With so much in flight at the most.
    pub(super) fn new(whole: usize) -> Self {
        // One batch, or one entry, goes in any case.
        let whole = whole.max(1);
        Self { whole, window: whole, in_a_row: 0, has_sent: false, is_last_try: false }
    }

    /// The server asks for lines again, for this reason and after `asked`. Gives how long to wait; `chance` is from 0
    /// to 1, another one each time.
    pub(super) fn refused(&mut self, reason: Option<&str>, asked: Duration, chance: f64) -> Duration {
        if std::mem::take(&mut self.has_sent) {
            self.in_a_row = self.in_a_row.saturating_add(1);
            self.window = (self.window / 2).max(self.whole / LEAST).max(1);
        }
        let doubled = asked.max(SHORTEST).saturating_mul(1 << self.in_a_row.saturating_sub(1).min(16));
        // Never sooner than it asks for.
        let wait = asked.max(doubled.min(self.longest(reason)));
        wait + wait.min(LONGEST).mul_f64(chance / 4.0)
    }

    /// The longest wait beside what is asked for.
    fn longest(self, reason: Option<&str>) -> Duration {
        match reason {
            _ if self.is_last_try => Duration::ZERO,
            // It names the very moment.
            Some("rate_limited") => Duration::ZERO,
            Some("queue_full") => CROWDED,
            Some(_) | None => LONGEST,
        }
    }

    /// Something goes.
    pub(super) const fn sent(&mut self) {
        self.has_sent = true;
    }

    /// So much of what was in flight was stored.
    pub(super) fn stored(&mut self, amount: usize) {
        self.in_a_row = 0;
        let more = (self.whole / STEP).saturating_mul(amount.min(self.window)) / self.window;
        self.window = self.window.saturating_add(more.max(1)).min(self.whole);
    }

    /// No more goes where so much is in flight. What is refused again and again is tried alone, or nearly so.
    pub(super) const fn window(self) -> usize {
        self.window
    }
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests;
