//! What clients send, converted once into domain types. What cannot be converted is refused with the
//! field and the reason.

pub mod batch;
pub mod entry;
pub mod walk;

use std::sync::Arc;

use ottoscaler_kit::ident;

use crate::reason::{DropReason, Dropped};

/// Stands for a reason that a client left empty.
const NO_REASON: &str = "unspecified";

/// The reason of a gap: a word, as short as a name, that goes into every reader's log.
fn gap_reason(reason: &str) -> Result<Arc<str>, Dropped> {
    if reason.is_empty() {
        return Ok(NO_REASON.into());
    }
    let invalid = |why| Dropped::new(DropReason::InvalidGap, format!("gap.reason: {why}"));
    ident::check(reason).map_err(invalid)?;
    Ok(reason.into())
}

/// Limits that an item has to keep.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one line.
    pub max_line: usize,
}

impl Limits {
    /// Refuses a line that is too long.
    fn check_line(self, bytes: usize) -> Result<(), Dropped> {
        if bytes <= self.max_line {
            return Ok(());
        }
        let detail = format!("message: has {bytes} bytes, and at most {} are allowed", self.max_line);
        Err(Dropped::new(DropReason::MessageTooLarge, detail))
    }
}
