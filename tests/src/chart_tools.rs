//! The chart, and what `scripts/chart-tools` builds to deal with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
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

/// A shell that runs a command as pages have it, in a directory of its own: `helm` is this version of it, and the chart
/// is where a checkout has it.
pub fn shell(helm: &str, dir: &Path, line: &str) -> Command {
    let bin = dir.join(format!("bin-{helm}"));
    std::fs::create_dir_all(&bin).expect("the directory is writable");
    link(Path::new(tool(helm).get_program()), &bin.join("helm"));
    link(&workspace().join("helm"), &dir.join("helm"));
    let mut path = bin.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut shell = tool("sh");
    shell.args(["-ec", line]).current_dir(dir).env("PATH", path);
    shell
}

fn link(to: &Path, at: &Path) {
    if !at.exists() {
        std::os::unix::fs::symlink(to, at).expect("the directory is writable");
    }
}

/// What a program has printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
