//! What the figures were measured on.

use std::path::Path;

use anyhow::{Context, Result};
use ottoscaler_tests::binary;

/// What makes figures differ between machines.
#[derive(Debug)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    file_system: String,
    load: String,
}

impl Machine {
    /// This one, measured on the disk of `dir`. Asked at the start: what else ran before matters.
    pub(crate) fn here(dir: &Path) -> Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| path.to_owned());
        let field = |text: &str, name| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim().to_owned()
        };
        let memory_kib: u64 = field(&read("/proc/meminfo")?, "MemTotal").trim_end_matches(" kB").parse()?;
        let kernel = read("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            processor: field(&read("/proc/cpuinfo")?, "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: memory_kib >> 20,
            kernel: kernel.split(['-', '\n']).next().unwrap_or_default().to_owned(),
            file_system: file_system(&read("/proc/self/mountinfo")?, &dir.canonicalize()?),
            load: read("/proc/loadavg")?.split(' ').take(3).collect::<Vec<_>>().join(" "),
        })
    }
}

/// The type of the file system that `dir` is on: that of the innermost mount.
fn file_system(mountinfo: &str, dir: &Path) -> String {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        Some((mount.split(' ').nth(4)?, source.split(' ').next()?))
    });
    let innermost = mounts.filter(|(point, _)| dir.starts_with(point)).max_by_key(|(point, _)| point.len());
    innermost.map_or("unknown", |(_, kind)| kind).to_owned()
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| | |\n|---|---|")?;
        writeln!(f, "| processor | {}, {} cores |", self.processor, self.cores)?;
        writeln!(f, "| memory | {} GiB |", self.memory_gib)?;
        writeln!(f, "| system | Linux {} |", self.kernel)?;
        writeln!(f, "| disk | {}; what it can do is among the figures |", self.file_system)?;
        writeln!(f, "| load average at the start | {} |", self.load)
    }
}

/// The commit that was measured, and whether there was more than it.
pub(crate) async fn commit() -> Result<String> {
    let git = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new("git");
        let output = command.args(arguments).current_dir(binary::workspace()).output().await;
        anyhow::Ok(String::from_utf8_lossy(&output.context("git")?.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).await?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no", "--", ":!docs"]).await?;
    Ok(if changes.is_empty() { commit } else { format!("{commit}, with changes") })
}
