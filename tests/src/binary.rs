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

/// The agent as images hold it.
pub fn static_agent() -> PathBuf {
    static_program("otto-agent")
}

/// A program as its image holds it: linked so that it needs no file of the image that it runs in. The first
/// call builds them all.
pub fn static_program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(build_static).join(name)
}

/// The programs that are shipped as images.
const OF_IMAGES: [&str; 3] = ["otto-agent", "ottoscaler", "log-ingest"];

/// For a named target the flags go to the programs alone, and not to what runs while they are built. All at
/// once: alone, each would have its dependencies built anew, with the features that it asks for.
fn build_static() -> PathBuf {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let (target_dir, profile) = directories();
    let mut cargo = cargo(&target_dir, &profile);
    cargo.args(["--target", &target]);
    cargo.args(OF_IMAGES.iter().flat_map(|program| ["--package", program]));
    // Of the variables for flags the one that wins; what separates its words is no space.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-C\u{1f}target-feature=+crt-static");
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "building the static programs failed");
    target_dir.join(target).join(profile)
}

fn build() -> PathBuf {
    let (target_dir, profile) = directories();
    let mut cargo = cargo(&target_dir, &profile);
    let status = cargo.args(["--workspace", "--bins", "--examples"]).status().expect("cargo runs");
    assert!(status.success(), "building the programs under test failed");
    target_dir.join(profile)
}

/// Cargo's target directory and the profile in it. Test programs lie in `target/<profile>/deps`, examples
/// and binaries beside it.
fn directories() -> (PathBuf, String) {
    let test = std::env::current_exe().expect("a process knows its own path");
    let names = ["debug", "release"];
    let found = test.ancestors().find_map(|dir| {
        let profile = names.iter().find(|name| dir.ends_with(name))?;
        Some((dir.parent()?.to_owned(), (*profile).to_owned()))
    });
    found.expect("cargo puts test programs below target/<profile>")
}

/// What cargo tells a test of the package that it is of. Build scripts that look at these would run again,
/// and all that depends on them be built again, with each change between a test's build and anybody else's.
const OF_THIS_PACKAGE: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];

/// A build, without what it is to be of.
fn cargo(target_dir: &Path, profile: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_THIS_PACKAGE.iter().any(|prefix| name.starts_with(prefix))) {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(workspace()).args(["build", "--quiet", "--target-dir"]).arg(target_dir);
    if profile == "release" {
        cargo.arg("--release");
    }
    cargo
}
