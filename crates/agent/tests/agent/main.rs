//! The real `otto-agent` as a process, alone and against servers that misbehave on purpose.
//!
//! What an honest log-ingest makes of it is tested in the package `ottoscaler-tests`.

mod command;
mod hostage;
mod process;
mod rundir;
mod server;
mod session;
