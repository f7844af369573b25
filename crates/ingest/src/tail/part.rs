//! A part of a log as readers get it: encoded once for each format, however many read it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::line::{Block, Content};
use crate::metrics::Metrics;

/// How readers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Server-sent events, one a line.
    Events,
    /// One server-sent event for all of it.
    Batch,
    /// The same in a tail of all of a task's workers.
    TaskBatch,
    /// `TailResponse`, as protobuf.
    Messages,
}

impl Format {
    /// How many there are.
    const COUNT: usize = 4;
}

/// At most 512 lines or one gap, and not much more than 64 KiB of lines.
#[derive(Debug)]
pub struct Part {
    block: Block,
    /// By the format.
    encoded: [OnceLock<Vec<Bytes>>; Format::COUNT],
    /// What it takes up, and where that is summed up with all others.
    size: AtomicUsize,
    total: Arc<AtomicUsize>,
    metrics: Metrics,
}

impl Part {
    /// Nobody has read it yet; what was read for it had `whole` bytes of lines. It is counted in `total` for as long
    /// as somebody holds it, and what it shares with nobody else is all that it holds.
    pub(super) fn new(block: Block, whole: usize, total: Arc<AtomicUsize>, metrics: Metrics) -> Self {
        let is_small = block.bytes() < whole / 2;
        let (block, held) = if is_small { (block.detached(), 0) } else { (block, whole) };
        let encoded = Default::default();
        let part = Self { encoded, size: AtomicUsize::new(0), total, metrics, block };
        part.grow(size(&part.block).max(held));
        part
    }

    /// The lines, or the gap.
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// The same in a format; `encode` is asked only the first time.
    pub fn encoded(&self, format: Format, encode: impl FnOnce(&Block) -> Vec<Bytes>) -> &[Bytes] {
        self.encoded[format as usize].get_or_init(|| {
            let encoded = encode(&self.block);
            self.grow(encoded.iter().map(Bytes::len).sum());
            self.metrics.encodings.inc();
            encoded
        })
    }

    fn grow(&self, bytes: usize) {
        self.size.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.total.fetch_sub(self.size.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// About what a block takes up.
fn size(block: &Block) -> usize {
    match &block.content {
        Content::Lines(lines) => lines.bytes() + lines.len() * 16,
        Content::Gap { reason, .. } => reason.len(),
    }
}
