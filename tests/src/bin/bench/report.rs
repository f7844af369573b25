//! The table as a page of the documentation.

use std::fmt::Write;

use anyhow::Result;
use jiff::Timestamp;
use ottoscaler_tests::binary;

use crate::machine::{self, Machine};
use crate::stats::Table;
use crate::target::{Target, tick};

/// Where the page is.
const PAGE: &str = "docs/benchmarks.md";

/// What is said before the figures.
const HEAD: &str = "\
# Benchmarks

<!-- Written by `just bench --write`. -->

Throughput is lines divided by CPU-seconds of the process named, or by the clock where it says so. Limits and
peers are measured in the same run, on the same disk, and peers get the same lines in the same messages from
as many connections with as many in flight, each synced before its answer. One row says little without the limit beside it: disks of
virtual machines differ by the hour.

";

/// What is said of goals that are shown elsewhere.
const ELSEWHERE: &str = "
No loss, no duplicate and no reordering, under kill -9 every other second and under simulated power cuts, is
shown by tests: `scripts/test`.
";

/// The targets with what was measured.
pub(crate) fn targets(table: &Table) -> String {
    let mut text = String::from("| what | must | aim | measured | must | aim |\n|---|---|---|---|---|---|\n");
    for target in Target::ALL {
        let goal = target.goal();
        let (must, aim) = (goal.must(), goal.aim().unwrap_or_default());
        let mark = table.marks().iter().find(|mark| mark.target == target);
        let measured = match mark {
            Some(mark) => {
                let is_aim_met = goal.is_aim_met(mark.figure).map_or("", tick);
                format!("{} | {} | {is_aim_met}", goal.figure(mark.figure), tick(goal.is_met(mark.figure)))
            }
            None => "not in this run | | ".to_owned(),
        };
        let _never_fails = writeln!(text, "| {} | {must} | {aim} | {measured} |", goal.what);
    }
    text
}

/// What keeps a figure from its goal, where that is known from a profile.
fn explained(table: &Table) -> String {
    let mut text = String::new();
    for mark in table.marks() {
        let goal = mark.target.goal();
        let is_reached = goal.is_met(mark.figure) && goal.is_aim_met(mark.figure).unwrap_or(true);
        if let Some(why) = mark.target.bound().filter(|_| !is_reached) {
            let _never_fails = writeln!(text, "* **{}**: {why}", goal.what);
        }
    }
    if text.is_empty() { text } else { format!("\n## What keeps a figure from its goal\n\n{text}") }
}

/// Writes the page.
pub(crate) async fn write(table: &Table, machine: &Machine) -> Result<()> {
    let command: Vec<_> = std::env::args().skip(1).collect();
    let text = format!(
        "{HEAD}## What was measured, and on what\n\n{machine}| command | `just bench {}` |\n| date | {} |\n\
         | commit | {} |\n\n## Goals\n\n{}{}{ELSEWHERE}\n## All figures\n\n{table}",
        command.join(" "),
        Timestamp::now().strftime("%Y-%m-%d"),
        machine::commit().await?,
        targets(table),
        explained(table),
    );
    Ok(std::fs::write(binary::workspace().join(PAGE), text)?)
}
