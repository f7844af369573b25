//! What each runtime has to be told. Some of it two of them share, and says so.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ottoscaler_kit::time::parse_duration;

use crate::runtime::docker;

/// The kubernetes runtime.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Kubernetes runtime")]
pub struct KubernetesArgs {
    /// Namespace of the workers; without this that of the Pod or of the kubeconfig.
    #[arg(long, env = "OTTO_NAMESPACE", global = true)]
    pub namespace: Option<String>,
    /// Image whose /otto-agent is copied into worker Pods, and into a volume for the containers of docker.
    #[arg(long, env = "OTTO_AGENT_IMAGE", default_value = concat!("ghcr.io/ottoscaler/otto-agent:", env!("CARGO_PKG_VERSION")))]
    pub agent_image: String,
    /// YAML file with resource classes, and a Pod template for workers; for docker, too.
    #[arg(long, env = "OTTO_WORKER_CONFIG")]
    pub worker_config: Option<PathBuf>,
    /// This installation: its workers are told from others' of the namespace, or of the Docker, by it, and it
    /// names the Lease by which replicas choose their leader.
    #[arg(long, env = "OTTO_INSTANCE", default_value = "ottoscaler", value_parser = parse_label, global = true)]
    pub instance: String,
    /// How long the other replicas wait for a leader that is silent. Its calls take half as long at
    /// most. Whole seconds, 2s or more.
    #[arg(long, env = "OTTO_LEASE_DURATION", default_value = "4s", value_parser = parse_lease)]
    pub lease_duration: Duration,
}

/// A label's value that is a name of an object, too.
fn parse_label(text: &str) -> Result<String, String> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.len() <= 63 && edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inside)
    {
        return Ok(text.to_owned());
    }
    Err("expected at most 63 lower case letters, digits and dashes, with no dash at the ends".to_owned())
}

fn parse_lease(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.subsec_nanos() != 0 || !(2..=600).contains(&duration.as_secs()) {
        return Err("expected whole seconds, from 2s to 10min".to_owned());
    }
    Ok(duration)
}

/// The docker runtime.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Docker runtime")]
pub struct DockerArgs {
    /// Where Docker listens: unix://PATH or tcp://HOST:PORT, by TLS with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.
    #[arg(long, env = "DOCKER_HOST", default_value = "unix:///var/run/docker.sock", value_parser = parse_docker_host)]
    pub docker_host: String,
    /// Network that workers are in and reach log-ingest by; made if it is not there.
    #[arg(long, env = "OTTO_DOCKER_NETWORK", default_value = "ottoscaler", value_parser = parse_network)]
    pub docker_network: String,
    /// That network leads nowhere beyond this machine: workers reach log-ingest, which has to be in it, each other,
    /// and what listens on all addresses here, and fetch nothing. Without this they reach whatever the machine does,
    /// a cloud's metadata included.
    #[arg(long, env = "OTTO_DOCKER_INTERNAL", default_value_t = false, action = clap::ArgAction::Set)]
    pub docker_internal: bool,
}

impl DockerArgs {
    /// The network of the workers.
    pub fn network(&self) -> docker::Network {
        docker::Network { name: self.docker_network.clone(), internal: self.docker_internal }
    }
}

fn parse_docker_host(text: &str) -> Result<String, String> {
    let schemes = ["unix://", "tcp://", "http://", "https://"];
    let mut addresses = schemes.iter().filter_map(|scheme| text.strip_prefix(scheme));
    if addresses.any(|address| !address.is_empty()) {
        return Ok(text.to_owned());
    }
    Err("expected an address such as unix:///var/run/docker.sock or tcp://127.0.0.1:2375".to_owned())
}

/// Workers are never in the network of their host, or in another container's.
fn parse_network(text: &str) -> Result<String, String> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let is_name = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inside);
    if is_name && !["host", "none", "default"].contains(&text) {
        return Ok(text.to_owned());
    }
    Err("expected the name of a network: letters, digits, _ . -, and not host, none or default".to_owned())
}

/// The process runtime.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Process runtime")]
pub struct ProcessArgs {
    /// Directory of the workers; one scaler at a time uses it.
    #[arg(long, env = "OTTO_STATE_DIR", default_value = "./otto-state")]
    pub state_dir: PathBuf,
    /// The agent; without this the otto-agent beside this program. For docker instead of --agent-image, linked
    /// statically.
    #[arg(long, env = "OTTO_AGENT_BINARY")]
    pub agent_binary: Option<PathBuf>,
}
