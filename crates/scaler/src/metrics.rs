//! Every metric of the scaler, in one place. Labels come from enums, never from ids.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::record::DeadLetter;
use crate::runtime::{ErrorKind, ObstacleKind};
use crate::status::State;

/// Seconds from an event to its worker: the target is 0.05, and waiting for capacity can take hours.
const EVENT_TO_CREATE_SECONDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0, 60.0, 600.0, 3600.0];

/// One label, whose values are few and known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    kind: &'static str,
}

/// No label: a gauge of such a family can be taken away, and then says nothing.
pub type NoLabel = [(&'static str, &'static str); 0];

/// The label of one kind.
pub fn kind(kind: &'static str) -> Kind {
    Kind { kind }
}

/// Counters that the tasks share; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Entries read from the stream.
    pub events_read: Counter,
    /// Entries claimed from consumers that had not acknowledged them.
    pub events_claimed: Counter,
    /// Entries put on record, by whether they were new.
    pub events_recorded: Family<Kind, Counter>,
    /// Entries that became dead letters, by cause.
    pub dead_letters: Family<Kind, Counter>,
    /// Entries whose handling failed and is tried again.
    pub handling_failures: Counter,
    /// Connections for reading that failed or were lost.
    pub redis_disconnects: Counter,
    /// Commands of the controller that Redis did not carry out.
    pub redis_failures: Counter,
    /// Times that the consumer group was gone and made again.
    pub groups_made_again: Counter,
    /// Records that cannot be read.
    pub unreadable_records: Gauge,
    /// Writes to records that Redis no longer had.
    pub lost_records: Counter,
    /// Times that this replica began to lead.
    pub terms: Counter,
    /// Whether it leads.
    pub leads: Gauge,
    /// Entries that nobody has read; nothing where Redis does not know, or another replica leads.
    pub stream_lag: Family<NoLabel, Gauge>,
    /// Entries that were read and are not done with; nothing where another replica leads.
    pub stream_pending: Family<NoLabel, Gauge>,
    /// Records that Redis had lost, written again from their workers.
    pub records_rebuilt: Counter,
    /// Logs closed because their agents were gone.
    pub logs_closed: Counter,
    /// Times that what a killed agent left was handed in, by whether all of it was.
    pub spools_handed_in: Family<Kind, Counter>,
    /// Lines about tasks that log-ingest did not take.
    pub narrations_dropped: Counter,
    /// Workers made, by whether they were there before.
    pub creates: Family<Kind, Counter>,
    /// What the runtime could not do, by kind.
    pub runtime_failures: Family<Kind, Counter>,
    /// Times that the watch on workers broke.
    pub watch_failures: Counter,
    /// Starts of containers that failed and are tried again, by obstacle.
    pub start_failures: Family<Kind, Counter>,
    /// Images pulled, by whether that worked.
    pub image_pulls: Family<Kind, Counter>,
    /// Stops asked for.
    pub stops: Counter,
    /// Workers removed.
    pub removes: Counter,
    /// Outcomes put on record, by state.
    pub outcomes: Family<Kind, Counter>,
    /// Workers on record, by state; set in each pass.
    pub workers: Family<Kind, Gauge>,
    /// Workers that run and are not on record.
    pub workers_without_record: Gauge,
    /// From the event's entry in the stream to its worker being made.
    pub event_to_create: Histogram,
}

impl Metrics {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            events_read: Counter::default(),
            events_claimed: Counter::default(),
            events_recorded: Family::default(),
            dead_letters: Family::default(),
            handling_failures: Counter::default(),
            redis_disconnects: Counter::default(),
            redis_failures: Counter::default(),
            groups_made_again: Counter::default(),
            unreadable_records: Gauge::default(),
            lost_records: Counter::default(),
            terms: Counter::default(),
            leads: Gauge::default(),
            stream_lag: Family::default(),
            stream_pending: Family::default(),
            records_rebuilt: Counter::default(),
            logs_closed: Counter::default(),
            spools_handed_in: Family::default(),
            narrations_dropped: Counter::default(),
            creates: Family::default(),
            runtime_failures: Family::default(),
            watch_failures: Counter::default(),
            start_failures: Family::default(),
            image_pulls: Family::default(),
            stops: Counter::default(),
            removes: Counter::default(),
            outcomes: Family::default(),
            workers: Family::default(),
            workers_without_record: Gauge::default(),
            event_to_create: Histogram::new(EVENT_TO_CREATE_SECONDS),
        };
        metrics.register_intake(registry);
        metrics.register_logs(registry);
        metrics.register_workers(registry);
        metrics.begin_at_zero();
        metrics
    }

    /// A series that comes to be with its first event, at 1, has not increased for whoever asks by how much it has.
    fn begin_at_zero(&self) {
        let ends = State::ALL.into_iter().filter(|state| state.is_end());
        let ends: Vec<_> = ends.map(State::as_str).collect();
        let series: [(&Family<Kind, Counter>, &[&'static str]); 8] = [
            (&self.events_recorded, &["new", "duplicate"]),
            (&self.dead_letters, &DeadLetter::CAUSES),
            (&self.spools_handed_in, &["all", "not_all"]),
            (&self.creates, &["new", "already_there"]),
            (&self.runtime_failures, &ErrorKind::ALL.map(ErrorKind::as_str)),
            (&self.start_failures, &ObstacleKind::ALL.map(ObstacleKind::as_str)),
            (&self.image_pulls, &["pulled", "failed"]),
            (&self.outcomes, &ends),
        ];
        for (family, kinds) in series {
            for &name in kinds {
                drop(family.get_or_create(&kind(name)));
            }
        }
        self.leads_no_more();
    }

    /// What only a leader knows is not known any more, and would be told for ever.
    pub fn leads_no_more(&self) {
        self.leads.set(0);
        for state in State::ALL {
            self.workers.get_or_create(&kind(state.as_str())).set(0);
        }
        self.workers_without_record.set(0);
        self.unreadable_records.set(0);
        self.stream_lag.clear();
        self.stream_pending.clear();
    }

    fn register_intake(&self, registry: &mut Registry) {
        let r = registry;
        r.register("otto_scaler_events_read", "Entries read from the stream", self.events_read.clone());
        r.register(
            "otto_scaler_events_claimed",
            "Entries claimed from consumers that had not acknowledged them",
            self.events_claimed.clone(),
        );
        r.register("otto_scaler_stream_lag", "Entries that nobody has read", self.stream_lag.clone());
        r.register(
            "otto_scaler_stream_pending",
            "Entries that were read and are not done with",
            self.stream_pending.clone(),
        );
        r.register("otto_scaler_events_recorded", "Entries put on record", self.events_recorded.clone());
        r.register("otto_scaler_dead_letters", "Entries that became dead letters", self.dead_letters.clone());
        r.register(
            "otto_scaler_handling_failures",
            "Entries whose handling failed and is tried again",
            self.handling_failures.clone(),
        );
        r.register(
            "otto_scaler_redis_disconnects",
            "Connections for reading that failed or were lost",
            self.redis_disconnects.clone(),
        );
        r.register(
            "otto_scaler_redis_failures",
            "Commands on records that Redis did not carry out",
            self.redis_failures.clone(),
        );
        r.register(
            "otto_scaler_groups_made_again",
            "Times that the consumer group was gone",
            self.groups_made_again.clone(),
        );
        r.register(
            "otto_scaler_unreadable_records",
            "Records that cannot be read",
            self.unreadable_records.clone(),
        );
        r.register(
            "otto_scaler_lost_records",
            "Writes to records that Redis no longer had",
            self.lost_records.clone(),
        );
    }

    fn register_logs(&self, registry: &mut Registry) {
        let r = registry;
        r.register("otto_scaler_terms", "Times that this replica began to lead", self.terms.clone());
        r.register("otto_scaler_leads", "Whether this replica leads", self.leads.clone());
        r.register(
            "otto_scaler_records_rebuilt",
            "Records that Redis had lost, written again from their workers",
            self.records_rebuilt.clone(),
        );
        r.register(
            "otto_scaler_logs_closed",
            "Logs closed because their agents were gone",
            self.logs_closed.clone(),
        );
        r.register(
            "otto_scaler_spools_handed_in",
            "Times that what a killed agent left was handed in",
            self.spools_handed_in.clone(),
        );
        r.register(
            "otto_scaler_narrations_dropped",
            "Lines about tasks that log-ingest did not take",
            self.narrations_dropped.clone(),
        );
    }

    fn register_workers(&self, registry: &mut Registry) {
        let r = registry;
        r.register("otto_scaler_creates", "Workers made", self.creates.clone());
        r.register(
            "otto_scaler_runtime_failures",
            "What the runtime could not do",
            self.runtime_failures.clone(),
        );
        r.register(
            "otto_scaler_watch_failures",
            "Times that the watch on workers broke",
            self.watch_failures.clone(),
        );
        r.register(
            "otto_scaler_start_failures",
            "Starts of containers that failed and are tried again",
            self.start_failures.clone(),
        );
        r.register("otto_scaler_image_pulls", "Images pulled", self.image_pulls.clone());
        r.register("otto_scaler_stops", "Stops asked for", self.stops.clone());
        r.register("otto_scaler_removes", "Ended workers removed", self.removes.clone());
        r.register("otto_scaler_outcomes", "Outcomes put on record", self.outcomes.clone());
        r.register("otto_scaler_workers", "Workers of unfinished tasks by state", self.workers.clone());
        r.register(
            "otto_scaler_workers_without_record",
            "Workers that run and are not on record",
            self.workers_without_record.clone(),
        );
        r.register(
            "otto_scaler_event_to_create_seconds",
            "From an event's entry in the stream to its worker being made",
            self.event_to_create.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn a_replica_that_leads_no_more_tells_nothing_of_workers_records_and_the_stream() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let fresh = told(&registry);
        metrics.leads.set(1);
        metrics.workers.get_or_create(&kind(State::Queued.as_str())).set(7);
        metrics.workers_without_record.set(1);
        metrics.unreadable_records.set(2);
        metrics.stream_lag.get_or_create(&[]).set(3);
        metrics.stream_pending.get_or_create(&[]).set(4);
        let leading = told(&registry);
        assert!(leading.contains("otto_scaler_stream_lag{} 3\n"), "{leading}");
        metrics.leads_no_more();
        assert_eq!(told(&registry), fresh);
    }
}
