//! The command under the agents: prints lines, as fast as it can or at a rate.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;

use crate::lines::Lines;

/// Bytes that one write hands to the pipe: its usual capacity.
const WRITE: usize = 64 << 10;

/// Lines that are due are printed so often.
const TICK: Duration = Duration::from_millis(1);

/// What to print.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Print {
    /// How many lines.
    #[arg(long)]
    pub(crate) count: u64,
    /// Which lines.
    #[arg(long, value_enum)]
    pub(crate) lines: Lines,
    /// Different seeds print different mixtures.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Lines a second; default: as many as go.
    #[arg(long)]
    pub(crate) rate: Option<u64>,
    /// Each line begins with when it was written, in microseconds since 1970.
    #[arg(long, requires = "rate")]
    pub(crate) stamp: bool,
}

impl Print {
    /// The command that prints this: the bench itself.
    pub(crate) fn command(self) -> io::Result<Vec<PathBuf>> {
        let lines = if self.lines == Lines::Ci { "ci" } else { "reference" };
        let mut command = vec![std::env::current_exe()?, "print".into(), "--lines".into(), lines.into()];
        command.extend(["--count".into(), self.count.to_string().into()]);
        command.extend(["--seed".into(), self.seed.to_string().into()]);
        if let Some(rate) = self.rate {
            command.extend(["--rate".into(), rate.to_string().into()]);
        }
        command.extend(self.stamp.then(|| "--stamp".into()));
        Ok(command)
    }

    /// Prints it.
    pub(crate) fn run(self) -> Result<()> {
        let out = io::stdout().lock();
        match self.rate {
            Some(rate) => self.paced(out, rate),
            None => self.at_once(out),
        }
    }

    /// The lines are made before, so that printing costs nothing but the pipe.
    fn at_once(self, mut out: impl Write) -> Result<()> {
        let round = self.lines.round(self.seed);
        let mut left = self.count;
        // A round of one line is made longer, for writes of some size.
        let mut bytes = Vec::new();
        let (mut lines, mut ends) = (0, Vec::new());
        while bytes.len() < WRITE {
            for line in &round {
                bytes.extend_from_slice(line);
                ends.push(bytes.len());
                lines += 1;
            }
        }
        while left >= lines {
            out.write_all(&bytes)?;
            left -= lines;
        }
        if let Some(last) = usize::try_from(left)?.checked_sub(1) {
            out.write_all(&bytes[..ends[last]])?;
        }
        Ok(())
    }

    /// Each line, or all that are due, in a write of its own.
    #[allow(clippy::disallowed_methods, reason = "a command that takes its time is what this is for")]
    fn paced(self, mut out: impl Write, rate: u64) -> Result<()> {
        let round = self.lines.round(self.seed);
        let mut lines = round.iter().cycle();
        let (start, mut printed) = (Instant::now(), 0);
        let mut bytes = Vec::new();
        for tick in 1.. {
            let due = (u64::try_from(start.elapsed().as_micros())? * rate / 1_000_000).min(self.count);
            let stamp =
                if self.stamp { format!("{} ", Timestamp::now().as_microsecond()) } else { String::new() };
            lines.by_ref().take(usize::try_from(due - printed)?).for_each(|line| {
                bytes.extend_from_slice(stamp.as_bytes());
                bytes.extend_from_slice(line);
            });
            out.write_all(&bytes)?;
            out.flush()?;
            bytes.clear();
            printed = due;
            if printed == self.count {
                break;
            }
            std::thread::sleep((TICK * tick).saturating_sub(start.elapsed()));
        }
        Ok(())
    }
}
