//! Agents that run scripts at the same time, and what all of them have to come to: every line, once, in order.

use std::time::{Duration, Instant};

use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, audit};
use tokio::process::{Child, Command};

use crate::Form;

/// An agent that takes so much longer than its command hangs: it gives up by itself a minute before.
const LIMIT: Duration = Duration::from_mins(6);

/// How much a fleet prints, and how long that takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) agents: u64,
    /// Of each agent.
    pub(crate) lines: u64,
    pub(crate) spread: Duration,
}

impl Load {
    /// The short form as a test wants it; the long form is the same for all: 5,000,000 lines in two minutes
    /// and a bit.
    pub(crate) fn of(form: Form, lines: u64, spread: Duration) -> Self {
        let long = Self { agents: 8, lines: 630_000, spread: Duration::from_secs(130) };
        form.pick(Self { agents: 8, lines, spread }, long)
    }
}

/// Agents of one task.
pub(crate) struct Fleet {
    task: &'static str,
    load: Load,
    started: Instant,
    runs: Vec<Run>,
}

struct Run {
    worker: String,
    script: Script,
    child: Child,
}

impl Fleet {
    /// Starts them; `change` does to each command what the test needs. By default the oldest lines would be dropped
    /// where there is no room, and there is: one that is dropped all the same is a failure like any other loss.
    pub(crate) fn start(url: &str, task: &'static str, load: Load, change: impl Fn(&mut Command)) -> Self {
        let runs = (0..load.agents).map(|number| {
            let worker = format!("{task}-{number}");
            let script = Script { seed: 1_000 + number, lines: load.lines };
            let mut command = agent::chatter(url, task, &worker, script);
            command.args(["--spread-ms", &load.spread.as_millis().to_string()]);
            change(&mut command);
            Run { worker, script, child: command.spawn().unwrap() }
        });
        Self { task, load, started: Instant::now(), runs: runs.collect() }
    }

    /// Whether any of them still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.runs.iter_mut().any(|run| run.child.try_wait().unwrap().is_none())
    }

    /// How long they run already.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// What their commands need where nothing holds them back.
    pub(crate) fn spread(&self) -> Duration {
        self.load.spread
    }

    /// Waits for all of them and compares every byte. `suffered` is for the figures.
    pub(crate) async fn end(mut self, ingest: &Ingest, suffered: impl FnOnce() -> String) {
        for Run { worker, child, .. } in &mut self.runs {
            let ended = tokio::time::timeout(self.load.spread + LIMIT, child.wait()).await;
            let status = ended.unwrap_or_else(|_| panic!("{worker} hangs")).unwrap();
            assert!(status.success(), "the command of {worker} succeeds: {status}");
        }
        let took = self.started.elapsed();
        for Run { worker, script, .. } in &self.runs {
            ingest.completed(self.task, worker).await;
            audit::read(ingest, worker, *script).await.assert_whole(worker);
        }
        println!(
            "{}: {} lines of {} agents in {:.0} s, {}: 0 lost, 0 doubled, 0 reordered",
            self.task,
            self.load.agents * self.load.lines,
            self.load.agents,
            took.as_secs_f64(),
            suffered()
        );
    }
}
