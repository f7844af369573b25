//! Room on the disk. Lines are held back before there is none, so that what is small and matters more still fits:
//! that a log ended, what is known of workers, the index of a segment.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use prometheus_client::metrics::gauge::Gauge;
use tracing::warn;

/// The file system is asked again after so long, or so many bytes.
const INTERVAL: Duration = Duration::from_millis(250);
const BYTES: u64 = 16 << 20;

/// Watches the file system of the store.
#[derive(Debug)]
pub struct Space {
    directory: PathBuf,
    reserve: u64,
    free: Gauge,
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
    /// Keeps `reserve` bytes free where `directory` is, and shows what is free.
    pub fn new(directory: PathBuf, reserve: u64, free: Gauge) -> Self {
        Self { directory, reserve, free, last: None }
    }

    /// Whether lines have to wait, now that the store takes up `size`.
    pub fn is_low(&mut self, size: u64) -> bool {
        let stale = |look: &Look| look.at.elapsed() >= INTERVAL || size.abs_diff(look.size) >= BYTES;
        if self.last.as_ref().is_none_or(stale) {
            self.look(size);
        }
        self.last.is_some_and(|look| look.free.saturating_sub(size.saturating_sub(look.size)) < self.reserve)
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
