//! One watch on the workers of this installation: a list, then what changes. Nothing else is asked of
//! the API server about them.
//!
//! The watch may break at any time, by a restart of the API server, a lost connection, an expired
//! token or `410 Gone`: it is resumed, or begun again from a list. Until then what is known stays. A
//! replica that begins to lead begins it again, too: it may have fallen behind unnoticed.

use std::time::Duration;

use anyhow::Result;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::runtime::watcher::{self, Event, watcher};
use tokio_util::sync::CancellationToken;

use super::worker_pod::WorkerPod;
use super::{KubernetesRuntime, names};

/// The API server ends a watch after so long, and it is begun again where it left off: a connection
/// that died without a word is noticed by then.
const WATCH_SECONDS: u32 = 30;

/// So many Pods come in one answer of the first list.
const PAGE: u32 = 500;

/// Between two tries while the API server is away: jittered, doubling.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// What a replica that does not lead knows of the end of a Pod is of use for so long: the leader may be
/// killed before it has put that on record.
const LAST_WORDS: SignedDuration = SignedDuration::from_mins(5);

/// Keeps what is known of the workers' Pods up to date.
#[derive(Debug)]
pub struct Watch {
    runtime: KubernetesRuntime,
    pods: Api<WorkerPod>,
}

impl Watch {
    pub(super) fn new(runtime: KubernetesRuntime, pods: Api<WorkerPod>) -> Self {
        Self { runtime, pods }
    }

    /// Watches until `stop`. The API server being away ends nothing.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let config = watcher::Config::default()
            .labels(&names::selector(&self.runtime.config().pod.instance))
            .timeout(WATCH_SECONDS)
            .page_size(PAGE);
        let begin = || Box::pin(watcher(self.pods.clone(), config.clone()));
        let mut events = begin();
        let pauses =
            ExponentialBuilder::new().with_jitter().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
        let mut backoff = pauses.without_max_times().build();
        loop {
            // Each branch is cancel safe: what the stream has not given stays in it, a wish not noticed
            // stays noted.
            let next = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.runtime.refresh_wanted() => {
                    events = begin();
                    continue;
                }
                next = events.try_next() => next,
            };
            match next {
                Ok(Some(event)) => {
                    self.take_in(event);
                    backoff = pauses.without_max_times().build();
                }
                Ok(None) => anyhow::bail!("the watch on Pods has ended for good"),
                Err(error) => {
                    self.runtime.metrics().watch_failures.inc();
                    let pause = backoff.next().unwrap_or(PAUSE_MAX);
                    tracing::warn!(error = %error, ?pause, "the watch on pods broke; beginning again");
                    stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
            }
        }
    }

    fn take_in(&self, event: Event<WorkerPod>) {
        let now = Timestamp::now();
        let mut pods = self.runtime.pods();
        match event {
            Event::Init => pods.list_begins(),
            Event::InitApply(pod) => {
                pods.seen(&pod, now);
                return;
            }
            Event::InitDone => {
                pods.list_ends(now);
                if !self.runtime.leads() {
                    pods.forget_gone(LAST_WORDS, now);
                }
            }
            Event::Apply(pod) => {
                if !pods.seen(&pod, now) {
                    return;
                }
            }
            Event::Delete(pod) => {
                pods.deleted(&pod, now);
                if !self.runtime.leads() {
                    pods.forget_gone(LAST_WORDS, now);
                }
            }
        }
        drop(pods);
        self.runtime.tell_changed();
    }
}
