//! Ports on loopback that a server may be restarted on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes each call of this process start its search at another port.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A loopback address that nobody listened on a moment ago, outside the range that the kernel hands
/// out to outgoing connections: a client's socket can never sit on it while its server is down.
pub fn free() -> SocketAddr {
    loop {
        let at = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + at % 20_000).expect("below 30000");
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
}
