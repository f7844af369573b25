use futures::{FutureExt, StreamExt, TryStreamExt};
use prometheus_client::registry::Registry;

use super::logs::LOGS;
use super::*;
use crate::catalog::Catalog;
use crate::line::{Extra, LinesBuilder, Mark};
use crate::store::memory;
use crate::worker::{Change, Numbering, Record, Registration};

/// A log that grows, in memory.
struct Log {
    opened: crate::store::Opened,
    catalog: Catalog,
    state: WorkerState,
    tails: Tails,
}

impl Log {
    fn new(max_readers: usize) -> Self {
        let worker = WorkerId::try_from("w").unwrap();
        let opened = memory::open();
        let metrics = Metrics::register(&mut Registry::default());
        let tails = Tails::new(Arc::clone(&opened.reader), max_readers, metrics);
        let state = WorkerState::new(Registration::recovered(worker), 0);
        let log = Self { opened, catalog: Catalog::default(), state, tails };
        log.catalog.publish(log.state.clone());
        log
    }

    fn grow(&mut self, lines: usize, bytes: usize) {
        let mut builder = LinesBuilder::default();
        for _ in 0..lines {
            builder.push(0, Mark::default(), &vec![b'x'; bytes], Extra::default());
        }
        let block = Block { first: self.state.high.next(), content: Content::Lines(builder.finish()) };
        let worker = self.state.registration.worker.clone();
        let record =
            Record { at_ns: 0, change: Change::Appended { worker, numbering: Numbering::Client, block } };
        self.opened.store.commit(std::slice::from_ref(&record)).unwrap();
        self.state.apply(&record);
        self.catalog.publish(self.state.clone());
    }

    fn tail(
        &self,
        follow: Follow,
    ) -> Result<impl Stream<Item = io::Result<Piece>> + Send + use<>, TooManyReaders> {
        let states = self.catalog.watch(&self.state.registration.worker).unwrap();
        self.tails.tail(states, Sequence::ZERO, follow)
    }
}

#[tokio::test]
async fn p6_a_piece_is_small_however_large_the_block_is() {
    let mut log = Log::new(1);
    log.grow(2000, 10);
    log.grow(5, 50 << 10);
    let mut tail = Box::pin(log.tail(Follow::No).unwrap());
    let mut seen = Sequence::ZERO;
    while let Some(Piece::Part(part)) = tail.next().await.transpose().unwrap() {
        let block = part.block();
        let Content::Lines(lines) = &block.content else { panic!("a gap: {block:?}") };
        assert!(lines.len() <= PART_LINES && lines.bytes() <= PART_BYTES, "{} lines", lines.len());
        assert_eq!(block.first, seen.next());
        seen = block.last();
    }
    assert_eq!(seen.get(), 2005);
}

#[tokio::test]
async fn a_reader_that_does_not_follow_ends_at_the_mark_of_its_beginning() {
    let mut log = Log::new(1);
    log.grow(10, 1);
    let mut tail = Box::pin(log.tail(Follow::No).unwrap());
    log.grow(10, 1);
    let mut lines = 0;
    let end = loop {
        match tail.next().await.unwrap().unwrap() {
            Piece::Part(part) => lines = part.block().last().get(),
            Piece::End(state) => break state,
        }
    };
    assert_eq!((lines, end.high.get()), (10, 10));
}

#[tokio::test]
async fn p6_readers_beyond_the_limit_are_refused_until_one_has_left() {
    let log = Log::new(1);
    let first = log.tail(Follow::UntilClosed).unwrap();
    assert_eq!(log.tail(Follow::No).err(), Some(TooManyReaders));
    drop(first);
    assert!(log.tail(Follow::No).is_ok());
}

#[tokio::test(start_paused = true)]
async fn p6_a_reader_that_takes_nothing_gives_its_place_up_to_others_and_one_that_waits_for_lines_does_not() {
    let mut log = Log::new(2);
    log.grow(2000, 10);
    let mut waits = Box::pin(log.tail(Follow::UntilClosed).unwrap());
    while waits.next().now_or_never().is_none() {
        tokio::task::yield_now().await;
    }
    let mut asleep = Box::pin(log.tail(Follow::UntilClosed).unwrap());
    assert_eq!(part(&mut asleep).await, (1, 512));
    while waits.next().now_or_never().is_some() {}
    assert_eq!(log.tail(Follow::No).err(), Some(TooManyReaders));
    tokio::time::advance(STALLED).await;
    let other = log.tail(Follow::No);
    assert!(other.is_ok());
    assert_eq!(log.tail(Follow::No).err(), Some(TooManyReaders), "who waits for lines keeps its place");
    let Some(Err(error)) = asleep.next().await else { panic!("its place is another's") };
    assert!(stalled(&error), "{error}");
    assert_eq!(log.tails.metrics.readers_stalled.get(), 1);
    log.grow(1, 1);
    assert_eq!(part(&mut waits).await, (2001, 2001));
}

#[tokio::test(start_paused = true)]
async fn p6_a_reader_of_many_logs_has_one_place_and_stalls_only_where_it_takes_nothing_of_any() {
    let mut log = Log::new(1);
    log.grow(2000, 10);
    let place = log.tails.try_place().unwrap();
    let mut logs = log.tails.logs(Follow::UntilClosed);
    for _ in 0..3 {
        logs.add(log.catalog.watch(&log.state.registration.worker).unwrap(), Sequence::ZERO);
    }
    let mut pieces = Box::pin(log.tails.at::<_, io::Error>(place, logs.pieces().boxed()));
    // Of four parts each. While one log is read, the others are left alone for longer than that.
    for _ in 0..12 {
        tokio::time::advance(STALLED.mul_f64(0.9)).await;
        assert_eq!(log.tail(Follow::No).err(), Some(TooManyReaders));
        assert!(matches!(pieces.next().await, Some(Ok((_, Piece::Part(_))))));
    }
    tokio::time::advance(STALLED).await;
    assert!(log.tail(Follow::No).is_ok());
    let Some(Err(error)) = pieces.next().await else { panic!("its place is another's") };
    assert!(stalled(&error), "{error}");
    assert_eq!(log.tails.metrics.readers_stalled.get(), 1);
}

#[tokio::test]
async fn p6_a_reader_follows_a_bounded_number_of_logs_and_reads_the_rest_as_these_end() {
    let mut log = Log::new(1);
    log.grow(1, 1);
    let states = log.catalog.watch(&log.state.registration.worker).unwrap();
    let mut logs = log.tails.logs(Follow::UntilClosed);
    for _ in 0..=LOGS {
        logs.add(states.clone(), Sequence::ZERO);
    }
    for _ in 0..LOGS {
        logs.ready().await;
        assert!(matches!(logs.piece().await, Ok(Some((_, Piece::Part(_))))));
    }
    assert!(logs.ready().now_or_never().is_none(), "the last has no room yet");
    assert_eq!(logs.open_now(), LOGS);
    log.catalog.forget(&log.state.registration.worker);
    let rest: Vec<_> = logs.pieces().try_collect().await.unwrap();
    let ends = rest.iter().filter(|(_, piece)| matches!(piece, Piece::End(_))).count();
    assert_eq!((ends, rest.len() - ends), (LOGS + 1, 1));
}

/// The part that a reader gets next, read as its clients would be told of it.
async fn part(tail: &mut (impl Stream<Item = io::Result<Piece>> + Unpin)) -> (u64, u64) {
    let Some(Ok(Piece::Part(part))) = tail.next().await else { panic!("there is more of the log") };
    let (first, last) = (part.block().first.get(), part.block().last().get());
    let told = part.encoded(Format::Events, |block| vec![block.first.to_string().into()]);
    assert_eq!(told[0], first.to_string());
    (first, last)
}

const READERS: usize = 1000;
const ROUNDS: u64 = 50;

#[tokio::test]
async fn p5_a_thousand_readers_of_one_log_cost_one_read_and_one_encoding_and_a_slow_one_loses_nothing() {
    let mut log = Log::new(READERS + 1);
    let mut slow = Box::pin(log.tail(Follow::UntilClosed).unwrap());
    let mut readers: Vec<_> =
        (0..READERS).map(|_| Box::pin(log.tail(Follow::UntilClosed).unwrap())).collect();
    for round in 0..ROUNDS {
        // All of them wait for it at the same time.
        let mut waiting = futures::future::join_all(readers.iter_mut().map(part));
        assert!((&mut waiting).now_or_never().is_none(), "nobody reads what is not there");
        log.grow(10, 100);
        let seen = waiting.await;
        assert!(seen.iter().all(|part| *part == (round * 10 + 1, round * 10 + 10)), "{seen:?}");
    }
    let metrics = &log.tails.metrics;
    assert_eq!((metrics.encodings.get(), metrics.reads.get()), (ROUNDS, ROUNDS));
    assert_eq!(metrics.parts.get(), ROUNDS * READERS as u64);

    let mut next = 1;
    while next <= ROUNDS * 10 {
        let (first, last) = part(&mut slow).await;
        assert_eq!(first, next);
        next = last + 1;
    }
}

#[tokio::test]
async fn a_reader_that_begins_in_the_midst_of_what_others_read_gets_the_rest_of_it() {
    let mut log = Log::new(3);
    let mut readers: Vec<_> = (0..2).map(|_| Box::pin(log.tail(Follow::UntilClosed).unwrap())).collect();
    log.grow(10, 1);
    assert_eq!(part(&mut readers[0]).await, (1, 10));
    let states = log.catalog.watch(&log.state.registration.worker).unwrap();
    let mut later = Box::pin(log.tails.tail(states, Sequence::new(4), Follow::UntilClosed).unwrap());
    assert_eq!(part(&mut later).await, (4, 10));
    assert_eq!(part(&mut readers[1]).await, (1, 10));
    assert_eq!(log.tails.metrics.reads.get(), 1);
}

#[tokio::test]
async fn p6_what_is_kept_for_readers_is_bounded_and_gone_with_the_last_of_them() {
    let mut log = Log::new(2);
    let mut readers: Vec<_> = (0..2).map(|_| Box::pin(log.tail(Follow::UntilClosed).unwrap())).collect();
    for _ in 0..100 {
        log.grow(1, 60 << 10);
        part(&mut readers[0]).await;
    }
    let total = log.tails.recents.total();
    let kept = total.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1..=1 << 20).contains(&kept), "{kept} bytes are kept");
    drop(readers);
    assert_eq!(total.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// Retention has taken its lines, and nobody is to know it any more.
fn forget(log: &Log) {
    log.catalog.publish(WorkerState { trimmed: log.state.high, ..log.state.clone() });
    log.catalog.forget(&log.state.registration.worker);
}

/// The gap that a reader gets next: its last line, and why.
async fn gap(tail: &mut (impl Stream<Item = io::Result<Piece>> + Unpin)) -> (u64, String) {
    let Some(Ok(Piece::Part(part))) = tail.next().await else { panic!("there is more of the log") };
    let Content::Gap { last, reason } = &part.block().content else { panic!("{part:?}") };
    (last.get(), reason.to_string())
}

#[tokio::test]
async fn p5_a_reader_of_a_forgotten_log_is_not_given_the_lines_of_one_that_came_under_its_name() {
    for follow in [Follow::No, Follow::UntilClosed] {
        let mut log = Log::new(2);
        log.grow(10, 1);
        let mut old = Box::pin(log.tail(follow).unwrap());
        forget(&log);
        let registration = Registration { session_id: "another".into(), ..log.state.registration.clone() };
        log.state = WorkerState::new(registration, 0);
        log.opened = memory::open();
        log.tails.reader = Arc::clone(&log.opened.reader);
        log.catalog.publish(log.state.clone());
        let mut new = Box::pin(log.tail(Follow::UntilClosed).unwrap());
        log.grow(20, 2);
        assert_eq!(part(&mut new).await, (1, 20));
        assert_eq!(gap(&mut old).await, (10, retention::REASON.to_owned()));
        assert!(matches!(old.next().await, Some(Ok(Piece::End(_)))), "{follow:?}");
        assert_eq!(log.tails.metrics.reads.get(), 1, "of the new log");
    }
}

/// Forgets a worker while its log is read.
struct Forgetting {
    catalog: std::sync::Mutex<Option<Arc<Catalog>>>,
    state: std::sync::Mutex<Option<WorkerState>>,
    reader: Arc<dyn LogReader>,
}

impl LogReader for Forgetting {
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>> {
        if let (Some(catalog), Some(state)) =
            (self.catalog.lock().unwrap().take(), self.state.lock().unwrap().take())
        {
            catalog.publish(WorkerState { trimmed: state.high, ..state });
            catalog.forget(worker);
        }
        self.reader.read(worker, from, max_bytes)
    }
}

#[tokio::test]
async fn p5_what_was_read_of_a_log_that_was_forgotten_meanwhile_is_nobodys() {
    let mut log = Log::new(1);
    log.grow(10, 1);
    let states = log.catalog.watch(&log.state.registration.worker).unwrap();
    let reader = Forgetting {
        catalog: std::sync::Mutex::new(Some(Arc::new(std::mem::take(&mut log.catalog)))),
        state: std::sync::Mutex::new(Some(log.state.clone())),
        reader: Arc::clone(&log.opened.reader),
    };
    log.tails.reader = Arc::new(reader);
    let mut tail = Box::pin(log.tails.tail(states, Sequence::ZERO, Follow::UntilClosed).unwrap());
    assert_eq!(gap(&mut tail).await, (10, retention::REASON.to_owned()));
}

#[tokio::test]
async fn p6_a_small_part_does_not_hold_the_large_block_that_it_is_of() {
    let mut log = Log::new(1);
    log.grow(10, 60 << 10);
    let mut tail = Box::pin(log.tail(Follow::No).unwrap());
    let Some(Ok(Piece::Part(first))) = tail.next().await else { panic!("there is one") };
    let Content::Lines(lines) = &first.block().content else { panic!("{first:?}") };
    let data = lines.data.clone();
    drop((first, tail));
    assert_eq!(log.tails.recents.total().load(std::sync::atomic::Ordering::Relaxed), 0);
    let kept = log.opened.reader.read(&log.state.registration.worker, Sequence::new(1), 1).unwrap().remove(0);
    let Content::Lines(lines) = kept.content else { panic!("a gap") };
    let whole = lines.data.as_ptr_range();
    assert!(!whole.contains(&data.as_ptr()), "it has bytes of its own");
}
