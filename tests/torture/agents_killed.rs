use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ottoscaler_tests::audit::{self, Found};
use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, binary, wait};
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::{Form, random_pause, seeded};

const TASK: &str = "agents-killed";
const AGENTS: u64 = 8;

/// What is so old when its agent is killed was acknowledged or is in its spool: a second until it is written,
/// a quarter until that is looked at, and some for a machine that is busy.
const SAVED: Duration = Duration::from_millis(2_500);

const LIMIT: Duration = Duration::from_mins(1);

/// An agent whose command would print for a minute.
struct Run {
    worker: String,
    script: Script,
    spool_dir: PathBuf,
    progress: PathBuf,
    child: Child,
    /// Lines that the command had printed [`SAVED`] before the kill.
    old: u64,
    /// Lines that a reader had seen before.
    seen: u64,
}

impl Run {
    fn start(ingest: &Ingest, dir: &Path, number: u64, lines_per_second: u64) -> Self {
        let worker = format!("{TASK}-{number}");
        let script = Script { seed: number, lines: lines_per_second * 60 };
        let (spool_dir, progress) = (dir.join(&worker), dir.join(format!("{worker}.progress")));
        let mut command = agent::command(&ingest.url(), &worker);
        command.args(["--task-id", TASK, "--mirror", "false", "--spool-dir"]).arg(&spool_dir).arg("--");
        command.arg(binary::path("otto-chatter")).args(["--spread-ms", "60000", "--progress"]).arg(&progress);
        command.args(["--seed", &script.seed.to_string(), "--lines", &script.lines.to_string()]);
        // Its command finds a closed pipe when the agent is gone, and says so.
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        Self { worker, script, spool_dir, progress, child, old: 0, seen: 0 }
    }

    fn printed(&self) -> u64 {
        let text = std::fs::read_to_string(&self.progress).unwrap_or_default();
        text.parse().unwrap_or_default()
    }

    async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// What its agent left behind, if it left anything.
    fn spool(&self) -> Option<PathBuf> {
        let mut files = std::fs::read_dir(&self.spool_dir).into_iter().flatten();
        files.next().map(|file| file.unwrap().path())
    }

    /// Hands the spool in, after an attempt that is killed as well. Gives whether there was one.
    async fn upload(&self, ingest: &Ingest, random: &mut SmallRng) -> bool {
        let Some(spool) = self.spool() else { return false };
        let command = || {
            let mut command = Command::new(binary::path("otto-agent"));
            command.args(["upload", "--ingest-url", &ingest.url(), "--timeout", "1min"]).arg(&spool);
            command.kill_on_drop(true);
            command
        };
        let mut cut_short = command().stderr(Stdio::null()).spawn().unwrap();
        random_pause(random, 0..50).await;
        cut_short.kill().await.unwrap();
        let output = agent::output(command()).await;
        assert!(output.status.success(), "{}: {output:?}", self.worker);
        std::fs::remove_file(spool).unwrap();
        true
    }

    async fn found(&self, ingest: &Ingest) -> Found {
        let found = audit::read(ingest, &self.worker, self.script).await;
        found.assert_prefix(&self.worker);
        let Self { worker, old, seen, .. } = self;
        assert!(
            found.lines >= *seen,
            "{worker}: a reader saw {seen} lines, and now there are {}",
            found.lines
        );
        assert!(
            found.lines >= *old,
            "{worker}: of {old} lines that were older than {SAVED:?}, {} are there",
            found.lines
        );
        found
    }
}

/// Lines of each worker that readers see.
async fn seen(ingest: &Ingest, runs: &[Run]) -> Result<Vec<u64>, String> {
    let task = ingest.task(TASK).await.map_err(|error| error.to_string())?;
    let workers = task["workers"].as_array().cloned().unwrap_or_default();
    let lines = runs.iter().map(|run| {
        let shown = workers.iter().find(|shown| shown["worker_id"] == run.worker.as_str());
        let lines = shown.and_then(|shown| shown["lines"].as_u64()).filter(|lines| *lines > 0);
        lines.ok_or_else(|| format!("nothing of {} yet", run.worker))
    });
    lines.collect()
}

/// Agents start and are killed, half of the time while log-ingest is gone. Gives lines and spools.
async fn round(ingest: &mut Ingest, dir: &Path, first: u64, rate: u64, random: &mut SmallRng) -> (u64, u64) {
    let mut runs: Vec<_> =
        (first..first + AGENTS).map(|number| Run::start(ingest, dir, number, rate)).collect();
    wait::until("all agents ship", LIMIT, || seen(ingest, &runs)).await;
    random_pause(random, 0..2_000).await;
    let seen = seen(ingest, &runs).await.unwrap();
    let is_alone = random.random_bool(0.5);
    if is_alone {
        ingest.kill().await;
    }
    for (run, seen) in runs.iter_mut().zip(seen) {
        (run.old, run.seen) = (run.printed(), seen);
    }
    sleep(SAVED).await;
    for run in &mut runs {
        random_pause(random, 0..100).await;
        run.kill().await;
    }
    if is_alone {
        ingest.resume().await;
    }
    let (mut lines, mut spools) = (0, 0);
    for run in &runs {
        spools += u64::from(run.upload(ingest, random).await);
        lines += run.found(ingest).await.lines;
    }
    if is_alone {
        assert_eq!(spools, AGENTS, "each agent left behind what nobody took");
    }
    (lines, spools)
}

/// What was acknowledged is there, once; what had waited for longer than a second is in the spool, and handing
/// that in brings it, once. What is missing is the end: no log of a killed agent has a hole.
#[tokio::test(flavor = "multi_thread")]
async fn p5_agents_killed_at_random_moments_lose_their_last_moment_and_double_nothing() {
    let mut random = seeded("agents_killed");
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let form = Form::of_environment();
    let (rate, enough, least) =
        form.pick((5_000, 300_000, Duration::ZERO), (25_000, 5_000_000, Duration::from_mins(2)));
    let (start, mut agents, mut lines, mut spools) = (Instant::now(), 0, 0, 0);
    while lines < enough || start.elapsed() < least {
        let (more_lines, more_spools) = round(&mut ingest, dir.path(), agents, rate, &mut random).await;
        agents += AGENTS;
        lines += more_lines;
        spools += more_spools;
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "{TASK}: {lines} lines of {agents} killed agents, {spools} spools, in {took:.0} s: no hole, 0 doubled"
    );
}
