//! Ready-made requests, records and observations for tests.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use jiff::Timestamp;

use super::Policy;
use crate::event::{Clocks, Context, Run, ScaleUp};
use crate::ids::{Attempt, WorkerIndex};
use crate::record::{Identity, Log, Outcome, TaskRecord, Verdict, WorkerSpec};
use crate::runtime::{Cause, Exit, Observed, Phase};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A request for `count` workers by the entry `entry`-0.
pub(crate) fn scale_up(task: &str, request: &str, entry: u64, count: u32) -> ScaleUp {
    ScaleUp {
        entry_id: format!("{entry}-0").parse().unwrap(),
        task_id: task.parse().unwrap(),
        request_id: request.parse().unwrap(),
        group: None,
        count: NonZeroU32::new(count).unwrap(),
        run: Run {
            image: None,
            command: "true".parse().unwrap(),
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            resource_class: None,
        },
        clocks: Clocks { queue: None, pending: None, run: Duration::from_hours(1) },
        max_attempts: NonZeroU32::MIN,
        priority: 0,
        tenant: None,
        context: Context::default(),
        metadata: BTreeMap::new(),
    }
}

pub(crate) fn worker_spec(task: &str, request: &str) -> WorkerSpec {
    let record = TaskRecord::new(scale_up(task, request, 1, 1));
    record.worker_spec(index(0), Attempt::FIRST)
}

pub(crate) fn identity() -> Identity {
    worker_spec("t", "r").identity
}

pub(crate) fn index(index: u32) -> WorkerIndex {
    index.to_string().parse().unwrap()
}

pub(crate) fn exit(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, cause: Cause::Command, started_at: Some(at(1)), ended_at: at(2) }
}

pub(crate) fn outcome(verdict: Verdict) -> Outcome {
    Outcome {
        verdict,
        exit_code: Some(0),
        reason: String::new(),
        ran: true,
        started_at: Some(at(1)),
        ended_at: at(2),
        log: Log::Open,
    }
}

pub(crate) fn pending() -> Phase {
    Phase::Pending { since: at(0), obstacle: None }
}

pub(crate) fn observed(phase: Phase, stopping: bool) -> Observed {
    Observed::new(identity(), phase, stopping)
}

pub(crate) fn policy(max_workers: usize) -> Policy {
    Policy {
        max_workers: NonZeroUsize::new(max_workers).unwrap(),
        keep_ended: Duration::from_hours(1),
        keep_ended_count: 1_000,
        pending_timeout: Duration::from_mins(10),
        image_grace: Duration::from_secs(30),
        grace_period: Duration::from_secs(30),
        drain_timeout: Duration::from_mins(10),
    }
}
