//! A buffer that has a spool: what goes there, what comes back, and what is left there.

use std::time::Duration;

use ottoscaler_proto::v1::{WorkerCompletion, WorkerRegistration};
use proptest::prelude::*;

use super::super::*;
use super::{ENTRY, Step, push, shape, step};
use crate::spool::leftover::{Entry, Leftover};

/// A spool of so many bytes, and where it is.
fn spool(limit: u64) -> (Spool, tempfile::TempDir) {
    let dir = tempfile::TempDir::new().unwrap();
    (Spool::new(dir.path(), limit, WorkerRegistration::default()), dir)
}

#[test]
fn p6_p7_what_memory_has_no_room_for_waits_in_the_spool_and_comes_out_in_order() {
    let (spool, _dir) = spool(1 << 20);
    let mut buffer = Buffer::new(100_000, WhenFull::Block, spool);
    for _ in 0..50 {
        push(&mut buffer, 10_000);
        buffer.seal();
        push(&mut buffer, 1);
        buffer.seal();
    }
    assert!(buffer.size() <= 100_000 + 10_100, "{} bytes in memory", buffer.size());
    assert!(buffer.has_room(), "the spool has room");
    for sequence in 1..=100 {
        let piece = buffer.take_all().unwrap();
        let Piece::Lines(lines) = &piece else { panic!("{piece:?}") };
        assert_eq!((lines.first, lines.last), (sequence, sequence));
        assert_eq!(lines.lines().next().unwrap().bytes.len(), if sequence % 2 == 1 { 10_000 } else { 1 });
        buffer.ack(sequence);
    }
    assert!(buffer.is_drained() && buffer.dropped() == 0);
}

#[test]
fn p6_with_memory_and_spool_full_the_oldest_make_room() {
    let (spool, _dir) = spool(100_000);
    let mut buffer = Buffer::new(50_000, WhenFull::DropOldest, spool);
    for _ in 0..100 {
        push(&mut buffer, 10_000);
        buffer.seal();
    }
    push(&mut buffer, 1);
    let shape = shape(&mut buffer);
    let (gap, rest) = shape.split_first().unwrap();
    assert_eq!(*gap, (1, buffer.dropped(), true));
    assert!((7..=14).contains(&(rest.len() as u64)), "{rest:?}");
    assert!(rest.iter().all(|(_, _, is_gap)| !is_gap));
}

#[test]
fn what_waits_for_long_is_left_to_whoever_comes_after_a_kill() {
    let (spool, dir) = spool(1 << 20);
    let mut buffer = Buffer::new(100_000, WhenFull::DropOldest, spool);
    buffer.push(1_000, Source::Stdout, b"old", Ending::Newline);
    buffer.save_until(999);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    buffer.save_until(1_000);
    let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    drop(buffer);
    assert!(matches!(Leftover::open(&path).unwrap().read(), Ok(Some(Entry::Lines(_, 1)))));
}

/// As on a volume that is away for a while.
#[test]
fn what_cannot_be_read_for_a_while_is_neither_lost_nor_dropped() {
    let (spool, _dir) = spool(1 << 20);
    let mut buffer = Buffer::new(20_000, WhenFull::DropOldest, spool);
    for _ in 0..100 {
        push(&mut buffer, 1_000);
        buffer.seal();
    }
    assert_eq!(buffer.take().map(|piece| piece.last()), Some(1));
    buffer.spool.set_away(true);
    while let Some(piece) = buffer.take() {
        assert!(matches!(piece, Piece::Lines(_)), "{piece:?}");
    }
    let why = buffer.unreadable().expect("it says why there is no more");
    assert!(!crate::spool::is_damage(&why) && buffer.unreadable().is_none());
    assert!(buffer.sent < 100 && buffer.dropped() == 0);
    while buffer.drop_oldest() {}
    let dropped = buffer.dropped();
    assert!(dropped < 100, "what only the spool has stays");
    buffer.spool.set_away(false);
    let (mut lines, mut gaps) = (0, 0);
    buffer.rewind();
    while let Some(piece) = buffer.take() {
        match piece {
            Piece::Lines(_) => lines += piece.lines(),
            Piece::Gap { first, last, reason } => {
                assert_eq!(reason, "buffer_full");
                gaps += last - first + 1;
            }
        }
    }
    assert_eq!((lines, gaps, buffer.dropped()), (100 - dropped, dropped, dropped));
}

/// As behind a bad sector, or where a server of files has lost this one.
#[tokio::test(start_paused = true)]
async fn p7_what_can_never_be_read_again_becomes_a_gap_and_the_lines_behind_it_go_on() {
    let (spool, _dir) = spool(1 << 20);
    let mut buffer = Buffer::new(20_000, WhenFull::Block, spool);
    for _ in 0..100 {
        push(&mut buffer, 1_000);
        buffer.seal();
    }
    buffer.spool.set_away(true);
    push(&mut buffer, 10);
    let sent = std::iter::from_fn(|| buffer.take()).last().map_or(0, |piece| piece.last());
    for _ in 0..30 {
        assert!(buffer.take().is_none() && buffer.unreadable().is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let gap = buffer.take().expect("it has been long enough");
    assert!(matches!(gap, Piece::Gap { first, reason: "spool_damaged", .. } if first == sent + 1), "{gap:?}");
    assert_eq!(buffer.dropped(), gap.last() - sent);
    let behind: Vec<_> = std::iter::from_fn(|| buffer.take_all()).collect();
    assert!(behind.iter().all(|piece| matches!(piece, Piece::Lines(_))), "{behind:?}");
    assert_eq!(behind.last().map(Piece::last), Some(101));
}

/// The time of one piece is not that of the next.
#[tokio::test(start_paused = true)]
async fn what_is_read_in_the_end_is_not_lost_however_long_others_took() {
    let (spool, _dir) = spool(1 << 20);
    let mut buffer = Buffer::new(20_000, WhenFull::Block, spool);
    for _ in 0..100 {
        push(&mut buffer, 1_000);
        buffer.seal();
    }
    let is_away_for_long = async |buffer: &mut Buffer| {
        buffer.spool.set_away(true);
        while let Some(piece) = buffer.take() {
            assert!(matches!(piece, Piece::Lines(_)), "{piece:?}");
        }
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(buffer.take().is_none());
        buffer.spool.set_away(false);
    };
    let mut last = 0;
    while last < 100 {
        is_away_for_long(&mut buffer).await;
        last = buffer.take().map_or(100, |piece| piece.last());
    }
    assert_eq!(buffer.dropped(), 0);
}

/// A spool of many GiB must not take memory for each piece of it.
#[test]
fn p6_what_waits_in_the_spool_costs_no_memory_however_many_pieces_it_is() {
    let (spool, _dir) = spool(64 << 20);
    let mut buffer = Buffer::new(20_000, WhenFull::DropOldest, spool);
    for _ in 0..20_000 {
        push(&mut buffer, 10);
        buffer.seal();
    }
    assert!(buffer.size() <= 20_000 + 1_000 && buffer.pieces.len() < 40, "{:?}", buffer.pieces);
    for sequence in 1..=20_000 {
        let piece = buffer.take_all().unwrap();
        assert_eq!((piece.last(), piece.lines()), (sequence, 1));
        // It is sent again as it was, and the others wait on in one piece.
        if sequence % 100 == 0 {
            buffer.rewind();
            assert_eq!(buffer.take_all().map(|piece| piece.last()), Some(sequence));
        }
        buffer.ack(sequence);
        assert!(buffer.pieces.len() < 40);
    }
    assert!(buffer.is_drained() && buffer.dropped() == 0 && !buffer.spool.is_in_use());
}

#[test]
fn p6_a_full_spool_drops_its_oldest_piece_by_piece() {
    let (spool, _dir) = spool(100_000);
    let mut buffer = Buffer::new(20_000, WhenFull::DropOldest, spool);
    for _ in 0..1_000 {
        push(&mut buffer, 500);
        buffer.seal();
    }
    assert!(buffer.pieces.len() < 20, "{:?}", buffer.pieces);
    let dropped = buffer.dropped();
    let shape = shape(&mut buffer);
    assert_eq!(shape[0], (1, dropped, true));
    assert!((140..210).contains(&shape[1..].len()), "{} are left", shape.len());
    assert!(shape[1..].iter().zip(dropped + 1..).all(|(piece, at)| *piece == (at, at, false)));
}

#[test]
fn p5_a_disk_that_takes_no_more_at_the_end_costs_what_it_does_not_have_and_nothing_else() {
    let (spool, dir) = spool(1 << 20);
    let mut buffer = Buffer::new(100_000, WhenFull::DropOldest, spool);
    for _ in 0..5 {
        push(&mut buffer, 1_000);
        buffer.seal();
    }
    buffer.save_until(i64::MAX);
    buffer.spool.fail();
    push(&mut buffer, 1_000);
    buffer.leave_behind(&WorkerCompletion::default());
    drop(buffer);
    let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let mut leftover = Leftover::open(&path).unwrap();
    let lines =
        std::iter::from_fn(|| leftover.read().unwrap()).filter(|entry| matches!(entry, Entry::Lines(..)));
    assert_eq!(lines.count(), 5);
}

/// There is no later try.
#[test]
fn p5_a_disk_that_took_nothing_a_moment_ago_is_asked_once_more_at_the_end() {
    let (spool, _dir) = spool(1 << 20);
    let mut buffer = Buffer::new(100_000, WhenFull::DropOldest, spool);
    push(&mut buffer, 1_000);
    buffer.save_until(i64::MAX);
    buffer.spool.pause();
    push(&mut buffer, 1_000);
    let path = buffer.leave_behind(&WorkerCompletion::default()).unwrap();
    assert_eq!(buffer.dropped(), 0);
    drop(buffer);
    let mut leftover = Leftover::open(&path).unwrap();
    let left: Vec<_> = std::iter::from_fn(|| leftover.read().unwrap()).collect();
    assert!(matches!(left[..], [Entry::Lines(_, 1), Entry::Lines(_, 2), Entry::End(_)]), "{left:?}");
}

/// Dropping what is in the spool frees no memory: all of it would go for nothing.
#[test]
fn p6_while_the_spool_takes_nothing_what_it_has_stays() {
    let (spool, _dir) = spool(1 << 20);
    let mut buffer = Buffer::new(50_000, WhenFull::DropOldest, spool);
    for at in 0..60 {
        if at == 30 {
            buffer.spool.fail();
        }
        push(&mut buffer, 10_000);
        buffer.seal();
    }
    let shape = shape(&mut buffer);
    let gaps: Vec<_> = shape.iter().filter(|(_, _, is_gap)| *is_gap).collect();
    assert!(gaps.len() == 1 && gaps[0].0 > 25, "{shape:?}");
    assert_eq!(buffer.dropped(), gaps[0].1 - gaps[0].0 + 1);
}

#[test]
fn p5_what_is_left_behind_is_the_end_of_the_log_where_the_spool_is_too_small_for_all() {
    let (spool, _dir) = spool(100_000);
    let mut buffer = Buffer::new(100_000, WhenFull::DropOldest, spool);
    for _ in 0..14 {
        push(&mut buffer, 10_000);
        buffer.seal();
    }
    let end = WorkerCompletion { last_sequence: 14, ..WorkerCompletion::default() };
    let path = buffer.leave_behind(&end).unwrap();
    drop(buffer);
    let mut leftover = Leftover::open(&path).unwrap();
    let left: Vec<_> = std::iter::from_fn(|| leftover.read().unwrap()).collect();
    let lasts = left.iter().filter_map(|entry| match entry {
        Entry::Lines(_, last) => Some(*last),
        Entry::End(_) => None,
    });
    let lasts: Vec<_> = lasts.collect();
    assert!(lasts.len() >= 7 && lasts.iter().copied().eq(15 - lasts.len() as u64..=14), "{lasts:?}");
    assert_eq!(left.last(), Some(&Entry::End(end)));
}

#[test]
fn what_was_never_in_a_spool_is_not_left_behind() {
    let mut buffer = Buffer::new(100_000, WhenFull::DropOldest, Spool::none());
    push(&mut buffer, 10);
    assert_eq!(buffer.leave_behind(&WorkerCompletion::default()), None);
}

/// Whatever was on the disk is not what the command printed.
#[test]
fn p5_what_the_disk_spoiled_becomes_a_gap() {
    let (spool, dir) = spool(1 << 20);
    let mut buffer = Buffer::new(20_000, WhenFull::DropOldest, spool);
    for _ in 0..6 {
        push(&mut buffer, 10_000);
        buffer.seal();
    }
    push(&mut buffer, 1);
    let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"!", 4096 + 3 * 10_100).unwrap();
    assert_eq!(shape(&mut buffer), [1, 2, 3, 4, 5, 6, 7].map(|sequence| (sequence, sequence, sequence == 4)),);
    assert_eq!(buffer.dropped(), 1);
}

proptest! {
    /// As above, with a spool that is sometimes full.
    #[test]
    fn p5_p6_each_sequence_is_in_exactly_one_piece_with_a_spool(
        steps in prop::collection::vec(step(), 0..80),
        room in 0_u64..600_000,
    ) {
        let (spool, _dir) = spool(room);
        let limit = 100_000;
        let mut buffer = Buffer::new(limit, WhenFull::DropOldest, spool);
        let mut highest_sent = 0;
        for (at, step) in steps.into_iter().enumerate() {
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
            if at % 7 == 0 {
                buffer.save_until(i64::MAX);
            }
            let offered: usize = buffer.pieces.range(..buffer.offered).map(Kept::size).sum();
            let others = ENTRY * (1 + buffer.pieces.len() - buffer.offered);
            prop_assert!(buffer.size() <= limit + offered + others);
            let is_in_use = buffer.pieces.iter().any(|piece| piece.place().is_some());
            prop_assert_eq!(is_in_use, buffer.spool.is_in_use());
            prop_assert!(buffer.written <= buffer.pieces.len() && buffer.sent <= buffer.offered);
            let unwritten = |piece: &Kept| matches!(piece, Kept::Lines(_, None));
            prop_assert!(!buffer.pieces.range(..buffer.written).any(unwritten));
        }
        let (last, acked) = (buffer.last(), buffer.acked());
        buffer.rewind();
        let mut next = None;
        let (mut lost, mut before) = (0, acked);
        for (first, until, is_gap) in shape(&mut buffer) {
            match next {
                None => prop_assert!(first <= acked + 1 && until > acked),
                Some(next) => prop_assert_eq!(first, next),
            }
            lost += if is_gap { until - first.max(before + 1) + 1 } else { 0 };
            before = until;
            next = Some(until + 1);
        }
        prop_assert!(lost <= buffer.dropped());
        prop_assert_eq!(next.unwrap_or(acked + 1), last + 1);
    }
}
