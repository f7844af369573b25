//! Finds the programs under test, built from this workspace with the profile of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The path of the workspace's program `name`. The first call builds them all, so that no test ever
/// runs against an old one.
pub fn path(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(build).join(name)
}

/// Test programs lie in `target/<profile>/deps`, examples and binaries beside it.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its own path");
    let profile = test
        .ancestors()
        .find(|dir| ["debug", "release"].iter().any(|name| dir.ends_with(name)))
        .expect("cargo puts test programs below target/<profile>");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["build", "--quiet", "--workspace", "--bins", "--examples"]);
    cargo.arg("--target-dir").arg(profile.parent().expect("the profile has a target directory"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "building the programs under test failed");
    profile.to_owned()
}
