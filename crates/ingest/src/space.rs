//! Room on the disk. Lines are held back before there is none, so that what is small and matters more still fits:
//! that a log ended, what is known of workers, the index of a segment.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use ottoscaler_kit::size::ByteSize;
use prometheus_client::metrics::gauge::Gauge;
use tracing::{info, warn};

use crate::alarm::Alarm;
use crate::metrics::Metrics;

/// The file system is asked again after so long, or so many bytes.
const INTERVAL: Duration = Duration::from_millis(250);
const BYTES: u64 = 16 << 20;

/// Of the reserve, the part that has to be free beyond it before lines that wait go on.
const EDGE: u64 = 16;

/// Watches the file system of the store.
#[derive(Debug)]
pub struct Space {
    directory: PathBuf,
    reserve: ByteSize,
    free: Gauge,
    low: Alarm,
    last: Option<Look>,
}

/// What was seen at the last look.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    free: u64,
    /// Bytes of the store by then.
    size: u64,
}

impl Space {
    /// Keeps `reserve` free where `directory` is, and shows what is free.
    pub fn new(directory: PathBuf, reserve: ByteSize, metrics: &Metrics) -> Self {
        let low = Alarm::new(metrics.disk_low.clone());
        Self { directory, reserve, free: metrics.disk_free.clone(), low, last: None }
    }

    /// Whether lines have to wait, now that the store takes up `size`. Where that changes, it is told.
    pub fn is_low(&mut self, size: u64) -> bool {
        let stale = |look: &Look| look.at.elapsed() >= INTERVAL || size.abs_diff(look.size) >= BYTES;
        if self.last.as_ref().is_none_or(stale) {
            self.look(size);
        }
        let free =
            self.last.map_or(u64::MAX, |look| look.free.saturating_sub(size.saturating_sub(look.size)));
        let is_low = free < wanted(self.reserve.as_u64(), self.low.is_on());
        if self.low.set(is_low) {
            self.tell(free, is_low);
        }
        is_low
    }

    fn tell(&self, free: u64, is_low: bool) {
        let (directory, reserve) = (self.directory.display(), self.reserve);
        if is_low {
            warn!(
                %directory,
                free,
                %reserve,
                "the disk is nearly full: lines have to wait until more than --disk-reserve is free"
            );
        } else {
            info!(%directory, free, %reserve, "the disk has room again: lines are taken");
        }
    }

    fn look(&mut self, size: u64) {
        let free = match statvfs(&self.directory) {
            Ok(found) => found.blocks_available() * found.fragment_size(),
            Err(error) => {
                // Not known is not full: a disk that really is refuses by itself.
                warn!(%error, "cannot ask how much room the disk has");
                u64::MAX
            }
        };
        self.free.set(i64::try_from(free).unwrap_or(i64::MAX));
        self.last = Some(Look { at: Instant::now(), free, size });
    }
}

/// How much has to be free for lines to be taken. A little more once they wait: else a disk on the edge would have them
/// wait and go on, and tell of it, several times a second.
const fn wanted(reserve: u64, is_low: bool) -> u64 {
    if is_low { reserve.saturating_add(reserve / EDGE) } else { reserve }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_disk_with_less_than_the_reserve_is_low_and_the_gauge_shows_it() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::register(&mut Registry::default());
        for (reserve, expected) in [(0, 0), (u64::MAX, 1)] {
            let reserve = ByteSize::bytes(reserve);
            let mut space = Space::new(dir.path().to_owned(), reserve, &metrics);
            assert_eq!((space.is_low(0), metrics.disk_low.get()), (expected == 1, expected));
            assert!(metrics.disk_free.get() > 0);
        }
    }
    #[test]
    fn lines_that_wait_go_on_with_a_little_more_room_than_they_began_to_wait_at() {
        assert_eq!((wanted(1600, false), wanted(1600, true)), (1600, 1700));
        assert_eq!((wanted(0, true), wanted(u64::MAX, true)), (0, u64::MAX));
    }
}
