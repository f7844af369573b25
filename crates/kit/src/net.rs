//! Listeners whose failure says what to change.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

/// Listens on `addr`. The error names the address, what it was for, and the flag that sets it.
pub async fn listen(addr: SocketAddr, purpose: &str, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr} for {purpose}; choose another address with {flag}"))
}
