//! The program `log-ingest`.

use std::process::ExitCode;

use log_ingest::config::{Command, Config};
use ottoscaler_kit::telemetry::LevelFilter;
use ottoscaler_kit::{admin, config, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = config::parse_or_exit();
    let _guard = telemetry::init(&config.telemetry, LevelFilter::INFO);
    let result = match config.command {
        Some(Command::Healthcheck) => admin::healthcheck(config.admin_addr).await,
        None => log_ingest::run(config).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
