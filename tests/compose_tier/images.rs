//! The images that the compose files name, where there is no registry: ours from their own build file, the others
//! made of this machine's programs under the same names.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use ottoscaler_tests::docker_engine::DockerEngine;
use ottoscaler_tests::image::{ImageConfig, Source, libraries};
use ottoscaler_tests::worker_images::{self, COMPILERS};
use ottoscaler_tests::{binary, kube_tools};

const REDIS: &str = "docker.io/library/redis:7.2-alpine";
/// What workers run in where nothing else is named, and the userland of `ottoscaler-dev`.
const ALPINE: &str = "docker.io/library/alpine:3.22";

/// What this machine lacks to make them.
pub(crate) fn missing() -> Vec<String> {
    let programs = ["redis-server", "redis-cli", "ldd", "strip", "busybox"].into_iter().chain(COMPILERS);
    programs.filter_map(|program| kube_tools::on_path(program).err()).collect()
}

/// Makes them all, and those of the tests' own.
pub(crate) async fn make(engine: &DockerEngine, dir: &Path) {
    worker_images::make(async |name, files, config| engine.image(name, files, config).await, dir).await;
    let busybox = kube_tools::on_path("busybox").unwrap();
    let files = [("/bin/busybox", Source::Path(&busybox)), ("/bin/sh", Source::Path(&busybox))];
    let shell = ImageConfig { env: &["PATH=/bin"], ..ImageConfig::default() };
    engine.image(ALPINE, &files, &shell).await;
    redis(engine, &dir.join("redis")).await;
    ours(engine, &dir.join("programs")).await;
}

/// From the build file, of static programs of the tests' profile, without what only debuggers read: that is most of them.
async fn ours(engine: &DockerEngine, dir: &Path) {
    std::fs::create_dir(dir).unwrap();
    for program in ["ottoscaler", "log-ingest", "otto-agent"] {
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(dir.join(program)).arg(binary::static_program(program));
        assert!(strip.status().unwrap().success(), "strip {program}");
    }
    let mut script = engine.client(binary::workspace().join("scripts/images"));
    script.arg("--dev").arg("--binaries").arg(dir);
    // Whoever runs the tests may name images otherwise, and have another builder.
    script.env_remove("REGISTRY").env_remove("TAG").env("DOCKER_BUILDKIT", "0");
    let output = script.output().await.unwrap();
    assert!(output.status.success(), "scripts/images: {}", String::from_utf8_lossy(&output.stderr));
}

/// This machine's Redis with the libraries that it loads, and a directory for its data that belongs to the same
/// user as in the image that it stands in for.
async fn redis(engine: &DockerEngine, context: &Path) {
    let programs = ["redis-server", "redis-cli"].map(|program| kube_tools::on_path(program).unwrap());
    for program in &programs {
        copy(program, &context.join("root/bin").join(program.file_name().unwrap()));
        for library in libraries(program).await {
            copy(&library, &context.join("root").join(library.strip_prefix("/").unwrap()));
        }
    }
    std::fs::create_dir(context.join("data")).unwrap();
    let lines = ["FROM scratch", "COPY root /", "COPY --chown=999:1000 data /data", "ENV PATH=/bin"];
    std::fs::write(context.join("Dockerfile"), lines.join("\n")).unwrap();
    let mut build = engine.client(kube_tools::on_path("docker").unwrap());
    build.args(["build", "--quiet", "--tag", REDIS]).arg(context).env("DOCKER_BUILDKIT", "0");
    let output = build.output().await.unwrap();
    assert!(output.status.success(), "{REDIS}: {}", String::from_utf8_lossy(&output.stderr));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).unwrap();
}
