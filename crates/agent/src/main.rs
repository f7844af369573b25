//! The program `otto-agent`.

use std::fs::File;
use std::io;
use std::process::exit;

use anyhow::{Context, Result};
use otto_agent::config::{Command, Config};
use ottoscaler_kit::config;
use ottoscaler_kit::telemetry::{self, LevelFilter, LogFormat, TelemetryArgs};
use tokio::runtime::{Builder, Runtime};

/// The agent itself failed, not the command: `EX_SOFTWARE` of sysexits.h.
const EXIT_FAILED: i32 = 70;

/// Files that the runtime and the signals need before anything is run; some of the library panic where there are none.
const FILES: usize = 12;

fn main() {
    let config: Config = config::parse_or_exit();
    let telemetry = match &config.command {
        Command::Run(run) => run.telemetry.clone(),
        Command::Upload(upload) => upload.telemetry.clone(),
        Command::Install { .. } => TelemetryArgs { log_format: LogFormat::Auto },
    };
    let level = match &config.command {
        // Its stderr is the command's as well: only what matters.
        Command::Run(_) | Command::Install { .. } => LevelFilter::WARN,
        // Has nothing else to show for itself.
        Command::Upload(_) => LevelFilter::INFO,
    };
    let guard = telemetry::init(&telemetry, level);
    let result = run_to_end(&config.command);
    let code = result.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        EXIT_FAILED
    });
    drop(guard);
    // Not a return: a mirror that is stuck in a write must not hold up the exit.
    exit(code)
}

fn run_to_end(command: &Command) -> Result<i32> {
    let runtime = runtime()?;
    let ended = runtime.block_on(act(command));
    // What still blocks must not hold up the exit either.
    runtime.shutdown_background();
    ended
}

async fn act(command: &Command) -> Result<i32> {
    match command {
        Command::Run(run) => otto_agent::run(run).await,
        Command::Upload(args) => otto_agent::upload(args).await,
        Command::Install { directory } => otto_agent::install(directory).map(|()| 0),
    }
}

/// One thread: an agent runs beside every command, and should cost next to nothing.
fn runtime() -> Result<Runtime> {
    let room: io::Result<Vec<_>> = (0..FILES).map(|_| File::open("/dev/null")).collect();
    room.with_context(|| format!("cannot open {FILES} files, which otto-agent needs (see ulimit -n)"))?;
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}
