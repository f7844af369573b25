//! Bytes → lines: put together again the pieces are the input, none is longer than the limit, each is cut only
//! where it has to be or before the character that would be parted there, and where reads cut the stream changes nothing.
//!
//! Input: the limit, sizes of four reads, the stream.

#![no_main]

use libfuzzer_sys::fuzz_target;
use otto_agent::line::{Ending, Splitter};
use ottoscaler_fuzz::cut;

fuzz_target!(|input: &[u8]| {
    let Some((&[limit, ref sizes @ ..], stream)) = input.split_first_chunk::<5>() else { return };
    let limit = usize::from(limit) + 1;
    let pieces = split([stream].into_iter(), limit);
    assert_eq!(pieces, split(cut(stream, sizes), limit), "reads change the lines");
    let mut joined = Vec::new();
    for (at, (piece, ending)) in pieces.iter().enumerate() {
        assert!(piece.len() <= limit && !piece.contains(&b'\n'));
        joined.extend_from_slice(piece);
        match ending {
            Ending::Newline => joined.push(b'\n'),
            Ending::Continues => {
                let is_full =
                    piece.len() == limit || parts_a_character(&stream[joined.len()..], limit - piece.len());
                assert!(is_full && at + 1 < pieces.len());
            }
            Ending::NoEol => assert!(!piece.is_empty() && at + 1 == pieces.len()),
        }
    }
    assert_eq!(joined, stream);
});

/// Whether a cut so many bytes into `rest` would be inside of its first character.
fn parts_a_character(rest: &[u8], at: usize) -> bool {
    let is_character = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1);
    (at + 1..=4.min(rest.len())).any(|length| is_character(&rest[..length]))
}

fn split<'a>(reads: impl Iterator<Item = &'a [u8]>, limit: usize) -> Vec<(Vec<u8>, Ending)> {
    let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
    let mut emit = |piece: &[u8], ending| pieces.push((piece.to_vec(), ending));
    for read in reads {
        splitter.feed(read, limit, &mut emit);
    }
    splitter.finish(limit, &mut emit);
    pieces
}
