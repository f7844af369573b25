//! The file format: a header, then frames of `length, checksum, payload`, and nothing else.
//!
//! Opening a segment finds every whole frame, says what is torn at its end and skips what is damaged
//! before that. A frame counts only if its checksum matches, so damage is never served as truth.

use std::ops::Range;

/// First bytes of each segment: what it is, and the version of its format.
pub(super) const HEADER: [u8; 16] = *b"OTTOLOG\0\x01\0\0\0\0\0\0\0";

/// Bytes before each payload: its length and the CRC-32C of length and payload, both little endian.
pub(super) const FRAME_HEAD: usize = 8;

/// No frame is larger: the largest message that gRPC lets in, twice, so that columns fit.
pub(super) const MAX_PAYLOAD: usize = 32 << 20;

/// Appends a frame whose payload `write` appends. Gives the payload's place in `out`.
pub(super) fn append_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
    let head = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    write(out);
    let payload = head + FRAME_HEAD..out.len();
    // Opening would take a larger one for damage; better to stop before it is acknowledged.
    assert!(payload.len() <= MAX_PAYLOAD, "records are bounded where they are parsed");
    let length = u32::try_from(payload.len()).expect("a payload is at most MAX_PAYLOAD").to_le_bytes();
    let checksum = checksum(length, &out[payload.clone()]).to_le_bytes();
    out[head..head + 4].copy_from_slice(&length);
    out[head + 4..head + 8].copy_from_slice(&checksum);
    payload
}

/// The length is covered as well: a damaged one would make the next bytes look like a frame.
fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), payload)
}

/// The payload of the frame at `at`, if a whole and undamaged one stands there.
pub(super) fn frame_at(file: &[u8], at: usize) -> Option<Range<usize>> {
    let head = file.get(at..at + FRAME_HEAD)?;
    let length = [head[0], head[1], head[2], head[3]];
    let expected = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let size = u32::from_le_bytes(length) as usize;
    if size == 0 || size > MAX_PAYLOAD {
        return None;
    }
    let payload = at + FRAME_HEAD..at + FRAME_HEAD + size;
    (checksum(length, file.get(payload.clone())?) == expected).then_some(payload)
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

/// Finds every whole frame of `file` from `start` on.
pub(super) fn scan(file: &[u8], start: usize) -> Scan {
    let mut scan = Scan { end: start, ..Scan::default() };
    let mut at = start;
    while at < file.len() {
        if let Some(payload) = frame_at(file, at) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Vec::new();
        for payload in payloads {
            append_frame(&mut file, |out| out.extend_from_slice(payload));
        }
        file
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut_at_the_last_whole_frame() {
        let whole = file(&[b"first".to_vec(), b"second".to_vec()]);
        let torn = file(&[b"first".to_vec(), b"second".to_vec(), b"third and last".to_vec()]);
        for length in whole.len()..torn.len() {
            let scan = scan(&torn[..length], 0);
            assert_eq!((scan.payloads.len(), scan.end, scan.damaged.len()), (2, whole.len(), 0), "{length}");
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
            let found: Vec<_> = scan(&damaged, 0).payloads.into_iter().map(|range| damaged[range].to_vec()).collect();
            let mut sizes = payloads.iter().scan(0, |end, payload| { *end += payload.len() + FRAME_HEAD; Some(*end) });
            let hit = sizes.position(|end| at < end).unwrap();
            let mut expected = payloads.clone();
            expected.remove(hit);
            prop_assert_eq!(found, expected);
        }
    }
}
