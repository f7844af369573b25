//! Container images made from nothing but files: no registry, no builder.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::process::Command;

/// Where the bytes of a file in an image come from. Every file may be read and executed by all.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A copy of a file.
    Path(&'a Path),
    /// These.
    Bytes(&'a [u8]),
}

/// What the loader of a program would load, itself included: an image of a program that is not static needs it.
pub async fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().await.expect("ldd runs");
    let listed = String::from_utf8(output.stdout).expect("paths are text");
    listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// What an image says of how it is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageConfig<'a> {
    /// `UID`, `UID:GID` or a name; empty means root.
    pub user: &'a str,
    /// `NAME=value`.
    pub env: &'a [&'a str],
    /// The command.
    pub entrypoint: &'a [&'a str],
}

/// Writes an image of one layer into `dir` and gives the file, which `ctr images import` and
/// `docker load` understand.
pub async fn archive(
    dir: &Path,
    name: &str,
    files: &[(&str, Source<'_>)],
    config: &ImageConfig<'_>,
) -> PathBuf {
    let work = tempfile::tempdir_in(dir).expect("the directory is writable");
    let root = work.path().join("root");
    std::fs::create_dir(&root).expect("the directory is new");
    // A temporary directory is its owner's alone, and the layer takes its mode over.
    std::fs::set_permissions(&root, Permissions::from_mode(0o755)).expect("it is ours");
    for (at, source) in files {
        let file = root.join(at.trim_start_matches('/'));
        let parent = file.parent().expect("it is below the root");
        std::fs::create_dir_all(parent).expect("the directory is writable");
        match source {
            Source::Path(path) => {
                let copied = std::fs::copy(path, &file);
                copied.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
            Source::Bytes(bytes) => std::fs::write(&file, bytes).expect("the directory is writable"),
        }
        std::fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("it is ours");
    }
    tar(&root, &["."], &work.path().join("layer.tar")).await;
    let layer = std::fs::read(work.path().join("layer.tar")).expect("tar has written it");

    let image = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {"User": config.user, "Env": config.env, "Entrypoint": config.entrypoint},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex::encode(Sha256::digest(&layer)))]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    for (file, content) in [("config.json", image), ("manifest.json", manifest)] {
        std::fs::write(work.path().join(file), content.to_string()).expect("the directory is writable");
    }
    let archive = dir.join(format!("{}.tar", name.replace(['/', ':'], "-")));
    tar(work.path(), &["manifest.json", "config.json", "layer.tar"], &archive).await;
    archive
}

async fn tar(from: &Path, names: &[&str], to: &Path) {
    let mut command = Command::new("tar");
    command.args(["--create", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--sort=name"]);
    command.arg("--file").arg(to).arg("--directory").arg(from).args(names);
    let output = command.output().await.expect("tar is installed");
    assert!(output.status.success(), "tar: {}", String::from_utf8_lossy(&output.stderr));
}
