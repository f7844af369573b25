//! Measures the system, each figure beside a bare limit of the same run on the same machine and disk.
//! Prints one table; `--quick` measures shorter.

#![allow(clippy::print_stdout, reason = "the table is the point")]

mod ack;
mod limits;
mod start;
mod stats;
mod throughput;

use anyhow::Result;
use clap::Parser;

use stats::Table;

#[derive(Parser)]
struct Args {
    /// A tenth of the load, to see that everything works.
    #[arg(long)]
    quick: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let scale = if args.quick { 10 } else { 1 };
    // Beside the programs, not in /tmp, which is memory on many machines.
    let disk = std::env::current_exe()?.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
    let dir = tempfile::tempdir_in(disk)?;
    let mut table = Table::default();

    limits::pipe(&mut table, 20_000_000 / scale)?;
    throughput::agents(&mut table, &dir, 1, 4_000_000 / scale).await?;
    throughput::agents(&mut table, &dir, 32, 6_400_000 / scale).await?;
    limits::append(&mut table, &dir)?;
    let fdatasync = limits::fdatasync(&mut table, &dir, 4_000 / scale)?;
    ack::latency(&mut table, &dir, 20_000 / scale, fdatasync).await?;
    start::latency(&mut table, &dir, 400 / scale).await?;

    println!("{table}");
    Ok(())
}
