//! Ways in for the fuzz targets (`tests/fuzz`): spools as no agent writes them, with true checksums, so that
//! what stands behind them is reached as well.

use std::io;

use ottoscaler_proto::v1::WorkerRegistration;

use super::frame::{self, BEGIN_AT, Kind};

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
        match part {
            Part::Lines { first, last, payload } => {
                file.extend(frame::encode(Kind::Lines, *first, *last, payload));
            }
            Part::End(payload) => file.extend(frame::encode(Kind::End, 0, 0, payload)),
            Part::Dropped(length) => file.extend(frame::dropped(*length)),
            Part::Raw(bytes) => file.extend_from_slice(bytes),
        }
    }
    Ok(file)
}
