//! The scaler's flags and variables.

mod runtimes;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use ottoscaler_kit::telemetry::TelemetryArgs;
use ottoscaler_kit::time::parse_duration;

use crate::controller::ControllerConfig;
use crate::dlq::DlqCommand;
use crate::event::{CommandLine, EventPolicy, RunDefaults};
use crate::intake::IntakeConfig;
use crate::reconcile::Policy;
use crate::record::StoreConfig;
use crate::redis_link::RedisLink;
use crate::runtime::docker::{self, ContainerConfig};
use crate::runtime::kubernetes::{Classes, CleanupArgs, PodConfig};
use crate::runtime::process::AgentConfig;
use crate::secret::Secret;
use crate::submit::SubmitArgs;

pub use self::runtimes::{DockerArgs, KubernetesArgs, ProcessArgs};

/// Turns events on a Redis Stream into one-shot workers.
#[derive(Debug, Parser)]
#[command(name = "ottoscaler", version = ottoscaler_kit::VERSION, about, max_term_width = 100)]
pub struct Config {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where events come from.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// What workers are and how many.
    #[command(flatten)]
    pub workers: WorkerArgs,
    /// The kubernetes runtime.
    #[command(flatten)]
    pub kubernetes: KubernetesArgs,
    /// The docker runtime.
    #[command(flatten)]
    pub docker: DockerArgs,
    /// The process runtime.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Where to listen.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// How to log.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

/// What to do instead of serving.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Ask the scaler at --admin-addr whether it is ready; exit 0 if so.
    Healthcheck,
    /// Look at dead letters and put them back on the stream.
    #[command(subcommand, arg_required_else_help = false)]
    Dlq(DlqCommand),
    /// Run a command as a task: show its lines as they come, and exit with its code.
    ///
    /// Exit codes of this program's own: 1 where a worker failed and its command has no code that says so,
    /// 64 wrong usage, 65 the event cannot work, 69 Redis or log-ingest cannot be used, 75 --wait ran out,
    /// 130 interrupted. With several workers it is the code of the first that failed, by its index.
    Submit(SubmitArgs),
    /// Remove what scalers have made in the cluster: the Pods of all workers of --instance, running ones too,
    /// and the Lease. For when they are uninstalled; while they run, they would make it all again.
    Cleanup(CleanupArgs),
}

/// Where workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RuntimeKind {
    /// Pods of a Kubernetes cluster.
    Kubernetes,
    /// Containers of a Docker.
    Docker,
    /// Processes on this machine.
    Process,
}

/// Where events come from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisArgs {
    /// Redis; the URL may hold a password and is never shown.
    #[arg(long, env = "REDIS_URL", default_value = "redis://127.0.0.1:6379")]
    #[arg(hide_env_values = true, global = true)]
    pub redis_url: Secret,
    /// Stream that events are read from.
    #[arg(long, env = "OTTO_EVENTS_STREAM", default_value = "otto:scale:events", global = true)]
    pub events_stream: String,
    /// Consumer group on that stream.
    #[arg(long, env = "OTTO_GROUP", default_value = "ottoscaler")]
    pub group: String,
    /// Stream for events that cannot work.
    #[arg(long, env = "OTTO_DLQ_STREAM", default_value = "otto:scale:events:dlq", global = true)]
    pub dlq_stream: String,
    /// Stream for notifications of workers' states.
    #[arg(long, env = "OTTO_STATUS_STREAM", default_value = "otto:scale:status", global = true)]
    pub status_stream: String,
    /// What keys of records start with. On Redis Cluster give all names one hash tag.
    #[arg(long, env = "OTTO_RECORD_PREFIX", default_value = "otto:scale:task:")]
    pub record_prefix: String,
    /// About so many dead letters are kept; the oldest go first.
    #[arg(long, env = "OTTO_DLQ_LIMIT", default_value = "100000")]
    pub dlq_limit: NonZeroU64,
    /// About so many notifications are kept; the oldest go first.
    #[arg(long, env = "OTTO_STATUS_LIMIT", default_value = "100000")]
    pub status_limit: NonZeroU64,
    /// An event that comes again is known for so long after its task ended.
    #[arg(long, env = "OTTO_DEDUPE_PERIOD", default_value = "24h", value_parser = parse_duration)]
    pub dedupe_period: Duration,
    /// An event whose handling failed so many times becomes a dead letter.
    #[arg(long, env = "OTTO_MAX_DELIVERIES", default_value = "5")]
    pub max_deliveries: NonZeroU64,
}

/// What workers are and how many.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Workers")]
pub struct WorkerArgs {
    /// Where workers run.
    #[arg(long, env = "OTTO_RUNTIME", value_enum, default_value_t = RuntimeKind::Kubernetes)]
    pub runtime: RuntimeKind,
    /// Where workers send their lines.
    #[arg(long, env = "OTTO_INGEST_URL", default_value = "http://127.0.0.1:50051")]
    #[arg(value_parser = parse_url, global = true)]
    pub ingest_url: String,
    /// So many workers run at once; more wait.
    #[arg(long, env = "OTTO_MAX_WORKERS", default_value = "100")]
    pub max_workers: NonZeroUsize,
    /// One event may ask for so many workers.
    #[arg(long, env = "OTTO_MAX_WORKERS_PER_EVENT", default_value = "1000")]
    pub max_workers_per_event: NonZeroU32,
    /// Image where an event names none; for runtimes that have images.
    #[arg(long, env = "OTTO_WORKER_IMAGE", value_parser = NonEmptyStringValueParser::new())]
    pub worker_image: Option<String>,
    /// Command where an event names none: a JSON array, or a plain string for `sh -c`.
    #[arg(long, env = "OTTO_WORKER_COMMAND")]
    pub worker_command: Option<CommandLine>,
    /// How long a command may run where its event does not say.
    #[arg(long, env = "OTTO_DEFAULT_TIMEOUT", default_value = "1h", value_parser = parse_duration)]
    pub default_timeout: Duration,
    /// Between SIGTERM and SIGKILL for a command.
    #[arg(long, env = "OTTO_GRACE_PERIOD", default_value = "30s", value_parser = parse_duration)]
    pub grace_period: Duration,
    /// How long a worker may take to deliver its lines once its command has ended.
    #[arg(long, env = "OTTO_DRAIN_TIMEOUT", default_value = "10min", value_parser = parse_duration)]
    pub drain_timeout: Duration,
    /// What is left of an ended worker is kept for so long.
    #[arg(long, env = "OTTO_KEEP_ENDED", default_value = "1h", value_parser = parse_duration)]
    pub keep_ended: Duration,
    /// What is left of so many ended workers is kept; the oldest go first.
    #[arg(long, env = "OTTO_KEEP_ENDED_COUNT", default_value = "1000")]
    pub keep_ended_count: usize,
    /// How long a worker may take to get to its command where its event does not say.
    #[arg(long, env = "OTTO_PENDING_TIMEOUT", default_value = "10min", value_parser = parse_duration)]
    pub pending_timeout: Duration,
    /// How long an image may fail to come before its worker fails.
    #[arg(long, env = "OTTO_IMAGE_GRACE", default_value = "30s", value_parser = parse_duration)]
    pub image_grace: Duration,
    /// At most so many workers are made in a second; without this as fast as it goes.
    #[arg(long, env = "OTTO_CREATE_RATE")]
    pub create_rate: Option<NonZeroU32>,
}

/// Where to listen.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Listeners")]
pub struct ListenArgs {
    /// gRPC: health and reflection.
    #[arg(long, env = "OTTO_GRPC_ADDR", default_value = "127.0.0.1:9090")]
    pub grpc_addr: SocketAddr,
    /// Admin HTTP: /livez, /readyz, /metrics, /tasks.
    #[arg(long, env = "OTTO_ADMIN_ADDR", default_value = "127.0.0.1:9091", global = true)]
    pub admin_addr: SocketAddr,
    /// How long a shutdown may take. Workers are left running.
    #[arg(long, env = "OTTO_SHUTDOWN_TIMEOUT", default_value = "10s", value_parser = parse_duration)]
    pub shutdown_timeout: Duration,
}

/// An agent of any runtime has to be able to use it.
fn parse_url(text: &str) -> Result<String, String> {
    match tonic::transport::Uri::try_from(text) {
        Ok(uri) if uri.scheme_str() == Some("http") && uri.authority().is_some() => Ok(text.to_owned()),
        _ => Err("expected a URL such as http://127.0.0.1:50051".to_owned()),
    }
}

impl RedisArgs {
    /// What is read back as what was written would go round for ever.
    fn check(&self) -> Result<(), String> {
        if RedisLink::new(&self.redis_url).is_err() {
            return Err(
                "--redis-url (REDIS_URL) is no Redis URL; expected redis://[:PASSWORD@]HOST:PORT".to_owned()
            );
        }
        let names = [
            ("--events-stream (OTTO_EVENTS_STREAM)", &self.events_stream),
            ("--dlq-stream (OTTO_DLQ_STREAM)", &self.dlq_stream),
            ("--status-stream (OTTO_STATUS_STREAM)", &self.status_stream),
            ("--group (OTTO_GROUP)", &self.group),
            ("--record-prefix (OTTO_RECORD_PREFIX)", &self.record_prefix),
        ];
        if let Some((flag, _)) = names.iter().find(|(_, name)| name.is_empty()) {
            return Err(format!("{flag} must not be empty"));
        }
        let streams = &names[..3];
        for (at, (flag, name)) in streams.iter().enumerate() {
            if let Some((other, _)) = streams[..at].iter().find(|(_, before)| before == name) {
                return Err(format!("{flag} must not be the same as {other}: both are {name}"));
            }
        }
        Ok(())
    }

    /// Names and limits of the store.
    pub fn store(&self) -> StoreConfig {
        StoreConfig {
            events: self.events_stream.clone(),
            group: self.group.clone(),
            dead_letters: self.dlq_stream.clone(),
            dead_letter_limit: self.dlq_limit.get(),
            status: self.status_stream.clone(),
            status_limit: self.status_limit.get(),
            record_prefix: self.record_prefix.clone(),
            dedupe_period: self.dedupe_period,
        }
    }
}

impl WorkerArgs {
    /// What decides where an event says nothing.
    pub fn policy(&self) -> EventPolicy {
        EventPolicy {
            run: RunDefaults { image: self.worker_image.clone(), command: self.worker_command.clone() },
            timeout: self.default_timeout,
            max_workers: self.max_workers_per_event,
        }
    }

    /// What the controller needs.
    pub fn controller(&self) -> ControllerConfig {
        let policy = Policy {
            max_workers: self.max_workers,
            keep_ended: self.keep_ended,
            keep_ended_count: self.keep_ended_count,
            pending_timeout: self.pending_timeout,
            image_grace: self.image_grace,
            grace_period: self.grace_period,
            drain_timeout: self.drain_timeout,
        };
        ControllerConfig { policy, create_rate: self.create_rate }
    }

    /// How agents are started.
    pub fn agent(&self, binary: PathBuf) -> AgentConfig {
        AgentConfig {
            binary,
            ingest_url: self.ingest_url.clone(),
            grace_period: self.grace_period,
            drain_timeout: self.drain_timeout,
        }
    }
}

impl Config {
    /// What the configuration as a whole has to keep to.
    pub fn check(&self) -> Result<(), String> {
        self.redis.check()?;
        if self.workers.keep_ended > self.redis.dedupe_period {
            return Err(
                "--keep-ended (OTTO_KEEP_ENDED) must not be longer than --dedupe-period (OTTO_DEDUPE_PERIOD): \
                 a worker must not outlive its record"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// This process, by host and number, so that an operator finds it.
    pub fn replica(&self) -> String {
        let host = nix::unistd::gethostname()
            .map_or_else(|_| "unknown-host".to_owned(), |name| name.to_string_lossy().into_owned());
        format!("{host}-{}", std::process::id())
    }

    /// How worker Pods are made, in the namespace that goes with the cluster unless another is named.
    pub fn pod(&self, namespace: String, classes: Classes) -> PodConfig {
        PodConfig {
            instance: self.kubernetes.instance.clone(),
            namespace: self.kubernetes.namespace.clone().unwrap_or(namespace),
            agent_image: self.kubernetes.agent_image.clone(),
            ingest_url: self.workers.ingest_url.clone(),
            grace_period: self.workers.grace_period,
            drain_timeout: self.workers.drain_timeout,
            classes,
        }
    }

    /// How the containers of workers are made.
    pub fn container(&self, classes: docker::Classes) -> ContainerConfig {
        ContainerConfig {
            instance: self.kubernetes.instance.clone(),
            network: self.docker.network(),
            ingest_url: self.workers.ingest_url.clone(),
            grace_period: self.workers.grace_period,
            drain_timeout: self.workers.drain_timeout,
            classes,
        }
    }

    /// What intake needs.
    pub fn intake(&self) -> IntakeConfig {
        IntakeConfig {
            consumer: self.replica(),
            max_deliveries: self.redis.max_deliveries.get(),
            policy: self.workers.policy(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_variable() {
        for arg in Config::command().get_arguments().filter(|arg| arg.get_long().is_some()) {
            let builtin = ["help", "version"].contains(&arg.get_id().as_str());
            assert!(builtin || arg.get_env().is_some(), "{:?}", arg.get_id());
        }
    }

    #[test]
    fn p10_what_cannot_work_together_is_refused_by_its_flag() {
        let check = |args: &[&str]| {
            Config::parse_from(std::iter::once("ottoscaler").chain(args.iter().copied())).check()
        };
        assert_eq!(check(&[]), Ok(()));
        for (args, expected) in [
            (&["--dlq-stream", "s", "--events-stream", "s"][..], "--dlq-stream"),
            (&["--status-stream", "otto:scale:events"][..], "--status-stream"),
            (&["--group", ""][..], "--group"),
            (&["--redis-url", "127.0.0.1:6379"][..], "--redis-url"),
            (&["--keep-ended", "25h"][..], "--keep-ended"),
        ] {
            let error = check(args).unwrap_err();
            assert!(error.starts_with(expected), "{args:?}: {error}");
        }
        for (flag, wrong) in [
            ("--ingest-url", &["nonsense", "", "https://host"][..]),
            ("--docker-host", &["/var/run/docker.sock", "unix://", "ssh://host", ""]),
            ("--worker-image", &[""]),
            ("--worker-command", &["", " ", "[1"]),
            ("--docker-network", &["host", "none", "container:x", "", "-x"]),
        ] {
            for value in wrong {
                assert!(Config::try_parse_from(["ottoscaler", flag, value]).is_err(), "{flag} {value}");
            }
        }
    }

    #[test]
    fn the_redis_url_is_shown_nowhere() {
        let config = Config::parse_from(["ottoscaler", "--redis-url", "redis://:sesame@host"]);
        assert!(!format!("{config:?}").contains("sesame"));
    }
}
