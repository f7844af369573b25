//! From a worker's spec to its container: PURE.
//!
//! Any image will do: the agent comes in a volume and runs the command from there, as whoever the image says.
//! Nothing of the image is relied on, and its own ENTRYPOINT and HEALTHCHECK are not run.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    RestartPolicy, RestartPolicyNameEnum,
};
use ottoscaler_kit::time::show_duration;

use super::classes::{Classes, Grant};
use super::names::{self, Component};
use super::network::Network;
use super::tar::Archive;
use crate::record::WorkerSpec;
use crate::runtime::environment::environment;
use crate::runtime::security::Security;

/// Where the agent is, read only to the command.
pub(super) const AGENT_DIR: &str = "/otto";

/// Where the worker's own volume is. What is right in it is root's; the agent, whoever it runs as, has the
/// directories below.
pub(super) const PLACE_DIR: &str = "/run/otto";
/// Where the agent notes that it has started the command: never twice in one volume.
const RUN: &str = "run";
/// Where lines wait that the agent's memory has no room for, and stay if it is killed.
const SPOOL: &str = "spool";
/// The same, from the root.
pub(super) const SPOOL_DIR: &str = "/run/otto/spool";
/// How many of them.
const SPOOL_LIMIT: &str = "256MiB";
/// The agent's last word.
pub(super) const SUMMARY: &str = "/run/otto/run/summary.json";
/// The worker's end was asked for.
pub(super) const STOPPING: &str = "stopping";

/// Past the grace period, what an agent may need to end when Docker itself ends it.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// An upload reads a spool piece by piece, beside what it sends; by less than this some class may have killed the agent
/// whose lines these are.
const HAND_IN_MEMORY: i64 = 64 << 20;

/// Of the agent's own log, which is a few lines; those of the command go to log-ingest alone.
const AGENT_LOG: &str = "1m";

/// What is the same for all workers.
#[derive(Clone, Debug)]
pub struct ContainerConfig {
    /// Which installation they belong to.
    pub instance: String,
    /// The network that they are in.
    pub network: Network,
    /// Where agents send lines.
    pub ingest_url: String,
    /// Between SIGTERM and SIGKILL for a command.
    pub grace_period: Duration,
    /// How long an agent may take to deliver its lines.
    pub drain_timeout: Duration,
    /// What the operator grants.
    pub classes: Classes,
}

/// The image of a worker and its container without the agent's volume; or why there cannot be one.
pub(super) fn body(
    spec: &WorkerSpec,
    agent_volume: &str,
    config: &ContainerConfig,
) -> Result<ContainerCreateBody, String> {
    let run = &spec.request.run;
    let image = image(spec)?;
    let grant = config.classes.of(run.resource_class.as_deref())?;
    if let Some(name) = run.secret_env.keys().next() {
        return Err(format!(
            "secret_env: {name} is to come from a Secret, and only the kubernetes runtime has those"
        ));
    }
    let stop_timeout = (config.grace_period + STOP_MARGIN).as_secs();
    Ok(ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(agent(spec, config)),
        cmd: Some(run.command.words().to_vec()),
        env: Some(environment(spec).into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(names::container_labels(&config.instance, spec)),
        healthcheck: Some(no_healthcheck()),
        // What the agent takes for the wish to stop its command, whatever the image says.
        stop_signal: Some("SIGTERM".to_owned()),
        stop_timeout: Some(i64::try_from(stop_timeout).unwrap_or(i64::MAX)),
        host_config: Some(host(spec, agent_volume, grant, &config.network.name)),
        ..ContainerCreateBody::default()
    })
}

/// The image that an event names. Its name goes into addresses of Docker's API, so it is looked at first.
pub(super) fn image(spec: &WorkerSpec) -> Result<&str, String> {
    let hint = "set it in the event, or configure --worker-image (OTTO_WORKER_IMAGE)";
    let none = || format!("image: the event names none, and no default is configured; {hint}");
    let image = spec.request.run.image.as_deref().ok_or_else(none)?;
    if is_reference(image) {
        return Ok(image);
    }
    Err(format!(
        "image: {image:?} is no name of an image; expected one such as registry.example/team/app:1.2"
    ))
}

/// Docker knows more rules, and refuses what breaks them.
fn is_reference(image: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "._-:@+".contains(c);
    let is_part =
        |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(inside);
    image.split('/').all(is_part)
}

/// The container by which the agent is put into its volume. It never runs, though Docker wants a command.
pub(super) fn installer(image: &str, volume: &str, instance: &str) -> ContainerCreateBody {
    let host = HostConfig {
        mounts: Some(vec![mount(volume, AGENT_DIR, false)]),
        network_mode: Some("none".to_owned()),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![format!("{AGENT_DIR}/otto-agent")]),
        labels: Some(names::labels(instance, Component::Agent)),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// The container that hands in what a worker's agent left in its volume: one with the agent's user, network and
/// limits, so that it can read what that wrote and reach whom that reached. It has nothing of the command, and can
/// write nothing else. `image` is the one that the worker's container has.
pub(super) fn hand_in(
    spec: &WorkerSpec,
    image: &str,
    agent_volume: &str,
    config: &ContainerConfig,
) -> Result<ContainerCreateBody, String> {
    // A class that is gone since then is no reason to lose lines.
    let class = spec.request.run.resource_class.as_deref();
    let grant = config.classes.of(class).or_else(|_| config.classes.of(None))?;
    let memory = grant.memory.map(|limit| limit.max(HAND_IN_MEMORY));
    let grant = Grant { security: Security::Restricted, read_only_root: true, memory, ..grant.clone() };
    let entrypoint = [
        format!("{AGENT_DIR}/otto-agent"),
        "upload".to_owned(),
        "--log-format=json".to_owned(),
        format!("--ingest-url={}", config.ingest_url),
        format!("--timeout={}", show_duration(config.drain_timeout)),
        "--".to_owned(),
        SPOOL_DIR.to_owned(),
    ];
    Ok(ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(entrypoint.to_vec()),
        // Without a value Docker takes a variable away: an image may not say how the log ends.
        env: Some(vec!["OTTO_EXIT_CODE".to_owned(), "RUST_LOG".to_owned()]),
        labels: Some(names::labels(&config.instance, Component::HandIn)),
        healthcheck: Some(no_healthcheck()),
        host_config: Some(host(spec, agent_volume, &grant, &config.network.name)),
        ..ContainerCreateBody::default()
    })
}

/// Those of an image are not run.
fn no_healthcheck() -> HealthConfig {
    HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }
}

/// What is put into a container before it starts, and where: directories that whoever the image says can write to,
/// as a new volume is root's. Among them `/tmp`, which not every image has.
pub(super) fn directories(read_only_root: bool) -> (&'static str, Archive) {
    if read_only_root {
        return (PLACE_DIR, Archive::default().shared_directory(RUN).shared_directory(SPOOL));
    }
    let place = PLACE_DIR.trim_start_matches('/');
    let archive = [format!("{place}/{RUN}"), format!("{place}/{SPOOL}"), "tmp".to_owned()];
    ("/", archive.iter().fold(Archive::default(), |archive, name| archive.shared_directory(name)))
}

/// Each flag as one word, so that no value can be taken for a flag.
fn agent(spec: &WorkerSpec, config: &ContainerConfig) -> Vec<String> {
    vec![
        format!("{AGENT_DIR}/otto-agent"),
        "run".to_owned(),
        format!("--run-dir={PLACE_DIR}/{RUN}"),
        format!("--spool-dir={SPOOL_DIR}"),
        format!("--spool-limit={SPOOL_LIMIT}"),
        format!("--summary={SUMMARY}"),
        "--mirror=false".to_owned(),
        format!("--worker-id={}", spec.worker_id),
        format!("--task-id={}", spec.identity.task_id),
        format!("--attempt={}", spec.identity.attempt),
        format!("--ingest-url={}", config.ingest_url),
        format!("--timeout={}", show_duration(spec.request.clocks.run)),
        format!("--grace-period={}", show_duration(config.grace_period)),
        format!("--flush-timeout={}", show_duration(config.drain_timeout)),
        "--".to_owned(),
    ]
}

fn host(spec: &WorkerSpec, agent_volume: &str, grant: &Grant, network: &str) -> HostConfig {
    let is_restricted = grant.security == Security::Restricted;
    let log = [("max-size", AGENT_LOG), ("max-file", "1"), ("compress", "false")];
    HostConfig {
        network_mode: Some(network.to_owned()),
        mounts: Some(vec![
            mount(agent_volume, AGENT_DIR, true),
            mount(spec.worker_id.as_str(), PLACE_DIR, false),
        ]),
        privileged: Some(false),
        cap_drop: is_restricted.then(|| vec!["ALL".to_owned()]),
        security_opt: is_restricted.then(|| vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(grant.read_only_root),
        tmpfs: grant
            .read_only_root
            .then(|| HashMap::from([("/tmp".to_owned(), "rw,exec,nosuid,nodev,mode=1777".to_owned())])),
        nano_cpus: grant.nano_cpus,
        memory: grant.memory,
        // The same again: a limit that swap gets round is none.
        memory_swap: grant.memory,
        pids_limit: grant.pids,
        init: Some(false),
        auto_remove: Some(false),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("local".to_owned()),
            config: Some(log.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        }),
        ..HostConfig::default()
    }
}

/// Nothing of the image is copied into a volume.
fn mount(volume: &str, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        ..Mount::default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::reconcile::testing;

    pub(in super::super) fn config() -> ContainerConfig {
        ContainerConfig {
            instance: "ci".to_owned(),
            network: Network { name: "otto".to_owned(), internal: false },
            ingest_url: "http://log-ingest:50051".to_owned(),
            grace_period: Duration::from_secs(30),
            drain_timeout: Duration::from_mins(10),
            classes: Classes::default(),
        }
    }

    fn spec() -> WorkerSpec {
        let mut spec = testing::worker_spec("t", "r");
        spec.request.run.image = Some("busybox:1".to_owned());
        spec
    }

    #[test]
    fn a_container_runs_the_command_under_the_agent_without_any_privilege() {
        let body = body(&spec(), "agent-volume", &config()).unwrap();
        let entrypoint = body.entrypoint.unwrap();
        assert_eq!((entrypoint[0].as_str(), entrypoint.last().unwrap().as_str()), ("/otto/otto-agent", "--"));
        assert!(entrypoint.contains(&"--flush-timeout=10m".to_owned()), "{entrypoint:?}");
        assert_eq!(body.cmd.unwrap(), spec().request.run.command.words());
        assert!(body.env.unwrap().contains(&"OTTO_TASK_ID=t".to_owned()));
        assert_eq!((body.user, body.working_dir), (None, None), "as the image says");
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!((host.privileged, host.auto_remove), (Some(false), Some(false)));
        assert_eq!((host.binds, host.devices, host.cap_add), (None, None, None));
        let mounts = host.mounts.unwrap();
        assert!(mounts.iter().all(|mount| mount.typ == Some(MountType::VOLUME)), "nothing of the host's");
        assert_eq!(mounts[0].read_only, Some(true));
        assert_eq!(mounts[1].source.as_deref(), Some(spec().worker_id.as_str()));
    }

    #[test]
    fn p9_lines_that_an_agent_leaves_lie_in_the_volume_of_its_worker() {
        let entrypoint = body(&spec(), "v", &config()).unwrap().entrypoint.unwrap();
        for flag in ["--spool-dir=/run/otto/spool", "--summary=/run/otto/run/summary.json"] {
            assert!(entrypoint.contains(&flag.to_owned()), "{entrypoint:?}");
        }
    }

    #[test]
    fn p9_what_an_agent_left_is_handed_in_from_the_same_volume_by_the_same_user_without_the_command() {
        let mut spec = spec();
        spec.request.run.resource_class = Some("a class that is gone".to_owned());
        let body = hand_in(&spec, "sha256:1", "agent-volume", &config()).unwrap();
        let entrypoint = body.entrypoint.unwrap();
        assert_eq!(entrypoint[..2], ["/otto/otto-agent", "upload"]);
        assert_eq!(entrypoint.last().unwrap(), SPOOL_DIR);
        let written = format!("--spool-dir={PLACE_DIR}/{SPOOL}");
        assert!(agent(&spec, &config()).contains(&written), "what is written is read");
        assert_eq!((body.image.as_deref(), body.user, body.cmd), (Some("sha256:1"), None, None));
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("otto"));
        assert_eq!(host.mounts.unwrap()[1].source.as_deref(), Some(spec.worker_id.as_str()));
        assert_eq!((host.cap_drop.unwrap(), host.readonly_rootfs), (vec!["ALL".to_owned()], Some(true)));
        assert_ne!(body.labels.unwrap(), names::container_labels("ci", &spec), "it is no worker");
    }

    fn with_classes(file: &str) -> ContainerConfig {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("classes.yaml");
        std::fs::write(&path, file).unwrap();
        ContainerConfig { classes: Classes::read(&path).unwrap(), ..config() }
    }

    #[test]
    fn p9_an_upload_has_memory_for_the_lines_of_a_class_that_had_too_little() {
        for (file, expected) in [
            ("docker: {memory: 6MiB}", Some(64 << 20)),
            ("docker: {memory: 2GiB}", Some(2 << 30)),
            ("docker: {cpus: 1}", None),
        ] {
            let host = hand_in(&spec(), "sha256:1", "v", &with_classes(file)).unwrap().host_config.unwrap();
            assert_eq!((host.memory, host.memory_swap), (expected, expected), "{file}");
        }
    }

    #[test]
    fn a_class_limits_a_container_and_an_unknown_one_is_refused() {
        let config = with_classes(
            "resourceClasses:\n  small: {docker: {cpus: 0.5, memory: 64MiB, pids: 7, readOnlyRoot: true}}\n  root: {security: baseline}\n",
        );
        let of = |class: &str| {
            let mut spec = spec();
            spec.request.run.resource_class = Some(class.to_owned());
            body(&spec, "v", &config).map(|body| body.host_config.unwrap())
        };
        let small = of("small").unwrap();
        assert_eq!((small.nano_cpus, small.pids_limit), (Some(500_000_000), Some(7)));
        assert_eq!((small.memory, small.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert!(small.readonly_rootfs == Some(true) && small.tmpfs.unwrap().contains_key("/tmp"));
        let root = of("root").unwrap();
        assert_eq!((root.cap_drop, root.security_opt, root.privileged), (None, None, Some(false)));
        assert!(of("huge").unwrap_err().contains("resource_class"));
    }

    #[test]
    fn p10_what_a_container_cannot_have_is_refused_by_its_field() {
        let without_image = testing::worker_spec("t", "r");
        assert!(body(&without_image, "v", &config()).unwrap_err().starts_with("image:"));
        for image in ["", "no image", "../containers/x", "app?x=1", "a//b", "/a", "a%2f"] {
            let mut spec = spec();
            spec.request.run.image = Some(image.to_owned());
            assert!(body(&spec, "v", &config()).unwrap_err().contains("no name of an image"), "{image}");
        }
        let mut named = spec();
        named.request.run.image = Some("registry:5000/team/app_1:v1.2-rc@sha256:0123".to_owned());
        assert!(body(&named, "v", &config()).is_ok());
        let mut secret = spec();
        secret.request.run.secret_env.insert("TOKEN".to_owned(), "secret/key".to_owned());
        assert!(body(&secret, "v", &config()).unwrap_err().starts_with("secret_env: TOKEN"));
    }
}
