//! gRPC: parse, ask, answer. Only here does `tonic::Status` appear.

mod batches;
mod entries;
mod gate;
pub(crate) mod generated;
mod input;
mod query;
pub(crate) mod slim;
mod streaming;
pub(crate) mod tailed;
#[cfg(test)]
mod tests;
mod wire;

pub use query::Query;
pub use streaming::Streaming;
pub use tailed::Tailed;
pub(crate) use wire::rfc3339;
