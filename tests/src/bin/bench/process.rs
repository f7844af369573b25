//! What a process costs: CPU time and memory, read from `/proc`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::task::JoinSet;

/// How often the memory of a process is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// CPU time that a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// By itself.
    pub(crate) own: Duration,
    /// By the children that it has waited for, and by theirs.
    pub(crate) children: Duration,
}

/// CPU time so far. A process that has ended is there for as long as nobody has waited for it.
pub(crate) fn cpu(pid: Pid) -> Result<Cpu> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses, which may hold anything.
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| -> Result<Duration> {
        let ticks: u64 = fields.get(at).context("a field of stat")?.parse()?;
        // USER_HZ is 100 on every Linux that Rust runs on.
        Ok(Duration::from_millis(ticks * 10))
    };
    Ok(Cpu { own: ticks(11)? + ticks(12)?, children: ticks(13)? + ticks(14)? })
}

/// Bytes of a process's memory that belong to no file.
pub(crate) fn rss_anon(pid: Pid) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

/// The most memory that a process is seen with while this lives.
#[derive(Debug)]
pub(crate) struct Peak {
    bytes: Arc<AtomicU64>,
    _watch: JoinSet<()>,
}

impl Peak {
    pub(crate) fn of(pid: Pid) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let (seen, mut watch) = (Arc::clone(&bytes), JoinSet::new());
        watch.spawn(async move {
            let mut looks = tokio::time::interval(LOOK);
            // It ends with the process, whose memory is gone then.
            while let Ok(now) = rss_anon(pid) {
                seen.fetch_max(now, Ordering::Relaxed);
                looks.tick().await;
            }
        });
        Self { bytes, _watch: watch }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A child's process id.
pub(crate) fn pid(child: &Child) -> Result<Pid> {
    let id = child.id().context("nobody has waited for it")?;
    Ok(Pid::from_raw(i32::try_from(id)?))
}

/// Waits until a child has ended well, and gives the CPU time that it took.
pub(crate) async fn ended(mut child: Child) -> Result<Cpu> {
    let pid = pid(&child)?;
    // Not reaped yet, so that it can be asked.
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    tokio::task::spawn_blocking(move || waitid(Id::Pid(pid), flags)).await??;
    let cpu = cpu(pid)?;
    let status = child.wait().await?;
    ensure!(status.success(), "{status}");
    Ok(cpu)
}
