//! Finds the programs in other languages.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::OnceLock;

use ottoscaler_tests::binary;
use tokio::process::Command;

/// The program `name`. The first call builds them all, so that no test ever runs against an old one.
pub(crate) fn program(name: &str) -> Command {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(DIRECTORY.get_or_init(build).join(name));
    command.kill_on_drop(true);
    command
}

fn build() -> PathBuf {
    let mut script = std::process::Command::new(binary::workspace().join("scripts/interop-tools"));
    let output = script.stderr(Stdio::inherit()).output().expect("the script runs");
    assert!(output.status.success(), "building the programs in other languages failed");
    let printed = String::from_utf8(output.stdout).expect("a path of this workspace is UTF-8");
    PathBuf::from(printed.trim_end())
}
