//! The pause after a runtime that could not make a worker: doubled each time, over as soon as it can.

use std::time::Duration;

use tokio::time::Instant;

/// How long no worker is made after the runtime could not; doubled up to the limit each time.
const CREATE_PAUSE: Duration = Duration::from_millis(100);
const CREATE_PAUSE_LIMIT: Duration = Duration::from_secs(5);

/// No worker is made for a while after the runtime could not.
#[derive(Debug, Default)]
pub(super) struct Pause {
    length: Duration,
    until: Option<Instant>,
}

impl Pause {
    pub(super) fn may_create(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    pub(super) fn extend(&mut self) {
        self.length = (self.length * 2).clamp(CREATE_PAUSE, CREATE_PAUSE_LIMIT);
        self.until = Some(Instant::now() + self.length);
    }

    /// Not while it lasts: a pass that made nothing has shown nothing.
    pub(super) fn reset(&mut self) {
        if self.may_create() {
            *self = Self::default();
        }
    }

    pub(super) async fn over(&self) {
        match self.until {
            Some(until) if !self.may_create() => tokio::time::sleep_until(until).await,
            Some(_) | None => std::future::pending().await,
        }
    }
}
