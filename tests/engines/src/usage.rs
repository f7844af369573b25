//! What a process and a directory use, as Linux counts it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// Used by this process from one moment to another, all its threads together.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// Bytes that it made the file system write.
    pub(crate) written: u64,
}

/// Begins to measure.
pub(crate) struct Meter {
    start: Instant,
    cpu: Duration,
    written: u64,
}

impl Meter {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { written: written()?, cpu: cpu()?, start: Instant::now() })
    }

    /// Since the start.
    pub(crate) fn read(&self) -> Result<Usage> {
        let wall = self.start.elapsed();
        Ok(Usage { wall, cpu: cpu()?.saturating_sub(self.cpu), written: written()? - self.written })
    }
}

fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn written() -> Result<u64> {
    field("/proc/self/io", "write_bytes:")
}

/// Bytes of this process's memory that no file stands behind.
pub(crate) fn memory() -> Result<u64> {
    Ok(field("/proc/self/status", "RssAnon:")? << 10)
}

fn field(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    Ok(value.with_context(|| format!("{path} has no {name}"))?.parse()?)
}

/// Bytes of the disk that the files below `dir` take up.
pub(crate) fn disk(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for_each_file(dir, &mut |path| {
        // A file that background work has deleted meanwhile takes up nothing.
        bytes += fs::metadata(path).map_or(0, |file| file.blocks() * 512);
        Ok(())
    })?;
    Ok(bytes)
}

/// Has the kernel forget what it has cached of the files below `dir`.
pub(crate) fn evict(dir: &Path) -> Result<()> {
    for_each_file(dir, &mut |path| {
        let file = fs::File::open(path)?;
        file.sync_all()?;
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
        Ok(())
    })
}

fn for_each_file(dir: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            for_each_file(&entry.path(), visit)?;
        } else {
            visit(&entry.path())?;
        }
    }
    Ok(())
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.written += other.written;
    }
}
