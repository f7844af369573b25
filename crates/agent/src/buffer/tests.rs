mod spooled;

use proptest::prelude::*;

use super::pieces::ENTRY;
use super::*;
use crate::batch;

fn push(buffer: &mut Buffer, bytes: usize) {
    buffer.push(0, Source::Stdout, &vec![b'x'; bytes], Ending::Newline);
}

/// First and last sequence of each piece, and whether it is a gap.
fn shape(buffer: &mut Buffer) -> Vec<(u64, u64, bool)> {
    std::iter::from_fn(|| buffer.take_all())
        .map(|piece| match piece {
            Piece::Lines(lines) => (lines.first, lines.last, false),
            Piece::Gap { first, last, .. } => (first, last, true),
        })
        .collect()
}

#[test]
fn what_is_acknowledged_is_let_go_and_the_rest_is_sent_again_unchanged() {
    let mut buffer = Buffer::new(1 << 20, WhenFull::DropOldest, Spool::none());
    (0..3).for_each(|_| {
        push(&mut buffer, 10);
        buffer.seal();
    });
    assert_eq!(shape(&mut buffer), [(1, 1, false), (2, 2, false), (3, 3, false)]);
    buffer.ack(1);
    buffer.rewind();
    assert_eq!(shape(&mut buffer), [(2, 2, false), (3, 3, false)]);
    buffer.ack(3);
    assert!(buffer.is_drained() && buffer.size() == 0 && buffer.in_flight() == 0);
}

#[test]
fn what_was_sent_once_counts_as_offered_after_a_cut_and_an_ack_too() {
    let mut buffer = Buffer::new(1 << 20, WhenFull::DropOldest, Spool::none());
    for _ in 0..3 {
        push(&mut buffer, 10);
        buffer.seal();
    }
    assert_eq!(buffer.last_offered(), 0);
    buffer.take();
    buffer.take();
    buffer.rewind();
    assert_eq!(buffer.last_offered(), 2);
    buffer.ack(2);
    assert_eq!(buffer.last_offered(), 2);
    buffer.forget(1);
    assert_eq!(buffer.last_offered(), 2, "the gap in place of line 2");
}

#[test]
fn p6_full_it_drops_the_oldest_that_are_not_in_flight_into_one_gap() {
    let limit = 3 * (ENTRY + batch::size(1, 70)) + ENTRY;
    let mut buffer = Buffer::new(limit, WhenFull::DropOldest, Spool::none());
    push(&mut buffer, 70);
    assert!(buffer.take_all().is_some(), "line 1 is in flight");
    for _ in 2..=5 {
        push(&mut buffer, 70);
        buffer.seal();
    }
    assert!(buffer.size() <= limit);
    buffer.rewind();
    assert_eq!(shape(&mut buffer), [(1, 1, false), (2, 3, true), (4, 4, false), (5, 5, false)]);
    assert_eq!(buffer.dropped(), 2);
}

/// The ACK may have been cut off: dropping the line would call one lost that a reader can see.
#[test]
fn p5_what_was_sent_once_is_not_dropped_after_a_cut() {
    let limit = 3 * (ENTRY + batch::size(1, 70)) + ENTRY;
    let mut buffer = Buffer::new(limit, WhenFull::DropOldest, Spool::none());
    push(&mut buffer, 70);
    buffer.take_all();
    buffer.rewind();
    for _ in 2..=9 {
        push(&mut buffer, 70);
        buffer.seal();
    }
    assert_eq!(shape(&mut buffer).first(), Some(&(1, 1, false)));
}

#[test]
fn p7_an_abandoned_buffer_takes_and_counts_everything_and_keeps_nothing() {
    let mut buffer = Buffer::new(100, WhenFull::Block, Spool::none());
    push(&mut buffer, 200);
    assert!(!buffer.has_room());
    buffer.abandon();
    push(&mut buffer, 200);
    assert!(buffer.has_room() && buffer.is_drained());
    assert_eq!((buffer.last(), buffer.dropped(), buffer.size()), (2, 2, 0));
}

#[test]
fn a_line_that_is_refused_again_counts_once() {
    let mut buffer = Buffer::new(1 << 20, WhenFull::DropOldest, Spool::none());
    for sequence in [3, 5, 3, 5] {
        buffer.refuse_line(sequence);
    }
    assert_eq!(buffer.dropped(), 2);
}

#[test]
fn a_server_that_lost_what_it_had_acknowledged_gets_a_gap_for_it() {
    let mut buffer = Buffer::new(1 << 20, WhenFull::DropOldest, Spool::none());
    for _ in 1..=4 {
        push(&mut buffer, 1);
        buffer.seal();
    }
    shape(&mut buffer);
    buffer.ack(3);
    assert_eq!(buffer.forget(0), 3);
    assert_eq!(shape(&mut buffer), [(1, 3, true), (4, 4, false)]);
    assert_eq!((buffer.acked(), buffer.dropped()), (0, 3));
}

/// An ACK may end in the midst of a batch. Believed further than the server's word goes, each RETRY that
/// follows would look like another loss.
#[test]
fn a_server_that_lost_a_part_of_a_batch_is_sent_the_batch_again_and_nothing_is_lost() {
    let mut buffer = Buffer::new(1 << 20, WhenFull::DropOldest, Spool::none());
    (0..3).for_each(|_| push(&mut buffer, 1));
    assert_eq!(shape(&mut buffer), [(1, 3, false)]);
    buffer.ack(2);
    assert_eq!(buffer.forget(1), 0);
    assert_eq!((buffer.acked(), buffer.dropped()), (1, 0));
    assert_eq!(shape(&mut buffer), [(1, 3, false)]);
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Take,
    TakeAll,
    Ack(prop::sample::Index),
    Rewind,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..40_000).prop_map(Step::Push),
        2 => Just(Step::Take),
        2 => Just(Step::TakeAll),
        1 => any::<prop::sample::Index>().prop_map(Step::Ack),
        1 => Just(Step::Rewind),
    ]
}

proptest! {
    /// Whatever happens: after the acknowledged part, every sequence is in exactly one piece, in
    /// order, and the memory stays within the limit plus what is in flight.
    #[test]
    fn p5_p6_each_sequence_is_in_exactly_one_piece(steps in prop::collection::vec(step(), 0..80)) {
        let limit = 200_000;
        let mut buffer = Buffer::new(limit, WhenFull::DropOldest, Spool::none());
        let mut highest_sent = 0;
        for step in steps {
            match step {
                Step::Push(bytes) => push(&mut buffer, bytes),
                Step::Take => highest_sent = buffer.take().map_or(highest_sent, |piece| piece.last()),
                Step::TakeAll => highest_sent = buffer.take_all().map_or(highest_sent, |piece| piece.last()),
                Step::Ack(at) => {
                    let sent = usize::try_from(highest_sent).unwrap() + 1;
                    buffer.ack(at.index(sent) as u64);
                }
                Step::Rewind => buffer.rewind(),
            }
            let offered: usize = buffer.pieces.range(..buffer.offered).map(Kept::size).sum();
            prop_assert!(buffer.in_flight() <= offered);
            prop_assert!(buffer.size() <= limit + offered + ENTRY);
        }
        let (last, acked) = (buffer.last(), buffer.acked());
        buffer.rewind();
        let mut next = None;
        for (first, until, _) in shape(&mut buffer) {
            match next {
                None => prop_assert!(first <= acked + 1 && until > acked),
                Some(next) => prop_assert_eq!(first, next),
            }
            next = Some(until + 1);
        }
        prop_assert_eq!(next.unwrap_or(acked + 1), last + 1);
    }
}
