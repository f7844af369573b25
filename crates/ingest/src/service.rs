//! gRPC: parse, ask, answer. Only here does `tonic::Status` appear.

mod batches;
mod entries;
mod query;
mod streaming;
#[cfg(test)]
mod tests;
mod wire;

pub use query::Query;
pub use streaming::Streaming;
pub(crate) use wire::rfc3339;
