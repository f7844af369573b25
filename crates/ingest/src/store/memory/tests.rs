use super::*;
use crate::line::{Lines, LinesBuilder, Mark};
use crate::worker::{Closing, Numbering};

/// The last line of a worker, and the store's way to more.
struct Logs {
    opened: Opened,
    high: HashMap<&'static str, u64>,
}

fn worker(name: &str) -> WorkerId {
    WorkerId::try_from(name).unwrap()
}

fn lines(count: usize, line: &[u8]) -> Lines {
    let mut builder = LinesBuilder::default();
    (0..count).for_each(|_| builder.push(0, Mark::default(), line, Extra::default()));
    builder.finish()
}

impl Logs {
    fn new() -> Self {
        Self { opened: open(), high: HashMap::new() }
    }

    fn commit(&mut self, change: Change) {
        self.opened.store.commit(&[Record { at_ns: 5, change }]).unwrap();
    }

    fn grow(&mut self, name: &'static str, lines: Lines) {
        let high = self.high.entry(name).or_default();
        let block = Block { first: Sequence::new(*high + 1), content: Content::Lines(lines) };
        *high = block.last().get();
        self.commit(Change::Appended { worker: worker(name), numbering: Numbering::Client, block });
    }

    fn close(&mut self, name: &'static str) {
        let closing = Closing { exit_code: Some(0), signal: 0, reason: Arc::default() };
        let last = Sequence::new(self.high[name]);
        self.commit(Change::Closed { worker: worker(name), closing, last });
    }

    /// Does what the writer does after each group; who lost lines, and up to where.
    fn shrink(&mut self, limit: u64) -> Vec<(String, u64)> {
        let changes = self.opened.store.retain().unwrap().overflow(limit);
        self.take(changes)
    }

    fn take(&mut self, changes: Vec<Change>) -> Vec<(String, u64)> {
        let told = |change: &Change| match change {
            Change::Trimmed { worker, until } => (worker.to_string(), until.get()),
            other => panic!("{other:?}"),
        };
        let mut gone: Vec<_> = changes.iter().map(told).collect();
        for change in changes {
            self.commit(change);
        }
        self.opened.store.retain().unwrap().give_back();
        gone.sort();
        gone
    }

    fn first(&self, name: &str) -> Option<u64> {
        let blocks = self.opened.reader.read(&worker(name), Sequence::ZERO, usize::MAX).unwrap();
        blocks.first().map(|block| block.first.get())
    }
}

fn gone(of: &[(&str, u64)]) -> Vec<(String, u64)> {
    of.iter().map(|(name, until)| ((*name).to_owned(), *until)).collect()
}

#[test]
fn p6_lines_without_a_byte_reach_the_limit_as_well() {
    let mut logs = Logs::new();
    let limit = 1 << 20;
    for _ in 0..1000 {
        logs.grow("w", lines(512, b""));
        logs.shrink(limit);
        assert!(logs.opened.store.size() <= limit);
    }
    let kept = logs.high["w"] - logs.first("w").unwrap() + 1;
    assert!((60_000..=limit / 13).contains(&kept), "{kept} lines of 13 bytes in columns");

    let mut trickle = Logs::new();
    for _ in 0..10_000 {
        trickle.grow("w", lines(1, b"x"));
    }
    let columns = 10_000 * 14;
    assert!(trickle.opened.store.size() > 10 * columns, "and what is around a block of one line");
}

#[test]
fn p6_what_a_block_is_cut_from_does_not_stay_with_it() {
    let mut logs = Logs::new();
    let message = lines(1000, &[b'x'; 1000]);
    let data = message.data.as_ptr_range();
    logs.grow("w", message.truncate(1));
    let kept = logs.opened.reader.read(&worker("w"), Sequence::ZERO, 1).unwrap().remove(0);
    let Content::Lines(kept) = kept.content else { panic!("a line came") };
    assert!(!data.contains(&kept.data.as_ptr()), "all of the message would stay in memory");
    assert_eq!(kept.times_ns.capacity(), 1);
}

#[test]
fn p6_the_log_that_was_closed_first_goes_first_and_then_whatever_came_first() {
    let mut logs = Logs::new();
    let block = || lines(10, &[b'x'; 1000]);
    // The open one came before all others.
    for name in ["open", "late", "early", "other"] {
        logs.grow(name, block());
        logs.grow(name, block());
    }
    logs.close("early");
    logs.close("late");
    let whole = logs.opened.store.size();
    let each = whole / 8;
    assert_eq!(logs.shrink(whole), [], "all of it may stay");
    // To a sixteenth below the limit: not for each block.
    assert_eq!(logs.shrink(whole - 1), gone(&[("early", 10)]));
    assert_eq!(logs.first("late"), Some(1));
    assert_eq!(logs.shrink(6 * each), gone(&[("early", 20), ("late", 10)]));
    assert_eq!(logs.first("early"), None);
    assert_eq!(logs.shrink(4 * each), gone(&[("late", 20), ("open", 10)]));
    assert_eq!(logs.first("open"), Some(11));
    assert_eq!(logs.shrink(3 * each - 1), gone(&[("open", 20)]), "what came first of those that are open");
    assert_eq!(logs.shrink(0), gone(&[("other", 20)]));
    assert_eq!(logs.opened.store.size(), 0);
}

#[test]
fn a_task_that_has_too_much_loses_its_own_lines_alone() {
    let mut logs = Logs::new();
    for name in ["small", "large"] {
        logs.grow(name, lines(10, b"x"));
    }
    let limit = logs.opened.store.size();
    (0..20).for_each(|_| logs.grow("large", lines(10, b"x")));
    let stint = Stint { workers: 1, bytes: 1, holes: 1 };
    let Excess::Lines(changes) = logs.opened.store.retain().unwrap().excess(limit, stint) else {
        panic!("it has more than it may")
    };
    let lost = logs.take(changes);
    assert!(matches!(&lost[..], [(name, _)] if name == "large"), "{lost:?}");
    assert_eq!(logs.opened.store.retain().unwrap().excess(limit, stint), Excess::Nothing);
    assert_eq!(logs.first("small"), Some(1));
}

#[test]
fn who_ended_and_has_no_line_left_is_forgotten_with_the_time() {
    let mut logs = Logs::new();
    for name in ["closed", "open"] {
        logs.grow(name, lines(1, b"x"));
    }
    logs.close("closed");
    let all = logs.opened.store.size();
    assert_eq!(logs.shrink(all - 1), gone(&[("closed", 1)]));
    let forget = |logs: &mut Logs, ended, open| logs.opened.store.retain().unwrap().forget(ended, open, 9);
    assert_eq!(forget(&mut logs, 5, 9), [], "it was heard of at 5");
    let forgotten = forget(&mut logs, 6, 9);
    assert_eq!(forgotten, [Change::Forgotten { worker: worker("closed") }]);
    logs.commit(forgotten[0].clone());
    assert_eq!(forget(&mut logs, 6, 9), []);
}

#[test]
fn lines_stay_until_it_is_said_that_they_go() {
    let mut logs = Logs::new();
    logs.grow("w", lines(1, b"x"));
    let retain = logs.opened.store.retain().unwrap();
    assert_eq!(retain.overflow(0).len(), 1);
    assert_eq!(retain.give_back(), 0);
    assert_eq!(logs.first("w"), Some(1));
}
