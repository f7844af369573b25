//! Power cuts, crashes and failing disks, simulated: the store on files in memory that lose, tear and reorder
//! whatever was not synced. Each schedule is a function of its seed.
//!
//! P4 at each opening: everything that was acknowledged is there, each line once and in order; what was not
//! acknowledged is there or not, but never without the lines before it; and nothing is called damaged.
//! `OTTO_SIM_SCHEDULES` says how many are run, `OTTO_SIM_SEED` replays one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::super::record::tests::appended_lines;
use super::super::segment;
use super::*;
use crate::line::Content;

const SCHEDULES: u64 = 100_000;

/// Small, so that a schedule fills several.
const SEGMENT: u64 = 2048;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

const WORKERS: [&str; 3] = ["a", "b", "c"];

/// Bugs that each break P4: a simulation that does not find them would not find their like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlantedBug {
    /// Acknowledged before the sync has come back.
    AckBeforeSync,
    /// A new segment's name is never synced.
    NoDirectorySync,
    /// Whatever is found is taken for whole.
    NoChecksum,
}

/// A file system in memory, and what of it a power cut would leave.
struct SimulatedFiles {
    state: Mutex<State>,
    bug: Option<PlantedBug>,
}

struct State {
    random: SmallRng,
    files: BTreeMap<u32, SimulatedFile>,
    /// The next write, or the next sync, fails.
    failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The disk is full in the middle of a write.
    Write,
    /// The disk does not take what was written.
    Sync,
    /// The power goes while a sync waits for the disk.
    PowerInSync,
}

#[derive(Default)]
struct SimulatedFile {
    has_durable_name: bool,
    durable: Vec<u8>,
    /// As a process sees it.
    cached: Vec<u8>,
    /// Since the last sync, in order.
    pending: Vec<Pending>,
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
    fn new(seed: u64, bug: Option<PlantedBug>) -> Self {
        let state = State { random: SmallRng::seed_from_u64(seed), files: BTreeMap::new(), failure: None };
        Self { state: Mutex::new(state), bug }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn cut_power(&self) {
        let mut state = self.state();
        let State { random, files, .. } = &mut *state;
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
        what(self.files.state().files.get_mut(&self.segment).unwrap())
    }

    fn fails(&self, failure: Failure) -> bool {
        let mut state = self.files.state();
        state.failure.take_if(|next| *next == failure).is_some()
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
    fn read_all(&self) -> io::Result<Vec<u8>> {
        Ok(self.on(|file| file.cached.clone()))
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        self.on(|file| match file.cached.get(at..at + bytes.len()) {
            Some(found) => {
                bytes.copy_from_slice(found);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        })
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

/// For the trait, which hands out files.
struct Shared(Arc<SimulatedFiles>);

impl Files for Shared {
    fn segments(&self) -> io::Result<Vec<u32>> {
        Ok(self.0.state().files.keys().copied().collect())
    }

    fn create(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        self.0.state().files.entry(segment).or_default().change(Pending::SetLength(0));
        self.open(segment)
    }

    fn open(&self, segment: u32) -> io::Result<Arc<dyn SegmentFile>> {
        Ok(Arc::new(Handle { files: Arc::clone(&self.0), segment }))
    }

    fn sync_names(&self) -> io::Result<()> {
        if self.0.bug != Some(PlantedBug::NoDirectorySync) {
            self.0.state().files.values_mut().for_each(|file| file.has_durable_name = true);
        }
        Ok(())
    }

    fn path(&self, segment: u32) -> PathBuf {
        format!("segment {segment}").into()
    }
}

/// What clients know of one worker.
#[derive(Clone, Copy, Debug, Default)]
struct Client {
    acked: u64,
    /// What the next line comes after.
    sent: u64,
    /// The last line that was ever offered.
    most: u64,
}

/// One schedule.
struct Schedule {
    files: Arc<SimulatedFiles>,
    random: SmallRng,
    clients: BTreeMap<&'static str, Client>,
    opened: Option<Opened>,
}

/// Every line of every worker is a function of its number.
fn line(worker: &str, sequence: u64) -> String {
    let length = usize::try_from(sequence.wrapping_mul(2_654_435_761) % 97).unwrap();
    format!("{worker}{sequence}{}", "x".repeat(length))
}

impl Schedule {
    fn new(seed: u64, bug: Option<PlantedBug>) -> Self {
        Self {
            files: Arc::new(SimulatedFiles::new(seed, bug)),
            random: SmallRng::seed_from_u64(!seed),
            clients: WORKERS.map(|worker| (worker, Client::default())).into(),
            opened: None,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        self.open()?;
        for _ in 0..self.random.random_range(5..30) {
            match self.random.random_range(0..100) {
                0..75 => self.commit()?,
                75..80 => self.fail(Failure::Write)?,
                80..84 => self.fail(Failure::Sync)?,
                84..92 => self.open()?,
                _ => self.cut_power()?,
            }
        }
        self.cut_power()
    }

    fn commit(&mut self) -> Result<(), String> {
        if self.try_commit() { Ok(()) } else { self.open() }
    }

    /// The next lines of some workers. Gives whether the service runs on.
    fn try_commit(&mut self) -> bool {
        let mut records = Vec::new();
        let mut sent = self.clients.clone();
        for _ in 0..self.random.random_range(1..4) {
            let worker = WORKERS[self.random.random_range(0..WORKERS.len())];
            let client = sent.get_mut(worker).unwrap();
            let first = client.sent + 1;
            client.sent += self.random.random_range(1..5);
            let lines: Vec<_> = (first..=client.sent).map(|sequence| line(worker, sequence)).collect();
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            records.push(appended_lines(worker, first, &lines));
        }
        match self.opened.as_mut().unwrap().store.commit(&records) {
            Ok(()) => {
                for client in sent.values_mut() {
                    client.acked = client.sent;
                }
                self.clients = sent;
                true
            }
            // Nothing was stored, and the clients go on from the same mark. A power cut may bring it back.
            Err(CommitError::Full(_)) => {
                for (client, sent) in self.clients.values_mut().zip(sent.values()) {
                    client.most = client.most.max(sent.sent);
                }
                true
            }
            Err(CommitError::Broken(_)) => {
                self.clients = sent;
                false
            }
        }
    }

    fn fail(&mut self, failure: Failure) -> Result<(), String> {
        self.files.state().failure = Some(failure);
        let result = self.commit();
        self.files.state().failure = None;
        result
    }

    fn cut_power(&mut self) -> Result<(), String> {
        if self.random.random_bool(0.7) {
            self.files.state().failure = Some(Failure::PowerInSync);
            self.try_commit();
            self.files.state().failure = None;
        }
        self.opened = None;
        self.files.cut_power();
        self.open()
    }

    /// The process is there again, after whatever ended it.
    fn open(&mut self) -> Result<(), String> {
        self.opened = None;
        let mut records = Vec::new();
        let files = Arc::new(Shared(Arc::clone(&self.files)));
        let opened = open_files(files, SEGMENT, &mut |record| records.push(record));
        let opened = opened.map_err(|error| format!("it does not open: {error:#}"))?;
        if opened.recovery.damaged > 0 {
            return Err(format!("it is called damaged: {:?}", opened.recovery));
        }
        let mut found: BTreeMap<&str, u64> = BTreeMap::new();
        for record in &records {
            let Change::Appended { worker, block, .. } = &record.change else { continue };
            check_lines(worker.as_str(), block, found.entry(worker.as_str()).or_default())?;
        }
        for (worker, client) in &mut self.clients {
            let high = found.get(worker).copied().unwrap_or(0);
            if high < client.acked {
                return Err(format!("{worker}: {} were acknowledged, and {high} are there", client.acked));
            }
            let most = client.most.max(client.sent);
            if high > most {
                return Err(format!("{worker}: {high} are there, and {most} were sent"));
            }
            // They are shown from now on, so they have to stay.
            *client = Client { acked: high, sent: high, most };
        }
        self.opened = Some(opened);
        Ok(())
    }
}

/// Whether a block goes on behind the mark with the right lines.
fn check_lines(worker: &str, block: &Block, high: &mut u64) -> Result<(), String> {
    if block.first.get() != *high + 1 {
        return Err(format!("{worker}: {} comes after {high}", block.first.get()));
    }
    let Content::Lines(lines) = &block.content else { return Err("a gap that nobody sent".to_owned()) };
    let mut at = 0;
    for length in &lines.lengths {
        let end = at + *length as usize;
        *high += 1;
        if lines.data[at..end] != *line(worker, *high).as_bytes() {
            return Err(format!("{worker}: line {high} is another one"));
        }
        at = end;
    }
    Ok(())
}

/// The first schedule that breaks a promise, and how.
fn find(seeds: impl Iterator<Item = u64>, bug: Option<PlantedBug>) -> Option<(u64, String)> {
    segment::testing::without_checksums(bug == Some(PlantedBug::NoChecksum));
    let found = seeds.into_iter().find_map(|seed| Some((seed, Schedule::new(seed, bug).run().err()?)));
    segment::testing::without_checksums(false);
    found
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().expect("a number"))
}

#[test]
fn p4_whatever_was_acknowledged_survives_power_cuts_crashes_and_failing_disks() {
    if let Some(seed) = number("OTTO_SIM_SEED") {
        assert_eq!(find(std::iter::once(seed), None), None);
        return;
    }
    let schedules = number("OTTO_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let first: u64 = rand::random();
    println!("schedules {first} to {}", first.wrapping_add(schedules));
    let halves = [0, 1].map(|half| {
        let seeds = (half..schedules).step_by(2).map(move |number| first.wrapping_add(number));
        std::thread::spawn(move || find(seeds, None))
    });
    for half in halves {
        if let Some((seed, what)) = half.join().unwrap() {
            panic!("{what}; OTTO_SIM_SEED={seed} replays it");
        }
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in [PlantedBug::AckBeforeSync, PlantedBug::NoDirectorySync, PlantedBug::NoChecksum] {
        let (seed, what) = find(0..20_000, Some(bug)).unwrap_or_else(|| panic!("{bug:?} is not caught"));
        println!("{bug:?} is caught after {} schedules: {what}", seed + 1);
    }
}
