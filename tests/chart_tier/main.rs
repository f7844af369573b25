//! The Helm chart and the images' build files, without a cluster: what is rendered, what is refused, and whether
//! what is named is there.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod alerts;
mod api;
mod claims;
mod docs;
mod golden;
mod helm;
mod images;
mod lint;
mod metrics;
mod objects;
mod programs;
mod redis;
mod refusals;
mod rollout;
mod schemas;
