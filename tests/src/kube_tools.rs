//! Finds the programs that a real Kubernetes is made of.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// kube-apiserver, with etcd.
#[derive(Clone, Debug)]
pub struct ApiTools {
    /// The API server.
    pub api_server: PathBuf,
    /// What it stores in.
    pub etcd: PathBuf,
}

/// What the API tier needs: from `KUBEBUILDER_ASSETS` if that holds both, else what
/// `scripts/cluster-tools` has built.
pub fn api() -> Result<ApiTools, String> {
    let from = |dir: &Path| ApiTools { api_server: dir.join("kube-apiserver"), etcd: dir.join("etcd") };
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(|dir| from(Path::new(&dir)));
    if let Some(tools) = assets.filter(|tools| tools.api_server.is_file() && tools.etcd.is_file()) {
        return Ok(tools);
    }
    let hint = |missing: String| format!("{missing}: run scripts/cluster-tools api");
    Ok(ApiTools { api_server: built("kube-apiserver").map_err(hint)?, etcd: on_path("etcd").map_err(hint)? })
}

/// A component of Kubernetes that `scripts/cluster-tools` has built: the newest of it.
pub fn built(component: &str) -> Result<PathBuf, String> {
    newest("kubernetes", component)
}

/// A program of its own that `scripts/cluster-tools` has built: the newest of it.
pub fn tool(program: &str) -> Result<PathBuf, String> {
    newest(program, program)
}

/// Tools lie in `<name>-<version>/bin`.
fn newest(name: &str, program: &str) -> Result<PathBuf, String> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let tools = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?.join("ottoscaler/tools");
    let missing = || format!("no {program} in {}/{name}-*/bin", tools.display());
    let versions = tools.read_dir().map_err(|_| missing())?.filter_map(|entry| {
        let folder = entry.ok()?.file_name().into_string().ok()?;
        let numbers = folder.strip_prefix(name)?.strip_prefix('-')?.split('.').map(str::parse::<u32>);
        let found = tools.join(&folder).join("bin").join(program);
        Some((numbers.collect::<Result<Vec<_>, _>>().ok()?, found)).filter(|(_, found)| found.is_file())
    });
    versions.max().map(|(_, found)| found).ok_or_else(missing)
}

/// A program that is installed.
pub fn on_path(program: &str) -> Result<PathBuf, String> {
    let found = std::env::split_paths(&path()).map(|dir| dir.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| format!("no {program} on PATH"))
}

/// The variable `PATH`, with the places of servers that a user's may leave out.
pub fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}
