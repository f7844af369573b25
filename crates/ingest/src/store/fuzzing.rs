//! Ways in for the fuzz targets (`tests/fuzz`): a store as no log-ingest writes it, with true checksums, so
//! that what stands behind them is reached as well.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;

use super::files::{Directory, Files};
use super::gather::Gathered;
use super::segment::{HEADER, Seal};
use super::{Damage, Opened, disk, record};
use crate::ids::WorkerId;
use crate::worker::{Record, WorkerState};

/// Makes the first segment of a store, with these payloads as frames of one group.
pub fn write_segment<'a>(directory: &Path, payloads: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
    let seal = Seal::random();
    let mut frames = Gathered::default();
    // A head without a payload is no head, so nobody could write it.
    for payload in payloads.filter(|payload| !payload.is_empty()) {
        seal.append_frame(&mut frames, HEADER, |out| {
            out.extend_from_slice(payload);
            Bytes::new()
        });
    }
    let file = Directory::open(directory)?.create(1)?;
    file.write_all_at(&[&seal.header()[..], &frames.concat()].concat(), 0)
}

/// Opens a store with segments of about so many bytes, and rebuilds the workers' states, as at each start.
pub fn open(directory: &Path, segment_bytes: u64) -> Result<(Opened, HashMap<WorkerId, WorkerState>)> {
    let mut opened = disk::open(directory, segment_bytes, Damage::default())?;
    let states = std::mem::take(&mut opened.states);
    let by_worker = |state: WorkerState| (state.registration.worker.clone(), state);
    let states = states.into_iter().map(by_worker).collect();
    Ok((opened, states))
}

/// A record as the store gives it back.
pub fn stored(record: &Record) -> Option<Record> {
    let mut bytes = Vec::new();
    record::encode(record, &mut bytes);
    record::decode(bytes.into()).ok()
}
