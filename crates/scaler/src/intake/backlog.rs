//! How far this leader is behind: what Redis counts of the consumer group, at an interval, for the metrics.
//!
//! Apart from reading, which waits for whatever holds it up: just then it is to be seen how much waits. Where
//! Redis does not answer, or does not know (no lag after entries were deleted, none at all before Redis 7), nothing
//! is said rather than a number of before.

use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use redis::RedisResult;
use redis::aio::ConnectionManager;
use redis::streams::{StreamInfoGroup, StreamInfoGroupsReply};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Metrics, NoLabel};

/// Prometheus asks less often.
const INTERVAL: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Backlog {
    redis: ConnectionManager,
    stream: String,
    group: String,
    metrics: Metrics,
}

impl Backlog {
    /// Every command on `redis` has a time limit.
    pub fn new(redis: ConnectionManager, stream: String, group: String, metrics: Metrics) -> Self {
        Self { redis, stream, group, metrics }
    }

    /// Measures until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            // Dropping a question midway is safe.
            let Some(group) = stop.run_until_cancelled(self.ask()).await else { return };
            let group = group.unwrap_or_else(|error| {
                tracing::debug!(error = %error, "cannot find out how many events wait");
                None
            });
            self.tell(group.as_ref());
            if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    async fn ask(&mut self) -> RedisResult<Option<StreamInfoGroup>> {
        let mut info = redis::cmd("XINFO");
        info.arg("GROUPS").arg(&self.stream);
        let answer: StreamInfoGroupsReply = info.query_async(&mut self.redis).await?;
        Ok(answer.groups.into_iter().find(|group| group.name == self.group))
    }

    fn tell(&self, group: Option<&StreamInfoGroup>) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let told = |family: &Family<NoLabel, Gauge>, count: Option<usize>| match count {
            Some(count) => {
                family.get_or_create(&[]).set(gauge(count));
            }
            None => family.clear(),
        };
        told(&self.metrics.stream_lag, group.and_then(|group| group.lag));
        told(&self.metrics.stream_pending, group.map(|group| group.pending));
    }
}
