//! Names of records and workers: pure functions of what they stand for.
//!
//! This is what makes a repeated event harmless (P2): whoever handles it, whenever, arrives at the
//! same names, and creating what exists already is success. Names fit DNS-1123, so that they can be
//! names of Pods; what people gave is kept readable in front, and a hash tells apart what the
//! readable part no longer does (`Task_1`, `task.1`).

use sha2::{Digest, Sha256};

use crate::ids::{Attempt, Group, RecordId, RequestId, TaskId, WorkerId, WorkerIndex};

/// So much of the task's own name is kept in a worker's.
const SLUG_BYTES: usize = 20;

/// So many bytes of the hash are kept: two of 2³² requests share a name with a chance of a half.
const HASH_BYTES: usize = 8;

/// The record of a scale-up.
pub fn task_record(task: &TaskId, request: &RequestId) -> RecordId {
    record_id(hash(&[task.as_str(), request.as_str()]))
}

/// The record of a scale-down; never the same as one of a scale-up.
pub fn scale_down_record(task: Option<&TaskId>, group: Option<&Group>, request: &RequestId) -> RecordId {
    let (task, group) = (task.map_or("", TaskId::as_str), group.map_or("", Group::as_str));
    record_id(format!("down-{}", hash(&[task, group, request.as_str()])))
}

/// One attempt of one worker.
pub fn worker(task: &TaskId, record: &RecordId, index: WorkerIndex, attempt: Attempt) -> WorkerId {
    let name = format!("otto-agent-{}-{record}-{index}", slug(task.as_str()));
    let name = if attempt > Attempt::FIRST { format!("{name}-r{attempt}") } else { name };
    WorkerId::try_from(name).expect("letters, digits and dashes, far below the limit")
}

/// The log of a request's own, where the scaler tells what became of its workers.
pub fn events(task: &TaskId, record: &RecordId) -> String {
    format!("{}-{record}-events", slug(task.as_str()))
}

fn record_id(text: String) -> RecordId {
    RecordId::try_from(text).expect("hexadecimal digits")
}

/// Each part goes in behind its length, so that no two lists of parts are the same bytes.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(&hasher.finalize()[..HASH_BYTES])
}

/// The readable part of a name: lower case letters, digits, single dashes inside.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == SLUG_BYTES {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "task".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn name_of(task: &str, request: &str, index: u32, attempt: u32) -> String {
        let task: TaskId = task.parse().unwrap();
        let record = task_record(&task, &request.parse().unwrap());
        let index = WorkerIndex::all(NonZeroU32::new(index + 1).unwrap()).next_back().unwrap();
        worker(&task, &record, index, NonZeroU32::new(attempt).unwrap().into()).to_string()
    }

    #[test]
    fn names_stay_as_they_are_across_releases() {
        assert_eq!(name_of("task-123", "r-1", 0, 1), "otto-agent-task-123-4214def62222e43b-0");
        assert_eq!(name_of("task-123", "r-1", 2, 3), "otto-agent-task-123-4214def62222e43b-2-r3");
    }

    #[test]
    fn tasks_that_look_alike_have_names_of_their_own() {
        let names: Vec<_> = ["Task_1", "task.1", "task-1"].map(|task| name_of(task, "r", 0, 1)).into();
        assert!(names.iter().all(|name| name.starts_with("otto-agent-task-1-")), "{names:?}");
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
        assert_ne!(name_of("ab", "c", 0, 1), name_of("a", "bc", 0, 1));
    }

    #[test]
    fn a_task_without_a_letter_has_a_readable_name_all_the_same() {
        assert!(name_of("作業", "r", 0, 1).starts_with("otto-agent-task-"));
    }

    proptest! {
        #[test]
        fn p2_names_are_fit_for_dns_and_a_function_of_their_parts(
            task in "\\PC{1,60}", request in "\\PC{1,60}", index in 0u32..1000, attempt in 1u32..100,
        ) {
            let name = name_of(&task, &request, index, attempt);
            prop_assert!(name.len() <= 63);
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            prop_assert!(!name.ends_with('-'));
            prop_assert_eq!(&name, &name_of(&task, &request, index, attempt));
        }

        #[test]
        fn p2_different_requests_have_different_names(
            a in ("[ab.]{1,4}", "[ab.]{1,4}", 0u32..12, 1u32..12),
            b in ("[ab.]{1,4}", "[ab.]{1,4}", 0u32..12, 1u32..12),
        ) {
            let same = name_of(&a.0, &a.1, a.2, a.3) == name_of(&b.0, &b.1, b.2, b.3);
            prop_assert_eq!(same, a == b);
        }
    }
}
