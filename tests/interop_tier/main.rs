//! Other languages: their clients against log-ingest, their server against the agent, the examples and
//! the guide that users start from. What they run is built from `tests/interop` and `examples`.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod client;
mod clients;
mod examples;
mod guide;
mod nestjs;
mod programs;
