//! Intake, reconcile, two replicas, an API server, log-ingest and Redis, driven by seeded schedules, with faults
//! and crashes at every step. P1, P2, P3 and P9 are checked at each step against what is really so.
//!
//! Real are the decisions (`Event::parse`, `reconcile`), the records and their changes, and a
//! replica's memory of Pods; models are the machines, the network, and what carries decisions out. A
//! schedule is a function of its seed alone:
//!
//! - `OTTO_SIM_SCHEDULES`: so many schedules;
//! - `OTTO_SIM_SEED`: only this one, with each of its steps.

mod api;
mod bugs;
mod calls;
mod checks;
mod controller;
mod faults;
mod ingest;
mod intake;
mod redis;
mod replica;
mod rng;
mod world;
mod writes;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use self::bugs::PlantedBug;
use self::faults::Tally;
use self::rng::Rng;

/// Schedules where nothing else is said: each push gets all, and a developer does not wait.
const IN_CI: u64 = 100_000;
const ELSEWHERE: u64 = 20_000;

/// Each planted bug is found within so many schedules.
const TO_FIND: u64 = 40_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} has to be a number")))
}

/// Seeds of neighbours have nothing to do with each other.
fn seed(schedule: u64) -> u64 {
    Rng::new(schedule).next()
}

/// Runs one schedule and tells each of its steps.
fn replay(seed: u64, bug: Option<PlantedBug>) -> String {
    let outcome = world::run(seed, bug, true);
    let found = outcome.violation.map_or("every promise was kept".to_owned(), |violation| {
        format!("{} is broken: {}", violation.promise, violation.what)
    });
    format!("{}\nOTTO_SIM_SEED={seed}: {found}", outcome.trace.join("\n"))
}

/// Runs so many schedules on all cores, up to the first that breaks a promise, and gives its seed.
fn run_all(schedules: u64) -> (Tally, Option<u64>) {
    let (next, has_failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        let (mut tally, mut failed) = (Tally::default(), None);
        while !has_failed.load(Ordering::Relaxed) {
            let schedule = next.fetch_add(1, Ordering::Relaxed);
            if schedule >= schedules {
                break;
            }
            let outcome = world::run(seed(schedule), None, false);
            tally.add(&outcome.tally);
            if outcome.violation.is_some() {
                failed = Some(seed(schedule));
                has_failed.store(true, Ordering::Relaxed);
            }
        }
        (tally, failed)
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut total = (Tally::default(), None);
        for thread in threads {
            let (tally, failed) = thread.join().unwrap();
            total.0.add(&tally);
            total.1 = total.1.or(failed);
        }
        total
    })
}

#[test]
fn p1_p2_p3_p9_hold_on_every_schedule() {
    if let Some(seed) = number("OTTO_SIM_SEED") {
        let told = replay(seed, None);
        println!("{told}");
        assert!(told.ends_with("every promise was kept"), "the schedule breaks a promise");
        return;
    }
    let default = if std::env::var_os("CI").is_some() { IN_CI } else { ELSEWHERE };
    let schedules = number("OTTO_SIM_SCHEDULES").unwrap_or(default);
    let begun = Instant::now();
    let (tally, failed) = run_all(schedules);
    if let Some(seed) = failed {
        panic!("{}", replay(seed, None));
    }
    let (there, possible) = tally.kinds();
    println!("{}", tally.table());
    println!(
        "{schedules} schedules in {:.1?}: {} steps, {} workers made, {} terms, {} writes fenced, \
         {} steps over capacity, {there} of {possible} kinds of faults",
        begun.elapsed(),
        tally.steps,
        tally.workers,
        tally.takeovers,
        tally.fenced,
        tally.over_capacity,
    );
    if schedules >= IN_CI {
        assert_eq!(tally.missing(), [], "these never happened");
    }
}

#[test]
fn each_planted_bug_is_caught() {
    for bug in PlantedBug::ALL {
        let found = (0..TO_FIND).find_map(|schedule| {
            let violation = world::run(seed(schedule), Some(bug), false).violation?;
            Some((schedule + 1, violation))
        });
        let (schedules, violation) = found.unwrap_or_else(|| panic!("{bug:?} is not found in {TO_FIND}"));
        println!("{bug:?}: after {schedules} schedules, {}: {}", violation.promise, violation.what);
    }
}
