//! From a worker's spec to its Pod: PURE.
//!
//! Any image will do: an init container copies the agent into a volume, and the user's image runs it
//! from there. Nothing of the image is relied on.

use std::time::Duration;

use k8s_openapi::DeepMerge;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, Pod, PodSecurityContext, PodSpec,
    PodTemplateSpec, SeccompProfile, SecretKeySelector, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ottoscaler_kit::time::show_duration;

use super::classes::Classes;
use super::names::{self, INSTALL, WORKER};
use crate::record::WorkerSpec;
use crate::runtime::environment::environment;
use crate::runtime::security::Security;

/// Nobody in particular: what distroless images call `nonroot`.
const USER: i64 = 65_532;

/// Where the agent is, read only to the command.
const AGENT_DIR: &str = "/otto";
/// Where a command is at home, and may write.
const HOME_DIR: &str = "/home/otto";
/// Where the agent notes that it has started the command: never twice in one Pod.
const RUN_DIR: &str = "/run/otto";

/// Where lines wait that the agent's memory has no room for.
const SPOOL_DIR: &str = "/var/spool/otto";
/// How many of them.
const SPOOL_LIMIT: &str = "256MiB";
/// Above that, or the kubelet would evict a Pod whose spool is merely full.
const SPOOL_VOLUME: &str = "320Mi";

/// Names the variables whose values the agent masks.
const MASKED: &str = "OTTO_MASK_ENV";

/// Has the agent take what its image names as the stop signal for SIGTERM: a kubelet sends nothing else, and only a
/// Kubernetes of 1.33 may be told otherwise. By a variable
/// and not by a flag, which an older agent would not know.
const IMAGE_STOP_SIGNALS: &str = "OTTO_IMAGE_STOP_SIGNALS";

/// Past grace and drain, what a kubelet may be late.
const MARGIN: Duration = Duration::from_secs(15);

/// The API server takes no more annotations than this.
const ANNOTATION_BYTES: usize = 256 << 10;

/// What is the same for all workers.
#[derive(Clone, Debug)]
pub struct PodConfig {
    /// Which installation they belong to.
    pub instance: String,
    /// Where they are made.
    pub namespace: String,
    /// The image that holds the agent.
    pub agent_image: String,
    /// Where agents send lines.
    pub ingest_url: String,
    /// Between SIGTERM and SIGKILL for a command.
    pub grace_period: Duration,
    /// How long an agent may take to deliver its lines.
    pub drain_timeout: Duration,
    /// What the operator adds.
    pub classes: Classes,
}

/// The Pod of a worker, or why there cannot be one.
pub(super) fn pod(spec: &WorkerSpec, config: &PodConfig) -> Result<Pod, String> {
    let run = &spec.request.run;
    let Some(image) = &run.image else {
        let hint = "set it in the event, or configure --worker-image (OTTO_WORKER_IMAGE)";
        return Err(format!("image: the event names none, and no default is configured; {hint}"));
    };
    let (security, templates) = config.classes.of(run.resource_class.as_deref())?;
    let annotations = names::annotations(spec);
    let bytes: usize = annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ANNOTATION_BYTES {
        return Err(format!(
            "the event is too large for a Pod: {bytes} bytes of annotations, and Kubernetes takes {ANNOTATION_BYTES}"
        ));
    }
    let mut template = PodTemplateSpec {
        metadata: Some(ObjectMeta::default()),
        spec: Some(pod_spec(spec, image, security, config)),
    };
    for addition in templates {
        template.merge_from(addition.clone());
    }
    let containers = template.spec.iter_mut().flat_map(|spec| &mut spec.containers);
    let asked_for = run.env.get(MASKED).map(String::as_str);
    containers
        .filter(|container| container.name == WORKER)
        .for_each(|container| mask_secrets(container, asked_for));
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.name = Some(spec.worker_id.to_string());
    metadata.namespace = Some(config.namespace.clone());
    // Ours win: the worker is found and known again by them.
    metadata.labels.get_or_insert_default().extend(names::labels(&config.instance));
    metadata.labels.get_or_insert_default().extend([names::record_label(spec)]);
    metadata.annotations.get_or_insert_default().extend(annotations);
    Ok(Pod { metadata, spec: template.spec, status: None })
}

fn pod_spec(spec: &WorkerSpec, image: &str, security: Security, config: &PodConfig) -> PodSpec {
    let termination = config.grace_period + config.drain_timeout + MARGIN;
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(i64::try_from(termination.as_secs()).unwrap_or(i64::MAX)),
        security_context: Some(pod_security(security)),
        init_containers: Some(vec![install(config)]),
        containers: vec![worker(spec, image, security, config)],
        volumes: Some(volumes().into()),
        ..PodSpec::default()
    }
}

fn volumes() -> [Volume; 5] {
    ["otto-agent", "otto-home", "otto-tmp", "otto-run", "otto-spool"].map(|name| {
        let limit = (name == "otto-spool").then(|| Quantity(SPOOL_VOLUME.to_owned()));
        empty_dir(name, limit)
    })
}

fn install(config: &PodConfig) -> Container {
    Container {
        name: INSTALL.to_owned(),
        image: Some(config.agent_image.clone()),
        command: Some(["/otto-agent", "install", AGENT_DIR].map(str::to_owned).into()),
        security_context: Some(SecurityContext {
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            ..confined()
        }),
        volume_mounts: Some(vec![mount("otto-agent", AGENT_DIR, false)]),
        ..Container::default()
    }
}

fn worker(spec: &WorkerSpec, image: &str, security: Security, config: &PodConfig) -> Container {
    let mut command = vec![format!("{AGENT_DIR}/otto-agent"), "run".to_owned()];
    command.extend([
        format!("--run-dir={RUN_DIR}"),
        format!("--spool-dir={SPOOL_DIR}"),
        format!("--spool-limit={SPOOL_LIMIT}"),
        "--summary=/dev/termination-log".to_owned(),
        "--mirror=true".to_owned(),
        format!("--worker-id={}", spec.worker_id),
        format!("--task-id={}", spec.identity.task_id),
        format!("--attempt={}", spec.identity.attempt),
        format!("--ingest-url={}", config.ingest_url),
        format!("--timeout={}", show_duration(spec.request.clocks.run)),
        format!("--grace-period={}", show_duration(config.grace_period)),
        format!("--flush-timeout={}", show_duration(config.drain_timeout)),
        "--".to_owned(),
    ]);
    command.extend(spec.request.run.command.words().iter().cloned());
    let own = match security {
        Security::Restricted => confined(),
        Security::Baseline => SecurityContext::default(),
    };
    Container {
        name: WORKER.to_owned(),
        image: Some(image.to_owned()),
        command: Some(command.iter().map(|word| unexpanded(word)).collect()),
        env: Some(variables(spec)),
        security_context: Some(own),
        termination_message_path: Some("/dev/termination-log".to_owned()),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(vec![
            mount("otto-agent", AGENT_DIR, true),
            mount("otto-home", HOME_DIR, false),
            mount("otto-tmp", "/tmp", false),
            mount("otto-run", RUN_DIR, false),
            mount("otto-spool", SPOOL_DIR, false),
        ]),
        ..Container::default()
    }
}

fn variables(spec: &WorkerSpec) -> Vec<EnvVar> {
    let mut plain = environment(spec);
    plain.entry("HOME".to_owned()).or_insert_with(|| HOME_DIR.to_owned());
    // A task whose command wants these signals for itself says so.
    plain.entry(IMAGE_STOP_SIGNALS.to_owned()).or_insert_with(|| "true".to_owned());
    let plain = plain.into_iter().map(|(name, value)| EnvVar {
        name,
        value: Some(unexpanded(&value)),
        value_from: None,
    });
    let secret = spec.request.run.secret_env.iter().filter_map(|(name, source)| {
        let (secret, key) = source.split_once('/')?;
        let selector = SecretKeySelector { name: secret.to_owned(), key: key.to_owned(), optional: None };
        let from = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
        Some(EnvVar { name: name.clone(), value: None, value_from: Some(from) })
    });
    plain.chain(secret).collect()
}

/// Whatever a variable gets from a Secret is kept out of the log, be it the event's or the operator's, beside
/// what either named, the event in `asked_for`, which the operator's template may have replaced. By a variable
/// and not by a flag, which an older agent would not know.
fn mask_secrets(container: &mut Container, asked_for: Option<&str>) {
    let variables = container.env.get_or_insert_default();
    let is_secret = |source: &EnvVarSource| source.secret_key_ref.is_some();
    let secret = variables.iter().filter(|variable| variable.value_from.as_ref().is_some_and(is_secret));
    let before = variables.iter().filter(|variable| variable.name == MASKED);
    let lists = before.filter_map(|variable| variable.value.as_deref()).chain(asked_for);
    let names = lists.flat_map(|list| list.split(|char: char| char == ',' || char.is_whitespace()));
    let mut all: Vec<&str> = Vec::new();
    for name in names.chain(secret.map(|variable| variable.name.as_str())) {
        if !name.is_empty() && !all.contains(&name) {
            all.push(name);
        }
    }
    if all.is_empty() {
        return;
    }
    let all = all.join(",");
    variables.retain(|variable| variable.name != MASKED);
    variables.push(EnvVar { name: MASKED.to_owned(), value: Some(all), value_from: None });
}

/// Kubernetes would replace `$(NAME)`, and read `$$` as `$`: what was given has to arrive as it is.
fn unexpanded(text: &str) -> String {
    text.replace('$', "$$")
}

fn pod_security(security: Security) -> PodSecurityContext {
    let mut context = PodSecurityContext {
        fs_group: Some(USER),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    };
    if security == Security::Restricted {
        context.run_as_non_root = Some(true);
        context.run_as_user = Some(USER);
        context.run_as_group = Some(USER);
    }
    context
}

fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn empty_dir(name: &str, size_limit: Option<Quantity>) -> Volume {
    let source = EmptyDirVolumeSource { size_limit, ..EmptyDirVolumeSource::default() };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
