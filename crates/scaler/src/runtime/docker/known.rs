//! What is known of one worker beside its phase: its container, and what is under way with it.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::told::Container;

/// Counts what is done with workers.
pub(super) type Tick = u64;

/// Whoever starts a worker's container, ends or removes it holds this.
pub(super) type Hand = Arc<tokio::sync::Mutex<()>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) container: Option<Container>,
    /// As a list told of it, while no look at it is answered.
    pub(super) unanswered: Option<Container>,
    /// Ends the work on its start; none where nobody works on it.
    pub(super) start: Option<CancellationToken>,
    pub(super) stop: Option<Stop>,
    /// Since when it is tried to hand in what its agent left.
    pub(super) hands_in: Option<Instant>,
    pub(super) hand: Hand,
    pub(super) changed: Tick,
}

/// An end that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) since: Instant,
    /// Its command did not run, and never will.
    pub(super) barred: bool,
}

impl Known {
    /// Whether Docker said that there is one, whatever it says of it.
    pub(super) fn has_container(&self) -> bool {
        self.container.is_some() || self.unanswered.is_some()
    }

    /// Whether nothing is news in a list that has it so.
    pub(super) fn was_told_of(&self, container: &Container) -> bool {
        [&self.container, &self.unanswered].into_iter().flatten().any(|known| known == container)
    }

    /// A look told how it is.
    pub(super) fn holds(&mut self, container: Container) {
        (self.container, self.unanswered) = (Some(container), None);
    }

    /// There is none any more.
    pub(super) fn loses_container(&mut self) {
        (self.container, self.unanswered) = (None, None);
    }
}
