//! The services, as `build.rs` generates them: those of the contract, with codecs of our own.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; its documentation is that of the proto files"
)]

include!(concat!(env!("OUT_DIR"), "/ottoscaler.v1.LogQueryService.rs"));
include!(concat!(env!("OUT_DIR"), "/ottoscaler.v1.LogStreamingService.rs"));
