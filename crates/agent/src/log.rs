//! The worker's log inside the agent: the buffer, shared by those who fill it and those who empty it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

use crate::allowance::Allowance;
use crate::batch::Source;
use crate::buffer::{Buffer, WhenFull};
use crate::line::Ending;
use crate::spool::Spool;

/// So long a full buffer waits for the next ACK before it drops any line. A command that prints a burst faster than
/// the server takes it goes at the server's pace, within its [`Allowance`]; one whose server is gone loses this once, and
/// is not held up again until the server takes lines (P7).
const PATIENCE: Duration = Duration::from_millis(200);

/// The same while a connection stands, or the first is still being made. Behind a narrow link, or a disk that others use as well, ACKs come in
/// bursts: where they came 400 ms apart, 200 ms cost a burst of 100,000 lines all but a sixth of them.
const PATIENCE_CONNECTED: Duration = Duration::from_secs(2);

/// Lines that waited for so long for their ACK are written to the spool: an agent that is killed loses no
/// more than this.
const UNSAVED: Duration = Duration::from_secs(1);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The buffer and its bells.
#[derive(Debug)]
pub struct Log {
    buffer: Mutex<Buffer>,
    /// Rung when lines have come in.
    pub arrived: Notify,
    freed: Notify,
    /// A server listens, or nobody has found out yet that none does.
    is_connected: AtomicBool,
    /// Nothing was let go for as long as there is patience.
    is_stuck: AtomicBool,
    /// How long the command may be held up all the same.
    allowance: Mutex<Allowance>,
    line_limit: AtomicUsize,
    /// Lines dropped that the log itself speaks of.
    told: AtomicU64,
    /// How often the server took no lines and asked for them again.
    refusals: AtomicU64,
    /// What kept lines from becoming durable last.
    obstacle: Mutex<Option<String>>,
}

impl Log {
    /// Empty.
    pub fn new(limit: usize, when_full: WhenFull, line_limit: usize, spool: Spool) -> Self {
        Self {
            buffer: Mutex::new(Buffer::new(limit, when_full, spool)),
            arrived: Notify::new(),
            freed: Notify::new(),
            is_connected: AtomicBool::new(true),
            is_stuck: AtomicBool::new(false),
            allowance: Mutex::new(Allowance::new(Instant::now())),
            line_limit: AtomicUsize::new(line_limit),
            told: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            obstacle: Mutex::default(),
        }
    }

    /// The buffer. Never held across an await. Its operations leave it whole even where one panics.
    pub fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A longer line is cut.
    pub fn line_limit(&self) -> usize {
        self.line_limit.load(Ordering::Relaxed)
    }

    /// The server takes no longer lines than this.
    pub fn lower_line_limit(&self, limit: usize) {
        self.line_limit.fetch_min(limit.max(1), Ordering::Relaxed);
    }

    /// Says in the log how many lines are missing from it, unless it says so already. Gives whether it
    /// did.
    pub fn say_what_is_missing(&self) -> bool {
        let dropped = self.buffer().dropped();
        let news = self.told.swap(dropped, Ordering::Relaxed) < dropped;
        if news {
            self.say(&format!("otto-agent: {dropped} lines are missing from this log; gaps say where"));
        }
        news
    }

    /// Waits until more may be read from the command. Cancel safe.
    pub async fn room(&self) {
        let mut since = Instant::now();
        loop {
            let when_full = {
                let buffer = self.buffer();
                if buffer.has_room() {
                    return;
                }
                buffer.when_full()
            };
            match when_full {
                WhenFull::Block => self.freed.notified().await,
                WhenFull::DropOldest if self.is_stuck.load(Ordering::Relaxed) => return,
                WhenFull::DropOldest => {
                    let left = self.allowance().left(Instant::now());
                    if left.is_zero() {
                        return;
                    }
                    let until = (since + self.patience()).min(Instant::now() + left);
                    let freed = tokio::time::timeout_at(until, self.freed.notified()).await;
                    self.allowance().waited(Instant::now());
                    if freed.is_ok() {
                        since = Instant::now();
                    }
                    // The server may have come meanwhile, and with it more patience.
                    self.is_stuck.store(since.elapsed() >= self.patience(), Ordering::Relaxed);
                }
            }
        }
    }

    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        self.allowance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn patience(&self) -> Duration {
        if self.is_connected.load(Ordering::Relaxed) { PATIENCE_CONNECTED } else { PATIENCE }
    }

    /// Something keeps lines from becoming durable: what the server said, or why there is none.
    pub fn held_up(&self, why: &str) {
        let mut obstacle = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner);
        if obstacle.as_deref() != Some(why) {
            *obstacle = Some(why.to_owned());
        }
    }

    /// The server took no lines and asked for them again.
    pub fn refused(&self, why: Option<&str>) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        if let Some(why) = why {
            self.held_up(why);
        }
    }

    /// How often it did.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// The last such thing, if there was any since the server was reached last.
    pub fn obstacle(&self) -> Option<String> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A server listens.
    pub fn connected(&self) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.is_connected.store(true, Ordering::Relaxed);
    }

    /// Nobody listens any more. Whoever waits has less patience from here on.
    pub fn disconnected(&self) {
        if self.is_connected.swap(false, Ordering::Relaxed) {
            self.freed.notify_one();
        }
    }

    /// Writes what waits for long to the spool, for ever. Cancel safe.
    pub async fn save(&self) -> ! {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before = now_ns();
        loop {
            looks.tick().await;
            let now = now_ns();
            let has_room = self.save_what_waits(waited_since(before, now));
            before = now;
            if has_room {
                // A disk may have room again that had none; nothing else tells.
                self.freed.notify_one();
            }
        }
    }

    /// Gives whether there is room for more.
    fn save_what_waits(&self, until_ns: i64) -> bool {
        let mut buffer = self.buffer();
        buffer.save_until(until_ns);
        buffer.has_room()
    }

    /// Lines were let go: there may be room again.
    pub fn freed(&self) {
        self.is_stuck.store(false, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// There is nobody left to hold back: whoever waits for room goes on.
    pub fn stop_blocking(&self) {
        self.buffer().stop_blocking();
        self.wait_no_longer();
    }

    /// The same until the server takes lines again.
    pub fn let_go(&self) {
        self.buffer().let_go();
        self.wait_no_longer();
    }

    fn wait_no_longer(&self) {
        self.is_stuck.store(true, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// Adds a line of the agent's own.
    pub fn say(&self, line: &str) {
        self.buffer().push(now_ns(), Source::System, line.as_bytes(), Ending::Newline);
        self.arrived.notify_one();
    }
}

/// Lines of when have waited for too long. Where the clock was set back since the look before, they say that
/// they are from the future, and nobody knows how long they wait: all of them.
fn waited_since(before_ns: i64, now_ns: i64) -> i64 {
    let age = i64::try_from(UNSAVED.as_nanos()).expect("it is a second");
    if now_ns < before_ns { i64::MAX } else { now_ns - age }
}

/// Unix time in nanoseconds.
pub fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn full() -> Log {
        let log = Log::new(256 << 10, WhenFull::DropOldest, 64 << 10, Spool::none());
        log.disconnected();
        while log.buffer().has_room() {
            log.buffer().push(0, Source::Stdout, &[b'x'; 1000], Ending::Newline);
        }
        log
    }

    #[tokio::test(start_paused = true)]
    async fn p7_a_full_buffer_waits_for_a_server_that_is_there_and_less_for_one_that_is_not() {
        let waited = async |log: &Log| {
            let before = Instant::now();
            log.room().await;
            before.elapsed()
        };
        assert_eq!(waited(&full()).await, PATIENCE);
        let log = Log { is_connected: AtomicBool::new(true), ..full() };
        assert_eq!(waited(&log).await, PATIENCE_CONNECTED, "nobody knows yet");
        let log = full();
        log.connected();
        assert_eq!(waited(&log).await, PATIENCE_CONNECTED);
        assert_eq!(waited(&log).await, Duration::ZERO, "once");
        let log = full();
        let found = async {
            tokio::time::sleep(PATIENCE / 2).await;
            log.connected();
        };
        let (found, ()) = tokio::join!(waited(&log), found);
        assert_eq!(found, PATIENCE_CONNECTED);
        let log = full();
        log.connected();
        let lost = async {
            tokio::time::sleep(PATIENCE_CONNECTED / 2).await;
            log.disconnected();
        };
        let (lost, ()) = tokio::join!(waited(&log), lost);
        assert_eq!(lost, PATIENCE_CONNECTED / 2 + PATIENCE);
    }

    /// Each answer makes room for one read, and the next is as far away as a server may be that is waited for.
    #[tokio::test(start_paused = true)]
    async fn p7_a_server_that_takes_lines_slowly_does_not_hold_the_command_up_for_ever() {
        let log = full();
        log.connected();
        let answers = async {
            for _ in 0..30 {
                tokio::time::sleep(PATIENCE_CONNECTED / 2).await;
                log.freed();
            }
        };
        let command = async {
            let before = Instant::now();
            log.room().await;
            let waited = before.elapsed();
            assert!(waited > PATIENCE_CONNECTED && waited <= Duration::from_secs(10), "{waited:?}");
            assert!(log.room().now_or_never().is_some(), "from here on the oldest lines go");
        };
        tokio::join!(command, answers);
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_no_line_unsaved() {
        let (now, second, hour) = (now_ns(), 1_000_000_000, 3_600_000_000_000);
        assert_eq!(waited_since(now - second / 4, now), now - second);
        let line = now;
        assert!(waited_since(now, now - hour) >= line, "the line is an hour ahead of the clock");
        assert!(waited_since(now - hour, now - hour + second / 4) < now - hour, "new ones wait as ever");
    }
}
