//! Keeps what is known of the workers up to date: Docker's events, and a list after each connection.
//!
//! An event only says which container to look at: the look tells how it is now. So nothing depends on the order of
//! events, and one container is looked at once, however often it is heard of. Docker drops events for whoever
//! reads them too slowly, without a word, and they are forgotten when it is restarted; so everything is listed
//! again at an interval, and whenever Docker was away. Meanwhile what is known stays. A container that Docker lists
//! and does not let look at holds up no other: it is looked at again and again, apart from them.

use std::time::Duration;

use anyhow::Result;
use backon::{BackoffBuilder, ExponentialBuilder};
use bollard::errors::Error;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, EventMessage, Volume};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use ottoscaler_kit::admin::Condition;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::DockerRuntime;
use super::daemon::{WORK_LIMIT, within};
use super::events::{self, Heard};
use super::looks::Looks;
use super::names::{self, Component};
use super::refusal::{self, Trouble};
use super::start::Start;
use super::told::{Container, Life, Listed};
use crate::ids::WorkerId;

/// Everything is listed as often as this: what no event told is noticed by then.
const LIST_INTERVAL: Duration = Duration::from_secs(10);

/// So many containers are looked at at a time.
const LOOKS: usize = 8;

/// Between two tries while Docker is away: jittered, doubling.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub struct Watch {
    runtime: DockerRuntime,
    starts: mpsc::Receiver<Start>,
    answers: Condition,
    looks: Looks,
    /// Up to where events were heard.
    heard: Timestamp,
}

impl Watch {
    pub(super) fn new(runtime: DockerRuntime, starts: mpsc::Receiver<Start>, answers: Condition) -> Self {
        let heard = Timestamp::now();
        answers.missing("docker was not listed yet");
        Self { runtime, starts, answers, looks: Looks::default(), heard }
    }

    /// Watches until `stop`, and starts workers meanwhile. Docker being away ends nothing.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let Self { runtime, starts, answers, looks, heard } = self;
        tokio::select! {
            () = stop.cancelled() => {}
            () = start_all(&runtime, starts) => {}
            () = look_at_all(&runtime, &looks) => {}
            () = look_again(&looks) => {}
            () = runtime.end_overdue() => {}
            () = follow(&runtime, &looks, &answers, heard) => {}
        }
        Ok(())
    }
}

/// Works on every start. Their number is that of workers that are admitted and do not run yet.
async fn start_all(runtime: &DockerRuntime, mut starts: mpsc::Receiver<Start>) {
    let mut working = JoinSet::new();
    loop {
        // Each branch is cancel safe: channel and set keep what was not taken.
        tokio::select! {
            Some(start) = starts.recv() => {
                let runtime = runtime.clone();
                working.spawn(async move { Box::pin(runtime.start(start)).await });
            }
            Some(ended) = working.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the start of a worker has ended by itself");
                }
            }
        }
    }
}

async fn look_at_all(runtime: &DockerRuntime, looks: &Looks) {
    let due = stream::unfold((), |()| async move { Some((looks.next().await, ())) });
    let looking = due.for_each_concurrent(LOOKS, |worker| async move {
        let looked = look(runtime, &worker).await;
        looks.done(&worker, looked.is_ok());
    });
    looking.await;
}

async fn look_again(looks: &Looks) {
    loop {
        tokio::time::sleep(PAUSE_MAX).await;
        looks.again();
    }
}

async fn look(runtime: &DockerRuntime, worker: &WorkerId) -> Result<(), Error> {
    runtime.look(worker).await.inspect_err(|error| {
        tracing::warn!(worker_id = %worker, why = refusal::words(error), "cannot look at a container; trying again");
        runtime.metrics().watch_failures.inc();
    })
}

/// One connection after another.
async fn follow(runtime: &DockerRuntime, looks: &Looks, answers: &Condition, mut heard: Timestamp) {
    let pauses = ExponentialBuilder::new().with_jitter().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
    let pauses = pauses.without_max_times();
    let mut backoff = pauses.build();
    loop {
        let begun = Instant::now();
        let error = follow_one(runtime, looks, answers, &mut heard).await;
        let why = error.as_ref().map_or_else(|| "its events have ended".to_owned(), refusal::words);
        answers.missing(format!("docker is away: {why}"));
        runtime.metrics().watch_failures.inc();
        if begun.elapsed() > LIST_INTERVAL {
            backoff = pauses.build();
        }
        let pause = backoff.next().unwrap_or(PAUSE_MAX);
        tracing::warn!(why, ?pause, "the watch on docker broke; beginning again");
        tokio::time::sleep(pause).await;
    }
}

/// Events are heard from a moment before the list, so nothing that happens in between goes unheard.
async fn follow_one(
    runtime: &DockerRuntime,
    looks: &Looks,
    answers: &Condition,
    heard: &mut Timestamp,
) -> Option<Error> {
    let mut events = Box::pin(events::since(runtime, *heard));
    let mut interval = tokio::time::interval(LIST_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Each branch is cancel safe: what the stream has not given stays in it, a wish not noticed stays noted.
        tokio::select! {
            biased;
            () = runtime.0.refresh.notified() => interval.reset_immediately(),
            _ = interval.tick() => match list(runtime, looks).await {
                Ok(()) => answers.met(),
                Err(error) => return Some(error),
            },
            event = events.next() => match event {
                Some(Ok(event)) => hear(runtime, looks, heard, &event),
                Some(Err(error)) => return Some(error),
                None => return None,
            },
        }
    }
}

fn hear(runtime: &DockerRuntime, looks: &Looks, heard: &mut Timestamp, event: &EventMessage) {
    if let Some(at) = event.time.and_then(|second| Timestamp::from_second(second).ok()) {
        *heard = at.max(*heard);
    }
    match events::understand(event) {
        Some(Heard::Killed(worker, signal)) => runtime.workers().killed(worker, signal),
        // Others are in the next list.
        Some(Heard::Look(worker)) if runtime.workers().contains(&worker) => looks.add(worker),
        Some(Heard::Look(_)) | None => {}
    }
}

/// Reads all that is there, and looks at what is not as it was.
async fn list(runtime: &DockerRuntime, looks: &Looks) -> Result<(), Error> {
    let ours = names::filter(&runtime.config().instance, Component::Worker);
    let begun = runtime.workers().list_begins();
    let volumes = ListVolumesOptionsBuilder::default().filters(&ours).build();
    let volumes = within(WORK_LIMIT, runtime.docker().list_volumes(Some(volumes))).await?;
    let containers = ListContainersOptionsBuilder::default().all(true).filters(&ours).build();
    let containers = within(WORK_LIMIT, runtime.docker().list_containers(Some(containers))).await?;
    let volumes = volumes.volumes.unwrap_or_default();
    let listed: Vec<Listed> =
        volumes.iter().filter_map(of_volume).chain(containers.iter().filter_map(of_container)).collect();
    let due = runtime.workers().due(&listed);
    let looking = stream::iter(due).for_each_concurrent(LOOKS, |found| async move {
        if let Err(error) = look(runtime, &found.worker).await {
            let message =
                format!("Docker lists its container and does not say how it is: {}", refusal::words(&error));
            runtime.workers().unanswered(found, Trouble::unreachable(message), Timestamp::now());
            looks.failed(found.worker.clone());
        }
    });
    looking.await;
    if runtime.workers().list_ends(begun, &listed, Timestamp::now()) {
        runtime.tell_changed();
    }
    Ok(())
}

fn of_volume(volume: &Volume) -> Option<Listed> {
    let identity = names::identity(&volume.labels)?;
    Some(Listed { worker: names::worker(&volume.name)?, identity, container: None })
}

/// One that is just being removed counts as gone.
fn of_container(container: &ContainerSummary) -> Option<Listed> {
    use ContainerSummaryStateEnum::{
        CREATED, DEAD, EMPTY, EXITED, PAUSED, REMOVING, RESTARTING, RUNNING, STOPPING,
    };
    let identity = names::identity(container.labels.as_ref()?)?;
    let worker = names::worker(container.names.as_ref()?.first()?)?;
    let life = match container.state? {
        CREATED => Life::Created,
        RUNNING | PAUSED | RESTARTING | STOPPING => Life::Running,
        EXITED | DEAD => Life::Exited,
        REMOVING | EMPTY => return None,
    };
    let container = Some(Container { id: container.id.clone()?, life });
    Some(Listed { worker, identity, container })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reconcile::testing;

    #[test]
    fn a_list_tells_who_a_worker_is_and_how_far_its_container_has_come() {
        let spec = testing::worker_spec("t", "r");
        let labels = names::container_labels("ci", &spec);
        let of = |state: &str| {
            let told = json!({
                "Id": "1", "Names": [format!("/{}", spec.worker_id)], "Labels": labels, "State": state, "Created": 5,
            });
            of_container(&serde_json::from_value(told).unwrap())
        };
        for (state, expected) in [
            ("created", Life::Created),
            ("running", Life::Running),
            ("paused", Life::Running),
            ("exited", Life::Exited),
        ] {
            let listed = of(state).unwrap();
            assert_eq!((&listed.worker, &listed.identity), (&spec.worker_id, &spec.identity));
            assert_eq!(listed.container.unwrap().life, expected, "{state}");
        }
        assert!(of("removing").is_none());
    }
}
