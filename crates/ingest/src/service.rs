//! gRPC: parse, ask, answer. Only here does `tonic::Status` appear.

mod batches;
pub(crate) mod direct;
mod entries;
pub(crate) mod entry_codec;
mod gate;
pub(crate) mod generated;
pub(crate) mod inflow;
mod input;
mod query;
mod runs;
mod session;
pub(crate) mod slim;
mod streaming;
pub(crate) mod tailed;
#[cfg(test)]
mod tests;
mod upload;
mod wire;

pub use entry_codec::{EncodedEntry, EntryResponse};
pub use query::Query;
pub use streaming::Streaming;
pub use tailed::Tailed;
pub(crate) use wire::rfc3339;
