//! The chart, and what `scripts/chart-tools` builds to deal with it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::binary::workspace;

/// The versions of Helm that are supported.
pub const HELMS: [&str; 2] = ["helm3", "helm4"];

/// The chart.
pub fn chart() -> PathBuf {
    workspace().join("helm/ottoscaler")
}

/// A command that finds the tools, which the first call builds if they are not there.
pub fn tool(name: &str) -> Command {
    static PATH: OnceLock<OsString> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let output =
            Command::new(workspace().join("scripts/chart-tools")).output().expect("the script is there");
        assert!(output.status.success(), "scripts/chart-tools: {}", text(&output.stderr));
        let mut path = OsString::from(text(&output.stdout).trim());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        path
    });
    // Found by this program, and not by the PATH that a child would get.
    let found = std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| file.is_file());
    let mut command = Command::new(found.unwrap_or_else(|| panic!("no {name}: run scripts/chart-tools")));
    // No cluster of whoever runs this is asked, and no plugin of theirs loaded.
    command.env("KUBECONFIG", "/nonexistent").env("HELM_PLUGINS", "/nonexistent").env("PATH", path);
    command
}

/// What a program has printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
