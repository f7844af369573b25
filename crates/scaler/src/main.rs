//! The `ottoscaler` program; see the library for what it does.

use std::process::ExitCode;

use ottoscaler::config::Config;
use ottoscaler_kit::telemetry::{self, LevelFilter};

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = ottoscaler_kit::config::parse_or_exit();
    if let Err(line) = config.check() {
        ottoscaler_kit::config::exit_usage(&line);
    }
    let _guard = telemetry::init(&config.telemetry, LevelFilter::INFO);
    match ottoscaler::run(config).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ottoscaler failed");
            ExitCode::FAILURE
        }
    }
}
