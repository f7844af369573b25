//! What clients send, converted once into domain types. What cannot be converted is refused with the
//! field and the reason.

pub mod batch;
pub mod entry;

use crate::reason::{DropReason, Dropped};

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
