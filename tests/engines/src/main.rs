//! Measures store engines on the load of log-ingest, so that which of them it keeps its lines in is a matter of
//! evidence. Prints one Markdown table; `just bench-engines` is the command.
//!
//! **Engines**: the segment log of log-ingest itself, through `LogStore` and `LogReader`; fjall 3, an LSM tree, with
//! its values in the tree and apart from it; redb, a copy-on-write B-tree, with and without its quick repair;
//! SQLite in WAL mode with `synchronous=FULL`. Each stores the same records and syncs them before a commit
//! returns. None compresses, for blocks can be compressed before any of them.
//!
//! **The limit** is one file: the same bytes appended, one fdatasync a group, nothing that could be found again.
//! It is measured in the same minutes as the engines are, and their rates are shown as parts of its.
//!
//! **Commits**: 1, 32 and 1,000 workers wait with a block each, of 64 and of 512 lines of 100 bytes; one commit
//! takes them all. Engines take turns in small slices, so that what else the machine does hits all alike.
//!
//! **A life** of a store, one engine after another: it is filled by 1,000 workers at a time, 32 blocks of 64 lines
//! a commit, some of the limit after each part; the newest blocks are read right after their commits; its process
//! is killed with SIGKILL in the middle of commits, twice, and the store opened with what is then cached and
//! with nothing cached; blocks at random and whole logs are read; the older half of the logs is deleted, and
//! the space given back. Every block that is read is compared with what was written, what was said to be
//! durable before a kill must be there after it, and what was deleted must be gone: else the run fails.
//!
//! Each store has a process of its own (`child`), so that a kill is one, and so that processor time, memory
//! (anonymous pages) and bytes written (`write_bytes` of `/proc/self/io`) are the store's. What makes the load
//! up is part of the processor time, the same for all and for the limit.
//!
//! At most one filled store is on the disk at a time, and filling ends at `--max-disk`.

#![allow(clippy::print_stdout, reason = "the table is the point")]

mod ask;
mod child;
mod engine;
mod host;
mod load;
mod measure;
mod table;
mod usage;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use engine::Kind;
use load::Load;
use measure::life::Size;
use measure::{commits, life};
use table::Table;

#[derive(Parser)]
struct Args {
    /// A small store, to see that everything works.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// A store of 10 GiB instead of 2.
    #[arg(long)]
    full: bool,
    /// Only these engines, beside the limit.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ENGINE")]
    only: Vec<Kind>,
    /// Only one of the two parts.
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// Where stores are made; beside the program where not given, because /tmp is memory on many machines.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// GiB of the disk at which filling a store ends.
    #[arg(long, default_value_t = 12)]
    max_disk: u64,
    /// Be the process that holds a store.
    #[arg(long, hide = true, requires = "dir")]
    hold: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Commits,
    Life,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(kind) = &args.hold {
        let dir = args.dir.context("--hold needs --dir")?;
        return child::run(serde_json::from_str(kind)?, dir);
    }
    measure(&args)
}

fn measure(args: &Args) -> Result<()> {
    let beside = std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
    let dir = tempfile::tempdir_in(args.dir.as_ref().unwrap_or(&beside))?;
    let engines = if args.only.is_empty() { Kind::ENGINES.to_vec() } else { args.only.clone() };
    let kinds: Vec<Kind> = [Kind::Bare].into_iter().chain(engines.iter().copied()).collect();
    let mut table = Table::new(kinds.clone());
    if args.part != Some(Part::Life) {
        let bytes = if args.quick { 16 << 20 } else { 512 << 20 };
        commits::all(&mut table, &kinds, dir.path(), bytes)?;
    }
    if args.part != Some(Part::Commits) {
        for kind in engines {
            life::one(&mut table, kind, dir.path(), size(args))?;
        }
    }
    println!("{table}");
    Ok(())
}

/// Whole generations of about as many bytes as were asked for.
fn size(args: &Args) -> Size {
    let (workers, blocks) = if args.quick { (100, 16) } else { (1_000, 64) };
    let load = Load { workers, lines: 64, blocks };
    let bytes: u64 = if args.quick {
        256 << 20
    } else if args.full {
        10 << 30
    } else {
        2 << 30
    };
    Size { load, generations: bytes / load.bytes(load.generation()), disk: args.max_disk << 30 }
}
