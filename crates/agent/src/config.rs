//! Flags and environment of otto-agent.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches, Id, Parser, Subcommand};
use ottoscaler_kit::ident::InvalidIdent;
use ottoscaler_kit::size::ByteSize;
use ottoscaler_kit::telemetry::TelemetryArgs;
use ottoscaler_kit::time::parse_duration;
use tonic::codec::CompressionEncoding;

use crate::buffer::WhenFull;
use crate::ids::{TaskId, WorkerId};

/// Where Kubernetes reads a container's last words.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// What log-ingest takes by default. A piece of the log that is larger than the server's messages may be
/// ends every stream on which it goes first.
const LONGEST_LINE: ByteSize = ByteSize::mib(1);

/// There is a way all the same.
const NO_TLS: &str = "otto-agent speaks no TLS yet: let a proxy beside it (a mesh's sidecar, stunnel) do that, and name \
                      the proxy by a URL with http";

/// Runs a command and ships every line that it prints.
#[derive(Debug, Parser)]
#[command(name = "otto-agent", version = ottoscaler_kit::VERSION)]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the agent can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a command, ships its lines, exits with its code.
    ///
    /// Lines of stdout and stderr are numbered in the order in which they are read. What the command writes to
    /// both within one moment may come in either order, for two pipes tell no more; `2>&1` in the command
    /// makes one pipe of them. All lines of one read have the time of that read.
    Run(Box<Run>),
    /// Hands in a file, or a spool that an agent left behind, or all spools of a directory.
    ///
    /// A file can be handed in again, after a cut or by mistake: what the server has already is not stored twice. A
    /// file that is no spool is known again by its content, under the same --worker-id and with the same --max-line;
    /// another content needs another worker id. Lines that a spool does not have become a gap. The file stays
    /// where it is. Exits with 75, and does nothing, while a spool's agent, or another upload of it, still lives.
    Upload(Box<Upload>),
    /// Copies this program into a directory, for images that do not have it.
    Install {
        /// Where to; it has to exist.
        directory: PathBuf,
    },
}

/// How to run a command.
#[derive(Debug, Args)]
pub struct Run {
    /// The log-ingest that takes the lines.
    #[arg(long, env = "OTTO_INGEST_URL", value_name = "URL", default_value = "http://127.0.0.1:50051", value_parser = parse_url)]
    pub ingest_url: String,
    /// How batches are compressed on their way: worth it where the network is slow or costs money.
    #[arg(long, env = "OTTO_COMPRESSION", value_enum, default_value_t = Compression::None)]
    pub compression: Compression,
    /// Names this run; default: the host's name and a random part.
    #[arg(long, env = "OTTO_WORKER_ID", value_name = "ID", value_parser = parse_id::<WorkerId>)]
    pub worker_id: Option<WorkerId>,
    /// The task that it belongs to; default: the worker's id.
    #[arg(long, env = "OTTO_TASK_ID", value_name = "ID", value_parser = parse_id::<TaskId>)]
    pub task_id: Option<TaskId>,
    /// Which attempt it is; for display.
    #[arg(long, env = "OTTO_ATTEMPT", value_name = "NUMBER", default_value_t = 1)]
    pub attempt: i32,

    /// Stop the command when it has run for so long; default: never.
    #[arg(long, env = "OTTO_TIMEOUT", value_name = "TIME", value_parser = parse_duration, help_heading = "Command")]
    pub timeout: Option<Duration>,
    /// From SIGTERM to SIGKILL, when the command is stopped.
    #[arg(long, env = "OTTO_GRACE_PERIOD", value_name = "TIME", default_value = "30s", value_parser = parse_duration, help_heading = "Command")]
    pub grace_period: Duration,
    /// Take SIGQUIT, SIGUSR1, SIGWINCH and SIGRTMIN+3 for SIGTERM: an image may name one of them as the signal that
    /// stops its containers. On a terminal they mean something else.
    #[arg(long, env = "OTTO_IMAGE_STOP_SIGNALS", default_value_t = false, action = clap::ArgAction::Set, help_heading = "Command")]
    pub image_stop_signals: bool,
    /// How long to read on when the command has ended and others keep its output open; then they are killed.
    #[arg(long, env = "OTTO_PIPE_GRACE", value_name = "TIME", default_value = "2s", value_parser = parse_duration, help_heading = "Command")]
    pub pipe_grace: Duration,
    /// Hold this directory's lock while running, and run nothing if its command ran before.
    #[arg(long, env = "OTTO_RUN_DIR", value_name = "DIR", help_heading = "Command")]
    pub run_dir: Option<PathBuf>,

    /// Memory for lines that are not yet acknowledged; the agent takes some MiB beside it.
    #[arg(long, env = "OTTO_BUFFER_LIMIT", value_name = "SIZE", default_value_t = ByteSize::mib(8), value_parser = parse_buffer_limit, help_heading = "Lines")]
    pub buffer_limit: ByteSize,
    /// Where lines go that memory has no room for, or that wait for longer than a second; default: the
    /// directory for temporary files.
    #[arg(long, env = "OTTO_SPOOL_DIR", value_name = "DIR", help_heading = "Lines")]
    pub spool_dir: Option<PathBuf>,
    /// How much of the disk they may take there; 0 for nothing.
    #[arg(long, env = "OTTO_SPOOL_LIMIT", value_name = "SIZE", default_value_t = ByteSize::mib(256), help_heading = "Lines")]
    pub spool_limit: ByteSize,
    /// What to do when memory and spool are full.
    #[arg(long, env = "OTTO_WHEN_FULL", value_enum, default_value_t = WhenFull::DropOldest, help_heading = "Lines")]
    pub when_full: WhenFull,
    /// A longer line is cut into pieces that say so; at most 1MiB.
    #[arg(long, env = "OTTO_MAX_LINE", value_name = "SIZE", default_value_t = ByteSize::kib(64), value_parser = parse_max_line, help_heading = "Lines")]
    pub max_line: ByteSize,
    /// Copy the lines to the agent's own stdout and stderr.
    #[arg(long, env = "OTTO_MIRROR", default_value_t = true, action = clap::ArgAction::Set, help_heading = "Lines")]
    pub mirror: bool,

    /// What nobody may read.
    #[command(flatten)]
    pub masks: MaskArgs,

    /// How long to go on shipping when the command has ended.
    #[arg(long, env = "OTTO_FLUSH_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration, help_heading = "End")]
    pub flush_timeout: Duration,
    /// Where to write how it ended, as JSON; default: /dev/termination-log where it exists.
    #[arg(long, env = "OTTO_SUMMARY", value_name = "FILE", help_heading = "End")]
    pub summary: Option<PathBuf>,

    /// Of the agent's own log.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,

    /// The command, and its arguments.
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What nobody may read in a log.
#[derive(Clone, Debug, Args)]
pub struct MaskArgs {
    /// Variables whose values nobody may read, separated by commas or blanks; a value of fewer than 4 bytes
    /// cannot be masked, and the agent says so.
    #[arg(long, env = "OTTO_MASK_ENV", value_name = "NAMES", help_heading = "Secrets")]
    pub mask_env: Vec<String>,
    /// A file of values that nobody may read, one a line; %0A stands for a newline in a value.
    #[arg(long, env = "OTTO_MASK_FILE", value_name = "FILE", help_heading = "Secrets")]
    pub mask_file: Option<PathBuf>,
}

/// The flags that stand on the command line. What comes from the environment, or by default, is not among them:
/// that may be there for something else.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<String>);

impl Given {
    /// Those of `names` that were given.
    pub fn among<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        names.iter().copied().filter(|name| self.0.iter().any(|given| given == name)).collect()
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_given = |id: &&Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        let flag = |id: &Id| format!("--{}", id.as_str().replace('_', "-"));
        Ok(Self(matches.ids().filter(is_given).map(flag).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: clap::Command) -> clap::Command {
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command
    }
}

/// How batches are compressed on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// About a tenth of a text, at little CPU time.
    Zstd,
    /// For what cannot read zstd on the way.
    Gzip,
}

impl Compression {
    /// As gRPC calls it.
    pub const fn encoding(self) -> Option<CompressionEncoding> {
        match self {
            Self::None => None,
            Self::Zstd => Some(CompressionEncoding::Zstd),
            Self::Gzip => Some(CompressionEncoding::Gzip),
        }
    }
}

/// How to hand in a file.
#[derive(Clone, Debug, Args)]
pub struct Upload {
    /// What was asked for by flags. The first field: those that are read take their matches away.
    #[command(flatten)]
    pub given: Given,
    /// The log-ingest that takes the lines.
    #[arg(long, env = "OTTO_INGEST_URL", value_name = "URL", default_value = "http://127.0.0.1:50051", value_parser = parse_url)]
    pub ingest_url: String,
    /// Names the log of a file; default: the host's name and a part that the content decides, so that a file
    /// that is handed in again is known. A spool has a name already.
    #[arg(long, env = "OTTO_WORKER_ID", value_name = "ID", value_parser = parse_id::<WorkerId>)]
    pub worker_id: Option<WorkerId>,
    /// The task that a file belongs to; default: the worker's id. A spool has one already.
    #[arg(long, env = "OTTO_TASK_ID", value_name = "ID", value_parser = parse_id::<TaskId>)]
    pub task_id: Option<TaskId>,
    /// The exit code to end the log with; default: 0 for a file, and for a spool what its agent wrote. Where
    /// that was killed before it could, the log stays open.
    #[arg(long, env = "OTTO_EXIT_CODE", value_name = "CODE")]
    pub exit_code: Option<i32>,
    /// A longer line of a file is cut into pieces that say so; at most 1MiB.
    #[arg(long, env = "OTTO_MAX_LINE", value_name = "SIZE", default_value_t = ByteSize::kib(64), value_parser = parse_max_line)]
    pub max_line: ByteSize,
    /// How long to try.
    #[arg(long, env = "OTTO_UPLOAD_TIMEOUT", value_name = "TIME", default_value = "10min", value_parser = parse_duration)]
    pub timeout: Duration,

    /// What nobody may read in a file. The lines of a spool were masked before they were written to it.
    #[command(flatten)]
    pub masks: MaskArgs,

    /// Of the agent's own log.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,

    /// What an agent left behind, or any file of lines; of a directory each file that is named `*.spool`.
    pub file: PathBuf,
}

impl Run {
    /// Where the spool goes, if it is needed.
    pub fn spool_dir(&self) -> PathBuf {
        self.spool_dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// Where the summary goes, if anywhere.
    pub fn summary_path(&self) -> Option<PathBuf> {
        let usual = || Path::new(TERMINATION_LOG).exists().then(|| PathBuf::from(TERMINATION_LOG));
        self.summary.clone().or_else(usual)
    }
}

fn parse_id<T: FromStr<Err = InvalidIdent>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|why: InvalidIdent| why.to_string())
}

fn parse_url(text: &str) -> Result<String, String> {
    check_url(text).map(|()| text.to_owned()).map_err(|why| format!("{why}, such as http://127.0.0.1:50051"))
}

/// What would be ignored is refused: whoever wrote it expects something of it.
fn check_url(text: &str) -> Result<(), &'static str> {
    let uri = tonic::transport::Uri::try_from(text).map_err(|_| "expected a URL")?;
    if uri.scheme_str() == Some("https") {
        return Err(NO_TLS);
    }
    let authority =
        uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or("expected a URL with http")?;
    if authority.as_str().contains('@') {
        return Err("otto-agent knows no user and no password; expected a URL without them");
    }
    let has_port = authority.as_str().len() > authority.host().len();
    if has_port && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("a port is a number from 1 to 65535; expected a URL");
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || text.contains('#') {
        return Err("gRPC needs no path and no query; expected a URL without them");
    }
    Ok(())
}

/// One read of each pipe has to fit, whatever its lines look like.
fn parse_buffer_limit(text: &str) -> Result<ByteSize, String> {
    at_least(text, ByteSize::kib(256))
}

fn parse_max_line(text: &str) -> Result<ByteSize, String> {
    let size = at_least(text, ByteSize::bytes(16))?;
    if size > LONGEST_LINE { Err(format!("must be at most {LONGEST_LINE}")) } else { Ok(size) }
}

fn at_least(text: &str, least: ByteSize) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|why: ottoscaler_kit::size::InvalidSize| why.to_string())?;
    if size < least { Err(format!("must be at least {least}")) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_what_is_used_of_it_and_nothing_else() {
        for good in ["http://ingest", "http://ingest:50051/", "http://[::1]:50051", "http://127.0.0.1:65535"]
        {
            assert_eq!(parse_url(good).as_deref(), Ok(good));
        }
        for (bad, word) in [
            ("https://ingest:50051", "no TLS"),
            ("ingest:50051", "expected a URL"),
            ("http://ingest:99999", "65535"),
            ("http://ingest:", "65535"),
            ("http://ingest:0", "65535"),
            ("http://me:secret@ingest", "no password"),
            ("http://ingest/logs", "no path"),
            ("http://ingest/?token=x", "no query"),
            ("http://ingest/#x", "no path"),
        ] {
            let said = parse_url(bad).expect_err(bad);
            assert!(said.contains(word) && said.contains("http://127.0.0.1:50051"), "{bad}: {said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
