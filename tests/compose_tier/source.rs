//! The images from source, by BuildKit: the whole build file, with a toolchain that stands in for the real one, which
//! no registry gives here. It builds by time as cargo does, and its programs say what they were built of.

use std::path::Path;
use std::process::Stdio;

use ottoscaler_tests::docker_engine::DockerEngine;
use ottoscaler_tests::image::{ImageConfig, Source};
use ottoscaler_tests::{binary, kube_tools};
use tokio::process::Command;

use crate::images;
use crate::stack::{plugin, succeed};

/// The stand-in's name.
const TOOLCHAIN: &str = "toolchain:test";

/// What the build file calls, beside the shell's own words.
const APPLETS: [&str; 9] = ["cat", "cp", "date", "echo", "find", "mkdir", "touch", "tr", "uname"];

/// See the module. `fetch` has to do without code, or each change of code would fetch everything again. Like cargo's a
/// program is as old as the moment before its build: this `find` knows whole seconds alone.
const CARGO: &[u8] = br#"#!/bin/sh
set -eu
command=$1
case $command in
fetch)
  test -e Cargo.lock && test -e crates/kit/Cargo.toml && test -e tests/src/lib.rs
  test ! -e crates/kit/src/time.rs
  ;;
build)
  test "$RUSTFLAGS" = "-C target-feature=+crt-static"
  while [ "$1" != --target ]; do shift; done
  out=target/$2/image
  mkdir -p "$out"
  for program in ottoscaler log-ingest otto-agent; do
    if [ ! -e "$out/$program" ] || [ -n "$(find crates proto -type f -newer "$out/$program")" ]; then
      echo "$program $OTTO_COMMIT $(cat crates/kit/src/checkout)" >"$out/$program"
      touch -d "@$(($(date +%s) - 1))" "$out/$program"
    fi
  done
  ;;
esac
"#;

/// What a build reads, in a folder of its own, with a mark in it.
async fn checkout(dir: &Path, mark: &str) {
    let mut copy = Command::new("tar");
    copy.current_dir(binary::workspace()).args(["-cf", "-"]);
    copy.args(["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "crates", "proto", "tests/Cargo.toml"]);
    copy.args(["docker/Dockerfile", ".dockerignore"]).stdout(Stdio::piped());
    std::fs::create_dir(dir).unwrap();
    let mut copying = copy.spawn().unwrap();
    let packed: Stdio = copying.stdout.take().unwrap().try_into().unwrap();
    let mut unpack = Command::new("tar");
    unpack.arg("-C").arg(dir).args(["-xf", "-"]).stdin(packed);
    succeed(unpack).await;
    assert!(copying.wait().await.unwrap().success());
    let mark_file = dir.join("crates/kit/src/checkout");
    std::fs::write(&mark_file, mark).unwrap();
    // As all of the copy is: older than whatever is built.
    let before = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    std::fs::File::options().write(true).open(&mark_file).unwrap().set_modified(before).unwrap();
}

/// `docker buildx build` of a checkout, with no network at all.
async fn build(engine: &DockerEngine, checkout: &Path, args: &[&str]) {
    let mut docker = engine.client(kube_tools::on_path("docker").unwrap());
    docker.args(["buildx", "build", "--network=none", "--file=docker/Dockerfile", "--progress=plain"]);
    docker.arg(format!("--build-arg=TOOLCHAIN={TOOLCHAIN}")).args(args).arg(".").current_dir(checkout);
    succeed(docker).await;
}

/// The programs that a checkout comes to, by what each says of itself.
async fn built(engine: &DockerEngine, checkout: &Path, revision: &str) -> String {
    let (revision, out) = (format!("--build-arg=REVISION={revision}"), checkout.join("out"));
    let output = format!("--output=type=local,dest={}", out.display());
    build(engine, checkout, &["--target=binaries", &revision, &output]).await;
    assert_eq!(std::fs::read(out.join("ca-certificates.crt")).unwrap(), b"roots\n");
    assert_eq!(out.join("empty").read_dir().unwrap().count(), 0);
    let programs = ["ottoscaler", "log-ingest", "otto-agent"];
    programs.map(|program| std::fs::read_to_string(out.join(program)).unwrap()).concat()
}

async fn toolchain(engine: &DockerEngine) {
    let busybox = kube_tools::on_path("busybox").unwrap();
    let applets = APPLETS.map(|name| format!("/bin/{name}"));
    let mut files: Vec<_> = applets.iter().map(|name| (name.as_str(), Source::Path(&busybox))).collect();
    files.extend([
        ("/bin/sh", Source::Path(&busybox)),
        ("/bin/cargo", Source::Bytes(CARGO)),
        ("/etc/ssl/certs/ca-certificates.crt", Source::Bytes(b"roots\n")),
    ]);
    let config = ImageConfig { env: &["PATH=/bin"], ..ImageConfig::default() };
    engine.image(TOOLCHAIN, &files, &config).await;
}

#[tokio::test]
async fn the_build_file_builds_every_image_from_source_and_never_another_checkouts_programs() {
    if !ottoscaler_tests::tier::runs(DockerEngine::possible().err().into_iter().chain(images::missing())) {
        return;
    }
    let (dir, buildx) = (tempfile::tempdir().unwrap(), plugin("scripts/buildx-tools"));
    let engine = DockerEngine::start().await;
    engine.plugin(&buildx);
    toolchain(&engine).await;
    // The older one first on the disk, and last to be built: the cache mount then has newer programs of the other.
    let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
    checkout(&one, "one").await;
    checkout(&other, "other").await;
    let said = |commit: &str, mark: &str| {
        let programs = ["ottoscaler", "log-ingest", "otto-agent"];
        programs.map(|program| format!("{program} {commit} {mark}\n")).concat()
    };
    assert_eq!(built(&engine, &other, "unknown").await, said("unknown", "other"));
    assert_eq!(built(&engine, &one, "unknown").await, said("unknown", "one"), "another checkout's programs");
    assert_eq!(built(&engine, &one, "abc").await, said("abc", "one"));

    for image in ["ottoscaler", "log-ingest", "otto-agent"] {
        let (target, tag) = (format!("--target={image}"), format!("--tag={image}:source"));
        build(&engine, &one, &[&target, &tag]).await;
        let format = "{{.Config.User}} {{.Config.Entrypoint}}";
        let name = format!("{image}:source");
        let shown = engine.docker(&["image", "inspect", "--format", format, &name]).await.unwrap();
        assert_eq!(shown.trim(), format!("65532:65532 [/{image}]"));
    }
}
