//! How far the workers of a submission are, by what is told of them: PURE.

use std::collections::BTreeMap;

use crate::event::RawEntry;
use crate::ids::WorkerId;
use crate::status::State;

/// What an entry of the status stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    worker: String,
    state: State,
    class: String,
    exit_code: Option<i32>,
    reason: String,
}

impl Told {
    /// Nothing where the entry says nothing of a worker.
    pub(super) fn read(entry: &RawEntry) -> Option<Self> {
        let text = |name: &str| {
            let found = entry.fields.iter().find(|(known, _)| known == name.as_bytes())?;
            Some(String::from_utf8_lossy(&found.1).into_owned())
        };
        let state = text("state")?;
        Some(Self {
            worker: text("worker_id")?,
            state: State::ALL.into_iter().find(|known| known.as_str() == state)?,
            class: text("class").unwrap_or_default(),
            exit_code: text("exit_code").and_then(|code| code.parse().ok()),
            reason: text("reason").unwrap_or_default(),
        })
    }

    /// Nothing where all goes well, and lines tell the rest.
    fn shown(&self, index: usize, of: usize) -> Option<String> {
        let is_usual = match self.state {
            State::Queued | State::Pending => self.reason.is_empty(),
            State::Running | State::Succeeded => true,
            State::Failed | State::Cancelled | State::Lost => false,
        };
        if is_usual {
            return None;
        }
        let worker = if of == 1 { "the worker".to_owned() } else { format!("worker {index}") };
        let class = if self.class.is_empty() { String::new() } else { format!(" ({})", self.class) };
        let reason = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        Some(format!("{worker} is {}{class}{reason}", self.state))
    }

    /// What this program exits with because of it: the command's own code, where there is one that says so.
    fn code(&self) -> u8 {
        let own = self.exit_code.and_then(|code| u8::try_from(code).ok());
        match self.state {
            State::Succeeded => 0,
            State::Queued
            | State::Pending
            | State::Running
            | State::Failed
            | State::Cancelled
            | State::Lost => own.filter(|code| *code != 0).unwrap_or(1),
        }
    }
}

/// The workers, in the order of their indexes, and how those ended that have.
#[derive(Debug)]
pub(super) struct Progress {
    workers: Vec<WorkerId>,
    ends: BTreeMap<usize, Told>,
}

impl Progress {
    pub(super) fn new(workers: impl Iterator<Item = WorkerId>) -> Self {
        Self { workers: workers.collect(), ends: BTreeMap::new() }
    }

    /// Takes note, and gives what is worth a remark. Others' workers, and what was told before, are not.
    pub(super) fn take(&mut self, told: &Told) -> Option<String> {
        let index = self.workers.iter().position(|worker| worker.as_str() == told.worker)?;
        if self.ends.contains_key(&index) {
            return None;
        }
        if told.state.is_end() {
            self.ends.insert(index, told.clone());
        }
        told.shown(index, self.workers.len())
    }

    /// Whether every worker has ended.
    pub(super) fn is_over(&self) -> bool {
        self.ends.len() == self.workers.len()
    }

    /// That of the first worker that did not succeed, by its index; else 0.
    pub(super) fn code(&self) -> u8 {
        self.ends.values().map(Told::code).find(|code| *code != 0).unwrap_or(0)
    }

    /// Whether every command was run to this end. One that says 0 because it was cut off was not.
    pub(super) fn all_exited_with(&self, code: u8) -> bool {
        let is_so = |told: &Told| told.exit_code == Some(i32::from(code));
        self.ends.values().all(|told| is_so(told) && (code != 0 || told.state == State::Succeeded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(worker: &str, state: &str, exit_code: &str, reason: &str) -> Told {
        let fields = [("worker_id", worker), ("state", state), ("exit_code", exit_code), ("reason", reason)];
        let fields = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        Told::read(&RawEntry { id: "1-0".parse().unwrap(), fields: fields.to_vec() }).unwrap()
    }

    fn of(workers: &[&str]) -> Progress {
        Progress::new(workers.iter().map(|worker| worker.parse().unwrap()))
    }

    #[test]
    fn it_is_over_when_every_worker_has_ended_and_the_first_failure_is_the_exit_code() {
        let mut progress = of(&["a", "b", "c"]);
        progress.take(&told("c", "failed", "3", ""));
        progress.take(&told("a", "succeeded", "0", ""));
        progress.take(&told("stranger", "failed", "9", ""));
        assert!(!progress.is_over());
        progress.take(&told("b", "running", "", ""));
        assert!(!progress.is_over());
        progress.take(&told("b", "failed", "4", ""));
        assert!(progress.is_over());
        assert_eq!(progress.code(), 4);
        assert!(!progress.all_exited_with(4));
        let mut cut_off = of(&["a"]);
        cut_off.take(&told("a", "failed", "0", "its agent was sent signal 15"));
        assert_eq!((cut_off.code(), cut_off.all_exited_with(0)), (1, false));
    }

    #[test]
    fn a_worker_that_failed_without_a_code_of_its_own_is_a_1() {
        for (state, code, expected) in [
            ("lost", "", 1),
            ("failed", "0", 1),
            ("failed", "143", 143),
            ("cancelled", "", 1),
            ("succeeded", "0", 0),
        ] {
            let mut progress = of(&["a"]);
            progress.take(&told("a", state, code, ""));
            assert_eq!(progress.code(), expected, "{state} {code}");
        }
    }

    #[test]
    fn what_holds_a_worker_up_is_said_once_and_success_is_silent() {
        let mut progress = of(&["a"]);
        let pending = told("a", "pending", "", "ImagePullBackOff");
        assert_eq!(progress.take(&pending).unwrap(), "the worker is pending: ImagePullBackOff");
        for state in ["queued", "pending", "running", "succeeded"] {
            assert_eq!(progress.take(&told("a", state, "", "")), None, "{state}");
        }
        assert_eq!(progress.take(&told("a", "succeeded", "0", "")), None, "it is told at least once");
        let mut progress = of(&["a", "b"]);
        assert_eq!(
            progress.take(&told("b", "failed", "3", "exit code 3")).unwrap(),
            "worker 1 is failed: exit code 3"
        );
        assert_eq!(progress.take(&told("b", "failed", "3", "exit code 3")), None);
    }
}
