//! The Redis side of a submission: the event goes in, states and a dead letter come out.
//!
//! Where the two streams end is noted before the event is added, so that nothing about it is missed. A lost
//! connection is made again for as long as it takes; the event is the same request however often it is added.

use std::time::Duration;

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value};

use super::progress::Told;
use super::remark;
use crate::config::RedisArgs;
use crate::entries::entries;
use crate::event::RawEntry;
use crate::redis_link::RedisLink;

/// A read waits so long for something new.
const BLOCK: Duration = Duration::from_secs(5);
/// Between tries to reach Redis again.
const PAUSE: Duration = Duration::from_secs(1);
/// So many times an event is added before Redis counts as away.
const ADD_TRIES: usize = 5;
/// Entries in one answer.
const BATCH: usize = 500;

/// What was heard.
#[derive(Debug)]
pub(super) enum Item {
    /// Of some worker's state.
    Told(Told),
    /// The event became a dead letter, because of this.
    Refused(String),
}

/// A stream, and up to where it was read.
struct Place {
    stream: String,
    last: String,
}

/// See the module.
pub(super) struct News {
    link: RedisLink,
    redis: Option<MultiplexedConnection>,
    events: String,
    /// The status stream, and that of dead letters.
    places: [Place; 2],
    /// What the event is called in the stream; more than one where an answer was lost.
    added: Vec<String>,
}

impl News {
    /// Connects, and notes where the streams end.
    pub(super) async fn connect(args: &RedisArgs) -> Result<Self> {
        let link = RedisLink::new(&args.redis_url).context("--redis-url (REDIS_URL) is no Redis URL")?;
        let failure = || format!("cannot reach Redis at {} (--redis-url, REDIS_URL)", link.address());
        let mut redis = link.reader(BLOCK).await.with_context(failure)?;
        let mut ends = Vec::new();
        for stream in [&args.status_stream, &args.dlq_stream] {
            ends.push(end(&mut redis, stream).await.with_context(failure)?);
        }
        let [status, letters] =
            <[Place; 2]>::try_from(ends).unwrap_or_else(|_| unreachable!("there are two"));
        let events = args.events_stream.clone();
        Ok(Self { redis: Some(redis), link, events, places: [status, letters], added: Vec::new() })
    }

    /// Puts the event on the stream.
    pub(super) async fn add(&mut self, fields: &[(&str, String)]) -> Result<()> {
        let mut failed = None;
        for _ in 0..ADD_TRIES {
            match self.try_add(fields).await {
                Ok(id) => {
                    self.added.push(id);
                    return Ok(());
                }
                Err(error) => {
                    self.redis = None;
                    failed = Some(error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        let error = failed.map_or_else(|| anyhow::anyhow!("no try"), anyhow::Error::new);
        Err(error.context(format!("cannot add to {} of Redis at {}", self.events, self.link.address())))
    }

    async fn try_add(&mut self, fields: &[(&str, String)]) -> RedisResult<String> {
        let mut add = redis::cmd("XADD");
        add.arg(&self.events).arg("*").arg(fields);
        let redis = self.redis().await?;
        add.query_async(redis).await
    }

    /// What is new; nothing after a while.
    pub(super) async fn next(&mut self) -> Vec<Item> {
        match self.try_next().await {
            Ok(items) => items,
            Err(error) => {
                if self.redis.take().is_some() {
                    remark(&format!("Redis at {} is away: {error}", self.link.address()));
                }
                tokio::time::sleep(PAUSE).await;
                Vec::new()
            }
        }
    }

    async fn try_next(&mut self) -> RedisResult<Vec<Item>> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(BATCH).arg("BLOCK").arg(u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX));
        read.arg("STREAMS");
        read.arg(self.places.iter().map(|place| &place.stream).collect::<Vec<_>>());
        read.arg(self.places.iter().map(|place| &place.last).collect::<Vec<_>>());
        let redis = self.redis().await?;
        let answer: Value = read.query_async(redis).await?;
        Ok(by_stream(answer)
            .into_iter()
            .flat_map(|(stream, entries)| self.items(&stream, &entries))
            .collect())
    }

    fn items(&mut self, stream: &str, entries: &[RawEntry]) -> Vec<Item> {
        let Some(at) = self.places.iter().position(|place| place.stream == stream) else { return Vec::new() };
        if let Some(last) = entries.last() {
            self.places[at].last = last.id.to_string();
        }
        let is_status = at == 0;
        let item = |entry: &RawEntry| {
            if is_status { Told::read(entry).map(Item::Told) } else { self.refused(entry).map(Item::Refused) }
        };
        entries.iter().filter_map(item).collect()
    }

    /// Why, if the letter is about the event.
    fn refused(&self, letter: &RawEntry) -> Option<String> {
        let text = |name: &str| {
            let found = letter.fields.iter().find(|(known, _)| known == name.as_bytes());
            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        let about = text("entry_id")?;
        self.added.contains(&about).then(|| {
            let field = text("field").filter(|field| !field.is_empty());
            let reason = text("reason").unwrap_or_default();
            field.map_or(reason.clone(), |field| format!("{field}: {reason}"))
        })
    }

    async fn redis(&mut self) -> RedisResult<&mut MultiplexedConnection> {
        let redis = match self.redis.take() {
            Some(redis) => redis,
            None => self.link.reader(BLOCK).await?,
        };
        Ok(self.redis.insert(redis))
    }
}

/// The last entry of a stream; what comes is behind it.
async fn end(redis: &mut MultiplexedConnection, stream: &str) -> RedisResult<Place> {
    let mut range = redis::cmd("XREVRANGE");
    range.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    let newest = entries(range.query_async(redis).await?).pop();
    let last = newest.map_or_else(|| "0-0".to_owned(), |entry| entry.id.to_string());
    Ok(Place { stream: stream.to_owned(), last })
}

/// An answer to XREAD, in either of Redis's protocols. Nil: nothing came.
fn by_stream(answer: Value) -> Vec<(String, Vec<RawEntry>)> {
    let name = |value: Value| redis::from_redis_value::<String>(value).ok();
    match answer {
        Value::Map(streams) => {
            streams.into_iter().filter_map(|(stream, found)| Some((name(stream)?, entries(found)))).collect()
        }
        Value::Array(streams) => {
            let pair = |stream: Value| {
                let Value::Array(parts) = stream else { return None };
                let mut parts = parts.into_iter();
                Some((name(parts.next()?)?, entries(parts.next()?)))
            };
            streams.into_iter().filter_map(pair).collect()
        }
        _ => Vec::new(),
    }
}
