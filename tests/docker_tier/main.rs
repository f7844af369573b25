//! The services with workers in the containers of a real Docker.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod classes;
mod engine;
mod life;
mod lines;
mod scenarios;
mod world;
