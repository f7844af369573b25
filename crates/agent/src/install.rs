//! Copies this program, for images that do not have it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Puts `otto-agent` into `directory`: whole and executable, or not at all.
pub fn install(directory: &Path) -> Result<()> {
    let source = std::env::current_exe().context("cannot find this program's own file")?;
    let target = directory.join("otto-agent");
    let beside = directory.join(".otto-agent.new");
    let context = || format!("cannot copy {} to {}", source.display(), target.display());
    fs::copy(&source, &beside).with_context(context)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).with_context(context)?;
    fs::rename(&beside, &target).with_context(context)
}
