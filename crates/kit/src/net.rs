//! Listeners whose failure says what to change, and the files that connections take.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tracing::warn;

/// The value of a flag that says where to listen. Names are not looked up: one may stand for several addresses.
pub fn parse_addr(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:50051 or [::]:50051".to_owned())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parsed_or_refused_with_an_example() {
        assert!(parse_addr("127.0.0.1:50051").is_ok() && parse_addr("[::]:50051").is_ok());
        for wrong in ["localhost:50051", ":50051", "127.0.0.1"] {
            assert!(parse_addr(wrong).unwrap_err().contains("such as 127.0.0.1:50051"), "{wrong}");
        }
    }
}
