//! From the stream to records: reads, records, acknowledges, in this order (P1).
//!
//! Intake never waits for capacity: records are the queue. At its start and after every reconnect it
//! first takes over what was read and not acknowledged, by whomever, and then reads on; now and then it
//! does so again, since a leader that hung may have read on after that. A bad entry
//! becomes a dead letter. One whose handling fails for a reason of its own stays pending and is
//! claimed again a little later; after too many deliveries it is a dead letter, too. While Redis
//! cannot be reached an entry in hand is neither lost nor given up: it is pending in Redis, and
//! claimed after the reconnect.

mod backlog;
mod stream;

use std::time::Duration;

use anyhow::Result;
use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use ottoscaler_kit::admin::Condition;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::backlog::Backlog;
use self::stream::Consumer;
use crate::controller::{Ended, Intake as Message};
use crate::event::{Event, EventPolicy, RawEntry};
use crate::metrics::{Metrics, kind};
use crate::record::{DeadLetter, Record, Recorded, Store, Written, is_fenced};
use crate::redis_link::RedisLink;

/// A read waits so long for entries; stopping does not wait for it.
const BLOCK: Duration = Duration::from_secs(2);

/// An entry whose handling failed is claimed again after this.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Reading is not fenced as writing is: what an earlier leader that hung reads after this one has
/// claimed, it cannot record, and nobody else is told of it. It is claimed within this.
pub(crate) const CLAIM_EVERY: Duration = Duration::from_secs(10);

/// A consumer that has done nothing for so long, and has nothing to do, is a replica that is no more.
const CONSUMER_IDLE: Duration = Duration::from_mins(10);

/// Between two tries to connect: jittered, doubling.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
const RECONNECT_MAX: Duration = Duration::from_secs(3);

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct IntakeConfig {
    /// This process among the consumers of the group.
    pub consumer: String,
    /// After so many deliveries an entry is a dead letter.
    pub max_deliveries: u64,
    /// What decides where an event says nothing.
    pub policy: EventPolicy,
}

/// See the module.
#[derive(Debug)]
pub struct Intake {
    link: RedisLink,
    store: Store,
    consumer: Consumer,
    config: IntakeConfig,
    controller: mpsc::Sender<Message>,
    metrics: Metrics,
    connected: Condition,
}

/// Where a connection has got to.
#[derive(Debug)]
struct Session {
    redis: MultiplexedConnection,
    /// When what is pending is to be claimed; at once on a new connection.
    claim_at: Instant,
}

impl Intake {
    /// Reads the events of `store`'s stream and hands what it recorded to `controller`.
    pub fn new(
        link: RedisLink,
        store: Store,
        config: IntakeConfig,
        controller: mpsc::Sender<Message>,
        metrics: Metrics,
        connected: Condition,
    ) -> Self {
        let consumer = Consumer {
            stream: store.config().events.clone(),
            group: store.config().group.clone(),
            name: config.consumer.clone(),
        };
        Self { link, store, consumer, config, controller, metrics, connected }
    }

    /// Reads until `stop`, or until another leader has written; what it is handling then stays pending.
    /// Redis being away ends nothing.
    pub async fn run(self, stop: CancellationToken) -> Result<Ended> {
        let pauses = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(RECONNECT_MIN)
            .with_max_delay(RECONNECT_MAX);
        let mut backoff = pauses.without_max_times().build();
        // Dropping a read or a script midway is safe: what was not acknowledged is claimed again.
        while let Some(Err(error)) = stop.run_until_cancelled(self.session(&mut backoff, pauses)).await {
            self.metrics.redis_disconnects.inc();
            if is_fenced(&error) {
                return Ok(Ended::Fenced);
            }
            self.connected.missing(format!("{}: {error}", self.link.address()));
            let pause = backoff.next().unwrap_or(RECONNECT_MAX);
            tracing::warn!(redis = self.link.address(), error = %error, ?pause, "redis is away; trying again");
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        Ok(Ended::Stopped)
    }

    /// Connects and works until the connection fails.
    async fn session(
        &self,
        backoff: &mut backon::ExponentialBackoff,
        pauses: ExponentialBuilder,
    ) -> RedisResult<()> {
        let redis = self.link.reader(BLOCK).await?;
        let mut session = Session { redis, claim_at: Instant::now() };
        self.consumer.ensure_group(&mut session.redis).await?;
        tracing::info!(redis = self.link.address(), stream = self.consumer.stream, "reading events");
        self.tell(Message::Reconnected).await;
        loop {
            match self.turn(&mut session).await {
                Ok(()) => {
                    self.connected.met();
                    *backoff = pauses.without_max_times().build();
                }
                Err(error) if error.code() == Some("NOGROUP") => self.make_group_again(&mut session).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Redis was flushed or failed over to a copy without the group: nothing of it is left to lose.
    async fn make_group_again(&self, session: &mut Session) -> RedisResult<()> {
        tracing::warn!(
            stream = self.consumer.stream,
            group = self.consumer.group,
            "the consumer group is gone: redis lost its data, and events that nobody had read with it"
        );
        self.metrics.groups_made_again.inc();
        self.consumer.ensure_group(&mut session.redis).await?;
        self.tell(Message::Reconnected).await;
        Ok(())
    }

    /// Claims what is due, then reads what is new.
    async fn turn(&self, session: &mut Session) -> RedisResult<()> {
        if session.claim_at <= Instant::now() {
            session.claim_at = Instant::now() + CLAIM_EVERY;
            self.claim(session).await?;
        }
        self.connected.met();
        let until_claim = session.claim_at.saturating_duration_since(Instant::now());
        // Redis blocks for ever on 0.
        let block = until_claim.clamp(Duration::from_millis(1), BLOCK);
        let entries = self.consumer.read(&mut session.redis, block).await?;
        self.metrics.events_read.inc_by(entries.len() as u64);
        for entry in entries {
            self.handle(session, &entry).await?;
        }
        Ok(())
    }

    /// What is pending is handled here, whoever read it; then nobody else is needed in the group.
    async fn claim(&self, session: &mut Session) -> RedisResult<()> {
        let mut cursor = None;
        loop {
            let claimed = self.consumer.claim(&mut session.redis, cursor.as_deref()).await?;
            self.metrics.events_claimed.inc_by(claimed.entries.len() as u64);
            for id in claimed.entries {
                let Some(entry) = self.consumer.deliver(&mut session.redis, id).await? else { continue };
                let deliveries = self.consumer.deliveries(&mut session.redis, entry.id).await?;
                if deliveries > self.config.max_deliveries {
                    self.give_up(&entry, &DeadLetter::Undeliverable { deliveries }).await?;
                } else {
                    self.handle(session, &entry).await?;
                }
            }
            cursor = claimed.cursor;
            if cursor.is_none() {
                break;
            }
        }
        self.forget_consumers().await
    }

    /// That it does not work (no right to it, say) keeps nobody from reading.
    async fn forget_consumers(&self) -> RedisResult<()> {
        match self.store.forget_consumers(&self.consumer.name, CONSUMER_IDLE).await {
            Ok(0) => {}
            Ok(consumers) => {
                tracing::info!(consumers, "consumers of replicas that are no more are forgotten");
            }
            Err(error) if is_fenced(&error) => return Err(error),
            Err(error) => tracing::debug!(error = %error, "idle consumers cannot be forgotten"),
        }
        Ok(())
    }

    /// An error ends the session; one that only this entry makes leaves it pending for a later claim.
    async fn handle(&self, session: &mut Session, entry: &RawEntry) -> RedisResult<()> {
        let result = match Event::parse(entry, &self.config.policy) {
            Ok(event) => self.record(entry, event.into()).await,
            Err(rejection) => self.give_up(entry, &DeadLetter::Rejected(rejection)).await,
        };
        match result {
            Err(error) if is_of_the_entry(&error) => {
                self.metrics.handling_failures.inc();
                tracing::error!(entry_id = %entry.id, error = %error, "event cannot be handled; trying again");
                session.claim_at = session.claim_at.min(Instant::now() + RETRY_AFTER);
                Ok(())
            }
            other => other,
        }
    }

    async fn record(&self, entry: &RawEntry, record: Record) -> RedisResult<()> {
        match self.store.record_and_ack(entry.id, &record, Timestamp::now()).await? {
            Recorded::New => {
                self.metrics.events_recorded.get_or_create(&kind("new")).inc();
                tracing::info!(entry_id = %entry.id, record = %record.id(), "event recorded");
                self.tell(Message::Recorded(record)).await;
            }
            Recorded::Duplicate => {
                self.metrics.events_recorded.get_or_create(&kind("duplicate")).inc();
                tracing::info!(entry_id = %entry.id, record = %record.id(), "event is on record already");
            }
        }
        Ok(())
    }

    async fn give_up(&self, entry: &RawEntry, letter: &DeadLetter) -> RedisResult<()> {
        if self.store.dead_letter(entry, letter).await? == Written::Done {
            let (cause, field, reason) = letter.blame();
            self.metrics.dead_letters.get_or_create(&kind(cause)).inc();
            tracing::warn!(entry_id = %entry.id, cause, field, reason, "event became a dead letter");
        }
        Ok(())
    }

    /// A controller that is gone has been stopped; what it misses it reads from Redis when it is back.
    async fn tell(&self, message: Message) {
        let _controller_is_gone = self.controller.send(message).await;
    }
}

/// Whether another entry could fare better: Redis answered, and the answer was about this one.
fn is_of_the_entry(error: &RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind};
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::Extension => {
            !matches!(error.code(), Some("FENCED" | "NOGROUP" | "OOM" | "MISCONF" | "NOAUTH" | "NOREPLICAS"))
        }
        _ => false,
    }
}
