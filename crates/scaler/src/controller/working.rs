//! Starts the work that was decided, and learns what came of it. Work ends within the time limits of its
//! calls; a worker with which something did not work is left alone until the next tick.

use std::sync::Arc;

use anyhow::{Result, bail};

use super::Controller;
use super::hands::{Adopted, Done, Work};
use crate::ids::{RecordId, WorkerId};
use crate::logs::LogAnswer;
use crate::name;
use crate::reconcile::{Action, Busy};
use crate::record::{Record, WorkerSpec};
use crate::runtime::{Observation, Runtime};

/// So many pieces of work other than creates run at once, so that neither holds up the other: ended
/// workers go while new ones come.
const OTHER_WORK: usize = 32;

impl<R: Runtime> Controller<R> {
    /// Starts the work, and gives what is to be written. What depends on a record being written is
    /// only decided in a later pass.
    pub(super) fn start(&mut self, actions: Vec<Action>, observation: &Arc<Observation>) -> Vec<Action> {
        let mut others = self.work.len().saturating_sub(self.creating() + self.log_work.taken());
        let mut writes = Vec::new();
        for action in actions {
            let work = match action {
                Action::Record(_) | Action::ApplyScaleDown { .. } => {
                    writes.push(action);
                    continue;
                }
                Action::Create(spec) => {
                    self.pace.started();
                    self.busy.insert(spec.worker_id.clone(), Busy::Creating);
                    self.spawn(Work::Create(spec));
                    continue;
                }
                Action::AskLogs { .. } | Action::CloseLog(_) if !self.log_work.take(&action) => continue,
                Action::AskLogs { task, workers } => {
                    self.begin(Work::AskLogs(task, workers));
                    continue;
                }
                Action::CloseLog(closing) => {
                    self.begin(Work::CloseLog(closing));
                    continue;
                }
                _ if others >= OTHER_WORK => continue,
                Action::Adopt { worker, record } => {
                    let is_new = !self.strangers.contains(&worker) && self.adopting.insert(record.clone());
                    if !is_new {
                        continue;
                    }
                    Work::Adopt(worker, record, Arc::clone(observation))
                }
                Action::Stop(worker) => Work::Stop(worker),
                Action::Remove(worker) => Work::Remove(worker),
            };
            others += 1;
            self.begin(work);
        }
        writes
    }

    fn begin(&mut self, work: Work) {
        self.mark_busy(&work);
        self.spawn(work);
    }

    fn mark_busy(&mut self, work: &Work) {
        let workers: &[WorkerId] = match work {
            Work::Create(_) => &[],
            Work::Stop(worker) | Work::Remove(worker) | Work::Adopt(worker, ..) => {
                std::slice::from_ref(worker)
            }
            Work::AskLogs(_, workers) => workers,
            Work::CloseLog(closing) => std::slice::from_ref(&closing.worker),
        };
        for worker in workers {
            self.busy.insert(worker.clone(), Busy::Otherwise);
        }
    }

    /// Work ends within the time limit of its calls, and its end is always learned of.
    fn spawn(&mut self, work: Work) {
        self.work.spawn(self.hands.clone().work(work));
    }

    pub(super) fn learn(&mut self, done: Result<Done, tokio::task::JoinError>) -> Result<()> {
        let done = match done {
            Ok(done) => done,
            Err(error) => bail!("work of the controller failed: {error}"),
        };
        match done {
            Done::Worker(worker) => drop(self.busy.remove(&worker)),
            Done::Created(spec) => {
                self.busy.remove(&spec.worker_id);
                self.pace.succeeded();
                self.asides.succeeded(&record_of(&spec));
            }
            Done::NotCreated(spec, error) => {
                self.busy.remove(&spec.worker_id);
                if error.is_transient() {
                    self.pace.failed(&error);
                    self.asides.failed(&record_of(&spec), error.reason());
                } else {
                    self.owed.push((spec, error.reason().to_owned()));
                }
            }
            // It stays busy until the next tick: to try again at once would be a busy loop.
            Done::Failed(worker) => self.resting.push(worker),
            Done::Logs(answers) => {
                self.log_work.asked();
                for (worker, answer) in answers {
                    self.busy.remove(&worker);
                    self.know_log(worker, answer);
                }
            }
            Done::Closed(worker, answer) => {
                self.log_work.closed();
                self.busy.remove(&worker);
                self.know_log(worker, answer);
            }
            Done::NotClosed(worker) => {
                self.log_work.closed();
                self.resting.push(worker);
            }
            Done::Adopted(worker, record, adopted) => {
                self.adopting.remove(&record);
                self.busy.remove(&worker);
                self.adopted(&worker, adopted);
            }
        }
        Ok(())
    }

    fn know_log(&mut self, worker: WorkerId, answer: LogAnswer) {
        let answer = answer.after(self.logs.get(&worker));
        self.logs.insert(worker, answer);
    }

    fn adopted(&mut self, worker: &WorkerId, adopted: Adopted) {
        match adopted {
            Adopted::Record(task) => self.records.replace(Record::Task(task)),
            Adopted::Rebuilt(task) => {
                let task_id = &task.spec().task_id;
                tracing::warn!(%task_id, record = %task.id(), "redis has lost a record; it is written again");
                self.hands.metrics.records_rebuilt.inc();
                self.records.replace(Record::Task(task));
            }
            Adopted::Nobody => {
                tracing::warn!(worker_id = %worker, "a worker is there and nobody asked for it; it is left alone");
                self.strangers.insert(worker.clone());
            }
            Adopted::Unknown(error) => {
                tracing::warn!(worker_id = %worker, error, "cannot tell whose worker it is; trying again");
                self.busy.insert(worker.clone(), Busy::Otherwise);
                self.resting.push(worker.clone());
            }
        }
    }
}

fn record_of(spec: &WorkerSpec) -> RecordId {
    name::task_record(&spec.identity.task_id, &spec.identity.request_id)
}
