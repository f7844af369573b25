//! Opening: sealed segments by their indexes, the last one by reading it.
//!
//! What opening finds is synced before anyone relies on it, because a record that was read back from the page
//! cache may never have reached the disk. A sealed segment was synced before its index was written.

use std::io;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tracing::{error, info, warn};

use super::super::files::{Files, SegmentFile};
use super::super::segment::{HEADER, Seal};
use super::super::{Recovery, record};
use super::index::Inner;
use super::sealed::{self, Doubt};

/// Fills `index` with what is there. The last segment stays the one that is being written.
pub(super) fn recover(files: &dyn Files, index: &mut Inner) -> Result<Recovery> {
    let mut recovery = Recovery::default();
    let numbers = files.segments().context("cannot list the segments of the store")?;
    for number in &numbers {
        if Some(number) == numbers.last() {
            // It goes on, so whatever its index says will not be all.
            files.remove_index(*number).context("cannot remove the index of a segment that goes on")?;
            read_segment(files, *number, true, index, &mut recovery)?;
        } else {
            recover_sealed(files, *number, index, &mut recovery)?;
        }
    }
    files.sweep().context("cannot remove what was left of indexes")?;
    // A crash may have come between a file and its name.
    files.sync_names().context("cannot sync the data directory")?;
    Ok(recovery)
}

/// A sealed segment: by its index, or, where that is doubtful, by reading it and making another.
fn recover_sealed(files: &dyn Files, number: u32, index: &mut Inner, recovery: &mut Recovery) -> Result<()> {
    match sealed::load(files, number) {
        Ok(directory) => {
            recovery.records += directory.summary.records;
            index.add_sealed(number, directory);
            return Ok(());
        }
        Err(Doubt::Missing) => info!(segment = number, "makes the index of a segment that has none"),
        Err(doubt) => warn!(segment = number, %doubt, "makes the index of a segment anew"),
    }
    read_segment(files, number, false, index, recovery)?;
    let (bytes, extents) = index.file();
    let context = || format!("cannot write the index of {}", files.path(number).display());
    files.put_index(number, &bytes).with_context(context)?;
    let log = files.open(number).with_context(context)?;
    let allocated = log.allocated().with_context(context)?.min(log.length().with_context(context)?);
    index.seal(extents, allocated + bytes.len() as u64);
    Ok(())
}

/// Reads a segment back: whole records to the index, the torn end of the last one cut off.
fn read_segment(
    files: &dyn Files,
    number: u32,
    is_last: bool,
    index: &mut Inner,
    recovery: &mut Recovery,
) -> Result<()> {
    let path = files.path(number);
    let context = || format!("cannot recover {}", path.display());
    let file = files.open(number).with_context(context)?;
    let mut bytes = Bytes::from(file.read_all().with_context(context)?);
    let seal = match Seal::of(&bytes) {
        Some(seal) => seal,
        // The crash came before the header did: it is synced before anything follows it.
        None if bytes.len() <= HEADER && is_last => {
            let seal = Seal::random();
            bytes = Bytes::copy_from_slice(&seal.header());
            seal
        }
        None => bail!(
            "{} is no segment of this version of log-ingest; choose another directory with --data-dir",
            path.display()
        ),
    };
    let mut scan = seal.scan(&bytes, HEADER);
    if is_last {
        scan.cut_unfinished_group();
    }
    let end = scan.end;
    let torn = bytes.len().saturating_sub(end) as u64;
    if torn > 0 && is_last {
        warn!(segment = number, bytes = torn, "cut off a commit that never ended");
        recovery.torn_bytes += torn;
    }
    if is_last {
        write_again(&*file, &bytes, scan.last_group()).with_context(context)?;
    }
    let damaged = scan.damaged.len() as u64 + u64::from(torn > 0 && !is_last);
    if damaged > 0 {
        error!(
            segment = number,
            places = damaged,
            "found damage in the store; its lines are shown as missing"
        );
    }
    recovery.damaged += damaged;
    file.sync_all().with_context(context)?;
    index.begin(number, seal);
    // What is behind it in a sealed segment is damage that was reported, and not to be reported at each start.
    index.written().summary.end = if is_last { end } else { bytes.len() } as u64;
    for payload in scan.payloads {
        match record::decode(bytes.slice(payload.clone())) {
            Ok(record) => {
                recovery.records += 1;
                index.add(&record, &payload);
            }
            Err(error) => {
                recovery.damaged += 1;
                error!(segment = number, offset = payload.start, %error, "found a record that cannot be read");
            }
        }
    }
    Ok(())
}

/// After a failed sync what was read here may be in the page cache alone, and no later sync would bring it to
/// the disk. That ended the process, so it concerns the last group, or what was cut off behind it. The same
/// bytes in the same place: nothing is lost if the power goes meanwhile.
fn write_again(file: &dyn SegmentFile, bytes: &[u8], group: Range<usize>) -> io::Result<()> {
    file.write_all_at(&bytes[group.clone()], group.start as u64)?;
    file.set_len(group.end as u64)
}
