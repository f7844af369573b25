//! A command for workers under test: prints a script of lines to stdout and stderr, marks that it ran,
//! and ends with the exit code asked for.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use ottoscaler_tests::chatter::{Script, Stream};

#[derive(Parser)]
struct Args {
    /// Lines to print, over both streams.
    #[arg(long, default_value_t = 100)]
    lines: u64,
    /// Different seeds print different lines.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take at least so long, spread evenly over the lines.
    #[arg(long, default_value_t = 0)]
    spread_ms: u64,
    /// In the middle, wait until this file exists.
    #[arg(long)]
    half_until: Option<PathBuf>,
    /// Append a line to this file at the start: one line for each run of the command.
    #[arg(long)]
    mark: Option<PathBuf>,
    /// Keep the number of lines printed so far in this file.
    #[arg(long)]
    progress: Option<PathBuf>,
    /// Write the time of the start, in nanoseconds since the Unix epoch, to this file.
    #[arg(long)]
    stamp: Option<PathBuf>,
    /// End with this code.
    #[arg(long, default_value_t = 0)]
    exit: u8,
}

/// Lines between two looks at the clock.
const CHUNK: u64 = 64;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(path) = &args.stamp {
        std::fs::write(path, SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos().to_string())?;
    }
    if let Some(path) = &args.mark {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    }
    let script = Script { seed: args.seed, lines: args.lines };
    let progress = args.progress.as_deref().map(Progress::create).transpose()?;
    let start = Instant::now();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for number in 0..script.lines {
        if let Some(path) = args.half_until.as_deref().filter(|_| number == script.lines / 2) {
            print(&mut out, &mut err)?;
            wait_for(path);
        }
        let sink = if script.stream(number) == Stream::Stdout { &mut out } else { &mut err };
        script.append_line(number, sink);
        if number % CHUNK == CHUNK - 1 || number + 1 == script.lines {
            print(&mut out, &mut err)?;
            if let Some(progress) = &progress {
                progress.say(number + 1)?;
            }
            pace(start, Duration::from_millis(args.spread_ms), number, script.lines);
        }
    }
    Ok(ExitCode::from(args.exit))
}

fn print(out: &mut Vec<u8>, err: &mut Vec<u8>) -> std::io::Result<()> {
    std::io::stdout().write_all(out)?;
    std::io::stdout().flush()?;
    std::io::stderr().write_all(err)?;
    out.clear();
    err.clear();
    Ok(())
}

/// How many lines were printed, where others read it.
struct Progress(File);

impl Progress {
    fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self(File::create(path)?))
    }

    /// Digits of a fixed width: whoever reads meanwhile gets a number, the old one or the new one.
    fn say(&self, lines: u64) -> std::io::Result<()> {
        self.0.write_all_at(format!("{lines:020}").as_bytes(), 0)
    }
}

/// Until a file exists.
#[allow(clippy::disallowed_methods, reason = "a shell would do the same")]
fn wait_for(path: &Path) {
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until it is time for what comes after line `number`.
#[allow(clippy::disallowed_methods, reason = "a command that takes its time is what this program is for")]
fn pace(start: Instant, spread: Duration, number: u64, lines: u64) {
    let due_ms = u128::from(number + 1) * spread.as_millis() / u128::from(lines);
    let due = Duration::from_millis(u64::try_from(due_ms).expect("at most the spread"));
    std::thread::sleep(due.saturating_sub(start.elapsed()));
}
