//! Listeners whose failure says what to change, and the files that connections take.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tracing::warn;

/// Listens on `addr`. The error names the address, what it was for, and the flag that sets it.
pub async fn listen(addr: SocketAddr, purpose: &str, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr} for {purpose}; choose another address with {flag}"))
}

/// Lets this process have as many files open as it may: each connection is one, and the limit that programs are
/// started with is that of an interactive shell. Where that fails, it says so, and goes on with what there is.
pub fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        warn!(%error, "cannot raise the limit of open files, which limits how many connections there can be");
    }
}
