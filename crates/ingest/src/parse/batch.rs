//! `LogBatch` → [`Item`]s. The lines stay in the buffer that they were received in.

use std::collections::BTreeMap;

use ottoscaler_proto::v1::{Gap, LineSource, LogBatch};

use super::{ITEM_BYTES, LINE_BYTES, Limits};
use crate::ids::WorkerId;
use crate::line::{Lines, Mark, Sequence, Source};
use crate::reason::{DropReason, Dropped};
use crate::session::{Item, Offer};

/// Lines of one batch: empty lines cost nothing on the wire, and memory here.
const MAX_LINES: usize = 64 << 10;

/// A batch that is well formed.
#[derive(Debug)]
pub struct Batch {
    /// Whose lines.
    pub worker: WorkerId,
    /// One item, or more where they are many or lines among them cannot be stored.
    pub items: Vec<Item>,
    /// About what it takes up in memory.
    pub bytes: usize,
}

/// Reads a batch, or says what is wrong with it.
pub fn parse(batch: LogBatch, limits: Limits, now_ns: i64) -> Result<Batch, Dropped> {
    let worker = WorkerId::try_from(&*batch.worker_id)
        .map_err(|why| Dropped::new(DropReason::InvalidWorkerId, format!("worker_id: {why}")))?;
    let first = Sequence::from_wire(batch.first_sequence).filter(|first| *first > Sequence::ZERO);
    let first = first.ok_or_else(|| {
        let detail = format!("first_sequence: must be at least 1, and is {}", batch.first_sequence);
        Dropped::new(DropReason::InvalidSequence, detail)
    })?;
    let lines = i64::try_from(batch.lengths.len()).unwrap_or(i64::MAX);
    if batch.first_sequence.checked_add(lines).is_none() {
        let detail = format!("first_sequence: no {lines} lines have a number from {first} on");
        return Err(Dropped::new(DropReason::InvalidSequence, detail));
    }
    let bytes = batch.data.len() + batch.lengths.len() * LINE_BYTES;
    let items = match &batch.gap {
        Some(gap) => vec![parse_gap(&batch, gap, first)?],
        None => split(parse_lines(batch, now_ns)?, first, limits),
    };
    Ok(Batch { worker, items, bytes })
}

fn invalid(detail: impl Into<String>) -> Dropped {
    Dropped::new(DropReason::InvalidBatch, detail)
}

fn parse_gap(batch: &LogBatch, gap: &Gap, first: Sequence) -> Result<Item, Dropped> {
    if !batch.lengths.is_empty() || !batch.data.is_empty() {
        return Err(invalid("gap: a batch holds either lines or a gap"));
    }
    let last = super::gap_end(gap.last_sequence, first, "first_sequence")?;
    Ok(Item { first: Some(first), offer: Offer::Gap { last, reason: super::gap_reason(&gap.reason)? } })
}

fn parse_lines(batch: LogBatch, now_ns: i64) -> Result<Lines, Dropped> {
    let count = batch.lengths.len();
    if count == 0 {
        return Err(invalid("lengths: is empty, and there is no gap"));
    }
    if count > MAX_LINES {
        return Err(invalid(format!("lengths: has {count} lines, and at most {MAX_LINES} are allowed")));
    }
    let sum: u64 = batch.lengths.iter().map(|length| u64::from(*length)).sum();
    if sum != batch.data.len() as u64 {
        return Err(invalid(format!("lengths: add up to {sum}, and data has {} bytes", batch.data.len())));
    }
    Ok(Lines {
        times_ns: times(&batch, count, now_ns)?,
        marks: marks(&batch, count)?,
        lengths: batch.lengths,
        data: batch.data,
        extras: BTreeMap::new(),
    })
}

fn times(batch: &LogBatch, count: usize, now_ns: i64) -> Result<Vec<i64>, Dropped> {
    if batch.base_time_ns == 0 {
        return Ok(vec![now_ns; count]);
    }
    match batch.time_deltas_ns.len() {
        0 => Ok(vec![batch.base_time_ns; count]),
        length if length == count => {
            let sum = |time: &mut i64, delta: &i64| {
                *time = time.wrapping_add(*delta);
                Some(*time)
            };
            Ok(batch.time_deltas_ns.iter().scan(batch.base_time_ns, sum).collect())
        }
        length => Err(column("time_deltas_ns", length, count)),
    }
}

fn column(name: &str, length: usize, count: usize) -> Dropped {
    invalid(format!("{name}: has {length} values for {count} lines"))
}

fn marks(batch: &LogBatch, count: usize) -> Result<Vec<Mark>, Dropped> {
    for (name, length) in [("sources", batch.sources.len()), ("flags", batch.flags.len())] {
        if length > 1 && length != count {
            return Err(column(name, length, count));
        }
    }
    if batch.sources.len() <= 1 && batch.flags.len() <= 1 {
        let source = source(batch.sources.first().copied().unwrap_or_default());
        return Ok(vec![Mark::new(source, batch.flags.first().copied().unwrap_or_default()); count]);
    }
    let mark = |index| Mark::new(source(at(&batch.sources, index)), at(&batch.flags, index));
    Ok((0..count).map(mark).collect())
}

/// The value for a line in a column of one value, of one for each, or of none.
fn at<T: Copy + Default>(column: &[T], index: usize) -> T {
    column.get(if column.len() == 1 { 0 } else { index }).copied().unwrap_or_default()
}

fn source(number: i32) -> Source {
    match LineSource::try_from(number).unwrap_or_default() {
        LineSource::Unspecified | LineSource::Stdout => Source::Stdout,
        LineSource::Stderr => Source::Stderr,
        LineSource::System => Source::System,
    }
}

/// One item as a rule. A line over the limit becomes one of its own, and those around it stay; of many lines become
/// several, as large as those of entries.
fn split(mut lines: Lines, first: Sequence, limits: Limits) -> Vec<Item> {
    let starts = starts(&lines.lengths, limits);
    let mut items = Vec::with_capacity(starts.len());
    // From the end, so that each line is moved once at the most, however many there are.
    for at in starts.into_iter().rev() {
        let part = if at == 0 { std::mem::take(&mut lines) } else { lines.split_off(at) };
        let offer = match limits.check_line(part.lengths[0] as usize) {
            Ok(()) => Offer::Lines(part),
            Err(why) => Offer::Unstorable(why),
        };
        items.push(Item { first: Some(first.plus(at as u64)), offer });
    }
    items.reverse();
    items
}

/// Where items begin, among lines of these lengths.
fn starts(lengths: &[u32], limits: Limits) -> Vec<usize> {
    let mut starts = Vec::with_capacity(1);
    // The item takes no further line.
    let (mut is_over, mut bytes) = (true, 0);
    for (at, length) in lengths.iter().enumerate() {
        let length = *length as usize;
        let is_alone = length > limits.max_line;
        if is_over || is_alone {
            starts.push(at);
            bytes = 0;
        }
        bytes += length + LINE_BYTES;
        is_over = is_alone || bytes >= ITEM_BYTES;
    }
    starts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::line::testing::moved;

    const LIMITS: Limits = Limits { max_line: 4 };

    fn batch() -> LogBatch {
        LogBatch {
            worker_id: "w".into(),
            first_sequence: 5,
            base_time_ns: 100,
            time_deltas_ns: vec![0, 10, -5],
            lengths: vec![2, 0, 3],
            sources: vec![2],
            flags: vec![0, 1, 2],
            data: Bytes::from_static(b"abcde"),
            gap: None,
            crc32c: None,
        }
    }

    fn reason(batch: LogBatch) -> String {
        parse(batch, LIMITS, 7).unwrap_err().message()
    }

    #[test]
    fn columns_become_lines() {
        let items = parse(batch(), LIMITS, 7).unwrap().items;
        let [Item { first: Some(first), offer: Offer::Lines(lines) }] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!(first.get(), 5);
        let read: Vec<_> =
            lines.iter().map(|l| (l.time_ns, l.bytes, l.mark.source(), l.mark.flags())).collect();
        let expected: [(i64, &[u8], Source, u32); 3] = [
            (100, b"ab", Source::Stderr, 0),
            (110, b"", Source::Stderr, 1),
            (105, b"cde", Source::Stderr, 2),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn p10_each_mistake_names_its_field() {
        let gap = |last_sequence| LogBatch {
            lengths: vec![],
            data: Bytes::new(),
            gap: Some(Gap { last_sequence, reason: "x".into() }),
            ..batch()
        };
        let table = [
            (LogBatch { worker_id: String::new(), ..batch() }, "worker_id"),
            (LogBatch { first_sequence: 0, ..batch() }, "first_sequence"),
            (LogBatch { first_sequence: i64::MAX - 1, ..batch() }, "first_sequence"),
            (LogBatch { lengths: vec![2, 0, 2], ..batch() }, "lengths"),
            (LogBatch { lengths: vec![], data: Bytes::new(), ..batch() }, "lengths"),
            (LogBatch { time_deltas_ns: vec![1], ..batch() }, "time_deltas_ns"),
            (LogBatch { sources: vec![1, 1], ..batch() }, "sources"),
            (LogBatch { flags: vec![1, 1], ..batch() }, "flags"),
            (LogBatch { gap: Some(Gap { last_sequence: 9, reason: "x".into() }), ..batch() }, "gap"),
            (gap(4), "gap.last_sequence"),
            (gap(i64::MAX), "gap.last_sequence"),
        ];
        for (batch, field) in table {
            let reason = reason(batch);
            assert!(reason.contains(&format!("detail={field}")), "{field}: {reason}");
        }
    }

    /// A message of empty columns is small, and must not cost the server minutes.
    #[test]
    fn p6_a_batch_of_nothing_but_lines_over_the_limit_moves_each_of_them_once() {
        let (count, line) = (MAX_LINES, LIMITS.max_line + 1);
        let (lengths, data) = (vec![5; count], Bytes::from(vec![b'x'; count * line]));
        let batch = LogBatch { lengths, data, time_deltas_ns: vec![], flags: vec![], ..batch() };
        let before = moved();
        let items = parse(batch, LIMITS, 7).unwrap().items;
        // Where what is left is moved for each of them, half of MAX_LINES² are.
        assert!(moved() - before <= count, "each line is moved once at the most");
        let is_refused = |item: &Item, at: u64| {
            item.first == Some(Sequence::new(5 + at)) && matches!(item.offer, Offer::Unstorable(_))
        };
        assert!(items.len() == count && items.iter().zip(0..).all(|(item, at)| is_refused(item, at)));
    }

    /// An item becomes a block, which is what a reader of it holds at least.
    #[test]
    fn p6_a_large_batch_becomes_items_of_a_limited_size_and_no_line_of_it_is_copied() {
        let count = MAX_LINES - 5;
        let data = Bytes::from(vec![b'x'; count * 120]);
        let lengths = vec![120; count];
        let batch =
            LogBatch { lengths, data: data.clone(), time_deltas_ns: vec![], flags: vec![], ..batch() };
        let before = moved();
        let items = parse(batch, Limits { max_line: 1 << 20 }, 7).unwrap().items;
        assert!(moved() - before <= count, "each line is moved once at the most");
        let (mut next, mut at) = (Sequence::new(5), 0);
        for item in &items {
            let Offer::Lines(lines) = &item.offer else { panic!("{item:?}") };
            assert!(lines.bytes() <= ITEM_BYTES, "{} bytes", lines.bytes());
            assert_eq!(item.first, Some(next));
            assert_eq!(lines.data.as_ptr(), data[at..].as_ptr());
            next = next.plus(lines.len() as u64);
            at += lines.bytes();
        }
        assert_eq!((next, at), (Sequence::new(5).plus(count as u64), data.len()));
    }

    #[test]
    fn a_line_over_the_limit_is_refused_alone() {
        let data = Bytes::from_static(b"abtoo longcd");
        let lengths = vec![2, 8, 2];
        let batch = LogBatch { lengths, data, time_deltas_ns: vec![], flags: vec![], ..batch() };
        let items = parse(batch, LIMITS, 7).unwrap().items;
        let shown: Vec<_> = items
            .iter()
            .map(|item| (item.first.unwrap().get(), matches!(item.offer, Offer::Unstorable(_))))
            .collect();
        assert_eq!(shown, [(5, false), (6, true), (7, false)]);
    }
}
