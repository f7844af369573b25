//! HTTP: the page and the API. Bodies are streamed, so no log is ever whole in memory.

mod api;
mod coding;
mod cursor;
mod cut;
mod error;
mod etag;
mod events;
mod json;
mod openapi;
mod outline;
mod page;
mod params;
mod search;
mod tail;
mod task_logs;
mod tasks;
mod text;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{MethodRouter, get};
use socket2::SockRef;
use tokio::net::TcpStream;
use tower_http::compression::CompressionLayer;
use tracing::debug;

use crate::server::Server;

/// What the kernel keeps of an answer that the network has not yet taken.
const UNSENT: u32 = 128 << 10;

/// Puts two habits of TCP right. What there is goes at once: else the end of an event
/// would wait until the client acknowledges its beginning, which clients put off for 40 ms. And none takes much
/// of the kernel's memory: by itself that keeps up to 4 MiB for a client who does not read, and all programs of
/// a machine share what it keeps in all: a thousand tabs that sleep would hold up everybody's connections, and
/// count as memory of this process's Pod.
pub fn tune(connection: &TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        debug!(%error, "a connection may delay what it sends");
    }
    if let Err(error) = SockRef::from(connection).set_tcp_notsent_lowat(UNSENT) {
        debug!(%error, "a connection may take more of the kernel's memory than it should");
    }
}

/// All routes.
pub fn router(server: Server) -> Router {
    let api = API.iter().fold(Router::new(), |router, (path, method)| router.route(path, method()));
    api.layer(CompressionLayer::new())
        .layer(map_response(etag::name_coding))
        .merge(page::routes())
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(server)
}

/// A path, and who answers there.
type Route = (&'static str, fn() -> MethodRouter<Server>);

/// The API: `openapi.json` describes each of these.
const API: [Route; 11] = [
    ("/api/v1/openapi.json", || get(openapi::document)),
    ("/api/v1/tasks", || get(tasks::list)),
    ("/api/v1/tasks/{task}", || get(tasks::one)),
    ("/api/v1/tasks/{task}/logs", || get(task_logs::page)),
    ("/api/v1/tasks/{task}/tail", || get(task_logs::tail)),
    ("/api/v1/workers/{worker}", || get(api::worker)),
    ("/api/v1/workers/{worker}/logs", || get(api::logs)),
    ("/api/v1/workers/{worker}/log.txt", || get(text::text)),
    ("/api/v1/workers/{worker}/outline", || get(outline::outline)),
    ("/api/v1/workers/{worker}/search", || get(search::search)),
    ("/api/v1/workers/{worker}/tail", || get(tail::follow)),
];
