//! The services as their users meet them, on real components: one behaviour a test.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and says aloud what it skips"
)]

mod admin;
mod bad_events;
mod bounded;
mod connections;
mod docs;
mod end_to_end;
mod examples;
mod exit_codes;
mod faults;
mod fixed_contract;
mod killed_agents;
mod masking;
mod memory;
mod names;
mod openapi;
mod outline;
mod page;
mod page_api;
mod reading;
mod release;
mod scaling;
mod spool;
mod submit;
mod task_log;
