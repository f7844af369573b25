//! A cut through the logs of a task: for each of its workers the last line before it. Where a reader of all of them
//! stands, and what its cursor says.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::encoding::{decode_varint, encode_varint};
use sha2::{Digest, Sha256};

use super::cursor;
use super::error::ApiError;
use crate::ids::TaskId;
use crate::line::Sequence;
use crate::worker::WorkerState;

/// Workers of a task of which one log is made. Their cursor then takes 7 KiB, which is what proxies let a header and
/// an address have.
pub(super) const MAX_WORKERS: usize = 512;

/// Bytes that tell the logs of one task apart: two of 512 have the same once in 2^31 tasks.
const KEY: usize = 6;

/// Which log: one that came under the name of another that was forgotten is not the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key([u8; KEY]);

impl Key {
    fn of(state: &WorkerState) -> Self {
        let (worker, _) = state.names();
        let named = Sha256::new().chain_update(state.created_ns.to_be_bytes()).chain_update(worker.as_str());
        Self(*named.finalize().first_chunk().expect("a digest is longer"))
    }
}

/// See the module. Logs that it says nothing of are wholly behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut(BTreeMap<Key, Sequence>);

impl Cut {
    /// Behind all that there is.
    pub(super) fn at_end(workers: &[Arc<WorkerState>]) -> Self {
        workers.iter().fold(Self::default(), |mut cut, state| {
            cut.set(state, state.high);
            cut
        })
    }

    /// The last line of a worker that stands before it.
    pub(super) fn of(&self, state: &WorkerState) -> Sequence {
        self.0.get(&Key::of(state)).copied().unwrap_or(Sequence::ZERO)
    }

    /// Moves it in one log.
    pub(super) fn set(&mut self, state: &WorkerState, last: Sequence) {
        if last == Sequence::ZERO {
            self.0.remove(&Key::of(state));
        } else {
            self.0.insert(Key::of(state), last);
        }
    }

    /// Whether nothing stands before it.
    pub(super) fn is_at_start(&self) -> bool {
        self.0.is_empty()
    }

    /// As a cursor.
    pub(super) fn seal(&self, task: &TaskId) -> String {
        let mut place = Vec::with_capacity(self.0.len() * (KEY + 4));
        for (key, last) in &self.0 {
            place.extend_from_slice(&key.0);
            encode_varint(last.get(), &mut place);
        }
        cursor::seal(&scope(task), &place)
    }

    /// What a cursor says, where the task has these workers. Of one that is not known any more it may say anything;
    /// of no log it may say more than there is.
    pub(super) fn open(
        field: &str,
        task: &TaskId,
        workers: &[Arc<WorkerState>],
        text: &str,
    ) -> Result<Self, ApiError> {
        let cut = Self::decode(&cursor::open(field, &scope(task), text)?);
        let is_sound = |cut: &Self| workers.iter().all(|state| cut.of(state) <= state.high);
        let mut cut = cut.filter(is_sound).ok_or_else(|| cursor::invalid(field))?;
        cut.forget_others(workers);
        Ok(cut)
    }

    fn decode(mut place: &[u8]) -> Option<Self> {
        let mut cut = BTreeMap::new();
        while !place.is_empty() {
            let (key, rest) = place.split_first_chunk()?;
            place = rest;
            cut.insert(Key(*key), Sequence::new(decode_varint(&mut place).ok()?));
        }
        Some(Self(cut))
    }

    /// Leaves out what is of no worker any more, so that a cursor does not grow for ever.
    fn forget_others(&mut self, workers: &[Arc<WorkerState>]) {
        let known: std::collections::BTreeSet<_> = workers.iter().map(|state| Key::of(state)).collect();
        self.0.retain(|key, _| known.contains(key));
    }
}

/// What its cursors are of.
fn scope(task: &TaskId) -> String {
    format!("logs of task {task}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WorkerId;
    use crate::worker::Registration;

    fn worker(name: &str, created_ns: i64, high: u64) -> Arc<WorkerState> {
        let registration = Registration::recovered(WorkerId::try_from(name).unwrap());
        let state = WorkerState::new(registration, created_ns);
        Arc::new(WorkerState { high: Sequence::new(high), ..state })
    }

    #[test]
    fn a_cursor_says_the_place_in_each_log_of_its_task_and_is_of_no_other() {
        let (task, other) = (TaskId::try_from("t").unwrap(), TaskId::try_from("other").unwrap());
        let workers = [worker("a", 1, 10), worker("b", 1, 1 << 40), worker("c", 1, 5)];
        let mut cut = Cut::at_end(&workers);
        cut.set(&workers[0], Sequence::new(3));
        cut.set(&workers[2], Sequence::ZERO);
        let cursor = cut.seal(&task);
        let opened = Cut::open("cursor", &task, &workers, &cursor).unwrap();
        assert_eq!(opened, cut);
        let places: Vec<_> = workers.iter().map(|state| opened.of(state).get()).collect();
        assert_eq!(places, [3, 1 << 40, 0]);
        assert!(Cut::open("cursor", &other, &workers, &cursor).is_err());
    }

    #[test]
    fn a_place_behind_the_end_of_a_log_is_refused_and_one_in_a_log_that_is_gone_is_forgotten() {
        let task = TaskId::try_from("t").unwrap();
        let workers = [worker("a", 1, 10)];
        let cursor = Cut::at_end(&workers).seal(&task);
        assert!(Cut::open("cursor", &task, &[worker("a", 1, 9)], &cursor).is_err());
        let again = Cut::open("cursor", &task, &[worker("a", 2, 9)], &cursor).unwrap();
        assert!(again.is_at_start(), "another log came under its name");
    }

    #[test]
    fn a_cursor_of_the_largest_task_fits_into_a_header() {
        let workers: Vec<_> = (0..MAX_WORKERS).map(|at| worker(&format!("w-{at}"), 0, 1 << 20)).collect();
        let cursor = Cut::at_end(&workers).seal(&TaskId::try_from("t").unwrap());
        assert!(cursor.len() <= 7 << 10, "{} bytes", cursor.len());
    }
}
