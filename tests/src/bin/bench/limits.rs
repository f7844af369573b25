//! What the machine can do at best, with nothing of ours in the way.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::stats::{Durations, Table, rate};

/// Bytes of one line with its newline.
pub(crate) const LINE: usize = 100;

/// A shell command that prints `lines` lines of [`LINE`] bytes as fast as it can.
pub(crate) fn generator(lines: u64) -> String {
    format!("yes {} | head -n {lines}", "x".repeat(LINE - 1))
}

/// How fast the generator alone fills a pipe that is emptied at once.
pub(crate) fn pipe(table: &mut Table, lines: u64) -> Result<()> {
    let start = Instant::now();
    let mut child = Command::new("sh").args(["-c", &generator(lines)]).stdout(Stdio::piped()).spawn()?;
    let mut pipe = child.stdout.take().context("stdout is a pipe")?;
    let mut buffer = vec![0; 64 << 10];
    while pipe.read(&mut buffer)? > 0 {}
    child.wait()?;
    table.row("limit: generator → pipe → nowhere", format!("{} lines", rate(lines, start.elapsed())));
    Ok(())
}

/// How fast the disk takes a file in 1 MiB steps, with one fdatasync for each step.
pub(crate) fn append(table: &mut Table, dir: &TempDir) -> Result<()> {
    const STEPS: u64 = 300;
    let mut file = File::create(dir.path().join("append"))?;
    let block = vec![b'x'; 1 << 20];
    let start = Instant::now();
    for _ in 0..STEPS {
        file.write_all(&block)?;
        file.sync_data()?;
    }
    let lines = (STEPS << 20) / LINE as u64;
    table.row("limit: append 1 MiB + fdatasync", format!("{} lines", rate(lines, start.elapsed())));
    std::fs::remove_file(dir.path().join("append"))?;
    Ok(())
}

/// What one fdatasync after a small append costs; gives the p99.
pub(crate) fn fdatasync(table: &mut Table, dir: &TempDir, times: u64) -> Result<Duration> {
    let mut file = File::create(dir.path().join("fdatasync"))?;
    let mut durations = Durations::new();
    for _ in 0..times {
        file.write_all(&[b'x'; 512])?;
        let start = Instant::now();
        file.sync_data()?;
        durations.record(start.elapsed());
    }
    table.row("limit: append 512 B + fdatasync", durations.to_string());
    Ok(durations.quantile(0.99))
}
