//! Bytes → lines, pure.
//!
//! A line ends at `\n` and at nothing else: `\r` stays where it is, and bytes that are not UTF-8 stay
//! as they are. A line over the limit is cut into pieces that say so, and the last line may lack its
//! newline. Putting the pieces together again gives the input, byte for byte.

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

/// Splits one stream. Holds at most one piece.
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
                emit(&self.partial, Ending::Newline);
                self.partial.clear();
            }
        }
        self.hold(bytes, limit, emit);
    }

    /// The stream has ended; what is held is its last line.
    pub fn finish(&mut self, emit: &mut impl FnMut(&[u8], Ending)) {
        if !self.partial.is_empty() {
            emit(&self.partial, Ending::NoEol);
            self.partial = Vec::new();
        }
    }

    /// Keeps `bytes` for later. A full piece is given away only once more follows, so that a line of
    /// exactly the limit stays whole.
    fn hold(&mut self, mut bytes: &[u8], limit: usize, emit: &mut impl FnMut(&[u8], Ending)) {
        while !bytes.is_empty() {
            let room = limit.saturating_sub(self.partial.len());
            if room == 0 {
                emit(&self.partial, Ending::Continues);
                self.partial.clear();
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.partial.extend_from_slice(now);
            bytes = later;
        }
    }
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
        splitter.finish(&mut emit);
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

    proptest! {
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
