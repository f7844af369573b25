//! What goes into the log of a task's own: what keeps its workers from getting on, and how they ended
//! where that was not their command's own doing. Each thing once, as long as this process remembers.

use std::collections::BTreeMap;

use crate::ids::WorkerId;
use crate::logs::{Narration, Narrator};
use crate::name;
use crate::record::{Records, TaskRecord, Update};
use crate::runtime::{Observation, Phase};
use crate::status::{Class, Notification, State};

/// Remembers what was told.
#[derive(Debug)]
pub(super) struct Telling {
    narrator: Narrator,
    obstacles: BTreeMap<WorkerId, String>,
    /// The last one of each worker.
    untold: BTreeMap<WorkerId, Notification>,
}

impl Telling {
    pub(super) fn new(narrator: Narrator) -> Self {
        Self { narrator, obstacles: BTreeMap::new(), untold: BTreeMap::new() }
    }

    /// Obstacles that are new or have changed: into the task's log, and as notifications.
    pub(super) fn obstacles(&mut self, records: &Records, observation: &Observation) {
        self.obstacles.retain(|worker, _| observation.contains_key(worker));
        for (worker, observed) in observation {
            let Phase::Pending { obstacle: Some(obstacle), .. } = &observed.phase else { continue };
            if self.obstacles.get(worker) == Some(&obstacle.message) {
                continue;
            }
            let Some(task) = records.task(&observed.record) else { continue };
            self.line(task, format!("worker {worker} waits: {}", obstacle.message), obstacle.since);
            self.obstacles.insert(worker.clone(), obstacle.message.clone());
            let notification = Notification {
                task_id: task.spec().task_id.clone(),
                worker_id: worker.clone(),
                state: State::Pending,
                class: None,
                exit_code: None,
                reason: obstacle.message.clone(),
                obstacle: Some(obstacle.kind.as_str()),
                at: obstacle.since,
            };
            self.untold.insert(worker.clone(), notification);
        }
    }

    /// Notifications that are not on the status stream yet.
    pub(super) fn untold(&mut self) -> Vec<Notification> {
        std::mem::take(&mut self.untold).into_values().collect()
    }

    /// They could not be told. What was noticed since is newer.
    pub(super) fn tell_again(&mut self, untold: Vec<Notification>) {
        for notification in untold {
            self.untold.entry(notification.worker_id.clone()).or_insert(notification);
        }
    }

    /// Ends that were neither the command's own nor asked for, and the end of it all.
    pub(super) fn written(&self, task: &TaskRecord, update: &Update) {
        for told in &update.notifications {
            let Some(class @ (Class::Infra | Class::Policy)) = told.class else { continue };
            let class = class.as_str();
            let text = format!("worker {} {} ({class}): {}", told.worker_id, told.state, told.reason);
            self.line(task, text, told.at);
        }
        if task.is_finished() {
            self.narrator.tell(Narration::End { log: name::events(&task.spec().task_id, task.id()) });
        }
    }

    fn line(&self, task: &TaskRecord, text: String, at: jiff::Timestamp) {
        let task_id = task.spec().task_id.clone();
        let log = name::events(&task_id, task.id());
        self.narrator.tell(Narration::Line { task: task_id, log, text, at });
    }
}
