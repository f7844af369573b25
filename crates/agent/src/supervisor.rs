//! From the start of the command to the agent's end: signals, the timeout, the grace period, and who may
//! cut short what is left to do when the command has ended.

use std::fs;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;
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

/// What images name as their `STOPSIGNAL` beside SIGTERM and SIGINT, as container runtimes number them: SIGQUIT
/// (nginx, php-fpm), SIGUSR1 (haproxy), SIGWINCH (httpd), SIGRTMIN+3 (systemd). As PID 1 the agent would never notice
/// the last two.
const OF_IMAGES: [i32; 4] = [3, 10, 28, 37];

/// Those that whoever starts a program may have it ignore: nohup does so with the first, and a shell with the others for
/// what it runs in the background. An agent that listened for them would hand them on to a command that
/// would have outlived them without it.
const MAY_BE_IGNORED: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT];

/// Once the command has ended, these ask the agent to end as well.
const END: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];

/// Whoever stops a machine sends one of these to all that runs: SIGINT, SIGKILL, SIGTERM.
const TO_ALL: [Signal; 3] = [Signal::SIGINT, Signal::SIGKILL, Signal::SIGTERM];

/// Then the command may be the first to end by it, and the agent hears of it no later than this.
const ITS_OWN: Duration = Duration::from_millis(100);

/// So long the rest may take when it is cut short: a last try, for a server that answers.
const LAST_TRY: Duration = Duration::from_secs(1);

/// Far enough to be never.
const NEVER: Duration = Duration::from_hours(24 * 365 * 30);

/// Listens for signals. Made before the command starts, so that none is missed.
#[derive(Debug)]
pub struct Supervisor {
    children: Signals,
    forwarded: Vec<Forwarded>,
    /// Since the agent was asked to end: by when all has to be done.
    last_moment: Option<Instant>,
    last_try: watch::Sender<bool>,
}

/// A signal that reaches the command.
#[derive(Debug)]
struct Forwarded {
    heard: Heard,
    signals: Signals,
}

/// What the agent was sent.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// As it came.
    number: i32,
    /// As the command gets it.
    signal: Signal,
    /// Whether it asks the command to stop.
    stops: bool,
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its end.
    pub ended: Ended,
    /// Whether it was stopped because it ran too long.
    pub timed_out: bool,
    /// The first signal by which somebody asked the agent to stop it, as it was sent.
    pub asked: Option<i32>,
}

impl Supervisor {
    /// From here on the agent no longer dies of the signals that it forwards. Those that it was started to ignore it
    /// does not forward. `image_stop_signals`: what an image may name for that asks for a stop, too.
    pub fn new(image_stop_signals: bool) -> Result<Self> {
        let listen = |number| signal(SignalKind::from_raw(number)).context("cannot listen for signals");
        // A key that is pressed, and a window that changes its size, are no wish to stop it.
        let of_images: &[i32] =
            if image_stop_signals && !io::stdin().is_terminal() { &OF_IMAGES } else { &[] };
        let ignored = ignored_from_the_start();
        let is_heard =
            |(name, _): &(Signal, bool)| !ignored.contains(name) && !of_images.contains(&(*name as i32));
        let as_they_are =
            FORWARDED.into_iter().filter(is_heard).map(|(signal, stops)| (signal as i32, signal, stops));
        let as_sigterm = of_images.iter().map(|number| (*number, Signal::SIGTERM, true));
        let forwarded = as_they_are
            .chain(as_sigterm)
            .map(|(number, signal, stops)| {
                Ok(Forwarded { heard: Heard { number, signal, stops }, signals: listen(number)? })
            })
            .collect::<Result<_>>()?;
        let (last_try, _) = watch::channel(false);
        Ok(Self { children: listen(Signal::SIGCHLD as i32)?, forwarded, last_moment: None, last_try })
    }

    /// Becomes true when a signal leaves time for a last try of what comes after the command's end, and for no more.
    pub fn last_try(&self) -> watch::Receiver<bool> {
        self.last_try.subscribe()
    }

    /// Waits until the command has ended, and stops it when it is time or when it is asked for.
    pub async fn supervise(&mut self, child: &Child, timeout: Option<Duration>, grace: Duration) -> Outcome {
        let start = Instant::now();
        let mut deadline = pin!(sleep_until(start + timeout.unwrap_or(NEVER).min(NEVER)));
        let mut kill = pin!(sleep_until(start + NEVER));
        let (mut timed_out, mut stopping, mut killed) = (false, false, false);
        let mut asked = None;
        loop {
            if let Some(ended) = child.reap() {
                let asked = asked.or(self.asked_meanwhile(child));
                if asked.is_some() || timed_out || !may_be_of_all(ended) {
                    return Outcome { ended, timed_out, asked };
                }
                return Outcome { ended, timed_out, asked: self.asked_as_well(child).await };
            }
            // Each branch is cancel safe: signals are kept until they are received, and sleeps go on.
            tokio::select! {
                _ = self.children.recv() => {}
                heard = next_signal(&mut self.forwarded) => {
                    if is_of_the_keyboard(child, heard.signal) {
                        continue;
                    }
                    child.signal(heard.signal);
                    if heard.stops {
                        asked = asked.or(Some(heard.number));
                    }
                    if heard.stops && !stopping {
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

    /// What came before the command's end was meant for the command: Ctrl-C ends it first, and must not
    /// cost the log its flush. Gives the first signal of these by which somebody asked for that end.
    fn asked_meanwhile(&mut self, child: &Child) -> Option<i32> {
        let mut asked = None;
        while let Some(heard) = next_signal(&mut self.forwarded).now_or_never() {
            if heard.stops && !is_of_the_keyboard(child, heard.signal) {
                asked = asked.or(Some(heard.number));
            }
        }
        asked
    }

    /// Whether what ended the command was sent to the agent as well, and so to all. It came after that end, and cuts the
    /// rest short like any that does.
    async fn asked_as_well(&mut self, child: &Child) -> Option<i32> {
        let mut waiting = pin!(sleep_until(Instant::now() + ITS_OWN));
        loop {
            // Cancel safe: signals are kept until they are received, and the sleep goes on.
            tokio::select! {
                biased;
                heard = next_signal(&mut self.forwarded) => {
                    if is_of_the_keyboard(child, heard.signal) {
                        continue;
                    }
                    if END.contains(&heard.signal) {
                        self.cut_short();
                    }
                    if heard.stops {
                        return Some(heard.number);
                    }
                }
                () = &mut waiting => return None,
            }
        }
    }

    /// Gives what `future` gives, if that is before `deadline`, which a signal brings forward for this and
    /// for all that comes after. For the time after the command's end.
    pub async fn within<T>(&mut self, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        loop {
            let until = self.last_moment.map_or(deadline, |last| last.min(deadline));
            // Cancel safe: signals are kept until they are received, and `future` goes on.
            tokio::select! {
                biased;
                output = &mut future => return Some(output),
                () = asked_to_end(&mut self.forwarded), if self.last_moment.is_none() => self.cut_short(),
                () = sleep_until(until) => return None,
            }
        }
    }

    /// What comes after the command's end has time for a last try.
    fn cut_short(&mut self) {
        self.last_moment.get_or_insert_with(|| Instant::now() + LAST_TRY);
        self.last_try.send_replace(true);
    }

    /// Whether a signal has cut short what comes after the command's end.
    pub const fn is_asked_to_end(&self) -> bool {
        self.last_moment.is_some()
    }
}

/// Whether the command has got it from the terminal by itself.
fn is_of_the_keyboard(child: &Child, signal: Signal) -> bool {
    child.hears_the_keyboard() && matches!(signal, Signal::SIGINT | Signal::SIGQUIT)
}

/// Whether the command, or what its shell ran, ended by a signal that may have been meant for all.
fn may_be_of_all(ended: Ended) -> bool {
    TO_ALL.into_iter().any(|signal| ended.exit_code() == Ended::Signalled(signal as i32).exit_code())
}

/// Left alone, they are ignored by the command as well.
fn ignored_from_the_start() -> Vec<Signal> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    // The lowest bit is the first signal, which is 1.
    MAY_BE_IGNORED.into_iter().filter(|signal| (mask >> (*signal as i32 - 1)) & 1 == 1).collect()
}

/// A signal that means the agent, now that there is no command to forward it to.
async fn asked_to_end(forwarded: &mut [Forwarded]) {
    while !END.contains(&next_signal(forwarded).await.signal) {}
}

/// The next signal that is to be forwarded.
async fn next_signal(forwarded: &mut [Forwarded]) -> Heard {
    let receive = forwarded.iter_mut().map(|Forwarded { heard, signals }| {
        Box::pin(async move {
            signals.recv().await;
            *heard
        })
    });
    futures::future::select_all(receive).await.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child;
    use nix::sys::signal::raise;
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    use tokio::sync::Mutex;
    use tokio::time::sleep;

    const MOMENT: Duration = Duration::from_millis(100);

    /// Signals and children are the whole process's.
    static ALONE: Mutex<()> = Mutex::const_new(());

    /// A command that has ended, and that nobody has waited for.
    fn dead(script: &str) -> Child {
        let (child, _pipes) = child::start(&["sh".into(), "-c".into(), script.into()]).unwrap();
        waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        child
    }

    /// Sends a signal to this very process, and waits until all who listen can hear of it.
    async fn send(name: Signal) {
        let mut heard = signal(SignalKind::from_raw(name as i32)).unwrap();
        raise(name).unwrap();
        heard.recv().await.unwrap();
    }

    /// As where a machine goes down: whoever hears of the command's end first must know of the signal all the same.
    #[tokio::test]
    async fn a_signal_that_came_before_the_commands_end_was_heard_of_has_asked_for_it() {
        let _alone = ALONE.lock().await;
        let mut supervisor = Supervisor::new(false).unwrap();
        let child = dead("exit 3");
        send(Signal::SIGHUP).await;
        send(Signal::SIGTERM).await;
        send(Signal::SIGINT).await;
        let outcome = supervisor.supervise(&child, None, MOMENT).await;
        assert_eq!((outcome.ended, outcome.asked), (Ended::Exited(3), Some(Signal::SIGTERM as i32)));
        assert!(!supervisor.is_asked_to_end(), "what comes after it has all its time");
        let outcome = supervisor.supervise(&dead("exit 3"), None, MOMENT).await;
        assert_eq!(outcome.asked, None, "it is its own end");
    }

    #[tokio::test]
    async fn what_ends_by_a_signal_that_the_agent_gets_a_moment_later_was_asked_to() {
        let _alone = ALONE.lock().await;
        for script in ["kill -TERM $$", "exit 143"] {
            let mut supervisor = Supervisor::new(false).unwrap();
            let last_try = supervisor.last_try();
            let child = dead(script);
            let asked = {
                let mut ending = pin!(supervisor.supervise(&child, None, MOMENT));
                assert!(futures::poll!(ending.as_mut()).is_pending(), "it waits for a signal of its own");
                raise(Signal::SIGTERM).unwrap();
                ending.await.asked
            };
            assert_eq!(asked, Some(Signal::SIGTERM as i32), "{script}");
            assert!(supervisor.is_asked_to_end() && *last_try.borrow(), "{script}: it means the agent, too");
        }
        let mut supervisor = Supervisor::new(false).unwrap();
        let child = dead("kill -KILL $$");
        let outcome = supervisor.supervise(&child, None, MOMENT).await;
        assert_eq!((outcome.ended, outcome.asked), (Ended::Signalled(9), None), "nobody else was sent any");
        assert!(!supervisor.is_asked_to_end());
    }

    /// Ctrl-C reaches the command and the agent at once, and the agent may hear of the end before the signal. By
    /// SIGTERM, which no shell has what it runs in the background ignore.
    #[tokio::test]
    async fn only_a_signal_from_after_the_commands_end_cuts_the_rest_short() {
        let _alone = ALONE.lock().await;
        let mut supervisor = Supervisor::new(false).unwrap();
        let (child, _pipes) = child::start(&["true".into()]).unwrap();
        raise(Signal::SIGTERM).unwrap();
        sleep(MOMENT).await;
        supervisor.supervise(&child, None, MOMENT).await;
        let for_ever = std::future::pending::<()>;
        assert_eq!(supervisor.within(Instant::now() + MOMENT, for_ever()).await, None);
        assert!(!supervisor.is_asked_to_end());

        raise(Signal::SIGTERM).unwrap();
        assert_eq!(supervisor.within(Instant::now() + 30 * LAST_TRY, for_ever()).await, None);
        assert!(supervisor.is_asked_to_end());
        assert_eq!(supervisor.within(Instant::now() + 30 * LAST_TRY, for_ever()).await, None);
        assert_eq!(supervisor.within(Instant::now() + LAST_TRY, async { 1 }).await, Some(1));
    }
}
