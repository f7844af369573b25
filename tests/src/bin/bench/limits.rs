//! What the machine can do at best, with nothing of ours in the way.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::lines::{LINE, Lines};
use crate::print::Print;
use crate::stats::{Table, mib, rate};

/// All that concern the log path.
pub(crate) fn all(table: &mut Table, dir: &TempDir, scale: u64) -> Result<()> {
    for lines in [Lines::Reference, Lines::Ci] {
        pipe(table, lines, 20_000_000 / scale)?;
    }
    // What a group commit syncs at once: a block, and ever more of them.
    for step in [64 << 10, 1 << 20, 8 << 20] {
        append(table, dir, step, (300 << 20) / scale)?;
    }
    sequential(table, dir, (1 << 30) / scale)
}

/// How fast the generator alone fills a pipe that is emptied at once.
fn pipe(table: &mut Table, lines: Lines, count: u64) -> Result<()> {
    let start = Instant::now();
    let command = Print { count, lines, seed: 1, rate: None, stamp: false }.command()?;
    let mut child = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::piped()).spawn()?;
    let mut pipe = child.stdout.take().context("stdout is a pipe")?;
    let mut buffer = vec![0; 64 << 10];
    while pipe.read(&mut buffer)? > 0 {}
    child.wait()?;
    let [half, most, longest] = lines.lengths();
    table.row(
        format!(
            "limit: generator → pipe → nowhere, {} (p50 {half}, p99 {most}, max {longest} bytes)",
            lines.name()
        ),
        format!(
            "{} lines, {:.0} MiB/s",
            rate(count, start.elapsed()),
            mib_s(count * lines.mean(), start.elapsed())
        ),
    );
    Ok(())
}

/// How fast the disk takes a file in steps, with one fdatasync for each step.
fn append(table: &mut Table, dir: &TempDir, step: usize, bytes: u64) -> Result<()> {
    let mut file = tempfile::tempfile_in(dir)?;
    let block = vec![b'x'; step];
    let steps = bytes / step as u64;
    let start = Instant::now();
    for _ in 0..steps {
        file.write_all(&block)?;
        file.sync_data()?;
    }
    let took = start.elapsed();
    let lines = steps * step as u64 / LINE as u64;
    table.row(
        format!("limit: append {} KiB + fdatasync", step >> 10),
        format!("{} lines, {:.0} MiB/s", rate(lines, took), mib_s(steps * step as u64, took)),
    );
    Ok(())
}

/// How fast the disk takes a file in one go, synced once at the end.
fn sequential(table: &mut Table, dir: &TempDir, bytes: u64) -> Result<()> {
    let mut file = tempfile::tempfile_in(dir)?;
    let block = vec![b'x'; 8 << 20];
    let steps = bytes / block.len() as u64;
    let start = Instant::now();
    for _ in 0..steps {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    let took = start.elapsed();
    let written = steps * block.len() as u64;
    table.row(
        "limit: the disk, sequential, synced at the end",
        format!("{} lines, {:.0} MiB/s", rate(written / LINE as u64, took), mib_s(written, took)),
    );
    Ok(())
}

fn mib_s(bytes: u64, took: Duration) -> f64 {
    mib(bytes) / took.as_secs_f64()
}

/// What a program says of its version.
pub(crate) async fn version(program: &str) -> Result<String> {
    let output = tokio::process::Command::new(program).arg("--version").output().await;
    let output = output.with_context(|| format!("{program}: run just bench"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = |word: &&str| word.trim_start_matches(['v', '=']).starts_with(|c: char| c.is_ascii_digit());
    let found = text.split_whitespace().find(word).unwrap_or(text.trim());
    Ok(found.trim_start_matches(['v', '=']).to_owned())
}
