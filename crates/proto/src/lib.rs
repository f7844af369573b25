//! The wire contract as Rust types, generated at build time from `proto/`, and its checksums.
//!
//! No other logic lives here: each service converts these messages into its own domain types at its edge.

pub mod checksum;

/// Package `ottoscaler.v1`: log streaming and log query.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code; its documentation comes from the proto files"
)]
pub mod v1 {
    tonic::include_proto!("ottoscaler.v1");
}

/// The encoded descriptor set of package `ottoscaler.v1`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ottoscaler.v1.bin"));
