//! The file format: a header, then frames, and nothing else. A frame is a head of [`FRAME_HEAD`] bytes
//! (length of the payload, place of the group's first frame, checksum of the payload, checksum of the
//! head; little endian) and the payload.
//!
//! Opening a segment finds every whole frame and says what is damaged before, between and behind them. A
//! frame counts only if its checksums match, so damage is never served as truth. The head's checksum
//! covers the frame's place and a random number of the segment as well: the search for the next frame
//! runs through lines of a damaged one, and a job may have printed the store's own files. It stands for
//! itself so that this search looks at each byte once: only behind a true head is a payload summed up.
//!
//! One commit is one group, and a power cut may leave any of its pages unwritten, the first as well as
//! the last. So in the group that was written last a damaged frame means that the commit never ended:
//! nothing of it was acknowledged, and it is cut off there. With a whole group behind it, damage is damage.

use std::ops::Range;

use bytes::Bytes;

use super::gather::Gathered;

/// First bytes of each segment: what it is, and the version of its format.
const MAGIC: [u8; 8] = *b"OTTOLOG\x03";

/// Bytes of the header: [`MAGIC`], the segment's seal, and the checksum of both.
pub(super) const HEADER: usize = MAGIC.len() + 2 * size_of::<u32>();

/// Bytes before each payload.
pub(super) const FRAME_HEAD: usize = 4 * size_of::<u32>();

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

    /// As it stands in files.
    pub(super) fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// As an index tells it.
    pub(super) fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// Of bytes that stand at `place` of this segment's index.
    pub(super) fn checksum(self, place: u64, bytes: &[u8]) -> u32 {
        checksum_append(checksum_append(self.0, &place.to_le_bytes()), bytes)
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

    /// Whether a file is a segment of another version, and not a damaged one of this.
    pub(super) fn is_of_another_version(file: &[u8]) -> bool {
        let (name, version) = MAGIC.split_at(MAGIC.len() - 1);
        file.strip_prefix(name).is_some_and(|rest| !rest.is_empty() && !rest.starts_with(version))
    }

    /// Appends a frame of the group that began when `out` was empty; `out` will stand at `base` in the
    /// file, and `write` appends the payload, but for its last bytes, which it gives. Gives the payload's place
    /// in `out`.
    pub(super) fn append_frame(
        self,
        out: &mut Gathered,
        base: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Bytes,
    ) -> Range<usize> {
        let (at, own) = (out.len(), out.own().len());
        out.own().extend_from_slice(&[0; FRAME_HEAD]);
        let last = write(out.own());
        let checksum = checksum_append(checksum_append(0, &out.own()[own + FRAME_HEAD..]), &last);
        out.lend(last);
        let payload = at + FRAME_HEAD..out.len();
        // Opening would take a larger one for damage; better to stop before it is acknowledged.
        assert!(payload.len() <= MAX_PAYLOAD, "records are bounded where they are parsed");
        let head = Head { length: small(payload.len()), group: small(base), checksum };
        out.own()[own..own + FRAME_HEAD].copy_from_slice(&self.head(head, base + at));
        payload
    }

    /// The head of a frame that stands at `place`.
    fn head(self, head: Head, place: usize) -> [u8; FRAME_HEAD] {
        let mut bytes = [0; FRAME_HEAD];
        bytes[..4].copy_from_slice(&head.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&head.group.to_le_bytes());
        bytes[8..12].copy_from_slice(&head.checksum.to_le_bytes());
        let sealed = checksum_append(self.0, &(place as u64).to_le_bytes());
        let checksum = checksum_append(sealed, &bytes[..12]);
        bytes[12..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The head that stands at `at` in `bytes`, which stand at `base` in the file, if a true one does.
    fn head_at(self, bytes: &[u8], base: usize, at: usize) -> Option<Head> {
        let found = bytes.get(at..at + FRAME_HEAD)?;
        let number = |from: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| found[from + byte]));
        let head = Head { length: number(0), group: number(4), checksum: number(8) };
        let possible = head.length > 0 && head.length as usize <= MAX_PAYLOAD;
        (possible && self.head(head, base + at) == found).then_some(head)
    }

    /// The payload of the frame at `at` in `bytes`, which stand at `base` in the file, if a whole and
    /// undamaged one is there.
    pub(super) fn frame_at(self, bytes: &[u8], base: usize, at: usize) -> Option<Range<usize>> {
        whole(bytes, at, self.head_at(bytes, base, at)?)
    }

    /// Finds every whole frame of `file` from `start` on.
    pub(super) fn scan(self, file: &[u8], start: usize) -> Scan {
        let mut scan = Scan { end: start, ..Scan::default() };
        let mut at = start;
        while at < file.len() {
            let Some(head) = self.head_at(file, 0, at) else {
                at += 1;
                continue;
            };
            scan.group = head.group as usize;
            if let Some(payload) = whole(file, at, head) {
                if at > scan.end {
                    scan.damaged.push(scan.end..at);
                }
                at = payload.end;
                scan.end = at;
                scan.payloads.push(payload);
            } else {
                // The head is true, so the next frame, if there is one, begins behind this payload.
                at = at.saturating_add(FRAME_HEAD + head.length as usize).min(file.len());
            }
        }
        scan
    }
}

/// What stands before a payload.
#[derive(Clone, Copy)]
struct Head {
    length: u32,
    /// Where the first frame of its group stands.
    group: u32,
    /// Of the payload.
    checksum: u32,
}

/// The payload behind the head at `at`, where it is whole and undamaged.
fn whole(bytes: &[u8], at: usize, head: Head) -> Option<Range<usize>> {
    let start = at + FRAME_HEAD;
    let payload = start..start.checked_add(head.length as usize)?;
    (checksum_append(0, bytes.get(payload.clone())?) == head.checksum).then_some(payload)
}

/// CRC-32C of `bytes`, after those that made `before`.
fn checksum_append(before: u32, bytes: &[u8]) -> u32 {
    #[cfg(test)]
    if testing::are_checksums_off() {
        return 0;
    }
    crc32c::crc32c_append(before, bytes)
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("segments are smaller than 4 GiB")
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
    /// Where the group of the last true head begins.
    group: usize,
}

impl Scan {
    /// Where the last group stands, as far as it is whole.
    pub(super) fn last_group(&self) -> Range<usize> {
        self.group.min(self.end)..self.end
    }

    /// Takes back what stands behind the first damage in the last group: a commit that never ended.
    pub(super) fn cut_unfinished_group(&mut self) {
        let Some(first) = self.damaged.iter().position(|damage| damage.start >= self.group) else { return };
        self.end = self.damaged[first].start;
        self.damaged.truncate(first);
        self.payloads.retain(|payload| payload.end <= self.end);
    }
}

/// For a test that has to notice when checksums are not looked at.
#[cfg(test)]
pub(super) mod testing {
    use std::cell::Cell;

    thread_local!(static OFF: Cell<bool> = const { Cell::new(false) });

    pub(in crate::store) fn without_checksums(off: bool) {
        OFF.set(off);
    }

    pub(super) fn are_checksums_off() -> bool {
        OFF.get()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEAL: Seal = Seal(7);

    fn append(out: &mut Gathered, base: usize, payload: &[u8]) {
        SEAL.append_frame(out, base, |out| {
            out.extend_from_slice(payload);
            Bytes::new()
        });
    }

    fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut file = Gathered::default();
        for payload in payloads {
            append(&mut file, 0, payload);
        }
        file.concat()
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

    /// Each would be summed up by a search that trusts a length which is not checked itself.
    #[test]
    fn a_search_through_a_damaged_frame_sums_up_no_payload_that_has_no_head() {
        let mut damaged = file(&[1_u32.to_le_bytes().repeat(1 << 20), b"behind".to_vec()]);
        damaged[12] ^= 1;
        let scan = SEAL.scan(&damaged, 0);
        assert_eq!(scan.payloads.len(), 1);
    }

    #[test]
    fn a_group_that_lost_any_of_its_frames_is_cut_there_if_it_is_the_last() {
        let whole: Vec<Vec<u8>> = (0..5_u8).map(|n| vec![n; 9]).collect();
        let before = file(&whole[..2]);
        for lost in 0..3 {
            for length in [FRAME_HEAD, FRAME_HEAD + 9] {
                let mut group = Gathered::default();
                for payload in &whole[2..] {
                    append(&mut group, before.len(), payload);
                }
                let mut group = group.concat();
                let at = lost * (FRAME_HEAD + 9);
                group[at + FRAME_HEAD + 9 - length..][..length].fill(0);
                let mut scan = SEAL.scan(&[before.clone(), group].concat(), 0);
                scan.cut_unfinished_group();
                assert_eq!((scan.payloads.len(), scan.end), (2 + lost, before.len() + at), "{lost} {length}");
                assert!(scan.damaged.is_empty());
            }
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
