//! The Helm chart without a cluster: what it renders, what it refuses, and whether what it names is there.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod api;
mod docs;
mod golden;
mod helm;
mod lint;
mod metrics;
mod objects;
mod programs;
mod refusals;
mod schemas;
