//! Ships the log: connects, registers, streams, and starts over after every cut, until all is durable.
//!
//! What an answer means is decided in [`session`], which is pure; this module only acts on it.

mod connector;
pub(crate) mod denial;
mod entries;
mod finish;
pub mod flight;
mod greeting;
mod identity;
pub(crate) mod link;
pub(crate) mod link_error;
mod pace;
pub(crate) mod registration;
mod retries;
pub mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use ottoscaler_proto::checksum::Checked;
use ottoscaler_proto::v1::WorkerCompletion;
use rand::Rng;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::buffer::WhenFull;
use crate::config::Compression;
use crate::log::Log;
use denial::Denials;
use entries::EntryLink;
pub use finish::Finish;
pub use identity::Identity;
use link::Link;
use link_error::LinkError;
use pace::Pace;
use registration::Registration;

/// Waits between attempts: from 100 ms, doubling, to 2 s, jittered, for ever.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// At the deadline a log that is not whole is closed, if that is quick.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What became of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// log-ingest says that it is whole.
    Complete,
    /// It is not, and why.
    Incomplete(String),
}

/// Why a log ends before all of it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The flush timeout has passed.
    ByTimeout,
    /// A signal asked the agent to end.
    BySignal,
}

impl Cut {
    /// For the gap at the end of the log.
    const fn reason(self) -> &'static str {
        match self {
            Self::ByTimeout => "flush_timeout",
            Self::BySignal => "flush_interrupted",
        }
    }
}

/// How lines go to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Batches,
    /// To a server that knows nothing else. What it once did it can do for ever, so this is not tried anew.
    Entries,
}

/// Ships one worker's log.
pub struct Shipper {
    identity: Identity,
    log: Arc<Log>,
    finish: watch::Receiver<Option<Finish>>,
    last_try: watch::Receiver<bool>,
    registration: Registration,
    wire: Wire,
    denials: Denials,
    /// Since the last time that it was connected.
    failed_attempts: u64,
    /// In all.
    disconnects: u64,
}

impl Shipper {
    /// Of `log`; it is complete once `finish` holds the command's end. Once `last_try` is true there is no time left to
    /// wait for a better moment. Both senders live for as long as it ships.
    pub fn new(
        identity: Identity,
        log: Arc<Log>,
        finish: watch::Receiver<Option<Finish>>,
        last_try: watch::Receiver<bool>,
    ) -> Self {
        Self {
            identity,
            log,
            finish,
            last_try,
            registration: Registration::default(),
            wire: Wire::Batches,
            denials: Denials::default(),
            failed_attempts: 0,
            disconnects: 0,
        }
    }

    /// What it ships.
    pub fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }

    /// Connections that ended before the log did, or never came to be.
    pub const fn disconnects(&self) -> u64 {
        self.disconnects
    }

    /// Ships until the log is complete, or until the server says that it never will be. Cancel safe:
    /// what is not acknowledged stays in the log.
    pub async fn run(&mut self) -> Shipped {
        let mut waits = waits();
        loop {
            let before = self.log.buffer().acked();
            let ended = self.connection().await;
            self.log.disconnected();
            let got_on = self.log.buffer().acked() > before;
            if got_on {
                waits = self::waits();
            }
            self.log.buffer().rewind();
            let denial = ended.as_ref().err().filter(|_| !got_on).and_then(LinkError::denial);
            let is_believed = self.denials.is_believed(denial, Instant::now());
            match ended {
                Ok(shipped) => return shipped,
                Err(LinkError::Permanent(reason)) => return self.give_up(reason),
                Err(LinkError::NoEncoding) => {
                    if is_believed {
                        self.send_uncompressed();
                    }
                    continue;
                }
                Err(LinkError::NoBatches) => {
                    if is_believed {
                        self.take_lines_one_by_one();
                    }
                    continue;
                }
                Err(error) => {
                    if is_believed {
                        self.hold_back_no_longer(&error);
                    }
                    self.say_once(&error, got_on);
                }
            }
            // The builder has no end; the fallback only satisfies the type.
            let wait = tokio::time::sleep(waits.next().unwrap_or(LONGEST_WAIT));
            // Cancel safe: whoever looks at it later finds the value itself.
            tokio::select! {
                () = wait => {}
                _ = self.last_try.changed() => {}
            }
        }
    }

    /// From connecting to the end of the log, or of the connection.
    async fn connection(&mut self) -> Result<Shipped, LinkError> {
        let (mut client, objection) = link::connect(&self.identity.ingest_url).await?;
        let renewed = self.registration.renew(&self.identity, &self.log, &mut client).await;
        let answer = renewed.map_err(|error| objection.explain(error))?;
        match self.wire {
            Wire::Batches => {
                let pace = Pace::of(answer.config.as_ref());
                let mut link =
                    Link::open(&self.identity, client, &answer.session_id, &self.log, pace).await?;
                self.registration.resume(&self.identity, &self.log, &answer)?;
                self.connected();
                link.run(&mut self.finish, &mut self.last_try).await
            }
            Wire::Entries => {
                let mut link = EntryLink::open(&self.identity, client, &answer, &self.log);
                self.registration.resume_anywhere();
                self.connected();
                link.run(&mut self.finish, &mut self.last_try).await
            }
        }
    }

    /// What the server cannot read today it will hardly learn while this command runs.
    fn send_uncompressed(&mut self) {
        let compression = self.identity.compression;
        info!(worker_id = %self.identity.worker_id, ?compression, "the server does not know it; going on without");
        self.identity.compression = Compression::None;
    }

    fn take_lines_one_by_one(&mut self) {
        info!(worker_id = %self.identity.worker_id, "the server takes lines one by one");
        self.wire = Wire::Entries;
    }

    fn connected(&mut self) {
        self.log.connected();
        if self.failed_attempts > 0 {
            let attempts = self.failed_attempts;
            info!(worker_id = %self.identity.worker_id, attempts, "connected again");
            self.failed_attempts = 0;
        }
    }

    /// One line for an outage, not one for each attempt; and none to speak of for a connection that did its
    /// work and ended, as those do that a server lets grow only so old.
    fn say_once(&mut self, error: &LinkError, got_on: bool) {
        self.disconnects += 1;
        if got_on {
            info!(worker_id = %self.identity.worker_id, %error, "the connection ended; making a new one");
            return;
        }
        self.log.held_up(&error.to_string());
        if self.failed_attempts == 0 {
            let url = &self.identity.ingest_url;
            warn!(worker_id = %self.identity.worker_id, url, %error, "not connected; the lines wait");
        }
        self.failed_attempts += 1;
    }

    /// It may be a proxy's word all the same: the lines go on to wait, and to the spool, until the flush is over.
    /// Only a command that waits for its log is not held back for it, until the server takes lines.
    fn hold_back_no_longer(&self, denied: &LinkError) {
        if self.log.buffer().when_full() == WhenFull::DropOldest {
            return;
        }
        warn!(worker_id = %self.identity.worker_id, %denied, "the server takes no lines; until it does the command does not wait");
        self.log.let_go();
    }

    /// The lines have nowhere to go, and must not hold the command back for it.
    fn give_up(&self, reason: String) -> Shipped {
        warn!(worker_id = %self.identity.worker_id, reason, "the server refuses this log");
        self.log.buffer().abandon();
        self.log.freed();
        Shipped::Incomplete(reason)
    }

    /// There is no more time. What is left goes to the spool, and the log stays open for it; gives where that
    /// is. Where it has no room, the log is closed as it is, so that its readers need not wait for more.
    pub async fn end_early(&self, finish: Finish, cut: Cut) -> Option<PathBuf> {
        let last = self.log.buffer().last();
        let whole = finish.completion(self.identity.worker_id.as_str(), last);
        let left = self.log.buffer().leave_behind(&whole);
        // A completion names no run, so it is left alone where the log may be another run's.
        if left.is_none() && self.registration.is_confirmed() {
            // Without a line nothing is given up, and a reason would stand for one that nobody wrote.
            let reason = if last > 0 { cut.reason() } else { "" };
            self.close(WorkerCompletion { reason: reason.to_owned(), ..whole }).await;
        }
        left
    }

    async fn close(&self, completion: WorkerCompletion) {
        let close = async {
            let (mut client, _) = link::connect(&self.identity.ingest_url).await?;
            client.complete_worker(completion.sealed()).await.map_err(LinkError::from)
        };
        match tokio::time::timeout(CLOSE_TIMEOUT, close).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => warn!(%error, "the log could not be closed"),
            Err(_) => warn!("the log could not be closed in time"),
        }
    }
}

pub(crate) fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .without_max_times()
        .with_jitter()
        // Without a seed of its own every agent would wait as long as all the others.
        .with_jitter_seed(rand::rng().random())
        .build()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tonic::Code;

    use super::*;
    use crate::batch::Source;
    use crate::ids::{Incarnation, WorkerId};
    use crate::line::Ending;
    use crate::spool::Spool;
    use denial::Denial;

    fn fill(log: &Log) {
        while log.buffer().has_room() {
            log.buffer().push(0, Source::Stdout, b"line", Ending::Newline);
        }
    }

    #[tokio::test]
    async fn p7_a_command_that_waits_for_its_log_is_not_held_back_by_a_denial_that_lasts() {
        let worker_id = WorkerId::made_up();
        let identity = Identity {
            ingest_url: String::new(),
            compression: Compression::None,
            task_id: worker_id.clone().into(),
            worker_id,
            attempt: 1,
            incarnation: Incarnation::random(),
        };
        let log = Arc::new(Log::new(256 << 10, WhenFull::Block, 64 << 10, Spool::none()));
        fill(&log);
        let (_finished, finish) = watch::channel(None);
        let (_supervisor, last_try) = watch::channel(false);
        let shipper = Shipper::new(identity, Arc::clone(&log), finish, last_try);
        assert!(log.room().now_or_never().is_none(), "it waits");
        let denial = Denial::Registration(Code::Unimplemented);
        shipper.hold_back_no_longer(&LinkError::Denied(denial, "no such call".to_owned()));
        log.room().await;
        assert_eq!(log.buffer().dropped(), 0, "and what was printed before still waits for its server");

        log.buffer().take_all();
        log.buffer().ack(1);
        log.freed();
        assert_eq!(log.buffer().when_full(), WhenFull::Block, "it has come, and was denied for no longer");
        fill(&log);
        assert!(log.room().now_or_never().is_none(), "so the command waits again");
        log.stop_blocking();
        log.buffer().ack(2);
        log.freed();
        assert_eq!(log.buffer().when_full(), WhenFull::DropOldest, "but not once it has ended");
    }
}
