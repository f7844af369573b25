//! A file system in memory, and what of it a power cut would leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::super::files::{Files, Held, Identity, SegmentFile};
use super::PlantedBug;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// All files.
pub(super) struct SimulatedFiles {
    state: Mutex<State>,
    pub(super) bug: Option<PlantedBug>,
}

pub(super) struct State {
    random: SmallRng,
    files: BTreeMap<u32, SimulatedFile>,
    /// Removed, and there again if the power goes now.
    removed: BTreeMap<u32, SimulatedFile>,
    indexes: BTreeMap<u32, SimulatedIndex>,
    /// Segments whose index was damaged: of a hole that a power cut left in part, only the index knows.
    damaged_indexes: BTreeSet<u32>,
    /// The next write, or the next sync, fails.
    pub(super) failure: Option<Failure>,
}

/// An index is renamed when it is whole, so it is there as it is now or as it was.
#[derive(Clone, Default)]
struct SimulatedIndex {
    durable: Option<Vec<u8>>,
    /// As a process sees it.
    cached: Option<Vec<u8>>,
}

/// What goes wrong next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The disk is full in the middle of a write.
    Write,
    /// The disk does not take what was written.
    Sync,
    /// The power goes while a sync waits for the disk.
    PowerInSync,
    /// There is no room for another file, or only for its name.
    Create,
}

#[derive(Default)]
struct SimulatedFile {
    has_durable_name: bool,
    durable: Vec<u8>,
    /// As a process sees it.
    cached: Vec<u8>,
    /// Since the last sync, in order.
    pending: Vec<Pending>,
    has_holes: bool,
}

enum Pending {
    Write { at: usize, bytes: Vec<u8> },
    SetLength(usize),
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLength(length) => bytes.resize(*length, 0),
            Self::Write { at, bytes: new } => {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
        }
    }
}

impl SimulatedFile {
    fn change(&mut self, change: Pending) {
        change.apply(&mut self.cached);
        self.pending.push(change);
    }

    /// What is on the disk when the power is back.
    fn after_power_cut(mut self, random: &mut SmallRng) -> Self {
        let kept = [0.0, 0.5, 0.9, 1.0][random.random_range(0..4)];
        for change in std::mem::take(&mut self.pending) {
            match change {
                Pending::SetLength(_) => {
                    if random.random_bool(kept) {
                        change.apply(&mut self.durable);
                    }
                }
                Pending::Write { at, bytes } => self.tear(at, &bytes, kept, random),
            }
        }
        Self { cached: self.durable.clone(), has_durable_name: true, ..self }
    }

    /// Keeps some sectors of a write. Where it made the file longer, the others hold nothing or anything.
    fn tear(&mut self, at: usize, bytes: &[u8], kept: f64, random: &mut SmallRng) {
        let mut from = 0;
        while from < bytes.len() {
            let to = bytes.len().min((at + from) / SECTOR * SECTOR + SECTOR - at);
            if random.random_bool(kept) {
                Pending::Write { at: at + from, bytes: bytes[from..to].to_vec() }.apply(&mut self.durable);
            } else if random.random_bool(0.3) && at + to > self.durable.len() {
                let old = self.durable.len();
                self.durable.resize(at + to, 0);
                if random.random_bool(0.3) {
                    random.fill(&mut self.durable[old..]);
                }
            }
            from = to;
        }
    }
}

impl SimulatedFiles {
    pub(super) fn new(seed: u64, bug: Option<PlantedBug>) -> Self {
        let state = State {
            random: SmallRng::seed_from_u64(seed),
            files: BTreeMap::new(),
            removed: BTreeMap::new(),
            indexes: BTreeMap::new(),
            damaged_indexes: BTreeSet::new(),
            failure: None,
        };
        Self { state: Mutex::new(state), bug }
    }

    fn fails(&self, failure: Failure) -> bool {
        self.state().failure.take_if(|next| *next == failure).is_some()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes a byte of an index behind the store's back: whatever it says then, its segment knows better.
    pub(super) fn damage_index(&self) {
        let mut state = self.state();
        let State { random, indexes, damaged_indexes, .. } = &mut *state;
        let mut there: Vec<_> = indexes.iter_mut().filter(|(_, index)| index.cached.is_some()).collect();
        if there.is_empty() {
            return;
        }
        let at = random.random_range(0..there.len());
        let (segment, index) = there.swap_remove(at);
        damaged_indexes.insert(*segment);
        let bytes = index.cached.as_mut().expect("those that are not there were left out");
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= random.random_range(1..=255_u8);
        index.durable.clone_from(&index.cached);
    }

    /// Whether a hole that a power cut tore may be called damage.
    pub(super) fn may_look_damaged(&self) -> bool {
        let state = self.state();
        state
            .damaged_indexes
            .iter()
            .any(|segment| state.files.get(segment).is_some_and(|file| file.has_holes))
    }

    pub(super) fn cut_power(&self) {
        let mut state = self.state();
        let State { random, files, removed, indexes, damaged_indexes, .. } = &mut *state;
        for (number, file) in std::mem::take(removed) {
            if random.random_bool(0.5) {
                files.insert(number, file);
                // It may come without its index.
                damaged_indexes.insert(number);
            }
        }
        for index in indexes.values_mut() {
            if random.random_bool(0.5) {
                index.durable.clone_from(&index.cached);
            } else {
                index.cached.clone_from(&index.durable);
            }
        }
        files.retain(|_, file| file.has_durable_name || random.random_bool(0.5));
        for file in files.values_mut() {
            *file = std::mem::take(file).after_power_cut(random);
        }
    }
}

/// One of the files, as the store holds it.
struct Handle {
    files: Arc<SimulatedFiles>,
    segment: u32,
}

impl Handle {
    fn on<T>(&self, what: impl FnOnce(&mut SimulatedFile) -> T) -> T {
        let mut state = self.files.state();
        let State { files, removed, .. } = &mut *state;
        what(files.get_mut(&self.segment).or_else(|| removed.get_mut(&self.segment)).unwrap())
    }

    fn fails(&self, failure: Failure) -> bool {
        self.files.fails(failure)
    }

    fn sync(&self) -> io::Result<()> {
        if self.fails(Failure::PowerInSync) {
            return Err(io::ErrorKind::Other.into());
        }
        if self.fails(Failure::Sync) {
            // As Linux does it: the pages count as written from here on.
            self.on(|file| file.pending.clear());
            return Err(io::Error::from_raw_os_error(5));
        }
        self.on(|file| {
            // Only what is dirty is written.
            for change in file.pending.drain(..) {
                change.apply(&mut file.durable);
            }
        });
        Ok(())
    }
}

impl SegmentFile for Handle {
    fn length(&self) -> io::Result<u64> {
        Ok(self.on(|file| file.cached.len() as u64))
    }

    fn allocated(&self) -> io::Result<u64> {
        self.length()
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.on(|file| copy(&file.cached, bytes, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        if self.fails(Failure::Write) {
            let part = self.files.state().random.random_range(0..=bytes.len());
            self.on(|file| file.change(Pending::Write { at, bytes: bytes[..part].to_vec() }));
            return Err(io::Error::from_raw_os_error(28));
        }
        self.on(|file| file.change(Pending::Write { at, bytes: bytes.to_vec() }));
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.on(|file| file.change(Pending::SetLength(usize::try_from(length).unwrap())));
        Ok(())
    }

    fn punch(&self, bytes: Range<u64>) -> io::Result<()> {
        let at = usize::try_from(bytes.start).unwrap();
        let zeros = vec![0; usize::try_from(bytes.end - bytes.start).unwrap()];
        self.on(|file| {
            file.has_holes = true;
            file.change(Pending::Write { at, bytes: zeros });
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.files.bug == Some(PlantedBug::AckBeforeSync) {
            return Ok(());
        }
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

fn copy(from: &[u8], to: &mut [u8], offset: u64) -> io::Result<()> {
    let at = usize::try_from(offset).unwrap();
    let found = from.get(at..at + to.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
    to.copy_from_slice(found);
    Ok(())
}

/// For the trait, which hands out files.
pub(super) struct Shared(pub(super) Arc<SimulatedFiles>);

impl Files for Shared {
    fn segments(&self) -> io::Result<Vec<u32>> {
        Ok(self.0.state().files.keys().copied().collect())
    }

    fn create(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        let fails = self.0.fails(Failure::Create);
        let mut state = self.0.state();
        if fails && state.random.random_bool(0.5) {
            return Err(io::Error::from_raw_os_error(28));
        }
        state.files.entry(segment).or_default().change(Pending::SetLength(0));
        drop(state);
        if fails { Err(io::Error::from_raw_os_error(28)) } else { self.open(segment) }
    }

    fn open(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(Handle { files: Arc::clone(&self.0), segment }))
    }

    fn remove(&self, segment: u32) -> io::Result<()> {
        self.remove_index(segment)?;
        let mut state = self.0.state();
        if let Some(file) = state.files.remove(&segment) {
            state.removed.insert(segment, file);
        }
        Ok(())
    }

    fn index(&self, segment: u32) -> io::Result<Option<Arc<dyn SegmentFile>>> {
        let state = self.0.state();
        let bytes = state.indexes.get(&segment).and_then(|index| index.cached.clone());
        Ok(bytes.map(|bytes| Arc::new(Held(bytes.into())) as Arc<dyn SegmentFile>))
    }

    fn put_index(&self, segment: u32, bytes: &[u8]) -> io::Result<()> {
        for failure in [Failure::Write, Failure::Sync, Failure::PowerInSync] {
            if self.0.fails(failure) {
                return Err(io::ErrorKind::Other.into());
            }
        }
        self.0.state().indexes.entry(segment).or_default().cached = Some(bytes.to_vec());
        Ok(())
    }

    fn remove_index(&self, segment: u32) -> io::Result<()> {
        if let Some(index) = self.0.state().indexes.get_mut(&segment) {
            index.cached = None;
        }
        Ok(())
    }

    fn sweep(&self) -> io::Result<()> {
        let mut state = self.0.state();
        let State { files, indexes, .. } = &mut *state;
        indexes
            .iter_mut()
            .filter(|(number, _)| !files.contains_key(number))
            .for_each(|(_, index)| index.cached = None);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        if self.0.bug != Some(PlantedBug::NoDirectorySync) {
            let mut state = self.0.state();
            state.files.values_mut().for_each(|file| file.has_durable_name = true);
            state.removed.clear();
            for index in state.indexes.values_mut() {
                index.durable.clone_from(&index.cached);
            }
        }
        Ok(())
    }

    fn identity(&self, segment: u32) -> io::Result<Identity> {
        let is_there = self.0.state().files.contains_key(&segment);
        if is_there { Ok(Identity::default()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn path(&self, segment: u32) -> PathBuf {
        format!("segment {segment}").into()
    }

    /// Small, so that most holes are worth it, and some are not.
    fn room_unit(&self) -> u64 {
        64
    }
}
