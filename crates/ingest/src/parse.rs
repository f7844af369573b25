//! What clients send, converted once into domain types. What cannot be converted is refused with the
//! field and the reason.

pub mod batch;
pub mod entry;
pub mod walk;

use std::sync::Arc;

use ottoscaler_kit::ident;

use crate::line::Sequence;
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

/// No gap ends behind this: readers in JavaScript know no larger whole number, and no log has so many lines.
pub(crate) const LAST_LINE: u64 = (1 << 53) - 1;

/// The last line of a gap that begins at `first`, which stands in the field `from`.
fn gap_end(last: i64, first: Sequence, from: &str) -> Result<Sequence, Dropped> {
    let invalid = |detail| Err(Dropped::new(DropReason::InvalidGap, detail));
    match Sequence::from_wire(last) {
        Some(last) if last.get() > LAST_LINE => {
            invalid(format!("gap.last_sequence: must be at most {LAST_LINE}"))
        }
        Some(last) if last >= first => Ok(last),
        _ => invalid(format!("gap.last_sequence: must not be below {from}")),
    }
}

/// An item that has grown to this takes no further line. It becomes one block of the store, and a block
/// is what a reader holds at least.
const ITEM_BYTES: usize = 256 << 10;

/// What a line takes up beside its text: time, length and mark.
const LINE_BYTES: usize = 8 + 4 + 1;

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
