//! The compose files with a real Docker: what somebody gets who has Docker and this checkout, and nothing else.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod hardening;
mod images;
mod scenarios;
mod source;
mod stack;
