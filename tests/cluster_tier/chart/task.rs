//! A task that prints its lines one after another, ten milliseconds apart, and what has to become of them.

use std::fmt::Write;

use ottoscaler_tests::scaler::Entry;
use ottoscaler_tests::{oracle, scaler, wait};
use serde_json::json;

use super::images::SHELL;
use super::release::{LIMIT, Release};

/// The exit code of every task.
const CODE: i32 = 3;

/// A running one.
pub(super) struct Task<'a> {
    release: &'a Release<'a>,
    name: &'static str,
    lines: usize,
    worker: String,
}

impl<'a> Task<'a> {
    /// Puts the event on the stream, and waits until its worker runs.
    pub(super) async fn submit(release: &'a Release<'a>, name: &'static str, lines: usize) -> Self {
        let script = format!(
            "i=1; while [ $i -le {lines} ]; do echo line $i; usleep 10000; i=$((i + 1)); done; exit {CODE}"
        );
        let fields = [
            ("type", "scale_up"),
            ("task_id", name),
            ("worker_count", "1"),
            ("image", SHELL),
            ("command", &*script),
        ];
        scaler::submit(&mut release.redis(), &fields).await;
        let what = format!("the worker of {name} runs");
        let worker = wait::until(&what, LIMIT, || async {
            let states = scaler::states(&mut release.redis(), name).await;
            let runs = |entry: &Entry| entry["state"] == "running" || entry.contains_key("exit_code");
            let found = states.iter().find(|(_, entry)| runs(entry));
            found.map(|(worker, _)| worker.clone()).ok_or_else(|| format!("{states:#?}"))
        });
        let worker = worker.await;
        Self { release, name, lines, worker }
    }

    /// Waits until so many lines have come, though not yet all.
    pub(super) async fn has_said(&self, lines: usize) {
        let what = format!("{} has said {lines} lines", self.name);
        wait::until(&what, LIMIT, || async {
            let said =
                self.release.ingest().lines(&self.worker).await.map_err(|error| format!("{error:#}"))?;
            if said.len() >= lines { Ok(()) } else { Err(said.len().to_string()) }
        })
        .await;
    }

    /// What was done to the system was done while the command ran, or it shows nothing.
    pub(super) async fn runs_still(&self) {
        let states = scaler::states(&mut self.release.redis(), self.name).await;
        assert_eq!(states[&self.worker]["state"], "running", "{} was too short: {states:#?}", self.name);
    }

    /// Waits for its end, checks every line of it, and gives the name of its worker.
    pub(super) async fn ends_whole(self) -> String {
        let (worker, ended) = scaler::ended(&self.release.redis(), self.name, 1).await.pop_first().unwrap();
        assert_eq!((&*ended["state"], &*ended["class"]), ("failed", "user"), "{ended:?}");
        assert_eq!(ended["exit_code"], CODE.to_string());
        assert_eq!(worker, self.worker, "one worker, whatever happened meanwhile");
        is_whole(self.release, self.name, &worker, self.lines).await;
        worker
    }
}

/// Checks that the log of a worker that has ended is what its command has printed, by the Service.
pub(super) async fn is_whole(release: &Release<'_>, task: &str, worker: &str, lines: usize) {
    let ingest = release.ingest();
    let shown = ingest.completed(task, worker).await;
    assert_eq!((&shown["exit_code"], &shown["lost"]), (&json!(CODE), &json!(0)), "{shown}");
    let found = ingest.lines(worker).await.unwrap();
    oracle::check_sequences(worker, &found);
    let printed = (1..=lines).fold(String::new(), |mut text, line| {
        writeln!(text, "line {line}").unwrap();
        text
    });
    assert!(
        oracle::bytes(&found, "stdout") == printed.as_bytes(),
        "{task}: {} lines, and not those",
        found.len()
    );
    assert_eq!(found.len(), lines, "{task}: lines of stderr that nobody has printed");
}
