//! From the start of the command to its end: signals, the timeout, the grace period.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::child::{Child, Ended};

/// The signals that reach the command, and whether they ask it to stop.
const FORWARDED: [(Signal, bool); 6] = [
    (Signal::SIGTERM, true),
    (Signal::SIGINT, true),
    (Signal::SIGHUP, false),
    (Signal::SIGQUIT, false),
    (Signal::SIGUSR1, false),
    (Signal::SIGUSR2, false),
];

/// Far enough to be never.
const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// Listens for signals. Made before the command starts, so that none is missed.
#[derive(Debug)]
pub struct Supervisor {
    children: Signals,
    forwarded: Vec<(Signal, bool, Signals)>,
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its end.
    pub ended: Ended,
    /// Whether it was stopped because it ran too long.
    pub timed_out: bool,
}

impl Supervisor {
    /// From here on the agent no longer dies of the signals that it forwards.
    pub fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        let forward =
            |(name, stops): (Signal, bool)| Ok((name, stops, listen(SignalKind::from_raw(name as i32))?));
        let forwarded = FORWARDED.into_iter().map(forward).collect::<Result<_>>()?;
        Ok(Self { children: listen(SignalKind::child())?, forwarded })
    }

    /// Waits until the command has ended, and stops it when it is time or when it is asked for.
    pub async fn supervise(&mut self, child: &Child, timeout: Option<Duration>, grace: Duration) -> Outcome {
        let start = Instant::now();
        let mut deadline = pin!(sleep_until(start + timeout.unwrap_or(NEVER).min(NEVER)));
        let mut kill = pin!(sleep_until(start + NEVER));
        let (mut timed_out, mut stopping, mut killed) = (false, false, false);
        loop {
            if let Some(ended) = child.reap() {
                return Outcome { ended, timed_out };
            }
            // Each branch is cancel safe: signals are kept until they are received, and sleeps go on.
            tokio::select! {
                _ = self.children.recv() => {}
                (signal, stops) = next_signal(&mut self.forwarded) => {
                    if child.hears_the_keyboard() && matches!(signal, Signal::SIGINT | Signal::SIGQUIT) {
                        continue;
                    }
                    child.signal(signal);
                    if stops && !stopping {
                        stopping = true;
                        kill.as_mut().reset(Instant::now() + grace);
                    }
                }
                () = &mut deadline, if !timed_out => {
                    timed_out = true;
                    child.signal(Signal::SIGTERM);
                    if !stopping {
                        stopping = true;
                        kill.as_mut().reset(Instant::now() + grace);
                    }
                }
                () = &mut kill, if stopping && !killed => {
                    killed = true;
                    child.signal(Signal::SIGKILL);
                }
            }
        }
    }
}

/// The next signal that is to be forwarded.
async fn next_signal(forwarded: &mut [(Signal, bool, Signals)]) -> (Signal, bool) {
    let receive = forwarded.iter_mut().map(|(name, stops, signals)| {
        Box::pin(async move {
            signals.recv().await;
            (*name, *stops)
        })
    });
    futures::future::select_all(receive).await.0
}
