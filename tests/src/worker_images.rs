//! The images that workers run in: with a shell, with nothing at all, and with another libc.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::image::{ImageConfig, Source};
use crate::{binary, kube_tools};

/// Holds the agent and not a file beside it.
pub const AGENT: &str = "otto-agent:test";
/// Holds busybox as a shell.
pub const BUSYBOX: &str = "busybox:test";
/// Holds one static program: no shell, no libc, not even a directory for temporary files.
pub const BARE: &str = "bare:test";
/// Holds the same program linked to musl, which is a file of the image.
pub const MUSL: &str = "musl:test";

/// The program of the images that have no shell.
pub const PROGRAM: &str = "/program";

/// What the program is made with: for the libc of this machine, and for another.
pub const COMPILERS: [&str; 2] = ["cc", "musl-gcc"];

/// Makes them all, and puts each where workers run.
pub async fn make(put: impl AsyncFn(&str, &[(&str, Source<'_>)], &ImageConfig<'_>), dir: &Path) {
    let busybox = kube_tools::on_path("busybox").expect("asked before");
    let (agent, config) = (binary::static_agent(), ImageConfig::default());
    let shell = ImageConfig { env: &["PATH=/bin"], ..config };
    let [cc, musl_gcc] = COMPILERS;
    let (bare, musl) = (compiled(cc, &["-static"], dir).await, compiled(musl_gcc, &[], dir).await);
    let loader = format!("/lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    let busybox = Source::Path(&busybox);
    put(AGENT, &[("/otto-agent", Source::Path(&agent))], &config).await;
    put(BUSYBOX, &[("/bin/busybox", busybox), ("/bin/sh", busybox)], &shell).await;
    put(BARE, &[(PROGRAM, Source::Path(&bare))], &config).await;
    let files = [(PROGRAM, Source::Path(&musl)), (&*loader, Source::Path(Path::new(&loader)))];
    put(MUSL, &files, &config).await;
}

async fn compiled(compiler: &str, flags: &[&str], dir: &Path) -> PathBuf {
    let source = binary::workspace().join("tests/src/worker_program.c");
    let program = dir.join(format!("program-{compiler}"));
    let mut command = Command::new(kube_tools::on_path(compiler).expect("asked before"));
    let output =
        command.args(flags).arg("-o").arg(&program).arg(source).output().await.expect("it is installed");
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    program
}

/// What the program prints to stdout and to stderr when it is asked for so many lines.
pub fn printed(lines: u32) -> (String, String) {
    let each = |word: &str, step| {
        (0..lines).step_by(step).fold(String::new(), |text, line| text + &format!("{word} {line}\n"))
    };
    (each("out", 1) + "no newline", each("err", 7))
}
