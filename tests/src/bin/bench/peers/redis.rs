//! Redis Streams with an append-only file that is synced before each answer: XADD, a stream a worker.

use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;

use super::pipe::{Answer, Talk};

pub(super) fn command(addr: SocketAddr, dir: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &addr.port().to_string(), "--save", ""]);
    command.args(["--daemonize", "no", "--dir"]).arg(dir);
    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    // Else it would rewrite the file while it is measured, which is no part of the work that is compared.
    command.args(["--auto-aof-rewrite-percentage", "0"]);
    command
}

/// What the worker's connection says, with `payload` in each message.
pub(super) fn talk(worker: usize, payload: &[u8]) -> Talk {
    let key = format!("log:{worker}");
    let mut message = b"*5\r\n".to_vec();
    for part in [b"XADD", key.as_bytes(), b"*", b"l", payload] {
        message.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        message.extend_from_slice(part);
        message.extend_from_slice(b"\r\n");
    }
    Talk { greeting: Vec::new(), message, burst: 1, window: 1, answer }
}

/// An id is answered as its length, and then itself.
fn answer(line: &[u8]) -> Answer {
    match line.first() {
        Some(b'$') => Answer::Durable,
        Some(b'0'..=b'9') | None => Answer::Other,
        Some(_) => Answer::Failed,
    }
}
