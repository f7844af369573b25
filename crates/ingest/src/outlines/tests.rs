use std::io;

use prometheus_client::registry::Registry;

use super::*;
use crate::catalog::Catalog;
use crate::line::{Content, Extra, LinesBuilder, Mark, Sequence};
use crate::store::{LogReader, memory};
use crate::worker::{Change, Closing, Numbering, Record};

/// Logs that grow, in memory, and what is told of them.
struct Logs {
    store: Box<dyn crate::store::LogStore>,
    catalog: Catalog,
    tails: Tails,
    outlines: Outlines,
    metrics: Metrics,
    stopping: CancellationToken,
}

impl Logs {
    fn new(limits: Limits) -> Self {
        let opened = memory::open();
        let metrics = Metrics::register(&mut Registry::default());
        Self {
            store: opened.store,
            catalog: Catalog::default(),
            tails: Tails::new(opened.reader, 100, metrics.clone()),
            outlines: Outlines::limited(limits, metrics.clone()),
            metrics,
            stopping: CancellationToken::new(),
        }
    }

    fn apply(&mut self, worker: &str, change: impl FnOnce(&WorkerState) -> Change) {
        let worker = WorkerId::try_from(worker).unwrap();
        let known = self.catalog.worker(&worker).map(|state| WorkerState::clone(&state));
        let mut state = known.unwrap_or_else(|| WorkerState::new(Registration::recovered(worker), 0));
        let record = Record { at_ns: 0, change: change(&state) };
        self.store.commit(std::slice::from_ref(&record)).unwrap();
        state.apply(&record);
        self.catalog.publish(state);
    }

    fn grow(&mut self, worker: &str, lines: &[&str]) {
        let mut builder = LinesBuilder::default();
        for line in lines {
            builder.push(0, Mark::default(), line.as_bytes(), Extra::default());
        }
        let content = Content::Lines(builder.finish());
        self.apply(worker, |state| Change::Appended {
            worker: state.registration.worker.clone(),
            numbering: Numbering::Client,
            block: Block { first: state.high.next(), content },
        });
    }

    fn close(&mut self, worker: &str) {
        self.apply(worker, |state| Change::Closed {
            worker: state.registration.worker.clone(),
            closing: Closing { exit_code: Some(0), signal: 0, reason: Arc::default() },
            last: state.high,
        });
    }

    async fn told(&self, worker: &str) -> Result<(u64, usize, bool), ScanError> {
        let states = self.catalog.watch(&WorkerId::try_from(worker).unwrap()).unwrap();
        let tell = |outline: &Outline, state: &WorkerState| {
            (outline.through().get(), outline.groups().len(), state.closing.is_some())
        };
        self.outlines.told(&self.tails, states, &self.stopping, tell).await
    }
}

#[tokio::test]
async fn of_a_log_that_grows_only_what_is_new_is_read() {
    let mut logs = Logs::new(KEPT);
    logs.grow("w", &["::group::a", "x"]);
    assert_eq!(logs.told("w").await.unwrap(), (2, 1, false));
    let parts = logs.metrics.parts.get();
    assert_eq!(logs.told("w").await.unwrap(), (2, 1, false));
    assert_eq!(logs.metrics.parts.get(), parts, "nothing is new");
    logs.grow("w", &["::endgroup::", "::group::b"]);
    logs.close("w");
    assert_eq!(logs.told("w").await.unwrap(), (4, 2, true));
    assert_eq!(logs.metrics.parts.get(), parts + 1);
    assert_eq!((logs.metrics.outline_hits.get(), logs.metrics.outline_misses.get()), (2, 1));
}

#[tokio::test]
async fn those_who_ask_for_a_log_at_the_same_time_have_it_read_once() {
    let mut logs = Logs::new(KEPT);
    logs.grow("w", &vec!["x"; 2000]);
    let told = futures::future::join_all((0..50).map(|_| logs.told("w"))).await;
    assert!(told.into_iter().all(|told| told.unwrap() == (2000, 0, false)));
    assert_eq!(logs.metrics.parts.get(), 4);
}

#[tokio::test]
async fn p6_outlines_are_kept_up_to_a_number_and_a_size_and_made_anew_after_that() {
    let mut logs = Logs::new(Limits { entries: 2, bytes: 2 << 20 });
    for worker in ["a", "b", "c"] {
        logs.grow(worker, &["x"]);
        logs.told(worker).await.unwrap();
    }
    assert_eq!(logs.metrics.outline_evictions.get(), 1);
    logs.told("a").await.unwrap();
    assert_eq!((logs.metrics.outline_misses.get(), logs.metrics.outline_hits.get()), (4, 0));
    logs.grow("large", &vec!["::group::title"; 10_000]);
    logs.grow("large", &["::error::no"; 1000]);
    assert_eq!(logs.told("large").await.unwrap().0, 11_000);
    let bytes = logs.metrics.outline_bytes.get();
    assert!((1..2 << 20).contains(&bytes), "{bytes} bytes");
    let long = format!("::group::{}", "t".repeat(200));
    logs.grow("larger", &vec![long.as_str(); 10_000]);
    assert_eq!(logs.told("larger").await.unwrap().1, 10_000, "it is told, and not kept");
    assert_eq!(logs.metrics.outline_bytes.get(), 0);
}

#[tokio::test]
async fn p6_a_look_whose_client_is_gone_leaves_what_it_has_seen_to_the_next() {
    let mut logs = Logs::new(KEPT);
    // So long that no machine is through with it between two polls.
    let lines = 200_000;
    logs.grow("w", &vec!["x"; lines]);
    {
        let mut asked = Box::pin(logs.told("w"));
        while logs.metrics.parts.get() == 0 {
            assert!(futures::poll!(&mut asked).is_pending());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(logs.told("w").await.unwrap().0, lines as u64);
    let whole = (lines as u64).div_ceil(512);
    // It may have been at some parts, which are not told of twice.
    assert!(logs.metrics.parts.get() <= whole + scan::PARTS as u64, "{} parts", logs.metrics.parts.get());
}

#[tokio::test]
async fn another_log_under_the_same_name_has_an_outline_of_its_own() {
    let mut logs = Logs::new(KEPT);
    logs.grow("w", &["::group::a"]);
    assert_eq!(logs.told("w").await.unwrap(), (1, 1, false));
    let worker = WorkerId::try_from("w").unwrap();
    logs.catalog.forget(&worker);
    let opened = memory::open();
    logs.store = opened.store;
    logs.tails = Tails::new(opened.reader, 100, logs.metrics.clone());
    let registration = Registration { session_id: "another".into(), ..Registration::recovered(worker) };
    logs.catalog.publish(WorkerState::new(registration, 0));
    logs.grow("w", &["x", "y"]);
    assert_eq!(logs.told("w").await.unwrap(), (2, 0, false));
}

/// Fails once.
struct Faulty(Arc<dyn LogReader>, std::sync::atomic::AtomicBool);

impl LogReader for Faulty {
    fn read(&self, worker: &WorkerId, from: Sequence, max_bytes: usize) -> io::Result<Vec<Block>> {
        if self.1.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return Err(io::Error::other("too many files are open"));
        }
        self.0.read(worker, from, max_bytes)
    }
}

#[tokio::test]
async fn a_read_that_fails_is_told_and_the_next_look_goes_on() {
    let opened = memory::open();
    let mut logs = Logs::new(KEPT);
    logs.store = opened.store;
    let reader = Arc::new(Faulty(opened.reader, true.into()));
    logs.tails = Tails::new(reader, 100, logs.metrics.clone());
    logs.grow("w", &["x"]);
    assert!(matches!(logs.told("w").await, Err(ScanError::Store(_))));
    assert_eq!(logs.told("w").await.unwrap().0, 1);
    logs.grow("w", &["y"]);
    logs.stopping.cancel();
    assert!(matches!(logs.told("w").await, Err(ScanError::Stopping)));
}
