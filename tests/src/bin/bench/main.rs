//! Measures the system, each figure beside a bare limit of the same run on the same machine and disk.
//! Prints one table; `--quick` measures shorter.

#![allow(clippy::print_stdout, reason = "the table is the point")]

mod ack;
mod idle;
mod kubernetes;
mod layout;
mod limits;
mod start;
mod stats;
mod streamlogs;
mod throughput;

use anyhow::Result;
use clap::Parser;

use stats::Table;

#[derive(Parser)]
struct Args {
    /// A tenth of the load, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Only what needs Kubernetes, or only what does not.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Local,
    Kubernetes,
    Layout,
    Streamlogs,
    Idle,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let scale = if args.quick { 10 } else { 1 };
    // Beside the programs, not in /tmp, which is memory on many machines.
    let disk = std::env::current_exe()?.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let dir = tempfile::tempdir_in(disk)?;
    let mut table = Table::default();

    let is_wanted = |part| args.only.is_none_or(|only| only == part);
    if is_wanted(Part::Layout) {
        layout::layouts(&mut table, 20_000 / u32::try_from(scale)?)?;
    }
    if is_wanted(Part::Local) {
        local(&mut table, &dir, scale).await?;
    }
    if is_wanted(Part::Streamlogs) {
        for workers in [1, 32] {
            streamlogs::clients(&mut table, &dir, workers, 3_200_000 / scale).await?;
        }
    }
    if is_wanted(Part::Idle) {
        idle::agents(&mut table, &dir, 10_000 / usize::try_from(scale)?).await?;
    }
    if is_wanted(Part::Kubernetes) {
        kubernetes::all(&mut table, &dir, usize::try_from(scale)?).await?;
    }

    println!("{table}");
    Ok(())
}

async fn local(table: &mut Table, dir: &tempfile::TempDir, scale: u64) -> Result<()> {
    limits::pipe(table, 20_000_000 / scale)?;
    throughput::agents(table, dir, 1, 4_000_000 / scale).await?;
    throughput::agents(table, dir, 32, 6_400_000 / scale).await?;
    limits::append(table, dir)?;
    let fdatasync = limits::fdatasync(table, dir, 4_000 / scale)?;
    ack::latency(table, dir, 20_000 / scale, fdatasync).await?;
    start::latency(table, dir, 400 / scale).await?;
    Ok(())
}
