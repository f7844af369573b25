use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ids::WorkerId;
use crate::line::{Extra, LinesBuilder, Mark};
use crate::worker::{Change, Closing, Record, Registration};

fn worker() -> WorkerId {
    WorkerId::try_from("w").unwrap()
}

fn state(high: u64, numbering: Option<Numbering>) -> WorkerState {
    let mut state = WorkerState::new(Registration::recovered(worker()), 0);
    state.high = Sequence::new(high);
    state.numbering = numbering;
    state
}

/// Lines `first` to `last`, each of which says its own number.
fn lines(first: u64, last: u64) -> Item {
    let mut builder = LinesBuilder::default();
    for number in first..=last {
        builder.push(0, Mark::default(), number.to_string().as_bytes(), Extra::default());
    }
    Item { first: Some(Sequence::new(first)), offer: Offer::Lines(builder.finish()) }
}

fn gap(first: u64, last: u64) -> Item {
    let offer = Offer::Gap { last: Sequence::new(last), reason: "buffer_full".into() };
    Item { first: Some(Sequence::new(first)), offer }
}

fn unstorable(first: u64) -> Item {
    let offer = Offer::Unstorable(DropReason::MessageTooLarge.into());
    Item { first: Some(Sequence::new(first)), offer }
}

fn unnumbered() -> Item {
    Item { first: None, ..lines(1, 1) }
}

/// What is stored, from and to, and what is answered, in a line.
fn shown(state: &WorkerState, item: Item) -> String {
    let Decision { store, answer } = decide(state, item);
    let stored = store.map_or("nothing".to_owned(), |block| {
        let kind = if matches!(block.content, Content::Lines(_)) { "lines" } else { "gap" };
        format!("{kind} {}-{}", block.first, block.last())
    });
    let refusal = match answer.refusal {
        None => "ack".to_owned(),
        Some(Refusal::Retry(retry, mark)) => format!("retry {} after {mark}", retry.reason()),
        Some(Refusal::Replaced(why)) => format!("replaced {}", why.reason()),
        Some(Refusal::Drop(why)) => format!("drop {}", why.reason()),
    };
    format!("{stored}; {refusal} up to {}", answer.acked)
}

#[test]
fn each_rule_of_the_contract_has_its_decision() {
    let open = state(5, Some(Numbering::Client));
    let fresh = state(0, None);
    let by_server = state(5, Some(Numbering::Server));
    let closing = Closing { exit_code: Some(0), signal: 0, reason: "".into() };
    let closed = WorkerState { closing: Some(closing), ..open.clone() };
    let table = [
        (&fresh, lines(1, 3), "lines 1-3; ack up to 3"),
        (&fresh, lines(2, 3), "nothing; retry gap after 0 up to 0"),
        (&fresh, unnumbered(), "lines 1-1; ack up to 1"),
        (&open, lines(6, 6), "lines 6-6; ack up to 6"),
        (&open, lines(4, 5), "nothing; ack up to 5"),
        (&open, lines(4, 8), "lines 6-8; ack up to 8"),
        (&open, lines(7, 8), "nothing; retry gap after 5 up to 0"),
        (&open, gap(6, 9), "gap 6-9; ack up to 9"),
        (&open, gap(3, 9), "gap 6-9; ack up to 9"),
        (&open, gap(3, 4), "nothing; ack up to 4"),
        (&open, unstorable(6), "gap 6-6; replaced message_too_large up to 0"),
        (&open, unstorable(5), "nothing; ack up to 5"),
        (&open, unstorable(7), "nothing; retry gap after 5 up to 0"),
        (&open, unnumbered(), "nothing; drop mixed_numbering up to 0"),
        (&by_server, unnumbered(), "lines 6-6; ack up to 6"),
        (&by_server, lines(6, 6), "nothing; drop mixed_numbering up to 0"),
        (&closed, lines(5, 5), "nothing; ack up to 5"),
        (&closed, lines(6, 6), "nothing; drop log_closed up to 5"),
        (&closed, lines(4, 6), "nothing; drop log_closed up to 5"),
    ];
    for (state, item, expected) in table {
        assert_eq!(shown(state, item.clone()), expected, "{item:?} at {}", state.high);
    }
}

/// What a client might send, whatever went wrong before.
fn any_item(longest: u64) -> impl Strategy<Value = Item> {
    (1..40_u64, 0..longest, 0..10_u8).prop_map(|(first, more, kind)| match kind {
        0 => gap(first, first + more),
        1 => unstorable(first),
        _ => lines(first, first + more),
    })
}

/// Stores what is decided, as the writer does, and what a reader then sees at each sequence.
fn offer(state: &mut WorkerState, seen: &mut BTreeMap<u64, Option<Vec<u8>>>, item: Item) -> Answer {
    let decision = decide(state, item);
    let Some(block) = decision.store else { return decision.answer };
    assert_eq!(block.first, state.high.next(), "stored directly behind the mark");
    match &block.content {
        Content::Lines(lines) => {
            for (number, line) in (block.first.get()..).zip(lines.iter()) {
                assert_eq!(seen.insert(number, Some(line.bytes.to_vec())), None, "line {number} twice");
            }
        }
        Content::Gap { last, .. } => {
            for number in block.first.get()..=last.get() {
                assert_eq!(seen.insert(number, None), None, "line {number} twice");
            }
        }
    }
    let change = Change::Appended { worker: worker(), numbering: Numbering::Client, block };
    state.apply(&Record { at_ns: 0, change });
    decision.answer
}

proptest! {
    /// Sends, repeats, overlaps, gaps and lines that come too early, in any order: each sequence up to
    /// the mark is there once, holds its own line or a gap, and nothing above the mark was acknowledged.
    #[test]
    fn p5_any_interleaving_yields_each_line_once_and_acknowledges_only_what_is_stored(
        items in prop::collection::vec(any_item(6), 1..80),
    ) {
        let (mut state, mut seen) = (self::state(0, None), BTreeMap::new());
        for item in items {
            let before = state.high;
            let answer = offer(&mut state, &mut seen, item);
            prop_assert!(state.high >= before);
            prop_assert!(answer.acked <= state.high);
            if let Some(Refusal::Retry(_, mark)) = answer.refusal {
                prop_assert_eq!(mark, state.high);
            }
        }
        prop_assert!(seen.keys().copied().eq(1..=state.high.get()));
        for (number, line) in &seen {
            prop_assert!(line.as_ref().is_none_or(|line| *line == number.to_string().into_bytes()));
        }
        let lines = seen.values().flatten().count() as u64;
        prop_assert_eq!((state.lines, state.lost), (lines, seen.len() as u64 - lines));
    }

    /// A client that goes back when it is asked to gets its whole log in, however its flights are cut.
    #[test]
    fn p5_a_client_that_follows_the_answers_loses_nothing(
        cuts in prop::collection::vec((1..9_u64, 0..9_u64), 1..60),
    ) {
        const LAST: u64 = 50;
        let (mut state, mut seen) = (self::state(0, None), BTreeMap::new());
        let mut next = 1;
        for (length, skipped) in cuts.into_iter().chain(std::iter::repeat_n((LAST, 0), 3)) {
            let first = (next + skipped).min(LAST);
            let answer = offer(&mut state, &mut seen, lines(first, (first + length - 1).min(LAST)));
            next = match answer.refusal {
                Some(Refusal::Retry(_, mark)) => mark.next().get(),
                _ => answer.acked.next().get(),
            }.min(LAST);
        }
        prop_assert_eq!(seen.len() as u64, LAST);
        prop_assert!(seen.values().all(Option::is_some));
    }
}
