//! The program `otto-agent`.

use std::process::exit;

use otto_agent::config::{Command, Config};
use ottoscaler_kit::config;
use ottoscaler_kit::telemetry::{self, LevelFilter, LogFormat, TelemetryArgs};

/// The agent itself failed, not the command: `EX_SOFTWARE` of sysexits.h.
const EXIT_FAILED: i32 = 70;

// One thread: an agent runs beside every command, and should cost next to nothing.
#[tokio::main(flavor = "current_thread")]
async fn main() {
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
    let result = match &config.command {
        Command::Run(run) => otto_agent::run(run).await,
        Command::Upload(args) => otto_agent::upload(args).await,
        Command::Install { directory } => otto_agent::install(directory).map(|()| 0),
    };
    let code = result.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        EXIT_FAILED
    });
    drop(guard);
    // Not a return: a mirror that is stuck in a write must not hold up the exit.
    exit(code)
}
