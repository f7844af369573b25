//! How fast workers are made: a rate that the operator sets, and less of it while the runtime cannot.
//!
//! A failure that may pass (an API server that is overloaded or away) stops all creates for a while: for
//! as long as the other side asks, else doubled each time. Then one is tried, and each success lets one
//! more be in flight, so nobody is run over as soon as they are back. A quota says nothing of what others
//! ask for: it only makes the rest go slowly for a moment, and its task waits by itself (see `aside`).

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::reconcile::Trouble;
use crate::runtime::{ErrorKind, RuntimeError};

/// So many workers are being made at once: what the API server of a small cluster likes best, as
/// measured by `just bench`.
const IN_FLIGHT: usize = 64;

/// The pause after a failure; doubled up to the limit each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What the other side asks for is granted up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<NonZeroU32>,
    tokens: f64,
    refilled: Instant,
    in_flight: usize,
    pause: Duration,
    paused_until: Option<Instant>,
    trouble: Option<Trouble>,
}

impl Pace {
    /// `rate` is a number of creates a second.
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        Self {
            rate,
            tokens: 1.0,
            refilled: Instant::now(),
            in_flight: IN_FLIGHT,
            pause: Duration::ZERO,
            paused_until: None,
            trouble: None,
        }
    }

    /// How many more may be started now, while so many are being made.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of tokens")]
    pub(super) fn may_create(&mut self, creating: usize) -> usize {
        if self.paused_until.is_some_and(|until| until > Instant::now()) {
            return 0;
        }
        let room = self.in_flight.saturating_sub(creating);
        let Some(rate) = self.rate else { return room };
        let rate = f64::from(rate.get());
        // A tenth of a second's worth may be started in one go.
        let burst = (rate / 10.0).max(1.0);
        self.tokens = (self.tokens + self.refilled.elapsed().as_secs_f64() * rate).min(burst);
        self.refilled = Instant::now();
        room.min(self.tokens as usize)
    }

    /// One is being made.
    pub(super) fn started(&mut self) {
        if self.rate.is_some() {
            self.tokens -= 1.0;
        }
    }

    /// One was made.
    pub(super) fn succeeded(&mut self) {
        self.in_flight = (self.in_flight + 1).min(IN_FLIGHT);
        self.pause = Duration::ZERO;
        self.trouble = None;
    }

    /// One could not be made now. Those that were in flight beside it fail for the same reason, and
    /// are no reason to wait longer.
    pub(super) fn failed(&mut self, error: &RuntimeError) {
        self.in_flight = 1;
        if error.kind() == ErrorKind::Quota {
            let soon = Instant::now() + PAUSE_MIN;
            self.paused_until = Some(self.paused_until.map_or(soon, |until| until.max(soon)));
            return;
        }
        self.trouble = Some(Trouble { reason: error.reason().to_owned(), at: Timestamp::now() });
        if self.paused_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        let asked = error.pause().unwrap_or_default().min(RETRY_AFTER_MAX);
        self.paused_until = Some(Instant::now() + self.pause.max(asked));
    }

    /// Why none could be made last, if none was since.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Waits until another one may be started, if something holds them up. Cancel safe.
    pub(super) async fn over(&self) {
        let now = Instant::now();
        let refilled = self
            .rate
            .filter(|_| self.tokens < 1.0)
            .map(|rate| self.refilled + Duration::from_secs_f64((1.0 - self.tokens) / f64::from(rate.get())));
        let paused = self.paused_until.filter(|until| *until > now);
        match paused.max(refilled) {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing;

    fn error() -> RuntimeError {
        let worker = testing::worker_spec("t", "r").worker_id;
        RuntimeError::new(ErrorKind::Unavailable, "create", &worker, "away".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_is_tried_and_each_success_lets_in_one_more() {
        let mut pace = Pace::new(None);
        assert_eq!(pace.may_create(0), IN_FLIGHT);
        assert_eq!(pace.may_create(10), IN_FLIGHT - 10);
        pace.failed(&error());
        assert_eq!(pace.may_create(0), 0);
        assert_eq!(pace.trouble().unwrap().reason, "away");
        pace.over().await;
        assert_eq!(pace.may_create(0), 1);
        pace.succeeded();
        assert_eq!((pace.may_create(0), pace.trouble()), (2, None));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_unless_the_other_side_says_how_long() {
        let mut pace = Pace::new(None);
        let mut paused = Vec::new();
        for error in [error(), error(), error(), error().retry_after(Some(Duration::from_secs(7)))] {
            pace.failed(&error);
            let start = Instant::now();
            pace.over().await;
            paused.push(start.elapsed().as_millis() / 100);
        }
        assert_eq!(paused, [1, 2, 4, 70]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_keeps_others_for_a_moment_only() {
        let mut pace = Pace::new(None);
        let worker = testing::worker_spec("t", "r").worker_id;
        for _ in 0..10 {
            pace.failed(&RuntimeError::new(ErrorKind::Quota, "create", &worker, "quota".to_owned()));
            assert_eq!((pace.may_create(0), pace.trouble()), (0, None));
            let start = Instant::now();
            pace.over().await;
            assert!(start.elapsed() <= PAUSE_MIN + Duration::from_millis(1));
            assert_eq!(pace.may_create(0), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept() {
        let mut pace = Pace::new(NonZeroU32::new(50));
        let start = Instant::now();
        let mut made = 0;
        while start.elapsed() < Duration::from_secs(10) {
            for _ in 0..pace.may_create(0) {
                pace.started();
                made += 1;
            }
            pace.over().await;
        }
        assert!((495..=510).contains(&made), "{made}");
    }
}
