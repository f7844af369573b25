//! What the disk does while something else is measured: disks of virtual machines stand still now and then for a tenth
//! of a second, which a limit taken before or after would not know of.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use tempfile::TempDir;

use crate::stats::{Durations, Table};

/// Often enough for a p99 of ten seconds, and too seldom to be in the way.
const INTERVAL: Duration = Duration::from_millis(5);

/// A file that gets 512 bytes each [`INTERVAL`], synced each time, in a thread of its own.
pub(crate) struct Meanwhile {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Durations>>,
}

impl Meanwhile {
    pub(crate) fn start(dir: &TempDir) -> Result<Self> {
        let file = tempfile::tempfile_in(dir)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_over);
        let thread =
            thread::Builder::new().name("fdatasync".to_owned()).spawn(move || append(file, &asked))?;
        Ok(Self { is_over, thread })
    }

    /// The p99 of it so far, which also becomes a row.
    pub(crate) fn stop(self, table: &mut Table) -> Result<Duration> {
        self.is_over.store(true, Ordering::Relaxed);
        let durations = self.thread.join().map_err(|_| anyhow!("the thread that syncs panicked"))??;
        table.row("limit: append 512 B + fdatasync, 200 times a second, meanwhile", durations.to_string());
        Ok(durations.quantile(0.99))
    }
}

fn append(mut file: File, is_over: &AtomicBool) -> io::Result<Durations> {
    let mut durations = Durations::new();
    let mut due = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        // What the sync before held up has waited since it was due, as lines do that come at a steady rate. The time
        // that this thread oversleeps is not the disk's.
        let since = if Instant::now() < due {
            pause(due - Instant::now());
            Instant::now()
        } else {
            due
        };
        file.write_all(&[b'x'; 512])?;
        file.sync_data()?;
        durations.record(since.elapsed());
        due += INTERVAL;
    }
    Ok(durations)
}

#[expect(clippy::disallowed_methods, reason = "a steady rate is what is asked for")]
fn pause(time: Duration) {
    thread::sleep(time);
}
