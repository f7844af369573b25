//! What several targets need: inputs taken apart, and files that go bad.

use std::path::Path;

use arbitrary::Arbitrary;
use prost::Message;
use prost::encoding::decode_varint;

/// `stream` as reads of these sizes give it, over and over; of one byte where that is 0.
pub fn cut<'a>(stream: &'a [u8], sizes: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    let mut rest = stream;
    std::iter::from_fn(move || {
        let size = usize::from(*sizes.next()?).clamp(1, rest.len().max(1));
        let (piece, later) = rest.split_at_checked(size)?;
        rest = later;
        Some(piece)
    })
}

/// Pieces that each have their length before them, as protobuf's delimited messages do; the last one may lack
/// its end.
pub fn delimited(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let length = decode_varint(&mut rest).ok()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        let (piece, later) = rest.split_at(length);
        rest = later;
        Some(piece)
    })
}

/// The messages among [`delimited`] pieces.
pub fn messages<M: Message + Default>(input: &[u8]) -> Vec<M> {
    delimited(input).filter_map(|piece| M::decode(piece).ok()).collect()
}

/// What a disk does to a file. Places are taken modulo its length.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Damage {
    /// These bits of a byte are the other way round.
    Flip { at: u16, bits: u8 },
    /// These bytes were never written.
    Zero { at: u16, length: u8 },
    /// The end was never written.
    Cut { at: u16 },
    /// There is more behind the end, and it is nothing.
    Grow { by: u8 },
    /// What stands at one place stands at another as well.
    Copy { from: u16, to: u16, length: u16 },
}

impl Damage {
    /// Does it.
    pub fn to(self, file: &mut Vec<u8>) {
        let length = file.len();
        let place = |at: u16| usize::from(at) % length.max(1);
        match self {
            _ if length == 0 => {}
            Self::Flip { at, bits } => file[place(at)] ^= bits,
            Self::Zero { at, length: zeros } => {
                file[place(at)..].iter_mut().take(usize::from(zeros)).for_each(|byte| *byte = 0);
            }
            Self::Cut { at } => file.truncate(place(at)),
            Self::Grow { by } => file.resize(length + usize::from(by), 0),
            Self::Copy { from, to, length } => {
                let (from, to) = (place(from), place(to));
                let copied: Vec<u8> = file[from..].iter().copied().take(usize::from(length)).collect();
                file.resize(file.len().max(to + copied.len()), 0);
                file[to..to + copied.len()].copy_from_slice(&copied);
            }
        }
    }

    /// Does all of it to the file at `path`.
    pub fn all(damages: &[Self], path: &Path) {
        let mut file = std::fs::read(path).expect("the file is there");
        damages.iter().for_each(|damage| damage.to(&mut file));
        std::fs::write(path, file).expect("the directory is in memory");
    }
}
