//! The images under the names that the chart has by default: the project's from programs built here, and a Redis
//! from this machine's.

use std::path::PathBuf;

use ottoscaler_tests::cluster::Cluster;
use ottoscaler_tests::image::{ImageConfig, Source, libraries};
use ottoscaler_tests::{binary, kube_tools};

/// The shell that tasks run in.
pub(super) const SHELL: &str = "busybox:test";

/// Makes them all, and puts them on the node.
pub(super) async fn make(cluster: &Cluster) {
    for program in ["ottoscaler", "log-ingest", "otto-agent"] {
        let name = format!("ghcr.io/ottoscaler/{program}:{}", env!("CARGO_PKG_VERSION"));
        let (file, at) = (binary::static_program(program), format!("/{program}"));
        let config = ImageConfig { user: "65532:65532", entrypoint: &[&at], ..ImageConfig::default() };
        cluster.image(&name, &[(&*at, Source::Path(&file))], &config).await;
    }
    let busybox = kube_tools::on_path("busybox").unwrap();
    let busybox = Source::Path(&busybox);
    let config = ImageConfig { env: &["PATH=/bin"], ..ImageConfig::default() };
    cluster.image(SHELL, &[("/bin/busybox", busybox), ("/bin/sh", busybox)], &config).await;
    redis(cluster).await;
}

/// The machine's own Redis, with every library that it loads.
async fn redis(cluster: &Cluster) {
    let mut files: Vec<PathBuf> = Vec::new();
    for program in ["redis-server", "redis-cli"] {
        let program = kube_tools::on_path(program).unwrap();
        files.extend(libraries(&program).await);
        files.push(program);
    }
    files.sort();
    files.dedup();
    let files: Vec<_> = files.iter().map(|file| (file.to_str().unwrap(), Source::Path(file))).collect();
    let config = ImageConfig { env: &["PATH=/usr/bin:/usr/local/bin:/bin"], ..ImageConfig::default() };
    cluster.image("docker.io/library/redis:7.2-alpine", &files, &config).await;
}
