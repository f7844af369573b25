//! From what was typed to an event: PURE, but for the name of a task that got none.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Names, SubmitArgs};
use crate::event::{CommandLine, Event, EventPolicy, RawEntry, RunDefaults};
use crate::ids::{Attempt, RequestId, TaskId, WorkerIndex};
use crate::name;

/// A variable of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    name: String,
    value: String,
}

impl FromStr for Variable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) =
            text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// A request for workers that does not repeat, however often it is sent.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    args: SubmitArgs,
    task: TaskId,
    request: RequestId,
}

impl Submission {
    /// Refuses what the scaler would make a dead letter of, as far as that can be told here.
    pub(super) fn new(args: &SubmitArgs) -> Result<Self, String> {
        let unique = format!("submit-{}", unique());
        let request: RequestId = unique.parse().expect("letters, digits and a dash");
        let task = match &args.task_id {
            Some(task) => task.clone(),
            None => unique.parse().expect("letters, digits and a dash"),
        };
        let submission = Self { args: args.clone(), task, request };
        submission.check()?;
        Ok(submission)
    }

    fn check(&self) -> Result<(), String> {
        let fields =
            self.fields().into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()));
        let id = "0-1".parse().expect("an entry's id");
        let entry = RawEntry { id, fields: fields.collect() };
        // Of the scaler's own configuration nothing is known here; it may have these defaults.
        let command: CommandLine = "true".parse().expect("a command");
        let policy = EventPolicy {
            run: RunDefaults { image: None, command: Some(command) },
            timeout: std::time::Duration::from_hours(1),
            max_workers: std::num::NonZeroU32::MAX,
        };
        Event::parse(&entry, &policy).map(drop).map_err(|rejection| rejection.to_string())
    }

    /// The task.
    pub(super) fn task(&self) -> &TaskId {
        &self.task
    }

    /// The names of its workers: the scaler gives them the same.
    pub(super) fn workers(&self) -> Names<'_> {
        let record = name::task_record(&self.task, &self.request);
        let all = WorkerIndex::all(self.args.workers);
        Box::new(all.map(move |index| name::worker(&self.task, &record, index, Attempt::FIRST)))
    }

    /// The event's fields.
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let args = &self.args;
        let mut fields = vec![
            ("type", "scale_up".to_owned()),
            ("task_id", self.task.to_string()),
            ("request_id", self.request.to_string()),
            ("worker_count", args.workers.to_string()),
            ("triggered_by", "ottoscaler submit".to_owned()),
        ];
        let optional = [("image", &args.image), ("resource_class", &args.resource_class)];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        if !args.command.is_empty() {
            fields.push(("command", Value::from(args.command.clone()).to_string()));
        }
        if !args.env.is_empty() {
            let pairs =
                args.env.iter().map(|variable| (variable.name.clone(), variable.value.clone().into()));
            fields.push(("env", Value::Object(pairs.collect::<Map<_, _>>()).to_string()));
        }
        if let Some(timeout) = args.timeout {
            // Whole seconds; a part of one is no shorter.
            let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
            fields.push(("timeout_seconds", seconds.to_string()));
        }
        fields
    }
}

/// Names a request as nobody else does: by machine, process and moment.
fn unique() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hasher = Sha256::new();
    hasher.update(host.as_encoded_bytes());
    hasher.update(std::process::id().to_be_bytes());
    hasher.update(now.as_nanos().to_be_bytes());
    hex::encode(&hasher.finalize()[..6])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        args: SubmitArgs,
    }

    fn submission(words: &[&str]) -> Result<Submission, String> {
        let words = std::iter::once("submit").chain(words.iter().copied());
        Submission::new(&Typed::try_parse_from(words).map_err(|error| error.to_string())?.args)
    }

    #[test]
    fn what_is_typed_becomes_an_event() {
        let words = [
            "--task-id=t",
            "--workers=2",
            "--image=i",
            "--env=A=b=c",
            "--env",
            "D=",
            "--timeout=1500ms",
            "--",
            "sh",
            "-c",
            "echo \"$A\"",
        ];
        let submission = submission(&words).unwrap();
        let fields: BTreeMap<_, _> = submission.fields().into_iter().collect();
        let shown = |name: &str| fields[name].as_str();
        assert_eq!((shown("type"), shown("task_id"), shown("worker_count")), ("scale_up", "t", "2"));
        assert_eq!((shown("image"), shown("timeout_seconds")), ("i", "2"));
        assert_eq!(shown("command"), r#"["sh","-c","echo \"$A\""]"#);
        assert_eq!(shown("env"), r#"{"A":"b=c","D":""}"#);
        assert_eq!(submission.workers().count(), 2);
    }

    #[test]
    fn a_task_without_a_name_gets_one_and_two_get_two() {
        let (one, other) = (submission(&["--", "true"]).unwrap(), submission(&["--", "true"]).unwrap());
        assert_ne!(one.task(), other.task());
        let again = submission(&["--task-id=t"]).unwrap();
        assert_ne!(
            again.request,
            submission(&["--task-id=t"]).unwrap().request,
            "the same task, asked for twice"
        );
    }

    #[test]
    fn p10_what_could_only_become_a_dead_letter_is_not_sent() {
        for (words, expected) in [
            (&["--env=OTTO_X=1", "--", "true"][..], "env"),
            (&["--", ""][..], "command"),
            (&["--workers=0"][..], "workers"),
            (&["--env=novalue"][..], "NAME=VALUE"),
            (&["--detach", "--wait=1s"][..], "--wait"),
        ] {
            let error = submission(words).unwrap_err();
            assert!(error.contains(expected), "{words:?}: {error}");
        }
    }
}
