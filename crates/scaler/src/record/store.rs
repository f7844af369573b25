//! Records in Redis: one hash each, an index of those not finished, and the scripts that change them.
//!
//! Every change is one script, so a crash leaves nothing half done; every script may be repeated, so
//! a lost answer is no harm. Nothing here scans the keyspace.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use redis::aio::ConnectionManager;
use redis::{RedisError, RedisResult, Script, ScriptInvocation};

use super::{DeadLetter, Record, ScaleDownRecord, Slot, Spec, TaskRecord, Write};
use crate::event::RawEntry;
use crate::ids::{EntryId, RecordId, WorkerIndex};
use crate::status::Notification;

/// A hundred years: Redis adds it to the time of day and must not overflow.
const MAX_KEEP_MILLIS: u64 = 100 * 366 * 24 * 60 * 60 * 1_000;

/// So many records are read in one round trip.
const LOAD_CHUNK: usize = 200;

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
    term: Term,
    scripts: Scripts,
}

/// The scripts, by what they do.
#[derive(Clone)]
struct Scripts {
    claim: Script,
    take_term: Script,
    record_and_ack: Script,
    dead_letter: Script,
    forget: Script,
    forget_consumers: Script,
    update_workers: Script,
    apply_scale_down: Script,
    rebuild: Script,
    tell: Script,
}

/// Which leader writes: each has a higher number than the one before, and Redis refuses a lower one
/// than the highest that it has seen. A leader that was frozen and comes back can write nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(u64);

impl Term {
    /// The term with this number.
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// Whether a later leader has written since: whoever is told so leads no more.
pub fn is_fenced(error: &RedisError) -> bool {
    error.code() == Some("FENCED")
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps records over `redis`, in no term yet: see [`Store::in_term`].
    pub fn new(redis: ConnectionManager, config: StoreConfig) -> Self {
        let fence = include_str!("scripts/fence.lua");
        let script = |code: &str| Script::new(&format!("{fence}{code}"));
        let scripts = Scripts {
            claim: Script::new(include_str!("scripts/claim.lua")),
            take_term: Script::new(include_str!("scripts/take_term.lua")),
            record_and_ack: script(include_str!("scripts/record_and_ack.lua")),
            dead_letter: script(include_str!("scripts/dead_letter.lua")),
            forget: script(include_str!("scripts/forget.lua")),
            forget_consumers: script(include_str!("scripts/forget_consumers.lua")),
            update_workers: script(include_str!("scripts/update_workers.lua")),
            apply_scale_down: script(include_str!("scripts/apply_scale_down.lua")),
            rebuild: script(include_str!("scripts/rebuild.lua")),
            tell: script(include_str!("scripts/tell.lua")),
        };
        Self { redis, config, term: Term::default(), scripts }
    }

    /// The same records, written to in `term`.
    #[must_use]
    pub fn in_term(&self, term: Term) -> Self {
        Self { term, ..self.clone() }
    }

    /// Says that the workers of these records are at `home`, unless there are unfinished records and
    /// they are somewhere else: then this says where.
    pub async fn claim(&self, home: &str) -> RedisResult<Option<String>> {
        let mut call = self.scripts.claim.prepare_invoke();
        call.key(format!("{}home", self.config.record_prefix)).key(self.index()).arg(home);
        call.invoke_async(&mut self.redis.clone()).await
    }

    /// Begins a term of at least this number, higher than any before, and gives its number. Whoever
    /// calls this must lead.
    pub async fn take_term(&self, at_least: Term) -> RedisResult<Term> {
        let mut call = self.scripts.take_term.prepare_invoke();
        call.key(self.term_key()).arg(at_least.0);
        call.invoke_async(&mut self.redis.clone()).await.map(Term)
    }

    /// Every call of a script begins with what its fence checks.
    fn call<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(self.term_key()).arg(self.term.0);
        call
    }

    fn term_key(&self) -> String {
        format!("{}term", self.config.record_prefix)
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
        let mut call = self.call(&self.scripts.record_and_ack);
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
        let mut call = self.call(&self.scripts.dead_letter);
        call.key(&self.config.dead_letters).key(&self.config.events);
        call.arg(&self.config.group).arg(entry.id.to_string()).arg(self.config.dead_letter_limit);
        for (name, value) in letter.fields(entry) {
            call.arg(name).arg(value);
        }
        written(call.invoke_async(&mut self.redis.clone()).await?)
    }

    /// Takes consumers other than `stays` out of the group that have nothing pending and were idle for so
    /// long, and gives how many they were. One that comes back is made again by its first read.
    pub async fn forget_consumers(&self, stays: &str, idle: Duration) -> RedisResult<u64> {
        let mut call = self.call(&self.scripts.forget_consumers);
        call.key(&self.config.events).arg(&self.config.group).arg(stays);
        call.arg(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
        call.invoke_async(&mut self.redis.clone()).await
    }

    /// Writes what is known of workers and tells it.
    pub async fn update_workers(&self, write: &Write) -> RedisResult<Written> {
        let keep = if write.finishes { self.keep_millis() } else { 0 };
        let mut call = self.call(&self.scripts.update_workers);
        call.key(self.key(&write.record)).key(self.index()).key(&self.config.status);
        call.arg(write.record.as_str()).arg(keep).arg(self.config.status_limit).arg(write.updates.len());
        for update in &write.updates {
            call.arg(slot_field(update.index)).arg(slot_json(&update.slot));
        }
        for update in &write.updates {
            tell(&mut call, &update.notifications);
        }
        written(call.invoke_async(&mut self.redis.clone()).await?)
    }

    /// Tells what changes nothing on record.
    pub async fn tell(&self, notifications: &[Notification]) -> RedisResult<()> {
        let mut call = self.call(&self.scripts.tell);
        call.key(&self.config.status).arg(self.config.status_limit);
        tell(&mut call, notifications);
        call.invoke_async(&mut self.redis.clone()).await
    }

    /// Writes a record that Redis has lost, as it is to be from now on. One that is there stays.
    pub async fn rebuild(&self, task: &TaskRecord, notifications: &[Notification]) -> RedisResult<Written> {
        let spec = Spec::ScaleUp(Box::new(task.spec.clone()));
        let spec = serde_json::to_string(&spec).expect("a spec is plain data with text keys");
        let mut call = self.call(&self.scripts.rebuild);
        call.key(self.key(&task.id)).key(self.index()).key(&self.config.status);
        call.arg(task.id.as_str()).arg(task.spec.entry_id.to_string()).arg(task.spec.entry_id.unix_millis());
        call.arg(spec).arg(self.config.status_limit).arg(task.slots.len());
        for (index, slot) in &task.slots {
            call.arg(slot_field(*index)).arg(slot_json(slot));
        }
        tell(&mut call, notifications);
        written(call.invoke_async(&mut self.redis.clone()).await?)
    }

    /// Reads one record, finished or not.
    pub async fn fetch(&self, id: &RecordId) -> RedisResult<Option<anyhow::Result<Record>>> {
        let mut redis = self.redis.clone();
        let hash: HashMap<String, Vec<u8>> =
            redis::cmd("HGETALL").arg(self.key(id)).query_async(&mut redis).await?;
        Ok((!hash.is_empty()).then(|| read_record(&hash)))
    }

    /// Writes the slots of the workers that a scale-down takes away, and that it is done.
    pub async fn apply_scale_down(
        &self,
        down: &RecordId,
        cancelled: &[(RecordId, WorkerIndex, Slot)],
    ) -> RedisResult<Written> {
        let mut call = self.call(&self.scripts.apply_scale_down);
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
            let mut call = self.call(&self.scripts.forget);
            call.key(self.index()).key(format!("{}{id}", self.config.record_prefix)).arg(id);
            return call.invoke_async(&mut self.redis.clone()).await;
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

fn tell(call: &mut ScriptInvocation<'_>, notifications: &[Notification]) {
    for notification in notifications {
        for (name, value) in notification.fields() {
            call.arg(name).arg(value);
        }
    }
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
