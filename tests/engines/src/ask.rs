//! What the process that measures asks of one that holds a store, and what it is told. A line of JSON each.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::Oldest;
use crate::load::Load;
use crate::usage::Usage;

/// Blocks of a load, by their numbers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) load: Load,
    pub(crate) first: u64,
    pub(crate) blocks: u64,
    /// Blocks that are committed together.
    pub(crate) group: u64,
}

/// A thing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Open the store.
    Open,
    /// Commit these blocks; the answer has a duration a group.
    Commit(Span),
    /// The same, and read back the newest block of each worker after each commit; a duration a block.
    Tail(Span),
    /// Finish what goes on in the background.
    Settle,
    /// Commit these blocks and tell of each group: a `Reply::Durable` each.
    Tell(Span),
    /// Read these blocks, one by one; a duration a block. What is not as it was written is an error.
    Read {
        /// Which load they are of.
        load: Load,
        /// Their numbers.
        blocks: Vec<u64>,
    },
    /// Count how many of these blocks are there.
    Count {
        /// Which load they are of.
        load: Load,
        /// Their numbers.
        blocks: Vec<u64>,
    },
    /// Read the whole logs of these workers of a load; a duration a log. Only whole ones will do.
    Replay {
        /// Which load they are of.
        load: Load,
        /// Generation, and number in it.
        workers: Vec<(u64, u64)>,
    },
    /// Whether nothing of a worker is there any more.
    Gone {
        /// Its name.
        worker: String,
    },
    /// Delete the oldest logs.
    Delete(Oldest),
    /// Give back what deleting made free.
    Reclaim,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is done.
    Done(Done),
    /// All blocks before this one are durable.
    Durable(u64),
    /// It went wrong.
    Failed(String),
}

/// What it cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// All of it.
    pub(crate) usage: Usage,
    /// Each step.
    pub(crate) steps: Vec<Duration>,
    /// What was counted.
    pub(crate) found: u64,
    /// Bytes of memory in use at the end that no file stands behind.
    pub(crate) memory: u64,
}
