use prometheus_client::registry::Registry;
use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::ids::WorkerId;
use crate::line::{Extra, LinesBuilder, Mark};
use crate::metrics::Metrics;
use crate::store::{Opened, memory};
use crate::worker::{Change, Numbering, Record, Registration};

/// What a log has next.
#[derive(Clone, Debug)]
enum Step {
    /// Lines of these times.
    Lines(Vec<i64>),
    /// So many lines are missing.
    Gap(u64),
}

/// A store with some logs.
struct Logs {
    opened: Opened,
    catalog: Catalog,
    workers: Vec<WorkerId>,
}

impl Logs {
    fn new(logs: &[Vec<Step>]) -> Self {
        let mut all = Self { opened: memory::open(), catalog: Catalog::default(), workers: Vec::new() };
        for (at, steps) in logs.iter().enumerate() {
            let worker = WorkerId::try_from(&*format!("w{at}")).unwrap();
            let mut state = WorkerState::new(Registration::recovered(worker.clone()), 0);
            for step in steps {
                all.append(&mut state, step);
            }
            all.catalog.publish(state);
            all.workers.push(worker);
        }
        all
    }

    fn append(&mut self, state: &mut WorkerState, step: &Step) {
        let first = state.high.next();
        let content = match step {
            Step::Lines(times) => {
                let mut lines = LinesBuilder::default();
                for time in times {
                    lines.push(*time, Mark::default(), b"line", Extra::default());
                }
                Content::Lines(lines.finish())
            }
            Step::Gap(lines) => Content::Gap { last: state.high.plus(*lines), reason: "lost".into() },
        };
        let (worker, numbering) = (state.registration.worker.clone(), Numbering::Client);
        let change = Change::Appended { worker, numbering, block: Block { first, content } };
        let record = Record { at_ns: 0, change };
        self.opened.store.commit(std::slice::from_ref(&record)).unwrap();
        state.apply(&record);
    }

    /// From these places; at the end where none are given.
    fn read(&self, direction: Direction, places: Option<&[u64]>) -> Interleaved {
        let metrics = Metrics::register(&mut Registry::default());
        let tails = Tails::new(Arc::clone(&self.opened.reader), 1, metrics);
        let logs = self.workers.iter().enumerate().map(|(at, worker)| {
            let states = self.catalog.watch(worker).unwrap();
            let end = states.borrow().high;
            (states, places.map_or(end, |places| Sequence::new(places[at])))
        });
        Interleaved::new(tails, direction, logs.collect::<Vec<_>>())
    }
}

/// The next `count` at the most, as log and sequences.
async fn take(logs: &mut Interleaved, count: usize) -> Vec<(usize, u64, u64)> {
    let mut taken = Vec::new();
    while taken.len() < count
        && let Some(pick) = logs.next().await.unwrap()
    {
        taken.push((pick.log, pick.first.get(), pick.last.get()));
    }
    taken
}

#[tokio::test]
async fn lines_of_several_logs_come_in_the_order_of_time_both_ways() {
    let logs = Logs::new(&[vec![Step::Lines(vec![1, 4, 4, 9])], vec![Step::Lines(vec![2, 4, 8])]]);
    let forward = [(0, 1, 1), (1, 1, 1), (0, 2, 2), (0, 3, 3), (1, 2, 2), (1, 3, 3), (0, 4, 4)];
    assert_eq!(take(&mut logs.read(Direction::Forward, Some(&[0, 0])), 99).await, forward);
    let mut backward = take(&mut logs.read(Direction::Backward, None), 99).await;
    backward.reverse();
    assert_eq!(backward, forward);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_change_the_order_of_a_log() {
    let logs = Logs::new(&[vec![Step::Lines(vec![5, 1, 6])], vec![Step::Lines(vec![3])]]);
    let seen = take(&mut logs.read(Direction::Forward, Some(&[0, 0])), 99).await;
    assert_eq!(seen, [(1, 1, 1), (0, 1, 1), (0, 2, 2), (0, 3, 3)]);
}

#[tokio::test]
async fn a_gap_of_many_lines_is_one_piece_from_whichever_side_it_is_met() {
    const LOST: u64 = 1 << 40;
    let steps = vec![Step::Lines(vec![1; 3]), Step::Gap(LOST), Step::Lines(vec![2; 600])];
    let logs = Logs::new(&[steps]);
    let mut back = logs.read(Direction::Backward, None);
    assert_eq!(take(&mut back, 600).await.len(), 600);
    assert_eq!(take(&mut back, 9).await, [(0, 4, LOST + 3), (0, 3, 3), (0, 2, 2), (0, 1, 1)]);
    let mut on = logs.read(Direction::Forward, Some(&[2]));
    assert_eq!(take(&mut on, 3).await, [(0, 3, 3), (0, 4, LOST + 3), (0, LOST + 4, LOST + 4)]);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lines = prop::collection::vec(0_i64..50, 1..40).prop_map(Step::Lines);
    let gap = (1_u64..2000).prop_map(Step::Gap);
    prop::collection::vec(prop_oneof![4 => lines, 1 => gap], 0..6)
}

proptest! {
    /// Whatever the clocks say and wherever a reader turns round: all lines, each once, each log in its order.
    #[test]
    fn p5_whoever_goes_back_and_on_again_sees_each_line_once(
        logs in prop::collection::vec(steps(), 1..5),
        back in 0_usize..200,
        page in 1_usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let logs = Logs::new(&logs);
            let mut reader = logs.read(Direction::Backward, None);
            let mut seen = take(&mut reader, back).await;
            seen.reverse();
            let cut: Vec<_> = reader.places().map(|(_, at)| at.get()).collect();
            let mut places = vec![0; logs.workers.len()];
            let mut before = Vec::new();
            // Page by page up to the cut, each a reader of its own.
            loop {
                let mut reader = logs.read(Direction::Forward, Some(&places));
                let next = take(&mut reader, page).await;
                if next.is_empty() { break }
                before.extend(next);
                places = reader.places().map(|(_, at)| at.get()).collect();
            }
            before.retain(|(log, _, last)| *last <= cut[*log]);
            before.extend(seen);
            for (log, worker) in logs.workers.iter().enumerate() {
                let mut next = 1;
                for (_, first, last) in before.iter().filter(|(of, ..)| *of == log) {
                    prop_assert_eq!(*first, next, "{:?}", &before);
                    next = last + 1;
                }
                let high = logs.catalog.worker(worker).unwrap().high;
                prop_assert_eq!(next, high.next().get());
            }
            Ok(())
        })?;
    }
}
