//! A clock that jumps: processes under libfaketime, which read it from a file that a test rewrites.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where Debian's package `faketime` has its library, for each machine's triplet.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The clock of those who run under it.
#[derive(Debug)]
pub struct FakeClock {
    library: PathBuf,
    offset: PathBuf,
}

impl FakeClock {
    /// Right at first. Nothing where libfaketime is not installed.
    pub fn new(dir: &Path) -> Option<Self> {
        let triplets = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
        let library = triplets.map(|triplet| triplet.path().join(LIBRARY)).find(|path| path.exists())?;
        let clock = Self { library, offset: dir.join("clock") };
        clock.set(0);
        Some(clock)
    }

    /// From now on it is wrong by so many seconds.
    pub fn set(&self, seconds: i64) {
        // Whoever reads it meanwhile gets the old one or the new one.
        let new = self.offset.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}")).expect("the directory is writable");
        std::fs::rename(new, &self.offset).expect("the directory is writable");
    }

    /// Makes a process go by it within a second: what it takes for the time of day jumps, and its monotonic
    /// clock does not, as on a machine whose clock is set.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.offset.clone().into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("FAKETIME_CACHE_DURATION", "1".into()),
        ]
    }
}
