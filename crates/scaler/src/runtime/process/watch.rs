//! Keeps what is known of the workers up to date with their directories.
//!
//! An agent of our own is looked at when it ends, and while its command has not started. An adopted
//! one is nobody's child here, so its lock is tried at an interval. Workers that have ended do not
//! change and cost nothing.

use std::io;
use std::time::Duration;

use anyhow::Result;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Agent, ProcessRuntime, SPAWNS, blocking};
use crate::ids::WorkerId;
use crate::runtime::Phase;

/// How often those are looked at that do not report by themselves. A start shows at most this late;
/// an end of our own agents shows at once.
const INTERVAL: Duration = Duration::from_millis(100);

/// Waits for agents and looks at directories.
#[derive(Debug)]
pub struct Watch {
    runtime: ProcessRuntime,
    children: mpsc::Receiver<(WorkerId, Child)>,
}

impl Watch {
    pub(super) fn new(runtime: ProcessRuntime, children: mpsc::Receiver<(WorkerId, Child)>) -> Self {
        Self { runtime, children }
    }

    /// Watches until `stop`; agents live on.
    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut waits: JoinSet<WorkerId> = JoinSet::new();
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Each branch is cancel safe: channel, set and interval keep what was not taken.
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some((id, child)) = self.children.recv() => drop(waits.spawn(ended(id, child))),
                Some(Ok(id)) = waits.join_next() => self.agent_ended(&id).await,
                _ = interval.tick() => self.look().await,
            }
        }
    }

    async fn agent_ended(&self, id: &WorkerId) {
        if let Some(worker) = self.runtime.workers().get_mut(id) {
            worker.agent = Agent::Adopted;
        }
        self.refresh(id).await;
    }

    async fn look(&self) {
        let is_due = |agent, phase: &Phase| match phase {
            Phase::Pending { .. } => true,
            Phase::Running { .. } => agent == Agent::Adopted,
            Phase::Unstarted | Phase::Ended(_) | Phase::Vanished { .. } => false,
        };
        let (mut due, mut stopping) = (Vec::new(), Vec::new());
        for (id, worker) in self.runtime.workers().iter() {
            if is_due(worker.agent, &worker.phase) {
                due.push(id.clone());
            }
            if worker.stop.is_some() && worker.phase.takes_capacity() {
                stopping.push(id.clone());
            }
        }
        for id in due {
            self.refresh(&id).await;
        }
        for id in stopping {
            if let Err(error) = self.runtime.pursue_stop(&id).await {
                tracing::warn!(worker_id = %id, %error, "worker cannot be stopped; trying again");
            }
        }
    }

    async fn refresh(&self, id: &WorkerId) {
        if let Err(error) = self.runtime.refresh(id).await {
            tracing::warn!(worker_id = %id, %error, "worker directory cannot be read; trying again");
        }
    }
}

impl ProcessRuntime {
    /// Reads a worker's directory again, and says so where it has changed.
    pub(super) async fn refresh(&self, id: &WorkerId) -> io::Result<()> {
        let Some(before) = self.worker(id) else { return Ok(()) };
        let dir = self.dir(id);
        let lives = before.agent == Agent::Child;
        let spawns = before.spawns;
        let phase = blocking(move || {
            let phase = dir.phase(lives)?;
            if phase == Phase::Unstarted && spawns >= SPAWNS {
                dir.bar("its agent ended again and again before it started the command; see agent.log")?;
                return dir.phase(lives);
            }
            Ok(phase)
        })
        .await?;
        let mut workers = self.workers();
        let Some(worker) = workers.get_mut(id) else { return Ok(()) };
        // Made again meanwhile: what was read is of the agent before.
        let is_news = !matches!(
            (&worker.phase, &phase),
            (Phase::Pending { .. }, Phase::Pending { .. }) | (Phase::Vanished { .. }, Phase::Vanished { .. })
        ) && worker.phase != phase;
        if worker.spawns == spawns && worker.agent == before.agent && is_news {
            worker.phase = phase;
            self.0.changed.notify_one();
        }
        Ok(())
    }
}

/// How it ended is in its directory.
async fn ended(id: WorkerId, mut child: Child) -> WorkerId {
    let _status = child.wait().await;
    id
}
