//! What each Ottoscaler service needs and none should write twice: configuration from flags and
//! environment, telemetry, shutdown, task supervision, listeners, admin HTTP.
//!
//! It knows nothing of tasks, workers or logs. A piece belongs here only where copies in the services
//! would drift apart.

pub mod admin;
pub mod config;
pub mod http;
pub mod ident;
pub mod net;
pub mod size;
pub mod supervise;
pub mod telemetry;
pub mod time;

/// Version and commit, as `--version` prints them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("OTTO_BUILD_COMMIT"), ")");
