//! Logs on stderr: for people on a terminal, JSON otherwise; filtered by `RUST_LOG`.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
pub use tracing_subscriber::filter::LevelFilter;

/// Flags that every service shares; flatten it into the service's own.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Logs of the service itself")]
pub struct TelemetryArgs {
    /// How log lines look.
    #[arg(long, env = "OTTO_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// One readable line each.
    Text,
    /// One JSON object each.
    Json,
}

impl LogFormat {
    fn is_json(self) -> bool {
        match self {
            Self::Auto => !std::io::stderr().is_terminal(),
            Self::Text => false,
            Self::Json => true,
        }
    }
}

/// Lines that may wait for stderr. Beyond that they are dropped: a service must not stand still because
/// whoever reads its log does.
const WAITING_LINES: usize = 8192;

/// Starts logging for this process, at `default_level` where `RUST_LOG` does not say otherwise. What
/// waits is written when the guard is dropped. Later calls change nothing, so tests may call it freely.
#[must_use = "dropping the guard ends logging"]
pub fn init(args: &TelemetryArgs, default_level: LevelFilter) -> Guard {
    let filter = EnvFilter::builder().with_default_directive(default_level.into()).from_env_lossy();
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    // A second subscriber is refused, and the first one goes on: nothing to do about it.
    let _already_set = if args.log_format.is_json() {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    std::panic::set_hook(Box::new(log_panic));
    Guard(guard)
}

/// Keeps logging going. Dropping it waits a moment for what has not been written.
#[derive(Debug)]
pub struct Guard(#[allow(dead_code, reason = "it acts when it is dropped")] WorkerGuard);

/// A panic belongs into the log, in its format, like every other failure.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(ToString::to_string);
    tracing::error!(panic = message, location, "panicked");
}
