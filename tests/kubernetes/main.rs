//! The services against a real Kubernetes API, without nodes.

#![allow(missing_docs, reason = "the names of tests are sentences")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::float_cmp, reason = "counters are whole numbers")]

mod births;
mod classes;
mod cleanup;
mod faults;
mod harness;
mod life;
mod proxied;
mod replicas;
mod rights;
mod world;
