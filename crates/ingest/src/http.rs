//! HTTP: the page and the API. Bodies are streamed, so no log is ever whole in memory.

mod api;
mod error;
mod json;
mod page;
mod params;
mod tail;

use axum::Router;
use axum::routing::get;

use crate::server::Server;

/// All routes.
pub fn router(server: Server) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page.js", get(page::script))
        .route("/page.css", get(page::style))
        .route("/api/v1/tasks", get(api::tasks))
        .route("/api/v1/tasks/{task}", get(api::task))
        .route("/api/v1/workers/{worker}/logs", get(api::logs))
        .route("/api/v1/workers/{worker}/log.txt", get(api::text))
        .route("/api/v1/workers/{worker}/tail", get(tail::events))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::no_such_method)
        .with_state(server)
}
