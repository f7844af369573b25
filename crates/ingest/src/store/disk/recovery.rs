//! Opening: sealed segments by their indexes, the last one by reading it.
//!
//! What opening finds is synced before anyone relies on it, because a record that was read back from the page
//! cache may never have reached the disk. A sealed segment was synced before its index was written.
//!
//! Damage of a sealed segment, be it bytes that are wrong or bytes that the disk cannot give back, costs what stood
//! there and nothing else: it is told, counted, and the store opens. So does a disk without room for an index.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tracing::{error, info, warn};

use super::super::files::{Files, SegmentFile};
use super::super::segment::{HEADER, Scan, Seal};
use super::super::{Recovery, record};
use super::index::Inner;
use super::sealed::{self, Doubt};
use crate::ids::WorkerId;

/// What opening found, and what it leaves to be done.
#[derive(Default)]
pub(super) struct Recovered {
    pub(super) recovery: Recovery,
    /// Indexes for which there was no room.
    pub(super) unwritten: BTreeMap<u32, Bytes>,
    /// The last segment is on a bad place of the disk, or nobody can read it: nothing more is to be written to it.
    pub(super) must_seal: bool,
    /// Of whom lines were found missing: what is known of them is to be written anew.
    pub(super) unsaid: Vec<WorkerId>,
}

/// Fills `index` with what is there. The last segment stays the one that is being written.
pub(super) fn recover(files: &dyn Files, index: &mut Inner) -> Result<Recovered> {
    let numbers = files.segments().context("cannot list the segments of the store")?;
    let mut opening = Opening { files, index, found: Recovered::default() };
    for number in &numbers {
        if Some(number) == numbers.last() {
            opening.last(*number)?;
        } else {
            opening.sealed(*number)?;
        }
    }
    opening.index.drop_trimmed();
    opening.find_missing(&numbers);
    let found = opening.found;
    files.sweep().context("cannot remove what was left of indexes")?;
    // A crash may have come between a file and its name.
    files.sync_names().context("cannot sync the data directory")?;
    Ok(found)
}

/// A store that is being opened.
struct Opening<'a> {
    files: &'a dyn Files,
    index: &'a mut Inner,
    found: Recovered,
}

/// A segment as it was read.
struct Read {
    bytes: Bytes,
    /// Pieces of it that the disk cannot give back.
    lost: u64,
    /// None where neither its header nor an index says it.
    seal: Option<Seal>,
    /// Its header cannot be read any more.
    is_headless: bool,
}

impl Opening<'_> {
    /// By its index, or, where that is doubtful, by reading it and making another.
    fn sealed(&mut self, number: u32) -> Result<()> {
        match sealed::load(self.files, number) {
            Ok(directory) => {
                self.found.recovery.records += directory.summary.records;
                if directory.is_headless {
                    self.damaged(number, 1, "its header cannot be read; its index tells what stood there");
                }
                self.index.add_sealed(number, directory);
                return Ok(());
            }
            Err(Doubt::Missing) => info!(segment = number, "makes the index of a segment that has none"),
            Err(doubt) => warn!(segment = number, %doubt, "makes the index of a segment anew"),
        }
        let context = || format!("cannot recover {}", self.files.path(number).display());
        let file = self.files.open(number).with_context(context)?;
        let allocated = file.allocated().with_context(context)?.min(file.length().with_context(context)?);
        let read = self.read(number, &*file).with_context(context)?;
        file.sync_all().with_context(context)?;
        let Some(seal) = read.seal else { return self.lose(number, &read.bytes, allocated) };
        let scan = seal.scan(&read.bytes, HEADER);
        let tail = scan.end.min(read.bytes.len())..read.bytes.len();
        let places = scan.damaged.iter().chain(std::iter::once(&tail));
        let damaged = places.filter(|place| !is_hole(&read.bytes[(*place).clone()])).count() as u64;
        self.damaged(number, read.lost.max(damaged), "lines are missing");
        // What is behind its last record is damage that was reported, and not to be reported at each start.
        self.take(number, seal, &read.bytes, &scan, read.bytes.len());
        self.put_index(number, allocated);
        Ok(())
    }

    /// The one that goes on: the torn end is cut off.
    fn last(&mut self, number: u32) -> Result<()> {
        let path = self.files.path(number);
        let context = || format!("cannot recover {}", path.display());
        let file = self.files.open(number).with_context(context)?;
        let Read { mut bytes, lost, seal, is_headless } = self.read(number, &*file).with_context(context)?;
        if seal.is_none() && Seal::is_of_another_version(&bytes) {
            bail!(other_version(&path));
        }
        if is_headless && seal.is_some() {
            // Its index alone knows its seal: that stays until there is another, and the segment does not go on.
            self.damaged(number, 1, "its header cannot be read; its index tells what stood there");
            self.found.must_seal = true;
        } else {
            // It goes on, so whatever its index says will not be all.
            self.files.remove_index(number).context("cannot remove the index of a segment that goes on")?;
        }
        let seal = match seal {
            Some(seal) => seal,
            // The crash came before the header did: it is synced before anything follows it.
            None if bytes.len() <= HEADER => {
                let seal = Seal::random();
                bytes = Bytes::copy_from_slice(&seal.header());
                seal
            }
            None => {
                self.lose_last(number, bytes.len());
                return Ok(());
            }
        };
        let mut scan = seal.scan(&bytes, HEADER);
        scan.cut_unfinished_group();
        let torn = bytes.len().saturating_sub(scan.end) as u64;
        if torn > 0 {
            warn!(segment = number, bytes = torn, "cut off a commit that never ended");
            self.found.recovery.torn_bytes += torn;
        }
        self.damaged(number, lost.max(scan.damaged.len() as u64), "lines are missing");
        let mut end = scan.end;
        if lost == 0 {
            write_again(&*file, &bytes, scan.last_group()).with_context(context)?;
        } else {
            // The disk might not even take back what stands there. What was cut off stays behind the end of what
            // its index will tell of.
            end = bytes.len();
            self.found.must_seal = true;
        }
        file.sync_all().with_context(context)?;
        self.take(number, seal, &bytes, &scan, end);
        Ok(())
    }

    fn read(&self, number: u32, file: &dyn SegmentFile) -> io::Result<Read> {
        let (bytes, lost) = file.read_around()?;
        let header = Seal::of(&bytes);
        let is_headless = header.is_none();
        let seal = header.or_else(|| sealed::seal(self.files, number));
        Ok(Read { bytes: bytes.into(), lost, seal, is_headless })
    }

    /// What a segment holds goes to the index.
    fn take(&mut self, number: u32, seal: Seal, bytes: &Bytes, scan: &Scan, end: usize) {
        self.index.begin(number, seal);
        self.index.written().summary.end = end as u64;
        for payload in &scan.payloads {
            match record::decode(bytes.slice(payload.clone())) {
                Ok(record) if !self.index.follows(&record) => {
                    self.found.recovery.damaged += 1;
                    let worker = record.change.worker();
                    error!(segment = number, offset = payload.start, %worker, "found lines out of their order");
                }
                Ok(record) => {
                    self.found.recovery.records += 1;
                    self.index.add(&record, payload);
                }
                Err(error) => {
                    self.found.recovery.damaged += 1;
                    error!(segment = number, offset = payload.start, %error, "found a record that cannot be read");
                }
            }
        }
    }

    /// Nobody can say any more where in this segment a record begins. It stays as it is, until retention comes to it.
    fn lose(&mut self, number: u32, bytes: &[u8], allocated: u64) -> Result<()> {
        if Seal::is_of_another_version(bytes) {
            bail!(other_version(&self.files.path(number)));
        }
        self.damaged(number, 1, "neither its header nor an index of it can be read: none of its lines");
        let newest_ns = self.index.newest_ns();
        self.index.begin(number, Seal::random());
        self.index.written().summary.newest_ns = newest_ns;
        self.index.seal(Vec::new(), allocated);
        Ok(())
    }

    /// The same of the one that was being written: what it holds stays as it is, and the next one is begun before
    /// anything is written.
    fn lose_last(&mut self, number: u32, length: usize) {
        self.damaged(number, 1, "neither its header nor an index of it can be read: none of its lines");
        let newest_ns = self.index.newest_ns();
        self.index.begin(number, Seal::random());
        let summary = &mut self.index.written().summary;
        (summary.newest_ns, summary.end) = (newest_ns, length as u64);
        self.found.must_seal = true;
    }

    /// Segments that nobody removed, and lines that are in none of those that are there.
    fn find_missing(&mut self, numbers: &[u32]) {
        for pair in numbers.windows(2) {
            // What retention removed may be back after a power cut, in part: then nobody needs what is older.
            let missing = u64::from(pair[1] - pair[0] - 1);
            if missing > 0 && self.index.needs_before(pair[1]) {
                self.damaged(pair[0] + 1, missing, "this segment, or those from here on, are not there");
            }
        }
        self.found.unsaid = self.index.count_holes();
        if !self.found.unsaid.is_empty() {
            let workers = self.found.unsaid.len();
            error!(workers, "lines that were stored are missing; the logs of these workers are not complete");
            self.found.recovery.damaged = self.found.recovery.damaged.max(1);
        }
    }

    fn damaged(&mut self, number: u32, places: u64, what: &str) {
        if places > 0 {
            error!(
                segment = number,
                places, what, "found damage in the store; its lines are shown as missing"
            );
        }
        self.found.recovery.damaged += places;
    }

    /// Puts the index of what was just read beside it. Where that fails it is held in memory, and tried again later.
    fn put_index(&mut self, number: u32, allocated: u64) {
        let (bytes, extents) = self.index.file();
        let size = bytes.len() as u64;
        if let Err(error) = self.files.put_index(number, &bytes) {
            warn!(segment = number, %error, "cannot write the index of a segment for now");
            self.found.unwritten.insert(number, bytes.into());
        }
        self.index.seal(extents, allocated + size);
    }
}

/// Whether lines stood there that retention took from one task, or nothing.
fn is_hole(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn other_version(path: &std::path::Path) -> String {
    format!(
        "{} is no segment of this version of log-ingest; choose another directory with --data-dir",
        path.display()
    )
}

/// After a failed sync what was read here may be in the page cache alone, and no later sync would bring it to
/// the disk. That ended the process, so it concerns the last group, or what was cut off behind it. The same
/// bytes in the same place: nothing is lost if the power goes meanwhile.
fn write_again(file: &dyn SegmentFile, bytes: &[u8], group: Range<usize>) -> io::Result<()> {
    file.write_all_at(&bytes[group.clone()], group.start as u64)?;
    file.set_len(group.end as u64)
}
