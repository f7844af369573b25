//! `LogEntry` → [`Item`]. Lines that follow one another become one item.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use ottoscaler_proto::v1::{Gap, LogEntry};

use super::{ITEM_BYTES, LINE_BYTES, Limits};
use crate::ids::{TaskId, WorkerId};
use crate::line::{Extra, LinesBuilder, Mark, Sequence, Source};
use crate::reason::{DropReason, Dropped};
use crate::session::{Item, Offer};

/// A `LogEntry`, borrowed from its encoding or from the generated message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the message")]
pub struct Entry<'a> {
    pub worker_id: &'a str,
    pub task_id: &'a str,
    pub timestamp: &'a str,
    pub level: &'a str,
    pub source: &'a str,
    pub message: &'a str,
    pub metadata: Option<&'a HashMap<String, String>>,
    pub sequence: i64,
    pub raw: &'a [u8],
    pub flags: u32,
    pub gap: Option<&'a Gap>,
}

impl<'a> From<&'a LogEntry> for Entry<'a> {
    fn from(entry: &'a LogEntry) -> Self {
        Self {
            worker_id: &entry.worker_id,
            task_id: &entry.task_id,
            timestamp: &entry.timestamp,
            level: &entry.level,
            source: &entry.source,
            message: &entry.message,
            metadata: Some(&entry.metadata).filter(|metadata| !metadata.is_empty()),
            sequence: entry.sequence,
            raw: &entry.raw,
            flags: entry.flags,
            gap: entry.gap.as_ref(),
        }
    }
}

impl<'a> Entry<'a> {
    /// The worker and the task that it names.
    pub fn identity(&self) -> Result<(WorkerId, TaskId), Dropped> {
        let worker = WorkerId::try_from(self.worker_id)
            .map_err(|why| Dropped::new(DropReason::InvalidWorkerId, format!("worker_id: {why}")))?;
        let task = match self.task_id {
            "" => TaskId::from(&worker),
            task => TaskId::try_from(task)
                .map_err(|why| Dropped::new(DropReason::InvalidTaskId, format!("task_id: {why}")))?,
        };
        Ok((worker, task))
    }

    /// The line itself.
    fn bytes(&self) -> &'a [u8] {
        if self.raw.is_empty() { self.message.as_bytes() } else { self.raw }
    }

    /// Bytes of its metadata.
    fn metadata_bytes(&self) -> usize {
        let metadata = self.metadata.into_iter().flatten();
        metadata.map(|(key, value)| key.len() + value.len()).sum()
    }

    /// Pairs of its metadata.
    fn pairs(&self) -> usize {
        self.metadata.map_or(0, HashMap::len)
    }

    /// About what it takes up in memory as a line among others, with what it says of its source beside the usual.
    fn weight(&self, source: &str) -> usize {
        let said = self.level.len() + source.len() + self.metadata_bytes();
        let extra = if said == 0 && self.pairs() == 0 { 0 } else { EXTRA_BYTES };
        self.bytes().len() + LINE_BYTES + said + extra + self.pairs() * PAIR_BYTES
    }

    /// What few lines carry.
    fn extra(&self, source: &str) -> Extra {
        // Not to be collected from nothing: even that takes its time, and so it is for nearly every line.
        let copied = |metadata: &HashMap<_, _>| BTreeMap::from_iter(metadata.clone());
        let metadata = self.metadata.map(copied).unwrap_or_default();
        Extra { level: self.level.to_owned(), source: source.to_owned(), metadata }
    }
}

/// What a line takes up in memory beside its text that says more of itself than most do, and each pair of its metadata.
const EXTRA_BYTES: usize = 200;
const PAIR_BYTES: usize = 100;

/// Pairs of metadata that a line may have: Kubernetes' labels are fewer, and each takes up many times its bytes.
const MAX_PAIRS: usize = 256;

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
    bytes: usize,
}

/// Where the answers to entries come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// From the answer to this item, one for each of its lines at these offsets.
    Item(usize, Range<u64>),
    /// It is known already: the entry takes no part in the sequence.
    Refused(Dropped, i64),
}

impl Items {
    /// Adds an entry of the stream's own worker.
    pub fn push(&mut self, entry: &Entry<'_>, limits: Limits, now_ns: i64) {
        let Some(sequence) = Sequence::from_wire(entry.sequence) else {
            let detail = format!("sequence: must not be negative, and is {}", entry.sequence);
            return self.refuse(Dropped::new(DropReason::InvalidSequence, detail), entry.sequence);
        };
        let first = (sequence != Sequence::ZERO).then_some(sequence);
        match entry.gap {
            Some(gap) => match parse_gap(gap, first) {
                Ok(offer) => self.single(first, offer),
                Err(why) => self.unstorable(first, why),
            },
            None => match parse_line(entry, limits, now_ns) {
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
        self.bytes += size_of::<Item>();
        self.places.push(Place::Item(self.done.len(), 0..1));
        self.done.push(Item { first, offer });
    }

    fn line(&mut self, first: Option<Sequence>, time_ns: i64, entry: &Entry<'_>) {
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
        let (source, other) = source(entry.source);
        let weight = entry.weight(other);
        self.run_bytes += weight;
        self.bytes += weight;
        self.place(self.run.len() as u64);
        self.run.push(time_ns, Mark::new(source, entry.flags), entry.bytes(), entry.extra(other));
    }

    /// The answer to a line comes from the run, for the line at `offset` in it.
    fn place(&mut self, offset: u64) {
        let run = self.done.len();
        match self.places.last_mut() {
            Some(Place::Item(item, offsets)) if *item == run && offsets.end == offset => offsets.end += 1,
            _ => self.places.push(Place::Item(run, offset..offset + 1)),
        }
    }

    /// About what all of it takes up in memory.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn end_run(&mut self) {
        self.run_bytes = 0;
        if !self.run.is_empty() {
            let lines = std::mem::take(&mut self.run).finish();
            self.done.push(Item { first: self.run_first, offer: Offer::Lines(lines) });
        }
    }

    /// The items in order, and the places of the entries' answers.
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

fn parse_line(entry: &Entry<'_>, limits: Limits, now_ns: i64) -> Result<i64, Dropped> {
    limits.check_line(entry.message.len().max(entry.raw.len()))?;
    limits.check_line(entry.level.len() + entry.source.len() + entry.metadata_bytes())?;
    if entry.pairs() > MAX_PAIRS {
        let detail = format!("metadata: has {} pairs, and at most {MAX_PAIRS} are allowed", entry.pairs());
        return Err(Dropped::new(DropReason::MessageTooLarge, detail));
    }
    if entry.timestamp.is_empty() {
        return Ok(now_ns);
    }
    let time: Result<Timestamp, _> = entry.timestamp.parse();
    let nanoseconds = time.ok().and_then(|time| i64::try_from(time.as_nanosecond()).ok());
    nanoseconds.ok_or_else(|| Dropped::new(DropReason::InvalidTimestamp, wrong_time(entry.timestamp)))
}

/// What is wrong with a time that is none in nanoseconds.
fn wrong_time(text: &str) -> String {
    if Pieces::parse(text).is_ok_and(|pieces| pieces.offset().is_some()) {
        return format!("timestamp: is out of range, from {} to {}", at(i64::MIN), at(i64::MAX));
    }
    "timestamp: is not RFC 3339, such as 2026-01-02T03:04:05Z".to_owned()
}

fn at(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).expect("jiff knows all times from -9999 to 9999")
}

fn parse_gap(gap: &Gap, first: Option<Sequence>) -> Result<Offer, Dropped> {
    let first = first.ok_or_else(|| Dropped::new(DropReason::InvalidGap, "gap: needs a sequence"))?;
    let last = super::gap_end(gap.last_sequence, first, "the sequence")?;
    Ok(Offer::Gap { last, reason: super::gap_reason(&gap.reason)? })
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
            items.push(&Entry::from(&entry(sequence, LIMITS.max_line)), LIMITS, 0);
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
        let mut answered = Sequence::new(1);
        for place in &places {
            let Place::Item(item, offsets) = place else { panic!("{place:?}") };
            assert_eq!(items[*item].first.unwrap().plus(offsets.start), answered);
            answered = answered.plus(offsets.end - offsets.start);
        }
        assert_eq!(answered, next);
    }

    /// The queue, the store's blocks and readers are bounded by what lines weigh.
    #[test]
    fn p6_what_a_line_says_of_itself_weighs_what_it_takes_up_and_is_bounded() {
        let pairs = |count: usize| (0..count).map(|at| (format!("{at:x}"), String::new())).collect();
        let told = |entry: LogEntry| {
            let mut items = Items::default();
            items.push(&Entry::from(&entry), LIMITS, 0);
            let bytes = items.bytes();
            let refused = matches!(&items.finish().0[0].offer, Offer::Unstorable(why) if why.message().contains("detail=metadata:"));
            (bytes, refused)
        };
        let plain = told(LogEntry { source: "stderr".into(), ..entry(1, 20) });
        assert_eq!(plain, (20 + LINE_BYTES, false));
        // An `Extra` and what it points to, in a tree, beside the line itself.
        let levelled = told(LogEntry { level: "info".into(), ..entry(1, 20) });
        assert!(levelled.0 >= plain.0 + size_of::<Extra>() + 100 && !levelled.1, "{levelled:?}");
        let labelled = told(LogEntry { metadata: pairs(MAX_PAIRS), ..entry(1, 20) });
        assert!(labelled.0 >= plain.0 + MAX_PAIRS * 2 * size_of::<String>() && !labelled.1, "{labelled:?}");
        assert!(told(LogEntry { metadata: pairs(MAX_PAIRS + 1), ..entry(1, 20) }).1);
    }

    #[test]
    fn short_lines_that_follow_one_another_become_one_item() {
        let mut items = Items::default();
        for sequence in [1, 2, 3, 7, 8] {
            items.push(&Entry::from(&entry(sequence, 10)), LIMITS, 0);
        }
        let (items, places) = items.finish();
        assert_eq!(places, [Place::Item(0, 0..3), Place::Item(1, 0..2)]);
        assert_eq!(items.iter().map(|item| item.first.unwrap().get()).collect::<Vec<_>>(), [1, 7]);
    }

    #[test]
    fn p10_each_mistake_of_a_numbered_entry_leaves_a_gap_and_names_its_field() {
        let gap = |last_sequence| Some(Gap { last_sequence, reason: String::new() });
        let timed = |timestamp: &str| LogEntry { timestamp: timestamp.into(), ..entry(1, 1) };
        let table = [
            (timed("yesterday"), "detail=timestamp: is not RFC 3339"),
            (timed("2026-01-02T03:04:05"), "detail=timestamp: is not RFC 3339"),
            (timed("0001-01-01T00:00:00Z"), "out of range, from 1677-09-21T00:12:43"),
            (timed("9999-12-31T23:59:59Z"), "out of range"),
            (LogEntry { gap: gap(i64::MAX), ..entry(1, 0) }, "detail=gap.last_sequence: must be at most"),
            (entry(1, LIMITS.max_line + 1), "detail=message:"),
            (LogEntry { level: "x".repeat(LIMITS.max_line + 1), ..entry(1, 1) }, "message_too_large"),
            (LogEntry { gap: gap(0), ..entry(1, 0) }, "detail=gap.last_sequence:"),
        ];
        for (entry, expected) in table {
            let mut items = Items::default();
            items.push(&Entry::from(&entry), LIMITS, 0);
            let (items, _) = items.finish();
            let [Item { offer: Offer::Unstorable(why), .. }] = &items[..] else { panic!("{items:?}") };
            assert!(why.message().contains(expected), "{}", why.message());
        }
    }
}
