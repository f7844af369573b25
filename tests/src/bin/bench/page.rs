//! The log page in a real browser, which a program of tests/page drives: how soon a log of a million lines is
//! to be seen, what going and scrolling through it costs, and how soon lines come as they are written.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, binary, wait};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::disk::Meanwhile;
use crate::lines::Lines;
use crate::print::Print;
use crate::process::ended;
use crate::stats::{Durations, Table, mib};
use crate::target::Target;

/// Lines of the long log: as builds print them, some of many rows.
const LINES: u64 = 1_000_000;

/// Agents are known, and their logs closed, within this.
const AGENT_LIMIT: Duration = Duration::from_mins(2);

/// A browser that takes longer hangs.
const BROWSER_LIMIT: Duration = Duration::from_mins(3);

/// A worker that is watched prints for so much longer than it is.
const SLACK: Duration = Duration::from_mins(2);

/// Lines a second of a calm worker, and of a busy one.
const CALM: u64 = 1_000;
const BUSY: u64 = 50_000;

/// All that has a goal.
pub(crate) async fn all(table: &mut Table, dir: &TempDir, time: Duration, scale: u64) -> Result<()> {
    let browser = Browser::build().await?;
    let data = tempfile::tempdir_in(dir)?;
    let mut ingest = Ingest::start(data.path(), &[]).await;
    long_log(table, &browser, &ingest, scale).await?;
    live(table, dir, &browser, &ingest, time).await?;
    keys(table, &browser, &ingest, 200 / scale).await?;
    ingest.terminate().await;
    Ok(())
}

/// What is measured on a long log, in milliseconds.
#[derive(Deserialize)]
struct Long {
    lines: u64,
    /// A document of one line instead of the page.
    limits: Vec<f64>,
    screens: Vec<f64>,
    jumps: Vec<f64>,
    through: Work,
    wheel: Work,
    #[serde(rename = "heapBytes")]
    heap_bytes: u64,
}

/// What the main thread did while a person scrolled.
#[derive(Deserialize)]
struct Work {
    frames: Vec<f64>,
    #[serde(rename = "framesCpu")]
    frames_cpu: Vec<f64>,
    #[serde(rename = "longestTask")]
    longest_task: f64,
}

async fn long_log(table: &mut Table, browser: &Browser, ingest: &Ingest, scale: u64) -> Result<()> {
    let worker = "page-long";
    let print = Print { count: LINES, lines: Lines::Ci, seed: 1, rate: None, stamp: false };
    ended(start(ingest, worker, print)?).await.context("an agent")?;
    wait::until("the log is closed", AGENT_LIMIT, || async {
        let state = ingest.get_json(&format!("/api/v1/workers/{worker}")).await;
        let state = state.map_err(|error| error.to_string())?;
        if state["state"] == "closed" { Ok(()) } else { Err(state.to_string()) }
    })
    .await;
    let counts = [20, 100, 1_200].map(|count: u64| count.div_ceil(scale));
    let long: Long = browser.measure("log", ingest, worker, &counts).await?;
    ensure!(long.lines == LINES, "{} lines instead of {LINES}", long.lines);
    let screens = durations(&long.screens)?;
    let jumps = durations(&long.jumps)?;
    table.row("limit: a document of one line, navigation → painted", durations(&long.limits)?.to_string());
    table.row("page, 1,000,000 lines of builds, cold cache: navigation → rows painted", screens.to_string());
    table.row("page, 1,000,000 lines of builds: link to a line → painted", jumps.to_string());
    table.mark(Target::PageScreen, millis(screens.quantile(0.99)));
    table.mark(Target::PageJump, millis(jumps.quantile(0.99)));
    scrolling(table, &long)
}

fn scrolling(table: &mut Table, long: &Long) -> Result<()> {
    let (mut worst, mut longest) = (Duration::ZERO, 0_f64);
    for (name, work) in [("from end to end", &long.through), ("by the wheel", &long.wheel)] {
        let frames = durations(&work.frames)?;
        table.row(
            format!("page, scrolled {name}: main thread's tasks for a frame, by Chromium's trace"),
            format!("{frames}; longest task {:.1} ms", work.longest_task),
        );
        table.row(
            format!("page, scrolled {name}: CPU time of the same"),
            durations(&work.frames_cpu)?.to_string(),
        );
        worst = worst.max(frames.quantile(0.99));
        longest = longest.max(work.longest_task);
    }
    table.mark(Target::PageFrame, millis(worst));
    table.mark(Target::PageTask, longest);
    table.mark(Target::PageHeap, mib(long.heap_bytes));
    Ok(())
}

/// How old lines are when they come into the document.
#[derive(Deserialize)]
struct Seen {
    lines: Vec<f64>,
}

async fn live(
    table: &mut Table,
    dir: &TempDir,
    browser: &Browser,
    ingest: &Ingest,
    time: Duration,
) -> Result<()> {
    let worker = "page-live";
    let agent = watched(ingest, worker, CALM, time).await?;
    let disk = Meanwhile::start(dir)?;
    let seen: Seen = browser.measure("live", ingest, worker, &[time.as_secs()]).await?;
    let fdatasync = disk.stop(table)?;
    drop(agent);
    let ages = durations(&seen.lines)?;
    table.row(format!("page: write in the worker → in the DOM, {CALM} lines/s"), ages.to_string());
    table.mark(Target::PageLive, ages.p99_beyond(fdatasync));
    Ok(())
}

/// What became of keys.
#[derive(Deserialize)]
struct Heard {
    delays: Vec<f64>,
    paints: Vec<f64>,
    /// Lines that came in a second meanwhile.
    rate: f64,
}

async fn keys(table: &mut Table, browser: &Browser, ingest: &Ingest, presses: u64) -> Result<()> {
    let worker = "page-busy";
    let agent = watched(ingest, worker, BUSY, BROWSER_LIMIT).await?;
    let heard: Heard = browser.measure("keys", ingest, worker, &[presses]).await?;
    drop(agent);
    let delays = durations(&heard.delays)?;
    let at = format!("{:.0} lines/s", heard.rate);
    table.row(format!("page: a key → its handler, {at}"), delays.to_string());
    table.row(format!("page: a key → the next frame, {at}"), durations(&heard.paints)?.to_string());
    table.mark(Target::PageInput, millis(delays.quantile(0.99)));
    Ok(())
}

/// A worker that prints for as long as it is watched, and is killed after.
async fn watched(ingest: &Ingest, worker: &str, rate: u64, time: Duration) -> Result<Child> {
    let count = rate * (time + SLACK).as_secs();
    let print = Print { count, lines: Lines::Reference, seed: 1, rate: Some(rate), stamp: true };
    let agent = start(ingest, worker, print)?;
    wait::until("the worker is known", AGENT_LIMIT, || async {
        let path = format!("/api/v1/workers/{worker}/logs?limit=1");
        ingest.get(&path).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    Ok(agent)
}

fn start(ingest: &Ingest, worker: &str, print: Print) -> Result<Child> {
    let mut command = agent::command(&ingest.url(), worker);
    command.args(["--task-id", "page", "--mirror", "false", "--when-full", "block"]);
    command.args(["--spool-limit", "0", "--flush-timeout", "1min", "--"]).args(print.command()?);
    Ok(command.stdout(Stdio::null()).spawn()?)
}

/// What drives the browser.
struct Browser {
    /// For node.
    program: String,
}

impl Browser {
    async fn build() -> Result<Self> {
        let script = binary::workspace().join("scripts/page-bench");
        let output = Command::new(script).kill_on_drop(true).output().await?;
        Ok(Self { program: String::from_utf8(said("scripts/page-bench", output)?)?.trim().to_owned() })
    }

    /// One kind of measurement in a browser of its own.
    async fn measure<T: DeserializeOwned>(
        &self,
        kind: &str,
        ingest: &Ingest,
        worker: &str,
        numbers: &[u64],
    ) -> Result<T> {
        let mut node = Command::new("node");
        node.arg(&self.program).args([kind, ingest.http_url("").as_str(), worker]);
        node.args(numbers.iter().map(u64::to_string)).kill_on_drop(true);
        let output = tokio::time::timeout(BROWSER_LIMIT, node.output()).await;
        let output = output.with_context(|| format!("the browser hangs: {kind}"))??;
        Ok(serde_json::from_slice(&said(kind, output)?)?)
    }
}

/// What a program that has ended well has printed.
fn said(program: &str, output: Output) -> Result<Vec<u8>> {
    let (status, why) = (output.status, String::from_utf8_lossy(&output.stderr));
    ensure!(status.success(), "{program}: {status}: {why}");
    Ok(output.stdout)
}

/// Milliseconds as a browser gives them. Clocks that are read in two processes may be some microseconds apart.
fn durations(millis: &[f64]) -> Result<Durations> {
    ensure!(!millis.is_empty(), "the browser has measured nothing");
    let mut durations = Durations::new();
    for millis in millis {
        durations.record(Duration::try_from_secs_f64(millis.max(0.0) / 1000.0)?);
    }
    Ok(durations)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
