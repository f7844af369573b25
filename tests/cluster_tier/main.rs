//! The services in a real Kubernetes of one node: what only real containers show.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod chart;
mod classes;
mod harness;
mod life;
mod lines;
mod names;
mod scenarios;
mod world;

use ottoscaler_tests::worker_images as images;
