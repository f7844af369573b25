//! The images' build files, as far as they can be checked without building: they agree with the workspace, and
//! the chart with them.

use std::collections::BTreeSet;
use std::process::Command;

use ottoscaler_tests::binary::workspace;
use serde_json::{Value, json};

use crate::helm::{case, objects, text, tool};

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

/// What `docker buildx bake` would build, with these variables.
fn bake(variables: &[(&str, &str)]) -> Value {
    let found = tool("bash").arg(workspace().join("scripts/buildx-tools")).output().unwrap();
    assert!(found.status.success(), "scripts/buildx-tools: {}", text(&found.stderr));
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(text(&found.stdout).trim());
    command.env("BUILDX_CONFIG", dir.path()).env_remove("DOCKER_HOST");
    command.args(["bake", "--print", "--file", "docker/docker-bake.hcl"]).current_dir(workspace());
    for name in ["REGISTRY", "VERSION", "REVISION", "CREATED", "PLATFORMS", "PROVENANCE"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_bake_file_makes_every_image_for_both_kinds_of_machine_under_the_names_of_its_version() {
    let revision = "0123456789abcdef0123456789abcdef01234567";
    let set = [("VERSION", "1.2.3"), ("REVISION", revision), ("PROVENANCE", "mode=max")];
    let (plain, released, candidate) = (bake(&[]), bake(&set), bake(&[("VERSION", "1.2.3-rc.1")]));
    for name in IMAGES.into_iter().chain(["ottoscaler-dev"]) {
        let target = &released["target"][name];
        assert_eq!(target["platforms"], json!(["linux/amd64", "linux/arm64"]), "{name}");
        assert_eq!((&target["dockerfile"], &target["target"]), (&"docker/Dockerfile".into(), &name.into()));
        let tag = |tag: &str| format!("ghcr.io/ottoscaler/{name}:{tag}");
        assert_eq!(target["tags"], json!(["1.2.3", "1.2", "1", "sha-0123456789ab"].map(tag)));
        assert_eq!(
            candidate["target"][name]["tags"],
            json!([tag("1.2.3-rc.1")]),
            "none that others move with"
        );
        assert_eq!(
            (&target["args"]["VERSION"], &target["args"]["REVISION"]),
            (&"1.2.3".into(), &revision.into())
        );
        assert!(target["attest"].to_string().contains("provenance"), "{name}: {target}");
        assert!(plain["target"][name]["attest"].as_array().is_none_or(Vec::is_empty), "{name}");
    }
}

/// The cache mount is of all checkouts, and cargo would take another's programs for its own.
#[test]
fn sources_are_newer_than_what_another_checkout_has_built() {
    let source = stage(&read("docker/Dockerfile"), "source");
    let (before, _) = source.split_once("cargo build ").unwrap();
    let (_, run) = before.rsplit_once("\nRUN ").unwrap();
    assert!(run.contains("find crates proto -type f -exec touch {} +"), "{run}");
}

/// `NAME` and `DEFAULT` of each `${NAME:-DEFAULT}`.
fn variables(compose: &str) -> BTreeSet<(String, String)> {
    let named = compose.split("${").skip(1).filter_map(|rest| rest.split('}').next()?.split_once(":-"));
    named.map(|(name, default)| (name.to_owned(), default.to_owned())).collect()
}

#[test]
fn the_example_of_an_env_file_has_all_that_the_compose_files_take_as_it_is_by_itself() {
    let example = read("docker/.env.example");
    let example =
        example.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let example: BTreeSet<_> = example.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(example.len() >= 8, "{example:?}");
    assert_eq!(example, variables(&read("docker/compose.yaml")));
    assert!(variables(&read("docker/compose.process.yaml")).is_subset(&example));
}

/// Compose lets `environment` win over files of variables without a word.
#[test]
fn what_no_file_of_variables_can_set_is_told_at_the_head_of_the_compose_files() {
    let main = read("docker/compose.yaml");
    for file in ["docker/compose.yaml", "docker/compose.process.yaml"] {
        let text = read(file);
        let (head, _) = text.split_once("\nname: ").unwrap();
        let compose: Value = serde_saphyr::from_str(&text).unwrap();
        let mut count = 0;
        for (service, value) in compose["services"].as_object().unwrap() {
            let variables = value["environment"].as_object().filter(|_| !value["env_file"].is_null());
            for (name, set) in variables.into_iter().flatten() {
                assert!(head.contains(name), "{file}: {service}: {name}={set}");
                count += 1;
            }
        }
        assert!(count >= 2, "{file}: {count}");
    }
    assert!(main.contains("OTTO_RETAIN_BYTES: ${OTTO_RETAIN_BYTES:-"), "logs would fill the machine's disk");
}

/// An event that lies in another stream than the scaler's nobody reads, and `submit` waits for ever.
#[test]
fn submit_knows_what_the_scaler_was_told() {
    let compose: Value = serde_saphyr::from_str(&read("docker/compose.yaml")).unwrap();
    let services = &compose["services"];
    assert!(services["scaler"]["env_file"].is_array());
    assert_eq!(services["submit"]["env_file"], services["scaler"]["env_file"]);
}

/// A project may be called `ci_runner`, and an instance may not: it is refused for ever.
#[test]
fn an_instance_of_compose_can_be_called_otherwise_than_its_project() {
    let compose: Value = serde_saphyr::from_str(&read("docker/compose.yaml")).unwrap();
    let instance = &compose["services"]["scaler"]["environment"]["OTTO_INSTANCE"];
    assert_eq!(instance, "${OTTO_INSTANCE:-${COMPOSE_PROJECT_NAME}}");
}

/// Of a name that is not there the short form has Docker make a directory, as root, on its own machine.
#[test]
fn no_file_that_compose_mounts_is_made_by_docker() {
    for file in ["docker/compose.yaml", "docker/compose.process.yaml"] {
        let compose: Value = serde_saphyr::from_str(&read(file)).unwrap();
        for (service, value) in compose["services"].as_object().unwrap() {
            for volume in value["volumes"].as_array().into_iter().flatten() {
                let at = format!("{file}: {service}: {volume}");
                match volume.as_str() {
                    // A volume, or the socket, without which nothing is up anyway.
                    Some(short) => assert!(!short.starts_with(['.', '/']) && !short.contains("FILE"), "{at}"),
                    None => assert_eq!(volume["bind"]["create_host_path"], false, "{at}"),
                }
            }
        }
    }
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
        let revisions = compose.matches("dockerfile: docker/Dockerfile").count();
        let given = "args: { REVISION: \"${OTTO_REVISION:-unknown}\" }";
        assert_eq!(compose.matches(given).count(), revisions, "{file}: what a program says of its commit");
        // Of a mount it is a path.
        for target in compose.split("target: ").skip(1).filter(|target| !target.starts_with('/')) {
            stage(&dockerfile, target.split([',', ' ', '}']).next().unwrap());
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
