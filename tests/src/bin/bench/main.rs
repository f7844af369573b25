//! Measures the system, each figure beside a bare limit of the same run on the same machine and disk.
//! Prints what was reached of the goals, and one table; `--quick` measures shorter.

#![allow(clippy::print_stdout, reason = "the table is the point")]

mod ack;
mod commits;
mod disk;
mod flat;
mod flood;
mod http2;
mod idle;
mod ingest;
mod kubernetes;
mod layout;
mod limits;
mod lines;
mod live;
mod machine;
mod page;
mod peers;
mod print;
mod process;
mod report;
mod sink;
mod start;
mod stats;
mod streamlogs;
mod target;
mod throughput;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tempfile::TempDir;

use machine::Machine;
use print::Print;
use sink::Sink;
use stats::Table;

/// A part that takes longer has hung.
const PART_LIMIT: Duration = Duration::from_mins(10);

#[derive(Parser)]
struct Args {
    /// A tenth of the load, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Only this part; may be given several times.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// How large the store is that is compared with an empty one; default: 2, or a quarter with --quick.
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u64).range(1..=10))]
    store_gib: Option<u64>,
    /// Write what was measured to docs/benchmarks.md.
    #[arg(long)]
    write: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// What runs under the agents that are measured: prints lines.
    #[command(hide = true)]
    Print(Print),
    /// What log-ingest is compared with: takes batches, and drops them.
    #[command(hide = true)]
    Sink(Sink),
}

/// In the order of measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What disk and pipes can do.
    Limits,
    /// What a batch's layout costs.
    Layout,
    /// Commands under agents, as fast as they go.
    Agents,
    /// Prepared messages to log-ingest, as fast as they go.
    Ingest,
    /// Clients of the fixed contract, as fast as they go.
    Streamlogs,
    /// Ten thousand agents whose commands print nothing.
    Idle,
    /// From a line to its ACK.
    Ack,
    /// From a line to its reader.
    Live,
    /// The log page in a real browser.
    Page,
    /// Beside Redis Streams and NATS JetStream.
    Peers,
    /// The cost of a line over workers and the size of the store.
    Flat,
    /// From an event to its process.
    Start,
    /// The scaler on a Kubernetes API.
    Kubernetes,
}

fn main() -> Result<()> {
    let args = Args::parse();
    match args.command {
        // Without a runtime, as it is no more than a command.
        Some(Command::Print(print)) => print.run(),
        Some(Command::Sink(sink)) => sink.run(),
        None => measured(&args),
    }
}

#[tokio::main]
async fn measured(args: &Args) -> Result<()> {
    // Whoever interrupts it gets all directories removed and all processes killed as well.
    tokio::select! {
        measured = measure(args) => measured,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted")
        }
    }
}

async fn measure(args: &Args) -> Result<()> {
    // Beside the programs, not in /tmp, which is memory on many machines.
    let disk = std::env::current_exe()?.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let dir = tempfile::tempdir_in(disk)?;
    let machine = Machine::here(dir.path())?;
    let mut table = Table::default();
    for part in Part::value_variants() {
        if args.only.is_empty() || args.only.contains(part) {
            let measured = tokio::time::timeout(PART_LIMIT, part.measure(&mut table, &dir, args)).await;
            measured.context("not within its time").flatten().with_context(|| format!("{part:?}"))?;
        }
    }
    println!("\n{}\n{table}", report::targets(&table));
    if args.write {
        report::write(&table, &machine).await?;
    }
    Ok(())
}

impl Part {
    async fn measure(self, table: &mut Table, dir: &TempDir, args: &Args) -> Result<()> {
        let scale = if args.quick { 10 } else { 1 };
        // Each of the many measurements by time.
        let time = Duration::from_secs(if args.quick { 1 } else { 4 });
        let rounds = if args.quick { 1 } else { 3 };
        let store = args.store_gib.map_or((2 << 30) / scale, |gib| gib << 30);
        match self {
            Self::Limits => limits::all(table, dir, scale),
            Self::Layout => layout::layouts(table, 20_000 / u32::try_from(scale)?),
            Self::Agents => throughput::agents(table, dir, scale).await,
            Self::Ingest => ingest::costs(table, dir, time).await,
            Self::Streamlogs => streamlogs::clients(table, dir, 32, 3_200_000 / scale).await,
            Self::Idle => idle::agents(table, dir, 10_000 / usize::try_from(scale)?).await,
            Self::Ack => ack::latency(table, dir, 20_000 / scale).await,
            Self::Live => live::latency(table, dir, time * 3).await,
            Self::Page => page::all(table, dir, time * 3, scale).await,
            Self::Peers => peers::compare(table, dir, rounds, time).await,
            Self::Flat => flat::costs(table, dir, rounds, time, store).await,
            Self::Start => start::latency(table, dir, 400 / scale).await,
            Self::Kubernetes => kubernetes::all(table, dir, usize::try_from(scale)?).await,
        }
    }
}
