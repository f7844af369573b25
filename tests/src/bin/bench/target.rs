//! The figures that the system is built to reach: what each must be, and what is aimed at.

use std::fmt;

/// A figure with a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    AgentMasked,
    IngestBatches,
    IngestEntries,
    AckLatency,
    LiveLatency,
    LiveLatencyLoaded,
    PageScreen,
    PageJump,
    PageFrame,
    PageTask,
    PageHeap,
    PageLive,
    PageInput,
    IdleStream,
    AgentIdle,
    AgentLoaded,
    FlatOverWorkers,
    FlatOverStore,
    RedisEntries,
    RedisEntriesCpu,
    RedisFewEntries,
    RedisFewEntriesCpu,
    RedisBlocks,
    RedisBlocksCpu,
    JetStreamEntries,
    JetStreamEntriesCpu,
    JetStreamBlocks,
    JetStreamBlocksCpu,
}

/// What a target asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    unit: Unit,
    better: Better,
    must: f64,
    aim: Option<f64>,
}

/// How a figure is written.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Lines,
    Millis,
    Mebibytes,
    Kibibytes,
    Times,
    Percent,
}

/// Which way is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
}

impl Target {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 28] = [
        Self::AgentMasked,
        Self::IngestBatches,
        Self::IngestEntries,
        Self::AckLatency,
        Self::LiveLatency,
        Self::LiveLatencyLoaded,
        Self::PageScreen,
        Self::PageJump,
        Self::PageFrame,
        Self::PageTask,
        Self::PageHeap,
        Self::PageLive,
        Self::PageInput,
        Self::IdleStream,
        Self::AgentIdle,
        Self::AgentLoaded,
        Self::FlatOverWorkers,
        Self::FlatOverStore,
        Self::RedisEntries,
        Self::RedisEntriesCpu,
        Self::RedisFewEntries,
        Self::RedisFewEntriesCpu,
        Self::RedisBlocks,
        Self::RedisBlocksCpu,
        Self::JetStreamEntries,
        Self::JetStreamEntriesCpu,
        Self::JetStreamBlocks,
        Self::JetStreamBlocksCpu,
    ];

    pub(crate) const fn goal(self) -> Goal {
        use Unit::{Kibibytes, Lines, Mebibytes, Millis, Percent};
        match self {
            Self::AgentMasked => at_least(
                "agent, pipe → wire, 32 secrets masked; a CPU-second of the agent",
                Lines,
                500e3,
                2e6,
            ),
            Self::IngestBatches => {
                at_least("ingest, fsync before ACK, batches; a CPU-second of the server", Lines, 700e3, 1.5e6)
            }
            Self::IngestEntries => at_least(
                "ingest, fsync before ACK, one line a message; a CPU-second of the server",
                Lines,
                300e3,
                600e3,
            ),
            Self::AckLatency => {
                at_most("line → ACK at 1,000 lines/s, p99 beyond fdatasync's", Millis, 15.0, 6.0)
            }
            Self::LiveLatency => at_most(
                "read() in the agent → reader at 1,000 lines/s, p99 beyond fdatasync's",
                Millis,
                50.0,
                10.0,
            ),
            Self::LiveLatencyLoaded => at_most(
                "read() in the agent → reader at 50,000 lines/s of 10 workers, p99 beyond fdatasync's",
                Millis,
                50.0,
                10.0,
            ),
            Self::PageScreen => must_at_most(
                "page, 1,000,000 lines: navigation → rows painted, cold cache, p99",
                Millis,
                300.0,
            ),
            Self::PageJump => {
                must_at_most("page, 1,000,000 lines: link to a line → painted, p99", Millis, 150.0)
            }
            Self::PageFrame => {
                must_at_most("page, scrolled: main thread's work for a frame, p99", Millis, 8.0)
            }
            Self::PageTask => must_at_most("page, scrolled: longest task of the main thread", Millis, 50.0),
            Self::PageHeap => must_at_most("page, scrolled from end to end: heap", Mebibytes, 80.0),
            Self::PageLive => must_at_most(
                "page: write in the worker → in the DOM at 1,000 lines/s, p99 beyond fdatasync's",
                Millis,
                60.0,
            ),
            Self::PageInput => {
                must_at_most("page: a key → its handler at 50,000 lines/s, p99", Millis, 100.0)
            }
            Self::IdleStream => at_most("server's memory for an idle stream", Kibibytes, 40.0, 24.0),
            Self::AgentIdle => at_most("agent's memory (RssAnon), idle", Mebibytes, 16.0, 4.0),
            Self::AgentLoaded => at_most("agent's memory (RssAnon), loaded", Mebibytes, 32.0, 16.0),
            Self::FlatOverWorkers => must_at_most(
                "server's CPU for a line: change from 1 to 32 and to 1,000 workers",
                Percent,
                20.0,
            ),
            Self::FlatOverStore => {
                must_at_most("server's CPU for a line: change from an empty to a grown store", Percent, 20.0)
            }
            Self::RedisEntries => {
                ahead("Redis Streams, fsync always; one line a message, 1,024 in flight, wall clock", 5.0)
            }
            Self::RedisEntriesCpu => ahead(
                "Redis Streams, fsync always; one line a message, 1,024 in flight, a CPU-second of the server",
                5.0,
            ),
            Self::RedisFewEntries => {
                ahead("Redis Streams, fsync always; one line a message, 64 in flight, wall clock", 5.0)
            }
            Self::RedisFewEntriesCpu => ahead(
                "Redis Streams, fsync always; one line a message, 64 in flight, a CPU-second of the server",
                5.0,
            ),
            Self::RedisBlocks => ahead("Redis Streams, fsync always; equal blocks, wall clock", 1.0),
            Self::RedisBlocksCpu => {
                ahead("Redis Streams, fsync always; equal blocks, a CPU-second of the server", 1.0)
            }
            Self::JetStreamEntries => {
                ahead("JetStream, sync always; one line a message, 64 in flight, wall clock", 20.0)
            }
            Self::JetStreamEntriesCpu => ahead(
                "JetStream, sync always; one line a message, 64 in flight, a CPU-second of the server",
                20.0,
            ),
            Self::JetStreamBlocks => ahead("JetStream, sync always; equal blocks, wall clock", 1.0),
            Self::JetStreamBlocksCpu => {
                ahead("JetStream, sync always; equal blocks, a CPU-second of the server", 1.0)
            }
        }
    }
}

impl Target {
    /// What keeps it from its goal, as profiles have shown.
    pub(crate) const fn bound(self) -> Option<&'static str> {
        Some(match self {
            Self::FlatOverWorkers => {
                "a commit answers each stream that has lines in it, so 32 workers cost 32 wakes and 32 writes where one \
                 costs one; with 1,000 a wake finds one message instead of several. The bare server of tonic below, \
                 which stores nothing, rises by as much from 32 to 1,000."
            }
            Self::IdleStream => {
                "what is left are the buffers of h2 and hyper for a connection, the task of a stream, and its entries \
                 in the tables of sessions and workers; the first two are four fifths of it."
            }
            Self::RedisFewEntries | Self::RedisFewEntriesCpu => {
                "with 64 lines in flight a worker, no more than 2,048 lines can be in a commit, and each commit wakes \
                 and answers 32 streams: less is left to share than with 1,024, while Redis pays for each line anyway."
            }
            Self::LiveLatency | Self::LiveLatencyLoaded => {
                "on a machine of two cores, agents, server, readers and what measures them take turns: the tail is \
                 the time that a process waits for a core."
            }
            Self::PageScreen => {
                "a bare document of one line, measured in turn with it, takes a third of the time and has a tail of its \
                 own: that is how a browser starts a page. The rest is to compile the page's script and to lay out and \
                 paint its first frame, and half of that is waiting for a core."
            }
            Self::PageFrame => {
                "scrolled from end to end, no line stays from one frame to the next, and all rows are written over: nine \
                 tenths are the browser's own layout and paint. The slowest frames are those in which it collects garbage \
                 or lines come; half of them is waiting for a core, which the browser's own threads take to paint without \
                 a graphics card. The CPU time of the same frames is in the table."
            }
            _ => return None,
        })
    }
}

const fn at_least(what: &'static str, unit: Unit, must: f64, aim: f64) -> Goal {
    Goal { what, unit, better: Better::Higher, must, aim: Some(aim) }
}

const fn at_most(what: &'static str, unit: Unit, must: f64, aim: f64) -> Goal {
    Goal { what, unit, better: Better::Lower, must, aim: Some(aim) }
}

const fn must_at_most(what: &'static str, unit: Unit, must: f64) -> Goal {
    Goal { what, unit, better: Better::Lower, must, aim: None }
}

/// Our figure divided by a peer's.
const fn ahead(what: &'static str, must: f64) -> Goal {
    Goal { what, unit: Unit::Times, better: Better::Higher, must, aim: None }
}

impl Goal {
    pub(crate) fn must(&self) -> String {
        self.bound(self.must)
    }

    pub(crate) fn aim(&self) -> Option<String> {
        self.aim.map(|aim| self.bound(aim))
    }

    pub(crate) fn figure(&self, figure: f64) -> String {
        match self.unit {
            Unit::Lines if figure >= 1e6 => format!("{:.2} M lines", figure / 1e6),
            Unit::Lines => format!("{:.0} k lines", figure / 1e3),
            Unit::Millis => format!("{figure:.1} ms"),
            Unit::Mebibytes => format!("{figure:.1} MiB"),
            Unit::Kibibytes => format!("{figure:.1} KiB"),
            Unit::Times if figure >= 100.0 => format!("{figure:.0} ×"),
            Unit::Times => format!("{figure:.2} ×"),
            Unit::Percent => format!("{figure:.0} %"),
        }
    }

    /// Whether `figure` is what it must be.
    pub(crate) fn is_met(&self, figure: f64) -> bool {
        self.is_within(figure, self.must)
    }

    /// Whether it is what it is aimed to be; none where nothing is aimed at beyond the must.
    pub(crate) fn is_aim_met(&self, figure: f64) -> Option<bool> {
        self.aim.map(|aim| self.is_within(figure, aim))
    }

    fn is_within(&self, figure: f64, bound: f64) -> bool {
        match self.better {
            Better::Higher => figure >= bound,
            Better::Lower => figure <= bound,
        }
    }

    fn bound(&self, bound: f64) -> String {
        let sign = if self.better == Better::Higher { "≥" } else { "≤" };
        format!("{sign} {}", self.figure(bound))
    }
}

/// `✓` or `✗`.
pub(crate) fn tick(is_met: bool) -> &'static str {
    if is_met { "✓" } else { "✗" }
}

/// A target with what was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) target: Target,
    pub(crate) figure: f64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goal = self.target.goal();
        write!(f, "{} (must {} {}", goal.figure(self.figure), goal.must(), tick(goal.is_met(self.figure)))?;
        if let (Some(aim), Some(is_met)) = (goal.aim(), goal.is_aim_met(self.figure)) {
            write!(f, ", aim {aim} {}", tick(is_met))?;
        }
        write!(f, ")")
    }
}
