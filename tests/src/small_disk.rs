//! A file system that is soon full.

use std::path::Path;
use std::process::Command;

/// A small file system of its own. Dropping it unmounts it.
#[derive(Debug)]
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one of `size`. Nothing where this process may not; CI's may.
    #[allow(clippy::print_stdout, reason = "a test says aloud what it skips")]
    pub fn mount(size: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "CI runs this as root");
            println!("skipped: needs root to mount a small file system");
            return None;
        }
        let dir = tempfile::tempdir().expect("the directory for temporary files is writable");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        assert!(mount.status().expect("mount runs").success(), "mount works");
        Some(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives it another size.
    pub fn grow(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(self.0.path());
        assert!(mount.status().expect("mount runs").success(), "remount works");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        let status = umount.arg("--lazy").arg(self.0.path()).status().expect("umount runs");
        assert!(status.success(), "umount works");
    }
}
