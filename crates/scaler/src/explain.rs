//! What a task waits for, since when, and what will happen next: PURE, in words that an operator
//! understands. It says what [`crate::reconcile`] would decide, from the same facts.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::ids::{RecordId, TaskId, WorkerId, WorkerIndex};
use crate::reconcile::{Busy, Known, Policy, Trouble, queue};
use crate::record::{Log, Outcome, Progress, Slot, TaskRecord};
use crate::runtime::{Observed, ObstacleKind, Phase};
use crate::status::{Class, State};

/// What somebody wants to know.
#[derive(Debug)]
pub struct Question {
    /// About what.
    pub about: About,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Answer>,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// All tasks, in a line each.
    Tasks,
    /// One task.
    Task(TaskId),
}

/// What is known.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Records or workers were not read yet.
    NotYet,
    /// All tasks.
    Tasks(Tasks),
    /// One task: its requests, the earliest first.
    Task(TaskView),
    /// There is no such task, or it was finished long ago.
    NoTask,
}

/// All tasks that are not finished, or of which something is left to see.
#[derive(Clone, Debug, Serialize)]
pub struct Tasks {
    /// What takes up capacity, of what there is.
    pub workers_in_use: usize,
    /// `--max-workers`.
    pub max_workers: usize,
    /// Why no worker could be made last, if none was since: of all, or of some task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<TroubleView>,
    /// The tasks.
    pub tasks: Vec<TaskLine>,
}

/// A task in a line.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TaskLine {
    /// The task.
    pub task_id: String,
    /// How many of its workers are in which state.
    pub states: BTreeMap<&'static str, usize>,
}

/// One task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskView {
    /// The task.
    pub task_id: TaskId,
    /// Its workers.
    pub workers: Vec<WorkerView>,
}

/// One worker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerView {
    /// The worker: its current attempt.
    pub worker_id: WorkerId,
    /// The event that asked for it.
    pub request_id: String,
    /// Which attempt this is, of how many.
    pub attempt: String,
    /// Its state.
    pub state: State,
    /// Since when it is in it, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What it waits for now.
    pub waits_for: String,
    /// What will happen next.
    pub next: String,
    /// The command's exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The class of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Why it ended as it did, where there is something to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Its log, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// Attempts before this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Outcome>,
}

/// Why no worker could be made.
#[derive(Clone, Debug, Serialize)]
pub struct TroubleView {
    /// In the runtime's own words.
    pub reason: String,
    /// When that was.
    pub at: Timestamp,
}

/// What a worker waits for and what comes next, in words.
struct Words {
    since: Option<Timestamp>,
    waits_for: String,
    next: String,
}

impl Words {
    fn new(since: Option<Timestamp>, waits_for: impl Into<String>, next: impl Into<String>) -> Self {
        Self { since, waits_for: waits_for.into(), next: next.into() }
    }
}

/// Answers a question.
pub fn answer(about: &About, known: &Known<'_>, policy: &Policy, trouble: Option<&Trouble>) -> Answer {
    match about {
        About::Tasks => Answer::Tasks(tasks(known, policy, trouble)),
        About::Task(task) => task_view(task, known, policy, trouble),
    }
}

fn tasks(known: &Known<'_>, policy: &Policy, trouble: Option<&Trouble>) -> Tasks {
    let of_tasks = known.aside.values().map(|aside| &aside.trouble);
    let trouble = trouble.or_else(|| of_tasks.max_by_key(|trouble| trouble.at));
    let mut lines: BTreeMap<&TaskId, TaskLine> = BTreeMap::new();
    for task in known.records.tasks() {
        let task_id = &task.spec().task_id;
        let line = lines.entry(task_id).or_default();
        line.task_id = task_id.to_string();
        for (_, slot) in task.workers() {
            *line.states.entry(slot.progress.state().as_str()).or_default() += 1;
        }
    }
    Tasks {
        workers_in_use: crate::reconcile::in_use(known),
        max_workers: policy.max_workers.get(),
        trouble: trouble.map(|trouble| TroubleView { reason: trouble.reason.clone(), at: trouble.at }),
        tasks: lines.into_values().collect(),
    }
}

fn task_view(task_id: &TaskId, known: &Known<'_>, policy: &Policy, trouble: Option<&Trouble>) -> Answer {
    let of_task = known.records.tasks().filter(|task| task.spec().task_id == *task_id);
    let mut requests: Vec<_> = of_task.collect();
    if requests.is_empty() {
        return Answer::NoTask;
    }
    requests.sort_by_key(|task| task.spec().entry_id);
    let queue = queue(known).into_iter().enumerate().map(|(place, worker)| (worker, place)).collect();
    let in_use = crate::reconcile::in_use(known);
    let explain = Explain { known, policy, trouble, queue, in_use };
    let workers = requests.iter().flat_map(|task| {
        let view = |(index, slot): (WorkerIndex, &Slot)| explain.worker(task, index, slot);
        task.workers().map(view).collect::<Vec<_>>()
    });
    Answer::Task(TaskView { task_id: task_id.clone(), workers: workers.collect() })
}

struct Explain<'a> {
    known: &'a Known<'a>,
    policy: &'a Policy,
    trouble: Option<&'a Trouble>,
    /// How many come before each worker that waits.
    queue: BTreeMap<(RecordId, WorkerIndex), usize>,
    in_use: usize,
}

impl Explain<'_> {
    fn worker(&self, task: &TaskRecord, index: WorkerIndex, slot: &Slot) -> WorkerView {
        let worker_id = task.worker_id(index, slot.attempt);
        let observed = self.known.observation.get(&worker_id);
        let words = match &slot.progress {
            Progress::Ended(outcome) => self.ended(outcome, observed),
            Progress::Queued | Progress::Pending | Progress::Running => match observed {
                None => self.queued(task, index, slot, &worker_id),
                Some(observed) => self.alive(task, slot, observed),
            },
        };
        let outcome = slot.outcome();
        WorkerView {
            worker_id,
            request_id: task.spec().request_id.to_string(),
            attempt: format!("{} of {}", slot.attempt, task.spec().max_attempts),
            state: slot.progress.state(),
            since: words.since,
            waits_for: words.waits_for,
            next: words.next,
            exit_code: outcome.and_then(|outcome| outcome.exit_code),
            class: outcome.and_then(|outcome| outcome.verdict.class()),
            reason: outcome.map(|outcome| outcome.reason.clone()).unwrap_or_default(),
            log: outcome.map(|outcome| outcome.log.clone()),
            earlier: slot.earlier.clone(),
        }
    }

    fn queued(&self, task: &TaskRecord, index: WorkerIndex, slot: &Slot, worker: &WorkerId) -> Words {
        let since = Some(crate::reconcile::queued_at(task.spec(), slot));
        if self.known.busy.get(worker) == Some(&Busy::Creating) {
            return Words::new(since, "the runtime, which is making it", "it starts");
        }
        if slot.stop.is_some() {
            return Words::new(
                since,
                "nothing",
                "its end is put on record: it was cancelled before it was made",
            );
        }
        let before = self.queue.get(&(task.id().clone(), index)).copied().unwrap_or_default();
        let (in_use, max) = (self.in_use, self.policy.max_workers);
        let own = self.known.aside.get(task.id()).map(|aside| &aside.trouble);
        let waits_for = match (own, self.trouble) {
            (Some(trouble), _) => {
                format!("the runtime, which could not make it at {}: {}", trouble.at, trouble.reason)
            }
            (None, Some(trouble)) => {
                format!("the runtime, which makes no workers since {}: {}", trouble.at, trouble.reason)
            }
            (None, None) => {
                format!("capacity: {in_use} of {max} workers are in use, and {before} wait before it")
            }
        };
        let next = match task.spec().clocks.queue {
            Some(limit) => format!("it is made when its turn comes, or fails after {limit:?} of waiting"),
            None => "it is made when its turn comes; it may wait for ever".to_owned(),
        };
        Words::new(since, waits_for, next)
    }

    fn alive(&self, task: &TaskRecord, slot: &Slot, observed: &Observed) -> Words {
        let stopping = |since, why: &str| {
            let grace = self.policy.grace_period;
            let next = format!("its command has {grace:?} after SIGTERM, then it is killed");
            Words::new(since, format!("its end, which was asked for: {why}"), next)
        };
        match &observed.phase {
            Phase::Pending { since, obstacle } => match (&slot.stop, obstacle) {
                (Some(stop), _) => stopping(Some(*since), stop.reason()),
                (None, Some(obstacle)) => Words::new(
                    Some(obstacle.since),
                    obstacle.message.clone(),
                    self.after_obstacle(task, obstacle.kind),
                ),
                (None, None) => Words::new(Some(*since), "its command to start", self.pending_limit(task)),
            },
            Phase::Running { started_at } => {
                if let Some(stop) = &slot.stop {
                    return stopping(*started_at, stop.reason());
                }
                let limit = task.spec().clocks.run;
                let next = format!("its command is ended if it runs longer than {limit:?}");
                Words::new(*started_at, "its command to end", next)
            }
            Phase::Unstarted => Words::new(None, "capacity", "it is made again: nothing ran in it"),
            Phase::Ended(_) | Phase::Vanished { .. } => {
                Words::new(observed.phase.ended_at(), "its end to be put on record", "its log is asked for")
            }
        }
    }

    fn after_obstacle(&self, task: &TaskRecord, kind: ObstacleKind) -> String {
        let grace = self.policy.image_grace;
        match kind {
            ObstacleKind::Refused => "it fails at once (policy)".to_owned(),
            ObstacleKind::Image => format!("it fails (infra) if that lasts longer than {grace:?}"),
            ObstacleKind::Configuration => format!("it fails (policy) if that lasts longer than {grace:?}"),
            ObstacleKind::Unschedulable => self.pending_limit(task),
        }
    }

    fn pending_limit(&self, task: &TaskRecord) -> String {
        let limit: Duration = task.spec().clocks.pending.unwrap_or(self.policy.pending_timeout);
        format!("it fails (policy) if it does not start within {limit:?} of being made")
    }

    fn ended(&self, outcome: &Outcome, observed: Option<&Observed>) -> Words {
        let since = Some(outcome.ended_at);
        match (&outcome.log, observed) {
            (Log::Open, _) => {
                let drain = self.policy.drain_timeout;
                let next = format!("what is left of it stays until its log is complete, at most {drain:?}");
                Words::new(since, "log-ingest to say that its log is complete", next)
            }
            (_, Some(_)) => {
                let keep = self.policy.keep_ended;
                Words::new(since, "nothing", format!("what is left of it is removed {keep:?} after its end"))
            }
            (_, None) => Words::new(since, "nothing", "nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing::{at, exit, index, observed, outcome, policy, scale_up};
    use crate::record::{Record, Records, Verdict};
    use crate::runtime::{Observation, Obstacle};

    /// The only worker of a task, as it is explained.
    fn explained(progress: Progress, phase: Phase) -> serde_json::Value {
        let mut task = TaskRecord::new(scale_up("t", "r", 1, 1));
        let slot = Slot { progress, ..Slot::default() };
        let worker = task.worker_id(index(0), slot.attempt);
        task.set_slot(index(0), slot);
        let mut records = Records::default();
        records.insert(Record::Task(Box::new(task)));
        let known = Known {
            records: &records,
            observation: &Observation::from([(worker, observed(phase, false))]),
            logs: &BTreeMap::new(),
            busy: &BTreeMap::new(),
            may_create: 1,
            aside: &BTreeMap::new(),
            now: at(9),
        };
        let answer = answer(&About::Task("t".parse().unwrap()), &known, &policy(1), None);
        serde_json::to_value(answer).unwrap()["workers"][0].clone()
    }

    #[test]
    fn an_end_is_explained_with_its_reason() {
        let reason = "out of memory".to_owned();
        let ended = Outcome { reason, log: Log::Complete, ..outcome(Verdict::Failed(Class::Policy)) };
        let worker = explained(Progress::Ended(ended), Phase::Ended(exit(137)));
        assert_eq!((&worker["state"], &worker["class"]), (&"failed".into(), &"policy".into()));
        assert_eq!(worker["reason"], "out of memory");
    }

    #[test]
    fn an_obstacle_is_explained_with_what_comes_next() {
        let obstacle =
            Obstacle { kind: ObstacleKind::Image, message: "ImagePullBackOff".to_owned(), since: at(5) };
        let worker = explained(Progress::Pending, Phase::Pending { since: at(1), obstacle: Some(obstacle) });
        assert_eq!(worker["waits_for"], "ImagePullBackOff");
        assert_eq!(worker["next"], "it fails (infra) if that lasts longer than 30s");
        assert!(worker["reason"].is_null(), "{worker}");
    }
}
