//! Every metric of log-ingest, in one place. Names start with `otto_ingest_`; units are base units;
//! label values come from enums.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::line::Content;
use crate::reason::{DropReason, Retry};
use crate::retention::Why;
use crate::session::Refusal;
use crate::worker::Change;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Handles to all metrics; cheap to clone, as each stream has some.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<All>);

/// All metrics.
#[derive(Clone, Debug)]
pub struct All {
    lines: Counter<u64, AtomicU64>,
    bytes: Counter<u64, AtomicU64>,
    duplicates: Counter<u64, AtomicU64>,
    gap_lines: Counter<u64, AtomicU64>,
    retries: Family<Reason, Counter>,
    drops: Family<Reason, Counter>,
    /// Bytes that wait for the writer.
    pub queue_bytes: Gauge,
    /// One commit: write and sync.
    pub commit_seconds: Histogram,
    /// From a submission to its answer.
    pub ack_seconds: Histogram,
    /// Workers known.
    pub workers: Gauge,
    /// 1 while nearly as many are known as may be.
    pub workers_nearly_full: Gauge,
    /// Bytes that the store takes up.
    pub store_bytes: Gauge,
    /// 1 while the data directory is not where it was.
    pub store_gone: Gauge,
    /// Bytes cut from the store's end when it was opened.
    pub recovered_torn_bytes: Gauge,
    /// Damaged places found when the store was opened.
    pub recovered_damage: Gauge,
    /// Bytes that the disk of the store has room for.
    pub disk_free: Gauge,
    /// 1 while less than `--disk-reserve` is free.
    pub disk_low: Gauge,
    retention_bytes: Family<Reason, Counter>,
    retention_lines: Counter,
    retention_forgotten: Counter,
    /// 1 while nothing goes because of its age, as the clock leapt ahead.
    pub retention_held: Gauge,
    /// Damaged places found while logs were read.
    pub read_damage: Counter,
    /// gRPC connections that are open.
    pub connections: Gauge,
    /// 1 while there is no place for another.
    pub connections_full: Gauge,
    /// Streams of lines that are open.
    pub streams: Gauge,
    /// Tails that are open.
    pub readers: Gauge,
    /// Tails refused, because there were too many.
    pub readers_refused: Counter,
    /// Tails ended, because their readers took nothing and others came.
    pub readers_stalled: Counter,
    /// Parts given to readers.
    pub parts: Counter,
    /// Parts encoded for readers; those who read the same at the same time share them.
    pub encodings: Counter,
    /// Reads of the store for readers.
    pub reads: Counter,
    /// Outlines asked for of logs that one was kept of.
    pub outline_hits: Counter,
    /// Outlines asked for of others: the whole log was read.
    pub outline_misses: Counter,
    /// Outlines that others took the place of.
    pub outline_evictions: Counter,
    /// Outlines refused, because too many waited.
    pub outlines_refused: Counter,
    /// Bytes of the outlines that are kept.
    pub outline_bytes: Gauge,
    /// Searches begun.
    pub searches: Counter,
    /// Searches refused, because too many waited.
    pub searches_refused: Counter,
    /// Streams that a newer one of the same worker ended.
    pub superseded: Counter,
}

/// 0.1 ms to 3.3 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 16))
}

impl Deref for Metrics {
    type Target = All;

    fn deref(&self) -> &All {
        &self.0
    }
}

impl Metrics {
    /// Makes and registers all of them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = All {
            lines: Counter::default(),
            bytes: Counter::default(),
            duplicates: Counter::default(),
            gap_lines: Counter::default(),
            retries: Family::default(),
            drops: Family::default(),
            queue_bytes: Gauge::default(),
            commit_seconds: seconds(),
            ack_seconds: seconds(),
            workers: Gauge::default(),
            workers_nearly_full: Gauge::default(),
            store_bytes: Gauge::default(),
            store_gone: Gauge::default(),
            recovered_torn_bytes: Gauge::default(),
            recovered_damage: Gauge::default(),
            disk_free: Gauge::default(),
            disk_low: Gauge::default(),
            retention_bytes: Family::default(),
            retention_lines: Counter::default(),
            retention_forgotten: Counter::default(),
            retention_held: Gauge::default(),
            read_damage: Counter::default(),
            connections: Gauge::default(),
            connections_full: Gauge::default(),
            streams: Gauge::default(),
            readers: Gauge::default(),
            readers_refused: Counter::default(),
            readers_stalled: Counter::default(),
            parts: Counter::default(),
            encodings: Counter::default(),
            reads: Counter::default(),
            outline_hits: Counter::default(),
            outline_misses: Counter::default(),
            outline_evictions: Counter::default(),
            outlines_refused: Counter::default(),
            outline_bytes: Gauge::default(),
            searches: Counter::default(),
            searches_refused: Counter::default(),
            superseded: Counter::default(),
        };
        metrics.show_all_reasons();
        metrics.clone().add_to(registry.sub_registry_with_prefix("otto_ingest"));
        Self(Arc::new(metrics))
    }
}

impl All {
    /// A counter that is missing until it first counts cannot be alerted on.
    fn show_all_reasons(&self) {
        for retry in Retry::ALL {
            let _at_zero = self.retries.get_or_create(&Reason { reason: retry.reason() });
        }
        for why in Why::ALL {
            let _at_zero = self.retention_bytes.get_or_create(&Reason { reason: why.reason() });
        }
        for drop in DropReason::ALL {
            let _at_zero = self.drops.get_or_create(&Reason { reason: drop.reason() });
        }
    }

    fn add_to(self, registry: &mut Registry) {
        registry.register("lines", "Lines stored", self.lines);
        registry.register("line_bytes", "Bytes of the lines stored", self.bytes);
        registry.register("duplicates", "Lines that were there already", self.duplicates);
        registry.register("gap_lines", "Lines lost before they came here, as gaps say", self.gap_lines);
        registry.register("retries", "Answers that asked to send again", self.retries);
        registry.register("drops", "Entries refused for good", self.drops);
        registry.register("queue_bytes", "Bytes that wait for the writer", self.queue_bytes);
        registry.register("commit_seconds", "Write and sync of one group", self.commit_seconds);
        registry.register("ack_seconds", "From a submission to its answer", self.ack_seconds);
        registry.register("workers", "Workers known", self.workers);
        registry.register(
            "workers_nearly_full",
            "1 while nine tenths of --max-workers are known",
            self.workers_nearly_full,
        );
        registry.register("store_bytes", "Bytes that the store takes up", self.store_bytes);
        registry.register("store_gone", "1 while the data directory is not where it was", self.store_gone);
        registry.register(
            "recovered_torn_bytes",
            "Bytes cut off at the last start",
            self.recovered_torn_bytes,
        );
        registry.register("recovered_damage", "Damaged places at the last start", self.recovered_damage);
        registry.register("disk_free_bytes", "Room on the disk of the store", self.disk_free);
        registry.register("disk_low", "1 while less than --disk-reserve is free", self.disk_low);
        registry.register(
            "retention_bytes",
            "Bytes of the store that retention removed",
            self.retention_bytes,
        );
        registry.register(
            "retention_lines",
            "Sequence numbers whose lines retention took",
            self.retention_lines,
        );
        registry.register(
            "retention_forgotten",
            "Workers that were forgotten, ended or silent for long",
            self.retention_forgotten,
        );
        registry.register(
            "retention_held",
            "1 while nothing goes because of its age, as the clock leapt ahead",
            self.retention_held,
        );
        registry.register("read_damage", "Damaged places found while logs were read", self.read_damage);
        registry.register("connections_open", "gRPC connections that are open", self.connections);
        registry.register(
            "connections_full",
            "1 while gRPC connections wait for another to end",
            self.connections_full,
        );
        registry.register("streams_open", "Streams of lines that are open", self.streams);
        registry.register("readers_open", "Tails that are open", self.readers);
        registry.register(
            "readers_stalled",
            "Tails whose readers took nothing, and others their place",
            self.readers_stalled,
        );
        registry.register("readers_refused", "Tails refused because of --max-readers", self.readers_refused);
        registry.register("reader_parts", "Parts of logs given to readers", self.parts);
        registry.register("reader_encodings", "Parts of logs encoded for readers", self.encodings);
        registry.register("reader_reads", "Reads of the store for readers", self.reads);
        registry.register("outline_hits", "Outlines of logs that one was kept of", self.outline_hits);
        registry.register("outline_misses", "Outlines for which the whole log was read", self.outline_misses);
        registry.register(
            "outline_evictions",
            "Outlines that others took the place of",
            self.outline_evictions,
        );
        registry.register("outlines_refused", "Outlines refused, too many waited", self.outlines_refused);
        registry.register("outline_bytes", "Bytes of the outlines that are kept", self.outline_bytes);
        registry.register("searches", "Searches in logs", self.searches);
        registry.register("searches_refused", "Searches refused, too many waited", self.searches_refused);
        registry.register(
            "streams_superseded",
            "Streams ended by a newer one of their worker",
            self.superseded,
        );
    }

    /// Counts an answer that asks to send again.
    pub fn retry(&self, retry: Retry) {
        self.retries.get_or_create(&Reason { reason: retry.reason() }).inc();
    }

    /// How often that was.
    #[cfg(test)]
    pub(crate) fn retried(&self, retry: Retry) -> u64 {
        self.retries.get_or_create(&Reason { reason: retry.reason() }).get()
    }

    /// Counts an entry that is refused for good.
    pub fn drop(&self, reason: &'static str) {
        self.drops.get_or_create(&Reason { reason }).inc();
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        match refusal {
            Refusal::Retry(retry, _) => self.retry(*retry),
            Refusal::Replaced(why) | Refusal::Drop(why) => self.drop(why.reason()),
        }
    }

    /// Counts a change that is durable.
    pub(crate) fn stored(&self, change: &Change) {
        let Change::Appended { block, .. } = change else { return };
        match &block.content {
            Content::Lines(lines) => {
                self.lines.inc_by(lines.len() as u64);
                self.bytes.inc_by(lines.bytes() as u64);
            }
            Content::Gap { last, .. } => {
                self.gap_lines.inc_by(last.next().since(block.first));
            }
        }
    }

    /// Counts what retention removed.
    pub(crate) fn removed(&self, why: Why, bytes: u64) {
        self.retention_bytes.get_or_create(&Reason { reason: why.reason() }).inc_by(bytes);
    }

    /// Counts lines that retention takes from a worker.
    pub(crate) fn trimmed(&self, lines: u64) {
        self.retention_lines.inc_by(lines);
    }

    /// Counts a worker that is nobody any more.
    pub(crate) fn forgotten(&self) {
        self.retention_forgotten.inc();
    }

    /// Counts lines that were there already.
    pub(crate) fn repeated(&self, lines: u64) {
        self.duplicates.inc_by(lines);
    }
}

/// Something that is open: counted up while it lives, so that no path out of a stream can forget.
#[derive(Debug)]
pub struct Open(Gauge);

impl Open {
    /// Counts one more in `gauge` until it is dropped.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
