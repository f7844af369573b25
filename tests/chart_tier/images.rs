//! The images' build files, as far as they can be checked without building: they agree with the workspace, and
//! the chart with them.

use std::collections::BTreeSet;

use ottoscaler_tests::binary::workspace;
use serde_json::Value;

use crate::helm::{case, objects};

/// The programs, each an image.
const IMAGES: [&str; 3] = ["log-ingest", "otto-agent", "ottoscaler"];

fn read(file: &str) -> String {
    std::fs::read_to_string(workspace().join(file)).unwrap()
}

/// The lines of a stage of the Dockerfile, from its FROM to the next.
fn stage(dockerfile: &str, name: &str) -> String {
    let stages = dockerfile.split("\nFROM ").skip(1);
    let mut found = stages.filter(|stage| stage.lines().next().unwrap().ends_with(&format!(" AS {name}")));
    found.next().unwrap_or_else(|| panic!("no stage {name}")).to_owned()
}

#[test]
fn every_crate_of_the_workspace_is_known_to_the_build() {
    let (manifest, dockerfile) = (read("Cargo.toml"), read("docker/Dockerfile"));
    let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let members: Vec<_> = members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    assert!(members.len() > 4, "{members:?}");
    for member in members {
        let copied = format!("COPY {member}/Cargo.toml {member}/");
        assert!(dockerfile.lines().any(|line| line.starts_with(&copied)), "docker/Dockerfile: no {copied}");
    }
    for copied in dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--"))
    {
        for source in copied.split(' ').rev().skip(1) {
            assert!(workspace().join(source).exists(), "docker/Dockerfile copies {source}");
            let allowed = read(".dockerignore")
                .lines()
                .filter_map(|line| line.strip_prefix('!'))
                .any(|open| source.starts_with(open));
            assert!(allowed, ".dockerignore keeps {source} away");
        }
    }
}

#[test]
fn every_image_is_empty_but_for_its_program_and_belongs_to_nobody() {
    let dockerfile = read("docker/Dockerfile");
    assert!(stage(&dockerfile, "base").starts_with("scratch AS base"));
    assert!(stage(&dockerfile, "base").contains("\nUSER 65532:65532"));
    for name in IMAGES {
        let stage = stage(&dockerfile, name);
        assert!(stage.starts_with("base AS"), "{name}");
        assert!(stage.contains(&format!("ENTRYPOINT [\"/{name}\"]")), "{name}");
        assert!(!stage.contains("\nRUN ") && !stage.contains("\nUSER "), "{name}");
        let is_service = name != "otto-agent";
        assert_eq!(stage.contains(&format!("CMD [\"/{name}\", \"healthcheck\"]")), is_service, "{name}");
    }
}

#[test]
fn the_build_file_for_both_kinds_of_machine_and_the_chart_name_the_same_images() {
    let bake = read("docker/docker-bake.hcl");
    for name in IMAGES {
        assert!(bake.contains(&format!("target   = \"{name}\"")), "docker-bake.hcl: {name}");
    }
    let rendered = objects(&case("existing-secret"));
    let mut images = BTreeSet::new();
    for object in &rendered {
        let containers = object.pod().map(|pod| [&pod["initContainers"], &pod["containers"]]);
        for container in containers.into_iter().flatten().filter_map(Value::as_array).flatten() {
            images.insert(container["image"].as_str().unwrap().to_owned());
            let agent = container["env"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|known| known["name"] == "OTTO_AGENT_IMAGE");
            images.extend(agent.map(|agent| agent["value"].as_str().unwrap().to_owned()));
        }
    }
    let wanted = IMAGES.map(|name| format!("ghcr.io/ottoscaler/{name}:{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(images.into_iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn ports_of_the_images_are_those_of_the_pods() {
    let (dockerfile, rendered) = (read("docker/Dockerfile"), objects(&case("existing-secret")));
    for name in ["ottoscaler", "log-ingest"] {
        let exposed = stage(&dockerfile, name);
        let exposed = exposed.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap().to_owned();
        let pods = rendered.iter().filter_map(|object| object.pod());
        let container =
            pods.map(|pod| &pod["containers"][0]).find(|container| container["name"] == name).unwrap();
        let ports =
            container["ports"].as_array().unwrap().iter().map(|port| port["containerPort"].to_string());
        assert_eq!(ports.collect::<Vec<_>>().join(" "), exposed, "{name}");
    }
}

#[test]
fn images_of_programs_that_are_built_already_are_cut_from_the_same_file() {
    let (script, dockerfile) = (read("scripts/images"), read("docker/Dockerfile"));
    assert!(script.contains("sed '1,/^# == The images\\./d' docker/Dockerfile"));
    assert_eq!(dockerfile.matches("\n# == The images.").count(), 1);
    let (_, images) = dockerfile.split_once("\n# == The images.").unwrap();
    let from: Vec<_> = images.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    let services = ["base AS ottoscaler", "base AS log-ingest", "base AS otto-agent"];
    let expected = [&["scratch AS base"][..], &services, &["${USERLAND} AS ottoscaler-dev"]].concat();
    assert_eq!(from, expected);
    // What a FROM names has to be known before the first.
    assert_eq!(dockerfile.matches("\nARG USERLAND=").count(), 1);
    assert!(script.contains("grep '^ARG USERLAND=' docker/Dockerfile"));
    assert!(!images.contains("--from=source"), "it is not there");
}

#[test]
fn the_compose_files_name_the_same_images_and_build_them_from_the_same_file() {
    let dockerfile = read("docker/Dockerfile");
    for file in ["docker/compose.yaml", "docker/compose.process.yaml"] {
        let compose = read(file);
        let images: Vec<_> = compose.split("ghcr.io/ottoscaler/").skip(1).collect();
        assert!(images.len() > 1, "{file}");
        for image in images {
            let (name, tag) = image.lines().next().unwrap().split_once(':').unwrap();
            assert_eq!(tag, env!("CARGO_PKG_VERSION"), "{file}: {name}");
            stage(&dockerfile, name);
        }
        for target in compose.split("target: ").skip(1) {
            stage(&dockerfile, target.split([' ', '}']).next().unwrap());
        }
    }
    let compose = read("docker/compose.yaml");
    let userland = dockerfile.lines().find_map(|line| line.strip_prefix("ARG USERLAND=")).unwrap();
    assert!(
        compose.contains(&format!("${{OTTO_WORKER_IMAGE:-{userland}}}")),
        "one image for both: {userland}"
    );
    let bundled = objects(&case("trial"));
    let containers = bundled.iter().filter_map(|object| object.pod()).map(|pod| &pod["containers"][0]);
    let redis = containers
        .map(|container| container["image"].as_str().unwrap())
        .find(|image| image.contains("redis"));
    assert!(compose.contains(&format!("image: {}\n", redis.unwrap())), "the chart's: {redis:?}");
}
