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

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ottoscaler_kit::admin::{self, Readiness};
use ottoscaler_kit::net::listen;
use ottoscaler_kit::supervise::{OnFailure, Tasks};
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use crate::config::{Command, Config, RuntimeKind};
use crate::controller::Means;
use crate::leader::{Election, Office, Role, Sole};
use crate::logs::LogIngest;
use crate::metrics::Metrics;
use crate::operate::Operate;
use crate::record::Store;
use crate::redis_link::RedisLink;
use crate::runtime::Runtime;
use crate::runtime::process::ProcessRuntime;

/// Serves until a signal, or does what was asked for instead.
pub async fn run(config: Config) -> Result<()> {
    match config.command {
        Some(Command::Healthcheck) => admin::healthcheck(config.listen.admin_addr).await,
        None => serve(config).await,
    }
}

async fn serve(config: Config) -> Result<()> {
    let tasks = Tasks::new();
    tasks.stop_on_signals()?;
    match config.workers.runtime {
        RuntimeKind::Process => {
            let agent = config.workers.agent(agent_binary(config.process.agent_binary.clone())?);
            let (runtime, watch) = ProcessRuntime::open(&config.process.state_dir, agent)?;
            let stop = tasks.stop_token().clone();
            tasks.spawn("watch", OnFailure::StopService, async move { watch.run(stop).await });
            serve_workers(config, tasks, runtime, Sole).await
        }
    }
}

/// The same for every runtime.
async fn serve_workers<R: Runtime, E: Election>(
    config: Config,
    tasks: Tasks,
    runtime: R,
    election: E,
) -> Result<()> {
    let readiness = Readiness::default();
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let grpc = listen(config.listen.grpc_addr, "gRPC", "--grpc-addr (OTTO_GRPC_ADDR)").await?;
    let admin = listen(config.listen.admin_addr, "admin HTTP", "--admin-addr (OTTO_ADMIN_ADDR)").await?;
    let (grpc_addr, admin_addr) = (grpc.local_addr()?, admin.local_addr()?);

    let link = RedisLink::new(&config.redis.redis_url).context("--redis-url (REDIS_URL) is no Redis URL")?;
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
        connected: readiness.condition("redis"),
        role,
    };

    let stop = tasks.stop_token().clone();
    let routes = operate::routes(Operate { questions, role: role_seen });
    tasks.spawn("admin", OnFailure::StopService, admin::serve(admin, readiness, registry, routes, stop.clone()));
    tasks.spawn("grpc", OnFailure::StopService, grpc::serve(grpc, stop.clone()));
    tasks.spawn("narrator", OnFailure::StopService, narration.run(stop.clone()));
    tasks.spawn("leader", OnFailure::StopService, office.run(election, asked, stop));
    tracing::info!(grpc = %grpc_addr, admin = %admin_addr, "ottoscaler listening");
    tasks.finish(config.listen.shutdown_timeout).await
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
