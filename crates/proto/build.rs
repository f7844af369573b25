//! Compiles `proto/` with protox, so that no `protoc` has to be installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message;

const PROTO_ROOT: &str = "../../proto";
const SERVICE_FILES: [&str; 2] = ["ottoscaler/v1/log_streaming.proto", "ottoscaler/v1/log_query.proto"];
const HELLO_FILES: [&str; 1] = ["hello/v1/hello.proto"];

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    compile(&SERVICE_FILES, &out.join("ottoscaler.v1.bin"))?;
    compile(&HELLO_FILES, &out.join("hello.v1.bin"))
}

/// Generates Rust for `files` and writes their descriptor set, which the server's reflection needs.
fn compile(files: &[&str], descriptor_set: &Path) -> Result<()> {
    let set = protox::compile(files, [PROTO_ROOT])?;
    std::fs::write(descriptor_set, set.encode_to_vec())?;
    // Line data stays in the buffer that it was received in.
    tonic_prost_build::configure().bytes(".ottoscaler.v1").compile_fds(set)?;
    Ok(())
}
