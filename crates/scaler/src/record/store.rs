//! Records in Redis: one hash each, an index of those not finished, and the scripts that change them.
//!
//! Every change is one script, so a crash leaves nothing half done; every script may be repeated, so
//! a lost answer is no harm. Nothing here scans the keyspace.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use redis::aio::ConnectionManager;
use redis::{RedisResult, Script};

use super::{Record, ScaleDownRecord, Slot, Spec, TaskRecord};
use crate::event::{RawEntry, Rejection};
use crate::ids::{EntryId, RecordId, WorkerIndex};
use crate::status::Notification;

/// A hundred years: Redis adds it to the time of day and must not overflow.
const MAX_KEEP_MILLIS: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;

/// So many records are read in one round trip.
const LOAD_CHUNK: usize = 200;

/// A letter keeps so many fields of an entry one by one, and the rest as one: Lua passes at most
/// about 8,000 values to a command, two for each field.
const LETTER_FIELDS: usize = 1_000;

/// Fields of the entry in its dead letter carry this prefix, so that they cannot pass for the letter's own.
const ORIGINAL_PREFIX: &[u8] = b"original.";

/// Names and limits in Redis.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The stream of events.
    pub events: String,
    /// The consumer group on it.
    pub group: String,
    /// The stream of dead letters.
    pub dead_letters: String,
    /// About so many dead letters are kept.
    pub dead_letter_limit: u64,
    /// The stream of notifications.
    pub status: String,
    /// About so many notifications are kept.
    pub status_limit: u64,
    /// What keys of records start with.
    pub record_prefix: String,
    /// How long a finished record is kept, to know its event again.
    pub dedupe_period: Duration,
}

/// Whether an event was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is on record now.
    New,
    /// It was on record before, and that was left as it is.
    Duplicate,
}

/// Whether there was a record to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is changed.
    Done,
    /// Redis no longer has the record, or had the change before.
    Nothing,
}

/// Why an entry is a dead letter.
#[derive(Clone, Debug)]
pub enum DeadLetter {
    /// It is no event.
    Rejected(Rejection),
    /// Its handling failed or crashed so many times.
    Undeliverable {
        /// How many times it was delivered.
        deliveries: u64,
    },
}

/// What changes of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The record.
    pub record: RecordId,
    /// Which worker of it.
    pub index: WorkerIndex,
    /// What is on record from now on.
    pub slot: Slot,
    /// What is told.
    pub notification: Notification,
}

/// What was found in Redis.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Records that are not finished.
    pub records: Vec<Record>,
    /// Records that cannot be read, and why.
    pub unreadable: Vec<(String, anyhow::Error)>,
}

/// The records in Redis; cheap to clone.
#[derive(Clone)]
pub struct Store {
    redis: ConnectionManager,
    config: StoreConfig,
    record_and_ack: Script,
    dead_letter: Script,
    update_worker: Script,
    apply_scale_down: Script,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps records over `redis`.
    pub fn new(redis: ConnectionManager, config: StoreConfig) -> Self {
        Self {
            redis,
            config,
            record_and_ack: Script::new(include_str!("scripts/record_and_ack.lua")),
            dead_letter: Script::new(include_str!("scripts/dead_letter.lua")),
            update_worker: Script::new(include_str!("scripts/update_worker.lua")),
            apply_scale_down: Script::new(include_str!("scripts/apply_scale_down.lua")),
        }
    }

    /// The names and limits.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Writes the record of `entry` where it is new, tells that its workers are queued, and takes the
    /// entry off the stream: one step (P1), and the same again changes nothing (P2). `entry` may be a
    /// later one than that which the record names.
    pub async fn record_and_ack(
        &self,
        entry: EntryId,
        record: &Record,
        now: Timestamp,
    ) -> RedisResult<Recorded> {
        let spec = serde_json::to_string(&record.spec()).expect("a spec is plain data with text keys");
        let mut call = self.record_and_ack.prepare_invoke();
        call.key(self.key(record.id())).key(self.index()).key(&self.config.status).key(&self.config.events);
        call.arg(&self.config.group).arg(entry.to_string()).arg(record.id().as_str());
        call.arg(entry.unix_millis()).arg(spec).arg(self.config.status_limit);
        if let Record::Task(task) = record {
            call.arg(task.spec.task_id.as_str()).arg(now.to_string());
            for (index, slot) in task.workers() {
                call.arg(task.worker_id(index, slot.attempt).as_str());
            }
        }
        let fresh: bool = call.invoke_async(&mut self.redis.clone()).await?;
        Ok(if fresh { Recorded::New } else { Recorded::Duplicate })
    }

    /// Keeps an entry with the reason and everything that was in it, and takes it off the stream.
    pub async fn dead_letter(&self, entry: &RawEntry, letter: &DeadLetter) -> RedisResult<Written> {
        let mut call = self.dead_letter.prepare_invoke();
        call.key(&self.config.dead_letters).key(&self.config.events);
        call.arg(&self.config.group).arg(entry.id.to_string()).arg(self.config.dead_letter_limit);
        for (name, value) in letter.fields() {
            call.arg(name).arg(value);
        }
        call.arg("entry_id").arg(entry.id.to_string());
        for (name, value) in original(entry) {
            call.arg(name).arg(value);
        }
        written(call.invoke_async(&mut self.redis.clone()).await?)
    }

    /// Writes what is known of a worker and tells it. `finished` says that it was the last of its task.
    pub async fn update_worker(&self, update: &Update, finished: bool) -> RedisResult<Written> {
        let keep = if finished { self.keep_millis() } else { 0 };
        let mut call = self.update_worker.prepare_invoke();
        call.key(self.key(&update.record)).key(self.index()).key(&self.config.status);
        call.arg(update.record.as_str()).arg(slot_field(update.index)).arg(slot_json(&update.slot));
        call.arg(keep).arg(self.config.status_limit);
        for (name, value) in update.notification.fields() {
            call.arg(name).arg(value);
        }
        written(call.invoke_async(&mut self.redis.clone()).await?)
    }

    /// Writes the slots of the workers that a scale-down takes away, and that it is done.
    pub async fn apply_scale_down(
        &self,
        down: &RecordId,
        cancelled: &[(RecordId, WorkerIndex, Slot)],
    ) -> RedisResult<Written> {
        let mut call = self.apply_scale_down.prepare_invoke();
        call.key(self.key(down)).key(self.index());
        call.arg(down.as_str()).arg(self.keep_millis());
        for (number, (record, index, slot)) in cancelled.iter().enumerate() {
            call.key(self.key(record));
            // Lua counts from 1, and two keys come first.
            call.arg(number + 3).arg(slot_field(*index)).arg(slot_json(slot));
        }
        written(call.invoke_async(&mut self.redis.clone()).await?)
    }

    /// Reads all records that are not finished. Ids in the index without a record are taken out of it.
    pub async fn load(&self) -> RedisResult<Loaded> {
        let mut redis = self.redis.clone();
        let ids: Vec<String> =
            redis::cmd("ZRANGE").arg(self.index()).arg(0).arg(-1).query_async(&mut redis).await?;
        let mut loaded = Loaded::default();
        for chunk in ids.chunks(LOAD_CHUNK) {
            let mut pipe = redis::pipe();
            for id in chunk {
                pipe.cmd("HGETALL").arg(format!("{}{id}", self.config.record_prefix));
            }
            let hashes: Vec<HashMap<String, Vec<u8>>> = pipe.query_async(&mut redis).await?;
            for (id, hash) in chunk.iter().zip(hashes) {
                self.take_in(&mut loaded, id, &hash).await?;
            }
        }
        Ok(loaded)
    }

    async fn take_in(
        &self,
        loaded: &mut Loaded,
        id: &str,
        hash: &HashMap<String, Vec<u8>>,
    ) -> RedisResult<()> {
        if hash.is_empty() {
            let mut redis = self.redis.clone();
            return redis::cmd("ZREM").arg(self.index()).arg(id).query_async(&mut redis).await;
        }
        match read_record(hash) {
            Ok(record) => loaded.records.push(record),
            Err(error) => loaded.unreadable.push((id.to_owned(), error)),
        }
        Ok(())
    }

    fn key(&self, id: &RecordId) -> String {
        format!("{}{id}", self.config.record_prefix)
    }

    /// The ids of records that are not finished, by the time of their entries.
    fn index(&self) -> String {
        format!("{}index", self.config.record_prefix)
    }

    /// At least one: Redis deletes a key with no time left at once, and 0 means not finished.
    fn keep_millis(&self) -> u64 {
        u64::try_from(self.config.dedupe_period.as_millis()).unwrap_or(u64::MAX).clamp(1, MAX_KEEP_MILLIS)
    }
}

impl DeadLetter {
    /// Cause, field and reason.
    pub fn blame(&self) -> (&'static str, &str, String) {
        match self {
            Self::Rejected(rejection) => ("rejected", rejection.field(), rejection.reason().to_owned()),
            Self::Undeliverable { deliveries } => {
                ("undeliverable", "", format!("handling failed {deliveries} times"))
            }
        }
    }

    fn fields(&self) -> [(&'static str, String); 4] {
        let (cause, field, reason) = self.blame();
        let deliveries = match self {
            Self::Rejected(_) => String::new(),
            Self::Undeliverable { deliveries } => deliveries.to_string(),
        };
        [
            ("cause", cause.to_owned()),
            ("field", field.to_owned()),
            ("reason", reason),
            ("deliveries", deliveries),
        ]
    }
}

/// The entry's own fields under names that cannot be mistaken for the letter's.
fn original(entry: &RawEntry) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (single, rest) = entry.fields.split_at(entry.fields.len().min(LETTER_FIELDS));
    let mut fields: Vec<_> =
        single.iter().map(|(name, value)| ([ORIGINAL_PREFIX, name].concat(), value.clone())).collect();
    if !rest.is_empty() {
        let lossy = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let rest: Vec<_> = rest.iter().map(|(name, value)| (lossy(name), lossy(value))).collect();
        let rest = serde_json::to_vec(&rest).expect("pairs of text");
        fields.push((b"more_fields".to_vec(), rest));
    }
    fields
}

fn slot_field(index: WorkerIndex) -> String {
    format!("w:{index}")
}

fn slot_json(slot: &Slot) -> String {
    serde_json::to_string(slot).expect("a slot is plain data")
}

#[allow(clippy::unnecessary_wraps, reason = "it ends a chain of results")]
fn written(done: bool) -> RedisResult<Written> {
    Ok(if done { Written::Done } else { Written::Nothing })
}

fn read_record(hash: &HashMap<String, Vec<u8>>) -> anyhow::Result<Record> {
    let spec = hash.get("spec").context("the record has no spec")?;
    match serde_json::from_slice(spec).context("cannot read the spec")? {
        Spec::ScaleDown(spec) => Ok(Record::ScaleDown(ScaleDownRecord::new(spec))),
        Spec::ScaleUp(spec) => {
            let mut task = TaskRecord::new(*spec);
            for (field, slot) in hash {
                let Some(index) = field.strip_prefix("w:") else { continue };
                let index = index.parse().with_context(|| format!("{field} is no worker"))?;
                let slot = serde_json::from_slice(slot).with_context(|| format!("cannot read {field}"))?;
                task.set_slot(index, slot);
            }
            Ok(Record::Task(Box::new(task)))
        }
    }
}
