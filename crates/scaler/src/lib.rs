//! Ottoscaler's scaler: turns events on a Redis Stream into one-shot workers.
//!
//! An event's way: [`intake`] reads an entry, [`event`] parses it, [`record`] keeps what it asks for
//! in Redis and only then acknowledges it. From there on the record drives: [`reconcile`] decides,
//! from records and observed workers and nothing else, and [`controller`] carries that out on a
//! [`runtime`]. Every change of a worker's state is told on the status stream ([`status`]).
//!
//! Killing the process at any point loses nothing: the next one reads the records, observes the
//! workers that are there, and goes on.

pub mod config;
pub mod controller;
pub mod dlq;
mod entries;
pub mod event;
pub mod explain;
pub mod grpc;
pub mod ids;
pub mod intake;
pub mod leader;
pub mod logs;
pub mod metrics;
pub mod name;
pub mod operate;
pub mod reconcile;
pub mod record;
pub mod redis_link;
pub mod runtime;
pub mod secret;
pub mod status;
pub mod submit;

#[cfg(test)]
mod simulation;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ottoscaler_kit::admin::{self, Readiness};
use ottoscaler_kit::net::listen;
use ottoscaler_kit::supervise::{OnFailure, Tasks};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::config::{Command, Config, RuntimeKind};
use crate::controller::Means;
use crate::leader::{Election, Office, Role, Sole, Tenure};
use crate::logs::LogIngest;
use crate::metrics::Metrics;
use crate::operate::Operate;
use crate::record::Store;
use crate::redis_link::RedisLink;
use crate::runtime::Runtime;
use crate::runtime::docker::{self, AgentBinary, AgentSource, Daemon, DockerRuntime};
use crate::runtime::kubernetes::{self, KubernetesConfig, KubernetesRuntime, LeaseConfig, LeaseElection};
use crate::runtime::process::ProcessRuntime;

/// Serves until a signal, or does what was asked for instead.
pub async fn run(config: Config) -> Result<ExitCode> {
    match &config.command {
        Some(Command::Healthcheck) => admin::healthcheck(config.listen.admin_addr).await?,
        Some(Command::Dlq(command)) => return Ok(dlq::run(command, &config.redis).await),
        Some(Command::Submit(args)) => {
            return Ok(submit::run(args, &config.redis, &config.workers.ingest_url).await);
        }
        Some(Command::Cleanup(args)) => kubernetes::cleanup(&config.kubernetes, args).await?,
        None => serve(config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> Result<()> {
    let tasks = Tasks::new();
    tasks.stop_on_signals()?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let service = Service { config, tasks, readiness: Readiness::default(), registry, metrics };
    match service.config.workers.runtime {
        RuntimeKind::Kubernetes => service.kubernetes().await,
        RuntimeKind::Docker => service.docker().await,
        RuntimeKind::Process => service.process().await,
    }
}

/// What is there before a runtime is.
struct Service {
    config: Config,
    tasks: Tasks,
    readiness: Readiness,
    registry: Registry,
    metrics: Metrics,
}

impl Service {
    async fn kubernetes(self) -> Result<()> {
        let args = &self.config.kubernetes;
        let classes = kubernetes::classes(args.worker_config.as_ref())?;
        let (client, namespace) = kubernetes::connect().await?;
        let pod = self.config.pod(namespace, classes);
        let lease = LeaseConfig {
            namespace: pod.namespace.clone(),
            name: args.instance.clone(),
            holder: self.config.replica(),
            duration: args.lease_duration,
        };
        let tenure = Tenure::default();
        let config = KubernetesConfig { pod, call_timeout: lease.call_timeout() };
        let (runtime, watch) =
            KubernetesRuntime::new(client.clone(), config, tenure.clone(), self.metrics.clone());
        let stop = self.tasks.stop_token().clone();
        self.tasks.spawn("watch", OnFailure::StopService, watch.run(stop));
        self.serve(runtime, LeaseElection::new(client, lease, tenure)).await
    }

    async fn docker(self) -> Result<()> {
        let config = &self.config;
        let agent = match &config.process.agent_binary {
            Some(path) => AgentSource::Binary(AgentBinary::open(path)?),
            None => AgentSource::Image(config.kubernetes.agent_image.clone()),
        };
        let container = config.container(docker::classes(config.kubernetes.worker_config.as_ref())?);
        let daemon = Daemon::connect(&config.docker.docker_host).await?;
        let answers = self.readiness.condition("docker");
        let (runtime, watch) =
            DockerRuntime::new(daemon, container, agent, self.metrics.clone(), answers).await?;
        let stop = self.tasks.stop_token().clone();
        self.tasks.spawn("watch", OnFailure::StopService, watch.run(stop));
        self.serve(runtime, Sole).await
    }

    async fn process(self) -> Result<()> {
        let config = &self.config;
        let agent = config.workers.agent(agent_binary(config.process.agent_binary.clone())?);
        let (runtime, watch) = ProcessRuntime::open(&config.process.state_dir, agent)?;
        let stop = self.tasks.stop_token().clone();
        self.tasks.spawn("watch", OnFailure::StopService, watch.run(stop));
        self.serve(runtime, Sole).await
    }

    /// The same for every runtime.
    async fn serve<R: Runtime, E: Election>(self, runtime: R, election: E) -> Result<()> {
        let Self { config, tasks, readiness, registry, metrics } = self;
        let grpc = listen(config.listen.grpc_addr, "gRPC", "--grpc-addr (OTTO_GRPC_ADDR)").await?;
        let admin = listen(config.listen.admin_addr, "admin HTTP", "--admin-addr (OTTO_ADMIN_ADDR)").await?;
        let (grpc_addr, admin_addr) = (grpc.local_addr()?, admin.local_addr()?);

        let link =
            RedisLink::new(&config.redis.redis_url).context("--redis-url (REDIS_URL) is no Redis URL")?;
        let ingest = LogIngest::new(&config.workers.ingest_url)
            .context("--ingest-url (OTTO_INGEST_URL) is no URL of a log-ingest")?;
        let (narrator, narration) = logs::narrator(ingest.clone(), metrics.narrations_dropped.clone());
        let (role, role_seen) = watch::channel(Role::default());
        let (questions, asked) = mpsc::channel(operate::QUESTIONS);
        let office = Office {
            means: Means {
                runtime: Arc::new(runtime),
                store: Store::new(link.commands()?, config.redis.store()),
                ingest,
                narrator,
                metrics,
                synced: readiness.condition("workers"),
            },
            link,
            intake: config.intake(),
            controller: config.workers.controller(),
            elected: readiness.condition("leadership"),
            connected: readiness.condition("redis"),
            role,
        };

        let stop = tasks.stop_token().clone();
        let routes = operate::routes(Operate { questions, role: role_seen });
        let admin = admin::serve(admin, readiness, registry, routes, stop.clone());
        tasks.spawn("admin", OnFailure::StopService, admin);
        tasks.spawn("grpc", OnFailure::StopService, grpc::serve(grpc, stop.clone()));
        tasks.spawn("narrator", OnFailure::StopService, narration.run(stop.clone()));
        tasks.spawn("leader", OnFailure::StopService, office.run(election, asked, stop));
        tracing::info!(grpc = %grpc_addr, admin = %admin_addr, "ottoscaler listening");
        tasks.finish(config.listen.shutdown_timeout).await
    }
}

/// The agent that was named, or the one beside this program.
fn agent_binary(named: Option<PathBuf>) -> Result<PathBuf> {
    let binary = match named {
        Some(binary) => binary,
        None => std::env::current_exe()
            .context("cannot tell where this program is; name the agent with --agent-binary")?
            .with_file_name("otto-agent"),
    };
    match binary.canonicalize() {
        Ok(path) if path.is_file() => Ok(path),
        Ok(_) | Err(_) => bail!(
            "there is no agent at {}; build it (cargo build -p otto-agent) or name it with --agent-binary (OTTO_AGENT_BINARY)",
            binary.display()
        ),
    }
}
