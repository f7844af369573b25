//! How much memory a process uses, looked at all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::unistd::Pid;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Anonymous memory of a process: what it holds itself, without the pages of its program and its files.
pub fn anonymous_kib(pid: Pid) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Looks at one process until it is dropped or the process has ended.
#[derive(Debug)]
pub struct Watch {
    peak_kib: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
}

impl Watch {
    /// A thread of its own, which a busy test does not hold up.
    #[allow(clippy::disallowed_methods, reason = "it looks at a fixed rate")]
    pub fn start(pid: Pid) -> Self {
        let (peak_kib, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (peak, stopped) = (Arc::clone(&peak_kib), Arc::clone(&stop));
        let looking = std::thread::spawn(move || {
            while let Some(kib) = anonymous_kib(pid).filter(|_| !stopped.load(Ordering::Relaxed)) {
                peak.fetch_max(kib, Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        Self { peak_kib, stop, looking: Some(looking) }
    }

    /// The most that was seen so far.
    pub fn peak_kib(&self) -> u64 {
        self.peak_kib.load(Ordering::Relaxed)
    }

    /// Panics if it was ever more.
    pub fn assert_below_mib(&self, what: &str, limit: u64) {
        let peak = self.peak_kib();
        assert!(peak > 0, "{what}: nobody looked");
        assert!(peak <= limit << 10, "{what} used {} MiB of {limit}", peak.div_ceil(1 << 10));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(looking) = self.looking.take() {
            let _it_does_not_panic = looking.join();
        }
    }
}
