//! `LogEntry` → [`Item`]. Lines that follow one another become one item.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ottoscaler_proto::v1::{Gap, LogEntry};

use super::Limits;
use crate::ids::{TaskId, WorkerId};
use crate::line::{Extra, LinesBuilder, Mark, Sequence, Source};
use crate::reason::{DropReason, Dropped};
use crate::session::{Item, Offer};

/// The worker and the task that an entry names.
pub fn identity(entry: &LogEntry) -> Result<(WorkerId, TaskId), Dropped> {
    let worker = WorkerId::try_from(&*entry.worker_id)
        .map_err(|why| Dropped::new(DropReason::InvalidWorkerId, format!("worker_id: {why}")))?;
    let task = match &*entry.task_id {
        "" => TaskId::from(&worker),
        task => TaskId::try_from(task)
            .map_err(|why| Dropped::new(DropReason::InvalidTaskId, format!("task_id: {why}")))?,
    };
    Ok((worker, task))
}

/// An item that has grown to this takes no further line. It becomes one block of the store, and a block
/// is what a reader holds at least.
const ITEM_BYTES: usize = 256 << 10;

/// About what an entry takes up in memory.
pub fn weight(entry: &LogEntry) -> usize {
    let metadata: usize = entry.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    let text = entry.message.len() + entry.raw.len() + entry.level.len() + entry.source.len();
    size_of::<LogEntry>() + text + metadata
}

/// Items made of entries, and for each entry the place of its answer.
#[derive(Debug, Default)]
pub struct Items {
    done: Vec<Item>,
    places: Vec<Place>,
    run: LinesBuilder,
    run_bytes: usize,
    run_first: Option<Sequence>,
}

/// Where the answer to an entry comes from.
#[derive(Clone, Debug)]
pub enum Place {
    /// From the answer to this item, for the line at this offset in it.
    Item(usize, u64),
    /// It is known already: the entry takes no part in the sequence.
    Refused(Dropped, i64),
}

impl Items {
    /// Adds an entry of the stream's own worker.
    pub fn push(&mut self, entry: LogEntry, limits: Limits, now_ns: i64) {
        let Some(sequence) = Sequence::from_wire(entry.sequence) else {
            let detail = format!("sequence: must not be negative, and is {}", entry.sequence);
            return self.refuse(Dropped::new(DropReason::InvalidSequence, detail), entry.sequence);
        };
        let first = (sequence != Sequence::ZERO).then_some(sequence);
        match &entry.gap {
            Some(gap) => match parse_gap(gap, first) {
                Ok(offer) => self.single(first, offer),
                Err(why) => self.unstorable(first, why),
            },
            None => match parse_line(&entry, limits, now_ns) {
                Ok(time_ns) => self.line(first, time_ns, entry),
                Err(why) => self.unstorable(first, why),
            },
        }
    }

    /// Adds an entry that is refused whatever the state of its worker.
    pub fn refuse(&mut self, why: Dropped, sequence: i64) {
        self.places.push(Place::Refused(why, sequence));
    }

    /// Only a numbered entry leaves a gap: without it the sequence could not go on.
    fn unstorable(&mut self, first: Option<Sequence>, why: Dropped) {
        match first {
            Some(_) => self.single(first, Offer::Unstorable(why)),
            None => self.refuse(why, 0),
        }
    }

    fn single(&mut self, first: Option<Sequence>, offer: Offer) {
        self.end_run();
        self.places.push(Place::Item(self.done.len(), 0));
        self.done.push(Item { first, offer });
    }

    fn line(&mut self, first: Option<Sequence>, time_ns: i64, entry: LogEntry) {
        let continues = match (self.run_first, first) {
            _ if self.run.is_empty() || self.run_bytes >= ITEM_BYTES => false,
            (Some(start), Some(first)) => start.plus(self.run.len() as u64) == first,
            (None, None) => true,
            _ => false,
        };
        if !continues {
            self.end_run();
            self.run_first = first;
        }
        self.run_bytes += weight(&entry);
        self.places.push(Place::Item(self.done.len(), self.run.len() as u64));
        let bytes = if entry.raw.is_empty() { entry.message.as_bytes() } else { &entry.raw };
        let (source, other) = source(&entry.source);
        let metadata = BTreeMap::from_iter(entry.metadata);
        let extra = Extra { level: entry.level, source: other.to_owned(), metadata };
        self.run.push(time_ns, Mark::new(source, entry.flags), bytes, extra);
    }

    fn end_run(&mut self) {
        self.run_bytes = 0;
        if !self.run.is_empty() {
            let lines = std::mem::take(&mut self.run).finish();
            self.done.push(Item { first: self.run_first, offer: Offer::Lines(lines) });
        }
    }

    /// The items in order, and the place of each entry's answer.
    pub fn finish(mut self) -> (Vec<Item>, Vec<Place>) {
        self.end_run();
        (self.done, self.places)
    }
}

/// The usual source, or what was said instead.
fn source(name: &str) -> (Source, &str) {
    match name {
        "" | "stdout" => (Source::Stdout, ""),
        "stderr" => (Source::Stderr, ""),
        "system" => (Source::System, ""),
        other => (Source::Stdout, other),
    }
}

fn parse_line(entry: &LogEntry, limits: Limits, now_ns: i64) -> Result<i64, Dropped> {
    let metadata: usize = entry.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    limits.check_line(entry.message.len().max(entry.raw.len()))?;
    limits.check_line(entry.level.len() + entry.source.len() + metadata)?;
    if entry.timestamp.is_empty() {
        return Ok(now_ns);
    }
    let time: Result<Timestamp, _> = entry.timestamp.parse();
    let nanoseconds = time.ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    nanoseconds.ok_or_else(|| {
        let detail = "timestamp: is not RFC 3339, such as 2026-01-02T03:04:05Z";
        Dropped::new(DropReason::InvalidTimestamp, detail)
    })
}

fn parse_gap(gap: &Gap, first: Option<Sequence>) -> Result<Offer, Dropped> {
    let invalid = |detail: &str| Err(Dropped::new(DropReason::InvalidGap, detail));
    let Some(first) = first else { return invalid("gap: needs a sequence") };
    match Sequence::from_wire(gap.last_sequence) {
        Some(last) if last >= first => Ok(Offer::Gap { last, reason: super::gap_reason(&gap.reason)? }),
        _ => invalid("gap.last_sequence: must not be below the sequence"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_line: 100 << 10 };

    fn entry(sequence: i64, bytes: usize) -> LogEntry {
        LogEntry { worker_id: "w".into(), message: "x".repeat(bytes), sequence, ..LogEntry::default() }
    }

    /// An item becomes a record, and one above the store's limit would be taken for damage when the
    /// store is opened again: its lines, acknowledged before, would be gone.
    #[test]
    fn p4_p6_lines_that_come_together_become_items_of_a_limited_size() {
        const LINES: i64 = 1000;
        let mut items = Items::default();
        for sequence in 1..=LINES {
            items.push(entry(sequence, LIMITS.max_line), LIMITS, 0);
        }
        let (items, places) = items.finish();
        let mut next = Sequence::new(1);
        for item in &items {
            let Offer::Lines(lines) = &item.offer else { panic!("{item:?}") };
            assert!(lines.bytes() <= 512 << 10, "{} bytes", lines.bytes());
            assert_eq!(item.first, Some(next));
            next = next.plus(lines.len() as u64);
        }
        assert_eq!(next, Sequence::from_wire(LINES + 1).unwrap());
        for (sequence, place) in (1..).zip(&places) {
            let Place::Item(item, offset) = place else { panic!("{place:?}") };
            assert_eq!(items[*item].first.unwrap().plus(*offset), Sequence::new(sequence));
        }
    }

    #[test]
    fn short_lines_that_follow_one_another_become_one_item() {
        let mut items = Items::default();
        for sequence in [1, 2, 3, 7, 8] {
            items.push(entry(sequence, 10), LIMITS, 0);
        }
        let (items, _) = items.finish();
        assert_eq!(items.iter().map(|item| item.first.unwrap().get()).collect::<Vec<_>>(), [1, 7]);
    }

    #[test]
    fn p10_each_mistake_of_a_numbered_entry_leaves_a_gap_and_names_its_field() {
        let gap = |last_sequence| Some(Gap { last_sequence, reason: String::new() });
        let table = [
            (LogEntry { timestamp: "yesterday".into(), ..entry(1, 1) }, "detail=timestamp:"),
            (entry(1, LIMITS.max_line + 1), "detail=message:"),
            (LogEntry { level: "x".repeat(LIMITS.max_line + 1), ..entry(1, 1) }, "message_too_large"),
            (LogEntry { gap: gap(0), ..entry(1, 0) }, "detail=gap.last_sequence:"),
        ];
        for (entry, expected) in table {
            let mut items = Items::default();
            items.push(entry, LIMITS, 0);
            let (items, _) = items.finish();
            let [Item { offer: Offer::Unstorable(why), .. }] = &items[..] else { panic!("{items:?}") };
            assert!(why.message().contains(expected), "{}", why.message());
        }
    }
}
