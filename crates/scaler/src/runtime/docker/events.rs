//! Docker's events about the containers of workers: what they ask for, and who sent which signal.

use bollard::errors::Error;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::{Stream, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use super::DockerRuntime;
use super::daemon::{CALL_LIMIT, within};
use super::names::{self, Component};
use crate::ids::WorkerId;
use crate::runtime::summary::ENDING;

/// A signal of so long ago is not what a container ended by: `docker stop` waits for the grace period, and a command
/// may take its time. Docker itself keeps 256 events.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(10);

/// What an event asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Look(WorkerId),
    Killed(WorkerId, i32),
}

/// All events from then on, until the connection breaks.
pub(super) fn since(
    runtime: &DockerRuntime,
    time: Timestamp,
) -> impl Stream<Item = Result<EventMessage, Error>> + use<> {
    let mut filters = names::filter(&runtime.config().instance, Component::Worker);
    filters.insert("type".to_owned(), vec!["container".to_owned()]);
    let since = time.as_second().to_string();
    let options = EventsOptionsBuilder::default().since(&since).filters(&filters);
    runtime.docker().events(Some(options.build()))
}

/// The last signal that a worker's container was sent lately. Whoever finds a container ended may be quicker than
/// the event that says why.
pub(super) async fn last_signal(runtime: &DockerRuntime, worker: &WorkerId) -> Result<Option<i32>, Error> {
    let now = Timestamp::now();
    let mut filters = names::filter(&runtime.config().instance, Component::Worker);
    filters.insert("container".to_owned(), vec![worker.to_string()]);
    filters.insert("event".to_owned(), vec!["kill".to_owned()]);
    let time = |time: Timestamp| format!("{}.{:09}", time.as_second(), time.subsec_nanosecond());
    let (since, until) = (time(now - LOOK_BACK), time(now));
    let options = EventsOptionsBuilder::default().since(&since).until(&until).filters(&filters);
    let past = runtime.docker().events(Some(options.build()));
    let last = past.try_fold(None, |last, event| {
        let signal = match understand(&event) {
            Some(Heard::Killed(_, signal)) => Some(signal),
            Some(Heard::Look(_)) | None => last,
        };
        std::future::ready(Ok(signal))
    });
    within(CALL_LIMIT, last).await
}

/// What an event asks for: PURE.
pub(super) fn understand(event: &EventMessage) -> Option<Heard> {
    let attributes = event.actor.as_ref()?.attributes.as_ref()?;
    let worker = names::worker(attributes.get("name")?)?;
    match event.action.as_deref()? {
        "kill" => {
            let signal = attributes.get("signal")?.parse().ok()?;
            ENDING.contains(&signal).then_some(Heard::Killed(worker, signal))
        }
        "start" | "die" | "destroy" => Some(Heard::Look(worker)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::testing;

    fn heard(action: &str, attributes: &Value) -> Option<Heard> {
        let event = json!({ "Type": "container", "Action": action, "Actor": { "ID": "1", "Attributes": attributes } });
        understand(&serde_json::from_value(event).unwrap())
    }

    #[test]
    fn an_event_says_whom_to_look_at_and_who_was_told_to_end() {
        let worker = testing::worker_spec("t", "r").worker_id;
        let named = json!({ "name": worker.as_str() });
        for action in ["start", "die", "destroy"] {
            assert_eq!(heard(action, &named), Some(Heard::Look(worker.clone())), "{action}");
        }
        for action in ["create", "attach", "exec_start: sh", "resize"] {
            assert_eq!(heard(action, &named), None, "{action}");
        }
        let killed = |signal: &str| heard("kill", &json!({ "name": worker.as_str(), "signal": signal }));
        assert_eq!(killed("15"), Some(Heard::Killed(worker.clone(), 15)));
        assert_eq!(killed("10"), None, "SIGUSR1 ends nothing");
        assert_eq!(heard("die", &json!({})), None);
    }
}
