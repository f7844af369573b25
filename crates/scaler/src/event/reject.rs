//! Why an entry of the stream is no event.

use thiserror::Error;

/// One field and what is wrong with it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{field}: {reason}")]
pub struct Rejection {
    field: String,
    reason: String,
}

impl Rejection {
    /// Blames `field`, without control characters: it is logged and listed.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        let mut field: String = field.into();
        field.retain(|c| !c.is_control());
        Self { field, reason: reason.into() }
    }

    /// The field's name, as the producer wrote it but for control characters.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong, and what would be right.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
