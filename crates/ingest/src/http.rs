//! HTTP: the page and the API. Bodies are streamed, so no log is ever whole in memory.

mod api;
mod error;
mod json;
mod outline;
mod page;
mod params;
mod search;
mod tail;
mod text;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use socket2::SockRef;
use tokio::net::TcpStream;
use tracing::debug;

use crate::server::Server;

/// From what a client was sent, or has no room for, to the end of its connection where it takes nothing. The kernel
/// sees to it: nobody waits for a socket that takes nothing.
const UNTAKEN: Duration = Duration::from_mins(5);

/// What the kernel keeps of an answer that the network has not yet taken.
const UNSENT: u32 = 128 << 10;

/// Puts three habits of TCP right. What there is goes at once: else the end of an event
/// would wait until the client acknowledges its beginning, which clients put off for 40 ms. And none takes much
/// of the kernel's memory: by itself that keeps up to 4 MiB for a client who does not read, and all programs of
/// a machine share what it keeps in all: a thousand tabs that sleep would hold up everybody's connections, and
/// count as memory of this process's Pod. And a client that is there and takes nothing is not waited for for ever.
pub fn tune(connection: &TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        debug!(%error, "a connection may delay what it sends");
    }
    if let Err(error) = SockRef::from(connection).set_tcp_user_timeout(Some(UNTAKEN)) {
        debug!(%error, "a connection may be kept for a client that takes nothing");
    }
    if let Err(error) = SockRef::from(connection).set_tcp_notsent_lowat(UNSENT) {
        debug!(%error, "a connection may take more of the kernel's memory than it should");
    }
}

/// All routes.
pub fn router(server: Server) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page.js", get(page::script))
        .route("/page.css", get(page::style))
        .route("/api/v1/tasks", get(api::tasks))
        .route("/api/v1/tasks/{task}", get(api::task))
        .route("/api/v1/workers/{worker}", get(api::worker))
        .route("/api/v1/workers/{worker}/logs", get(api::logs))
        .route("/api/v1/workers/{worker}/log.txt", get(text::text))
        .route("/api/v1/workers/{worker}/outline", get(outline::outline))
        .route("/api/v1/workers/{worker}/search", get(search::search))
        .route("/api/v1/workers/{worker}/tail", get(tail::events))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(server)
}
