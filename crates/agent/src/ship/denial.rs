//! What a server denies, and when that is believed; pure.
//!
//! A denial is a status, and statuses have no checksum: it may be what became of a name that was changed on
//! the way. The same one several times in a row, each time on a connection of its own, is no accident. Nor does
//! a status say who sends it: the sidecar of a mesh answers in gRPC's own terms for a server to which it has no
//! route yet, or that it may not reach yet. So what would cost lines is believed only once it has lasted.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

/// A denial is believed when it was said so often in a row.
const BELIEVED: u32 = 3;

/// And went on for so long, where a proxy may say it in the server's place: in that time one that has just been
/// started learns its routes and rights.
const LASTING: Duration = Duration::from_secs(30);

/// What a server seems not to want, or not to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// How batches are compressed.
    Encoding,
    /// StreamLogBatches.
    Batches,
    /// StreamLogs.
    Entries,
    /// Lines, over a stream of either kind, with this code.
    Lines(Code),
    /// RegisterWorker, with this code.
    Registration(Code),
    /// UploadLogs, with this code.
    Upload(Code),
}

impl Denial {
    /// For how long it has to be said.
    const fn lasting(self) -> Duration {
        match self {
            // The same connection has just brought the server's word for the registration; and of an upload the file
            // stays where it is, and somebody waits to hear why.
            Self::Encoding | Self::Batches | Self::Upload(_) => Duration::ZERO,
            Self::Entries | Self::Lines(_) | Self::Registration(_) => LASTING,
        }
    }
}

/// What was denied last, how often in a row, and since when.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    last: Option<(Denial, Instant)>,
    times: u32,
}

impl Denials {
    /// Takes what an attempt was denied, if anything. Whether that is believed now.
    pub(crate) fn is_believed(&mut self, denial: Option<Denial>, now: Instant) -> bool {
        let Some(denial) = denial else {
            *self = Self::default();
            return false;
        };
        let since = self.last.filter(|(last, _)| *last == denial).map(|(_, since)| since);
        self.times = if since.is_some() { self.times.saturating_add(1) } else { 1 };
        let since = since.unwrap_or(now);
        self.last = Some((denial, since));
        self.times >= BELIEVED && now.saturating_duration_since(since) >= denial.lasting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_denial_three_times_in_a_row_is_believed() {
        let (batches, call) = (Some(Denial::Batches), Some(Denial::Upload(Code::Unimplemented)));
        let other = Some(Denial::Upload(Code::InvalidArgument));
        let now = Instant::now();
        for (said, expected) in [
            (&[batches, batches, batches][..], true),
            (&[batches, batches, call], false),
            (&[call, other, call, other], false),
            (&[batches, batches, None, batches], false),
            (&[call, batches, batches, batches], true),
            (&[None, None, None], false),
        ] {
            let mut denials = Denials::default();
            let believed = said.iter().map(|denial| denials.is_believed(*denial, now)).last();
            assert_eq!(believed, Some(expected), "{said:?}");
        }
    }

    #[test]
    fn what_a_proxy_may_say_in_the_servers_place_is_believed_only_once_it_has_lasted() {
        let lines = Denial::Lines(Code::PermissionDenied);
        for denial in [Denial::Registration(Code::Unimplemented), Denial::Entries, lines] {
            let (mut denials, start) = (Denials::default(), Instant::now());
            let mut is_believed = |said, after| denials.is_believed(said, start + after);
            for second in 0..30 {
                assert!(!is_believed(Some(denial), Duration::from_secs(second)), "{denial:?} {second}");
            }
            assert!(is_believed(Some(denial), LASTING), "{denial:?}");
            assert!(!is_believed(None, LASTING), "it answers");
            assert!(!is_believed(Some(denial), 2 * LASTING), "{denial:?} begins anew");
        }
    }
}
