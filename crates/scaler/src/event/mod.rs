//! From an entry of the stream to an event: pure, total, and the only place where the producers'
//! three dialects are known.
//!
//! Everything is checked and every default decided here (P10), so that a record holds all that its
//! workers need and a later change of configuration does not touch it. What cannot work is a
//! [`Rejection`] that names the field.

mod fields;
mod pin;
mod reject;
mod run;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::pin::pinned;
pub use self::reject::Rejection;
pub use self::run::{CommandLine, InvalidCommand, Run, RunDefaults};
use crate::ids::{EntryId, Group, RequestId, TaskId, Tenant};

/// A clock may not run longer: ten years are an error, not a wish.
const CLOCK_LIMIT: Duration = Duration::from_hours(24 * 366);

/// More attempts than this are an error, not a wish.
const MAX_ATTEMPTS: u32 = 100;

/// Names of the number of workers, in each dialect.
const COUNT: [&str; 3] = ["worker_count", "pod_count", "target_replicas"];

/// An entry as Redis gave it: fields in order, any bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// Its place in the stream.
    pub id: EntryId,
    /// Names and values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What decides where an event says nothing, and how much it may ask for.
#[derive(Clone, Debug)]
pub struct EventPolicy {
    /// What runs.
    pub run: RunDefaults,
    /// How long a command may run.
    pub timeout: Duration,
    /// How many workers one event may ask for.
    pub max_workers: NonZeroU32,
}

/// What a producer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Add workers to a task.
    ScaleUp(Box<ScaleUp>),
    /// Take workers away.
    ScaleDown(ScaleDown),
}

/// Workers to add to a task; as it is here, it is kept in the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleUp {
    /// The entry that asked first.
    pub entry_id: EntryId,
    /// The task.
    pub task_id: TaskId,
    /// The idempotency key.
    pub request_id: RequestId,
    /// The set of workers that they belong to.
    pub group: Option<Group>,
    /// How many.
    pub count: NonZeroU32,
    /// What they run.
    pub run: Run,
    /// How long they may wait and run.
    pub clocks: Clocks,
    /// Attempts for failures of the infrastructure.
    pub max_attempts: NonZeroU32,
    /// Higher goes first.
    pub priority: i32,
    /// On whose behalf.
    pub tenant: Option<Tenant>,
    /// Where it comes from.
    pub context: Context,
    /// All fields that mean nothing here.
    pub metadata: BTreeMap<String, String>,
}

/// Three clocks, none of which runs while another does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// Waiting for capacity.
    pub queue: Option<Duration>,
    /// Made, and the command not yet running.
    pub pending: Option<Duration>,
    /// The command.
    pub run: Duration,
}

/// Where a task comes from; handed to its command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The repository.
    pub repository: Option<String>,
    /// The commit.
    pub commit_sha: Option<String>,
    /// Who or what asked.
    pub triggered_by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When, as the producer wrote it: a Unix time or RFC 3339.
    pub timestamp: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// Workers to take away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleDown {
    /// The entry that asked; only workers of earlier entries are meant.
    pub entry_id: EntryId,
    /// The idempotency key.
    pub request_id: RequestId,
    /// Whose workers.
    pub selector: Selector,
    /// How many of them stay.
    pub keep: u32,
}

/// Whose workers a scale-down means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// Those of one task.
    Task(TaskId),
    /// Those of a group, whatever their tasks.
    Group(Group),
}

impl Event {
    /// Reads an entry.
    pub fn parse(entry: &RawEntry, policy: &EventPolicy) -> Result<Self, Rejection> {
        let mut fields = fields::Fields::new(&entry.fields)?;
        let Some(kind) = fields.take(&["type"])? else {
            return Err(Rejection::new("type", "is missing: expected scale_up or scale_down"));
        };
        match kind.value.as_str() {
            "scale_up" => {
                ScaleUp::parse(entry.id, fields, policy).map(|event| Self::ScaleUp(Box::new(event)))
            }
            "scale_down" => ScaleDown::parse(entry.id, fields).map(Self::ScaleDown),
            _ => Err(kind.reject("expected scale_up or scale_down")),
        }
    }
}

impl ScaleUp {
    fn parse(entry_id: EntryId, mut fields: fields::Fields, policy: &EventPolicy) -> Result<Self, Rejection> {
        let fields = &mut fields;
        Ok(Self {
            entry_id,
            task_id: fields.parse(&["task_id", "job_id"])?.unwrap_or_else(|| event_task(entry_id)),
            request_id: request_id(fields, entry_id)?,
            group: fields.parse(&["group", "target_deployment"])?,
            count: count(fields, policy.max_workers)?,
            run: Run::parse(fields, &policy.run)?,
            clocks: Clocks::parse(fields, policy.timeout)?,
            max_attempts: max_attempts(fields)?,
            priority: priority(fields)?,
            tenant: fields.parse(&["tenant"])?,
            context: Context::parse(fields)?,
            metadata: metadata(fields)?,
        })
    }
}

impl ScaleDown {
    fn parse(entry_id: EntryId, mut fields: fields::Fields) -> Result<Self, Rejection> {
        let task = fields.parse(&["task_id", "job_id"])?.map(Selector::Task);
        let group = fields.parse(&["group", "target_deployment"])?.map(Selector::Group);
        let selector = task.or(group).ok_or_else(|| {
            Rejection::new("task_id", "is missing: a scale_down needs a task_id or a group")
        })?;
        let keep = match fields.take(&COUNT)? {
            Some(given) => {
                given.value.parse().map_err(|_| given.reject("expected the number of workers to keep"))?
            }
            None => 0,
        };
        Ok(Self { entry_id, request_id: request_id(&mut fields, entry_id)?, selector, keep })
    }
}

impl Clocks {
    fn parse(fields: &mut fields::Fields, default_timeout: Duration) -> Result<Self, Rejection> {
        Ok(Self {
            queue: clock(fields, "queue_timeout_seconds")?,
            pending: clock(fields, "pending_timeout_seconds")?,
            run: clock(fields, "timeout_seconds")?.unwrap_or(default_timeout),
        })
    }
}

impl Context {
    fn parse(fields: &mut fields::Fields) -> Result<Self, Rejection> {
        Ok(Self {
            repository: fields.text("repository")?,
            commit_sha: fields.text("commit_sha")?,
            triggered_by: fields.text("triggered_by")?,
            reason: fields.text("reason")?,
            timestamp: timestamp(fields)?,
            traceparent: fields.text("traceparent")?,
        })
    }
}

fn event_task(entry_id: EntryId) -> TaskId {
    TaskId::try_from(format!("event-{entry_id}")).expect("digits and a dash")
}

fn request_id(fields: &mut fields::Fields, entry_id: EntryId) -> Result<RequestId, Rejection> {
    let given = fields.parse(&["request_id"])?;
    Ok(given.unwrap_or_else(|| RequestId::try_from(entry_id.to_string()).expect("digits and a dash")))
}

fn count(fields: &mut fields::Fields, max: NonZeroU32) -> Result<NonZeroU32, Rejection> {
    let Some(given) = fields.take(&COUNT)? else {
        return Err(Rejection::new(COUNT[0], format!("is missing: expected 1 to {max} workers")));
    };
    between(&given, NonZeroU32::MIN, max)
}

fn priority(fields: &mut fields::Fields) -> Result<i32, Rejection> {
    let Some(given) = fields.take(&["priority"])? else { return Ok(0) };
    between(&given, i32::MIN, i32::MAX)
}

fn max_attempts(fields: &mut fields::Fields) -> Result<NonZeroU32, Rejection> {
    let max = NonZeroU32::new(MAX_ATTEMPTS).expect("the limit is not zero");
    match fields.take(&["max_attempts"])? {
        Some(given) => between(&given, NonZeroU32::MIN, max),
        None => Ok(NonZeroU32::MIN),
    }
}

fn clock(fields: &mut fields::Fields, name: &str) -> Result<Option<Duration>, Rejection> {
    let Some(given) = fields.take(&[name])? else { return Ok(None) };
    between(&given, 1, CLOCK_LIMIT.as_secs()).map(Duration::from_secs).map(Some)
}

fn between<T: FromStr + PartialOrd + Display + Copy>(
    given: &fields::Given,
    min: T,
    max: T,
) -> Result<T, Rejection> {
    match given.value.parse::<T>() {
        Ok(number) if min <= number && number <= max => Ok(number),
        _ => Err(given.reject(format!("expected a whole number from {min} to {max}"))),
    }
}

fn timestamp(fields: &mut fields::Fields) -> Result<Option<String>, Rejection> {
    let Some(given) = fields.take(&["timestamp"])? else { return Ok(None) };
    let is_number = given.value.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number || given.value.parse::<Timestamp>().is_ok() {
        return Ok(Some(given.value));
    }
    Err(given.reject("expected a Unix time or RFC 3339"))
}

fn metadata(fields: &mut fields::Fields) -> Result<BTreeMap<String, String>, Rejection> {
    let rest = std::mem::take(fields).rest();
    if let Some((name, _)) = rest.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(Rejection::new(name, "must not contain a NUL character"));
    }
    // It is handed on as one variable.
    let bytes = serde_json::to_string(&rest).map_or(usize::MAX, |json| json.len());
    match rest.iter().max_by_key(|(_, value)| value.len()) {
        Some((name, _)) if bytes > fields::FIELD_BYTES => {
            let limit = fields::FIELD_BYTES;
            Err(Rejection::new(
                name,
                format!("all metadata together has {bytes} bytes as JSON; at most {limit} can be handed on"),
            ))
        }
        Some(_) | None => Ok(rest),
    }
}

#[cfg(test)]
mod tests;
