//! What may go when there is too much, or when it is too old.

/// Why the lines are missing that retention took.
pub const REASON: &str = "retention";
