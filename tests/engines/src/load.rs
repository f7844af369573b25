//! The load: which block comes when is a function of its number, so that the process which reads after a
//! kill knows what must be there without having been told.
//!
//! As many workers as live at one time take turns, a block each. When their logs are as long as they get,
//! the next generation of as many takes their place, so that old logs are old workers' logs.

use std::fmt::Write;

use bytes::Bytes;
use log_ingest::ids::{TaskId, WorkerId};
use log_ingest::line::{Block, Content, Extra, LinesBuilder, Mark, Sequence, Source};
use log_ingest::worker::{Change, Closing, Numbering, Record, Registration};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// Bytes of a line's text.
pub(crate) const LINE: u64 = 100;

/// Different blocks. Far more than anything looks back to find what repeats.
const TEXTS: u64 = 64;

/// 2026-01-01, in Unix nanoseconds.
const START_NS: i64 = 1_767_225_600_000_000_000;

/// What is written, apart from how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Workers that live at one time.
    pub(crate) workers: u64,
    /// Lines of each block.
    pub(crate) lines: u64,
    /// Blocks of each log.
    pub(crate) blocks: u64,
}

/// Where a block belongs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) worker: WorkerId,
    pub(crate) first: Sequence,
    /// Which block of its worker, from 0.
    index: u64,
}

impl Load {
    /// Blocks of one generation.
    pub(crate) fn generation(&self) -> u64 {
        self.workers * self.blocks
    }

    /// Bytes of text of `blocks` blocks.
    pub(crate) fn bytes(&self, blocks: u64) -> u64 {
        blocks * self.lines * LINE
    }

    /// Where block `number` belongs.
    pub(crate) fn place(&self, number: u64) -> Place {
        let within = number % self.generation();
        let index = within / self.workers;
        Place {
            worker: self.worker(number / self.generation(), within % self.workers),
            first: Sequence::new(index * self.lines + 1),
            index,
        }
    }

    /// The name of a worker; names sort by generation.
    pub(crate) fn worker(&self, generation: u64, number: u64) -> WorkerId {
        let name = format!("build-{}x{}-{generation:06}-{number:06}", self.workers, self.lines);
        WorkerId::try_from(&*name).expect("it has no control characters")
    }
}

/// The blocks of a load.
pub(crate) struct Blocks {
    load: Load,
    texts: Vec<Content>,
}

impl Blocks {
    /// The same ones in every process.
    pub(crate) fn of(load: Load) -> Self {
        let mut random = StdRng::seed_from_u64(load.lines);
        Self { load, texts: (0..TEXTS).map(|_| content(load.lines, &mut random)).collect() }
    }

    /// Block `number` as it must be read back.
    pub(crate) fn block(&self, number: u64) -> Block {
        let text = usize::try_from(number % TEXTS).expect("TEXTS is small");
        Block { first: self.load.place(number).first, content: self.texts[text].clone() }
    }

    /// The records of the blocks from `first` on: each worker is introduced before its first block and closed
    /// after its last.
    pub(crate) fn group(&self, first: u64, blocks: u64) -> Vec<Record> {
        let mut records = Vec::new();
        for number in first..first + blocks {
            let place = self.load.place(number);
            let mut push = |change| records.push(Record { at_ns: START_NS, change });
            if place.index == 0 {
                push(Change::Registered(registration(&place.worker)));
            }
            let (worker, block) = (place.worker.clone(), self.block(number));
            push(Change::Appended { worker: worker.clone(), numbering: Numbering::Client, block });
            if place.index + 1 == self.load.blocks {
                let last = Sequence::new(self.load.blocks * self.load.lines);
                push(Change::Closed { worker, closing: closing(), last });
            }
        }
        records
    }
}

fn registration(worker: &WorkerId) -> Registration {
    Registration {
        worker: worker.clone(),
        task: TaskId::from(worker),
        attempt: 1,
        incarnation: Bytes::from_static(b"0123456789abcdef"),
        session_id: "0123456789abcdef".into(),
        metadata: std::sync::Arc::default(),
    }
}

fn closing() -> Closing {
    Closing { exit_code: Some(0), signal: 0, reason: "".into() }
}

/// `lines` lines that look like a build's.
fn content(lines: u64, random: &mut StdRng) -> Content {
    const WORDS: [&str; 8] =
        ["Compiling", "warning:", "test", "ok", "Downloading", "src/lib.rs", "error:", "done"];
    let mut builder = LinesBuilder::default();
    for number in 0..lines {
        let mut text = String::new();
        while (text.len() as u64) < LINE {
            let word = WORDS[random.random_range(0..WORDS.len())];
            write!(text, "{word} {:x} ", random.random::<u32>()).expect("a String takes everything");
        }
        text.truncate(usize::try_from(LINE).expect("a line is short"));
        let time_ns = START_NS + i64::try_from(number).expect("a block has few lines") * 1_000_000;
        builder.push(time_ns, Mark::new(Source::Stdout, 0), text.as_bytes(), Extra::default());
    }
    Content::Lines(builder.finish())
}
