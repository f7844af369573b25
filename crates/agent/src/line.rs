//! Bytes → lines, pure.
//!
//! A line ends at `\n` and at nothing else: `\r` stays where it is, and bytes that are not UTF-8 stay
//! as they are. A line over the limit is cut into pieces that say so, between two characters where it is UTF-8
//! there, and the last line may lack its newline. Where it is cut depends on the line alone, not on how it was
//! read. Putting the pieces together again gives the input, byte for byte.

use memchr::memchr;

/// Says of a piece how it goes on. The bits of the wire's `EntryFlag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A newline followed.
    Newline,
    /// The line goes on in the next piece.
    Continues,
    /// The stream ended without a newline.
    NoEol,
}

impl Ending {
    /// As `LogBatch.flags` carries it.
    pub const fn flags(self) -> u32 {
        match self {
            Self::Newline => 0,
            Self::Continues => 1,
            Self::NoEol => 2,
        }
    }
}

/// So much is known of what follows a piece before it is cut: the rest of a character of four bytes.
const LOOK_AHEAD: usize = 3;

/// Splits one stream. Holds at most one piece, and the rest of a character behind it.
#[derive(Debug, Default)]
pub struct Splitter {
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes the next bytes of the stream; `emit` gets each piece of at most `limit` bytes.
    pub fn feed(&mut self, mut bytes: &[u8], limit: usize, emit: &mut impl FnMut(&[u8], Ending)) {
        while let Some(at) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..at], &bytes[at + 1..]);
            bytes = rest;
            if self.partial.is_empty() && line.len() <= limit {
                emit(line, Ending::Newline);
            } else {
                self.hold(line, limit, emit);
                self.end(Ending::Newline, limit, emit);
            }
        }
        self.hold(bytes, limit, emit);
    }

    /// The stream has ended; what is held is its last line.
    pub fn finish(&mut self, limit: usize, emit: &mut impl FnMut(&[u8], Ending)) {
        if !self.partial.is_empty() {
            self.end(Ending::NoEol, limit, emit);
            self.partial = Vec::new();
        }
    }

    /// Keeps `bytes` for later. A full piece is given away only once enough follows, so that a line of
    /// exactly the limit stays whole.
    fn hold(&mut self, mut bytes: &[u8], limit: usize, emit: &mut impl FnMut(&[u8], Ending)) {
        while !bytes.is_empty() {
            let room = (limit + LOOK_AHEAD).saturating_sub(self.partial.len());
            if room == 0 {
                self.cut(limit, emit);
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.partial.extend_from_slice(now);
            bytes = later;
        }
    }

    /// Gives away the last of a line.
    fn end(&mut self, ending: Ending, limit: usize, emit: &mut impl FnMut(&[u8], Ending)) {
        while self.partial.len() > limit {
            self.cut(limit, emit);
        }
        emit(&self.partial, ending);
        self.partial.clear();
    }

    /// Gives away a piece of what is longer than one.
    fn cut(&mut self, limit: usize, emit: &mut impl FnMut(&[u8], Ending)) {
        let at = boundary(&self.partial, limit);
        emit(&self.partial[..at], Ending::Continues);
        self.partial.drain(..at);
    }
}

/// Where to cut what is longer than `limit`: there, or before the character that would be parted.
fn boundary(bytes: &[u8], limit: usize) -> usize {
    let is_inside = |at: usize| bytes[at] & 0xc0 == 0x80;
    let start = (limit.saturating_sub(LOOK_AHEAD)..=limit).rev().find(|&at| !is_inside(at));
    let Some(start) = start.filter(|&start| (1..limit).contains(&start)) else { return limit };
    let end = (start + 1..bytes.len()).take(LOOK_AHEAD).find(|&at| !is_inside(at));
    let char = &bytes[start..end.unwrap_or(bytes.len().min(start + 1 + LOOK_AHEAD))];
    if std::str::from_utf8(char).is_ok() { start } else { limit }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], limit: usize) -> Vec<(Vec<u8>, Ending)> {
        let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
        let mut emit = |bytes: &[u8], ending| pieces.push((bytes.to_vec(), ending));
        for chunk in chunks {
            splitter.feed(chunk, limit, &mut emit);
        }
        splitter.finish(limit, &mut emit);
        pieces
    }

    #[test]
    fn lines_end_at_newlines_only() {
        let pieces = split(&[b"a\r\nb", b"c\n\n", b"10%\r20%"], 100);
        let expected: [(&[u8], Ending); 4] = [
            (b"a\r", Ending::Newline),
            (b"bc", Ending::Newline),
            (b"", Ending::Newline),
            (b"10%\r20%", Ending::NoEol),
        ];
        assert_eq!(pieces, expected.map(|(bytes, ending)| (bytes.to_vec(), ending)));
    }

    #[test]
    fn a_line_of_exactly_the_limit_stays_whole_and_one_more_byte_cuts_it() {
        assert_eq!(split(&[b"abcd\n"], 4), [(b"abcd".to_vec(), Ending::Newline)]);
        assert_eq!(split(&[b"ab", b"cd\n"], 4), [(b"abcd".to_vec(), Ending::Newline)]);
        let cut = [(b"abcd".to_vec(), Ending::Continues), (b"e".to_vec(), Ending::Newline)];
        assert_eq!(split(&[b"abcde\n"], 4), cut);
    }

    #[test]
    fn no_character_is_parted_where_the_bytes_are_text() {
        let text = |pieces: &[&str]| -> Vec<Vec<u8>> { pieces.iter().map(|piece| (*piece).into()).collect() };
        let pieces = |input: &[u8], limit| -> Vec<Vec<u8>> {
            let whole = split(&[input], limit);
            let parts: Vec<_> = input.chunks(1).collect();
            assert_eq!(whole, split(&parts, limit), "however it is read");
            whole.into_iter().map(|(piece, _)| piece).collect()
        };
        assert_eq!(pieces("한글한글한글\n".as_bytes(), 16), text(&["한글한글한", "글"]));
        assert_eq!(pieces("a😀b😀".as_bytes(), 4), text(&["a", "😀", "b", "😀"]));
        assert_eq!(pieces("éé\n".as_bytes(), 3), text(&["é", "é"]));
        assert_eq!(pieces("한".as_bytes(), 2), [&b"\xed\x95"[..], b"\x9c"], "it has no room");
    }

    #[test]
    fn what_is_no_text_is_cut_at_the_limit() {
        for input in [&b"abc\x80\x80\x80\x80"[..], b"abc\xed\x95", b"abc\xed\x95x", b"ab\xff\xbf\xbf\xbf\xbf"]
        {
            assert_eq!(split(&[input], 4)[0].0, input[..4], "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_cut_into_texts(text in "[a-zé한😀]{0,60}", limit in 4_usize..20) {
            for (piece, _) in split(&[text.as_bytes()], limit) {
                prop_assert!(std::str::from_utf8(&piece).is_ok() && piece.len() <= limit);
            }
        }

        #[test]
        fn the_pieces_put_together_are_the_input(
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..30), 0..10),
            limit in 1_usize..20,
        ) {
            let input = chunks.concat();
            let borrowed: Vec<_> = chunks.iter().map(Vec::as_slice).collect();
            let mut output = Vec::new();
            for (bytes, ending) in split(&borrowed, limit) {
                prop_assert!(bytes.len() <= limit);
                output.extend(bytes);
                if ending == Ending::Newline {
                    output.push(b'\n');
                }
            }
            prop_assert_eq!(output, input);
        }
    }
}
