use futures::StreamExt;
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
    while let Some(Piece::Block(block)) = tail.next().await.transpose().unwrap() {
        let Content::Lines(lines) = &block.content else { panic!("a gap: {block:?}") };
        assert!(lines.len() <= PIECE_LINES && lines.bytes() <= PIECE_BYTES, "{} lines", lines.len());
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
            Piece::Block(block) => lines = block.last().get(),
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
