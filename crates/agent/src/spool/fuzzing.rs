//! Ways in for the fuzz targets (`tests/fuzz`): spools as no agent writes them, with true checksums, so that
//! what stands behind them is reached as well.

use std::io;

use ottoscaler_proto::v1::WorkerRegistration;

use super::frame::{self, BEGIN_AT};

/// What stands behind the head.
#[derive(Clone, Debug)]
pub enum Part<'a> {
    /// Lines of these sequences, or what pretends to be some.
    Lines {
        /// Of the first line.
        first: u64,
        /// Of the last line.
        last: u64,
        /// A `LogBatch`, or not.
        payload: &'a [u8],
    },
    /// The command's end, or what pretends to be one.
    End(&'a [u8]),
    /// So many bytes are to be passed over.
    Dropped(u64),
    /// No frame at all.
    Raw(&'a [u8]),
}

/// A spool of these parts, the first frame of which is said to be at `begin`.
pub fn file(run: &WorkerRegistration, begin: u64, parts: &[Part<'_>]) -> io::Result<Vec<u8>> {
    let mut file = frame::file_head(run)?;
    file.truncate(usize::try_from(BEGIN_AT).expect("a page"));
    file.extend(frame::begin_mark(begin));
    for part in parts {
        file.extend(match *part {
            Part::Lines { first, last, payload } => frame(1, payload.len() as u64, first, last, payload),
            Part::Dropped(length) => frame(2, length, 0, 0, &[]),
            Part::End(payload) => frame(3, payload.len() as u64, 0, 0, payload),
            Part::Raw(bytes) => bytes.to_vec(),
        });
    }
    Ok(file)
}

/// Of any kind and length, with a true checksum.
fn frame(kind: u32, length: u64, first: u64, last: u64, payload: &[u8]) -> Vec<u8> {
    let (kind, length) = (kind.to_le_bytes(), length.to_le_bytes());
    let behind = [&length[..], &first.to_le_bytes(), &last.to_le_bytes(), payload].concat();
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&kind), &behind);
    [&kind[..], &checksum.to_le_bytes(), &behind].concat()
}
