//! Writes of records: all of one record in one step where it is not too large, else one step after
//! another, since the last one also finishes it; those of different records side by side.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use jiff::Timestamp;
use redis::{RedisError, RedisResult};

use super::{Controller, Next, Reload};
use crate::ids::{RecordId, WorkerIndex};
use crate::metrics::kind;
use crate::reconcile::{Action, refused};
use crate::record::{Slot, Store, TaskRecord, Update, Write, Written, is_fenced};
use crate::runtime::Runtime;

/// Records that are being written at once, over one connection.
const CONCURRENT_RECORDS: usize = 32;

/// Notifications in one script: while it runs, Redis does nothing else.
const TOLD_AT_ONCE: usize = 100;

/// How far the steps of a record got, and why no further.
type Wrote = (Vec<(Write, Written)>, Option<RedisError>);

impl<R: Runtime> Controller<R> {
    /// Carries out [`Action::Record`] and [`Action::ApplyScaleDown`].
    pub(super) async fn write(&mut self, actions: Vec<Action>) -> Next {
        let mut batches: BTreeMap<RecordId, Vec<Update>> = BTreeMap::new();
        let mut next = Next::OnChange;
        for action in actions {
            match action {
                Action::Record(update) => batches.entry(update.record.clone()).or_default().push(*update),
                Action::ApplyScaleDown { down, cancelled } => {
                    if let Err(error) = self.apply_scale_down(&down, cancelled).await {
                        return self.not_written(&error);
                    }
                    next = Next::AtOnce;
                }
                Action::Create(_)
                | Action::Stop(_)
                | Action::Adopt { .. }
                | Action::AskLogs { .. }
                | Action::CloseLog(_)
                | Action::Remove(_) => {}
            }
        }
        let store = &self.hands.store;
        let batches: Vec<Vec<Write>> = batches
            .into_iter()
            .map(|(record, updates)| {
                let finishes = finishes(self.records.task(&record), &updates);
                Write::steps(&record, &updates, finishes)
            })
            .collect();
        let wrote: Vec<Wrote> = futures::stream::iter(batches)
            .map(|steps| write_steps(store, steps))
            .buffer_unordered(CONCURRENT_RECORDS)
            .collect()
            .await;
        // What was written is told, whatever became of the rest.
        let mut failed = None;
        for (written, error) in wrote {
            for (write, written) in written {
                self.written(&write, written);
                next = Next::AtOnce;
            }
            failed = error.or(failed);
        }
        failed.map_or(next, |error| self.not_written(&error))
    }

    /// Writes the ends of workers that can never be made. While the copy of the records is in doubt they
    /// are forgotten: each will be refused again.
    pub(super) async fn write_owed(&mut self) -> Next {
        let now = Timestamp::now();
        let owed = std::mem::take(&mut self.owed).into_iter();
        if self.reload != Reload::No {
            return Next::OnChange;
        }
        let ends = owed.filter_map(|(spec, reason)| refused(&spec, &self.records, &reason, now));
        let ends = ends.map(|update| Action::Record(Box::new(update))).collect();
        self.write(ends).await
    }

    /// Puts what was noticed on the status stream.
    pub(super) async fn tell(&mut self) -> Next {
        // Told once more where the answer is lost: what is not told is noticed again by the next leader.
        let mut untold = self.telling.untold();
        while !untold.is_empty() {
            let part = &untold[..untold.len().min(TOLD_AT_ONCE)];
            if let Err(error) = self.hands.store.tell(part).await {
                self.telling.tell_again(untold);
                return self.not_written(&error);
            }
            untold.drain(..part.len());
        }
        Next::OnChange
    }

    fn written(&mut self, write: &Write, written: Written) {
        if written == Written::Nothing {
            self.hands.metrics.lost_records.inc();
            tracing::warn!(record = %write.record, "redis no longer has the record");
            if self.reload == Reload::No {
                self.reload = Reload::Again;
            }
        }
        for update in &write.updates {
            self.told(update);
        }
    }

    fn told(&mut self, update: &Update) {
        for told in &update.notifications {
            tracing::info!(
                task_id = %told.task_id,
                worker_id = %told.worker_id,
                state = %told.state,
                exit_code = told.exit_code,
                reason = told.reason,
                "worker changed"
            );
            if told.state.is_end() {
                self.hands.metrics.outcomes.get_or_create(&kind(told.state.as_str())).inc();
            }
        }
        self.records.set_slot(&update.record, update.index, update.slot.clone());
        if let Some(task) = self.records.task(&update.record) {
            self.telling.written(task, update);
        }
    }

    async fn apply_scale_down(
        &mut self,
        down: &RecordId,
        cancelled: Vec<(RecordId, WorkerIndex, Slot)>,
    ) -> RedisResult<()> {
        match self.hands.store.apply_scale_down(down, &cancelled).await? {
            Written::Done => {
                tracing::info!(record = %down, workers = cancelled.len(), "scale-down applied");
                for (record, index, slot) in cancelled {
                    self.records.set_slot(&record, index, slot);
                }
            }
            // An answer was lost before: what was chosen then is in Redis.
            Written::Nothing => self.reload = Reload::Again,
        }
        self.records.remove_scale_down(down);
        Ok(())
    }

    /// Writes records that Redis has lost as they are known here. One that is there after all was
    /// finished, and the answer was lost: what is in Redis counts.
    pub(super) async fn write_again(&mut self, lost: &[RecordId]) -> RedisResult<()> {
        for id in lost {
            let Some(task) = self.records.task(id) else { continue };
            if self.hands.store.rebuild(task, &[]).await? == Written::Done {
                self.hands.metrics.records_rebuilt.inc();
                tracing::warn!(record = %id, "redis had lost a record; it is written again");
            } else if let Some(Ok(record)) = self.hands.store.fetch(id).await? {
                self.records.replace(record);
            }
        }
        Ok(())
    }

    /// Not at once again: without Redis that would be a busy loop.
    fn not_written(&mut self, error: &RedisError) -> Next {
        if is_fenced(error) {
            tracing::warn!(error = %error, "another replica leads");
            return Next::Never;
        }
        self.redis_failed(error, "record cannot be written");
        Next::OnChange
    }

    pub(super) fn redis_failed(&mut self, error: &RedisError, what: &'static str) {
        self.hands.metrics.redis_failures.inc();
        if self.reload == Reload::No {
            self.reload = Reload::Again;
        }
        tracing::warn!(error = %error, problem = what, "redis failed; trying again");
    }
}

/// Whether these updates leave nothing of their task unsettled.
pub(crate) fn finishes(task: Option<&TaskRecord>, updates: &[Update]) -> bool {
    let Some(task) = task else { return false };
    let settled: BTreeSet<WorkerIndex> =
        updates.iter().filter(|update| update.slot.is_settled()).map(|update| update.index).collect();
    task.workers().all(|(index, slot)| slot.is_settled() || settled.contains(&index))
}

async fn write_steps(store: &Store, steps: Vec<Write>) -> Wrote {
    let mut done = Vec::new();
    for write in steps {
        match store.update_workers(&write).await {
            Ok(written) => done.push((write, written)),
            Err(error) => return (done, Some(error)),
        }
    }
    (done, None)
}
