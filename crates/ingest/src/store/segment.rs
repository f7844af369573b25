//! The file format: a header, then frames of `length, checksum, payload`, and nothing else.
//!
//! Opening a segment finds every whole frame, says what is torn at its end and skips what is damaged
//! before that. A frame counts only if its checksum matches, so damage is never served as truth. The
//! checksum covers the frame's place and a random number of the segment as well: the search for the next
//! whole frame runs through lines of a damaged one, and a job may have printed the store's own files.

use std::ops::Range;

/// First bytes of each segment: what it is, and the version of its format.
const MAGIC: [u8; 8] = *b"OTTOLOG\x02";

/// Bytes of the header: [`MAGIC`], the segment's seal, and the checksum of both.
pub(super) const HEADER: usize = MAGIC.len() + 2 * size_of::<u32>();

/// Bytes before each payload: its length and its checksum, both little endian.
pub(super) const FRAME_HEAD: usize = 8;

/// No frame is larger: the largest message that gRPC lets in, twice, so that columns fit.
pub(super) const MAX_PAYLOAD: usize = 32 << 20;

/// What makes the checksums of one segment its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal(u32);

impl Seal {
    /// Of a new segment.
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// The header of its segment.
    pub(super) fn header(self) -> [u8; HEADER] {
        let seal = self.0.to_le_bytes();
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&MAGIC), &seal).to_le_bytes();
        let mut header = [0; HEADER];
        for (at, byte) in MAGIC.into_iter().chain(seal).chain(checksum).enumerate() {
            header[at] = byte;
        }
        header
    }

    /// From the header of a segment of this version. None where it is damaged as well: with a wrong seal
    /// every frame would look torn, and be cut off.
    pub(super) fn of(file: &[u8]) -> Option<Self> {
        let header = file.get(..HEADER)?;
        let seal: [u8; 4] = header.get(MAGIC.len()..MAGIC.len() + 4)?.try_into().ok()?;
        let seal = Self(u32::from_le_bytes(seal));
        (seal.header() == header).then_some(seal)
    }

    /// Appends a frame whose payload `write` appends; `out` will stand at `base` in the file. Gives the
    /// payload's place in `out`.
    pub(super) fn append_frame(
        self,
        out: &mut Vec<u8>,
        base: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Range<usize> {
        let head = out.len();
        out.extend_from_slice(&[0; FRAME_HEAD]);
        write(out);
        let payload = head + FRAME_HEAD..out.len();
        // Opening would take a larger one for damage; better to stop before it is acknowledged.
        assert!(payload.len() <= MAX_PAYLOAD, "records are bounded where they are parsed");
        let length = u32::try_from(payload.len()).expect("a payload is at most MAX_PAYLOAD").to_le_bytes();
        let checksum = self.checksum(base + head, length, &out[payload.clone()]).to_le_bytes();
        out[head..head + 4].copy_from_slice(&length);
        out[head + 4..head + 8].copy_from_slice(&checksum);
        payload
    }

    /// The length is covered as well: a damaged one would make the next bytes look like a frame.
    fn checksum(self, place: usize, length: [u8; 4], payload: &[u8]) -> u32 {
        let place = (place as u64).to_le_bytes();
        let sealed = crc32c::crc32c_append(self.0, &place);
        crc32c::crc32c_append(crc32c::crc32c_append(sealed, &length), payload)
    }

    /// The payload of the frame at `at` in `bytes`, which stand at `base` in the file, if a whole and
    /// undamaged one is there.
    pub(super) fn frame_at(self, bytes: &[u8], base: usize, at: usize) -> Option<Range<usize>> {
        let head = bytes.get(at..at + FRAME_HEAD)?;
        let length = [head[0], head[1], head[2], head[3]];
        let expected = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let size = u32::from_le_bytes(length) as usize;
        if size == 0 || size > MAX_PAYLOAD {
            return None;
        }
        let payload = at + FRAME_HEAD..at + FRAME_HEAD + size;
        (self.checksum(base + at, length, bytes.get(payload.clone())?) == expected).then_some(payload)
    }

    /// Finds every whole frame of `file` from `start` on.
    pub(super) fn scan(self, file: &[u8], start: usize) -> Scan {
        let mut scan = Scan { end: start, ..Scan::default() };
        let mut at = start;
        while at < file.len() {
            if let Some(payload) = self.frame_at(file, 0, at) {
                if at > scan.end {
                    scan.damaged.push(scan.end..at);
                }
                at = payload.end;
                scan.end = at;
                scan.payloads.push(payload);
            } else {
                at += 1;
            }
        }
        scan
    }
}

/// What stands in a segment after its header.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Payloads of whole frames, in order.
    pub(super) payloads: Vec<Range<usize>>,
    /// Places between whole frames that are damaged.
    pub(super) damaged: Vec<Range<usize>>,
    /// Where the last whole frame ends. Bytes after it are torn.
    pub(super) end: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEAL: Seal = Seal(7);

    fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for payload in payloads {
            SEAL.append_frame(&mut file, 0, |out| out.extend_from_slice(payload));
        }
        file
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_at_the_last_whole_frame() {
        let whole = file(&[b"first".to_vec(), b"second".to_vec()]);
        let torn = file(&[b"first".to_vec(), b"second".to_vec(), b"third and last".to_vec()]);
        for length in whole.len()..torn.len() {
            let scan = SEAL.scan(&torn[..length], 0);
            assert_eq!((scan.payloads.len(), scan.end, scan.damaged.len()), (2, whole.len(), 0), "{length}");
        }
    }

    #[test]
    fn a_header_is_read_as_it_was_written_or_not_at_all() {
        let header = SEAL.header();
        assert_eq!(Seal::of(&header), Some(SEAL));
        for bit in 0..HEADER * 8 {
            let mut damaged = header;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Seal::of(&damaged), None, "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_byte_costs_its_frame_and_no_other(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 2..8),
            at: prop::sample::Index,
            flip in 1_u8..,
        ) {
            let mut damaged = file(&payloads);
            let at = at.index(damaged.len());
            damaged[at] ^= flip;
            let found: Vec<_> = SEAL.scan(&damaged, 0).payloads.into_iter().map(|range| damaged[range].to_vec()).collect();
            let mut sizes = payloads.iter().scan(0, |end, payload| { *end += payload.len() + FRAME_HEAD; Some(*end) });
            let hit = sizes.position(|end| at < end).unwrap();
            let mut expected = payloads.clone();
            expected.remove(hit);
            prop_assert_eq!(found, expected);
        }
    }
}
