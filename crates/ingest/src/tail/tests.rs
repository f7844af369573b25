use futures::{FutureExt, StreamExt};
use prometheus_client::registry::Registry;

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
