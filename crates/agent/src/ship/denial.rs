//! What a server denies, and when that is believed; pure.
//!
//! A denial is a status, and statuses have no checksum: it may be what became of a name that was changed on
//! the way. The same one several times in a row, each time on a connection of its own, is no accident.

use tonic::Code;

/// A denial is believed when it was said so often in a row.
const BELIEVED: u32 = 3;

/// What a server seems not to want, or not to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// How batches are compressed.
    Encoding,
    /// StreamLogBatches.
    Batches,
    /// StreamLogs.
    Entries,
    /// RegisterWorker, with this code.
    Registration(Code),
    /// UploadLogs, with this code.
    Upload(Code),
}

/// What was denied last, and how often in a row.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    last: Option<Denial>,
    times: u32,
}

impl Denials {
    /// Takes what an attempt was denied, if anything. Whether that is believed now.
    pub(crate) fn is_believed(&mut self, denial: Option<Denial>) -> bool {
        self.times = if denial == self.last { self.times.saturating_add(1) } else { 1 };
        self.last = denial;
        denial.is_some() && self.times >= BELIEVED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_denial_three_times_in_a_row_is_believed() {
        let (batches, call) = (Some(Denial::Batches), Some(Denial::Registration(Code::Unimplemented)));
        let other = Some(Denial::Registration(Code::PermissionDenied));
        for (said, expected) in [
            (&[batches, batches, batches][..], true),
            (&[batches, batches, call], false),
            (&[call, other, call, other], false),
            (&[batches, batches, None, batches], false),
            (&[call, batches, batches, batches], true),
            (&[None, None, None], false),
        ] {
            let mut denials = Denials::default();
            let believed = said.iter().map(|denial| denials.is_believed(*denial)).last();
            assert_eq!(believed, Some(expected), "{said:?}");
        }
    }
}
