//! The real `otto-agent` as a process, alone and against servers that misbehave on purpose.
//!
//! What an honest log-ingest makes of it is tested in the package `ottoscaler-tests`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod command;
mod end;
mod hostage;
mod masks;
mod mischief;
mod old_server;
mod process;
mod proxy;
mod retries;
mod rundir;
mod server;
mod session;
mod upload;
