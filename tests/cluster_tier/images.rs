//! The images that workers run in: with a shell, with nothing at all, and with another libc.

use std::path::{Path, PathBuf};

use ottoscaler_tests::cluster::Cluster;
use ottoscaler_tests::image::{ImageConfig, Source};
use ottoscaler_tests::{binary, kube_tools};
use tokio::process::Command;

/// Holds the agent and not a file beside it.
pub(crate) const AGENT: &str = "otto-agent:test";
/// Holds busybox as a shell.
pub(crate) const BUSYBOX: &str = "busybox:test";
/// Holds one static program: no shell, no libc, not even a directory for temporary files.
pub(crate) const BARE: &str = "bare:test";
/// Holds the same program linked to musl, which is a file of the image.
pub(crate) const MUSL: &str = "musl:test";

/// The program of the images that have no shell.
pub(crate) const PROGRAM: &str = "/program";

/// What the program is made with: for the libc of this machine, and for another.
pub(crate) const COMPILERS: [&str; 2] = ["cc", "musl-gcc"];

/// Makes them all.
pub(crate) async fn make(cluster: &Cluster, dir: &Path) {
    let busybox = kube_tools::on_path("busybox").unwrap();
    let (agent, config) = (binary::static_agent(), ImageConfig::default());
    let shell = ImageConfig { env: &["PATH=/bin"], ..config };
    let [cc, musl_gcc] = COMPILERS;
    let (bare, musl) = (compiled(cc, &["-static"], dir).await, compiled(musl_gcc, &[], dir).await);
    let loader = format!("/lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    let busybox = Source::Path(&busybox);
    cluster.image(AGENT, &[("/otto-agent", Source::Path(&agent))], &config).await;
    cluster.image(BUSYBOX, &[("/bin/busybox", busybox), ("/bin/sh", busybox)], &shell).await;
    cluster.image(BARE, &[(PROGRAM, Source::Path(&bare))], &config).await;
    let files = [(PROGRAM, Source::Path(&musl)), (&*loader, Source::Path(Path::new(&loader)))];
    cluster.image(MUSL, &files, &config).await;
}

async fn compiled(compiler: &str, flags: &[&str], dir: &Path) -> PathBuf {
    let source = binary::workspace().join("tests/cluster_tier/program.c");
    let program = dir.join(format!("program-{compiler}"));
    let mut command = Command::new(kube_tools::on_path(compiler).unwrap());
    let output = command.args(flags).arg("-o").arg(&program).arg(source).output().await.unwrap();
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    program
}
