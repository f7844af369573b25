//! What a command is told of itself, in every runtime.

use std::collections::BTreeMap;

use crate::record::WorkerSpec;

/// The event's own variables, and what the command is told of itself.
pub(super) fn environment(spec: &WorkerSpec) -> BTreeMap<String, String> {
    let request = &spec.request;
    let context = &request.context;
    let mut env = request.run.env.clone();
    let mut tell = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            env.insert(name.to_owned(), value);
        }
    };
    tell("OTTO_WORKER_ID", Some(spec.worker_id.to_string()));
    tell("OTTO_TASK_ID", Some(spec.identity.task_id.to_string()));
    tell("OTTO_ATTEMPT", Some(spec.identity.attempt.to_string()));
    tell("OTTO_WORKER_INDEX", Some(spec.identity.index.to_string()));
    tell("OTTO_WORKER_COUNT", Some(request.count.to_string()));
    tell("OTTO_GROUP", request.group.as_ref().map(ToString::to_string));
    tell("OTTO_REPOSITORY", context.repository.clone());
    tell("OTTO_COMMIT_SHA", context.commit_sha.clone());
    tell("OTTO_TRIGGERED_BY", context.triggered_by.clone());
    tell("OTTO_REASON", context.reason.clone());
    tell("OTTO_TIMESTAMP", context.timestamp.clone());
    tell("TRACEPARENT", context.traceparent.clone());
    if !request.metadata.is_empty() {
        let metadata = serde_json::to_string(&request.metadata).expect("a map of text");
        tell("OTTO_METADATA", Some(metadata));
    }
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::testing;

    #[test]
    fn a_command_is_told_what_it_is_and_where_it_comes_from() {
        let mut spec = testing::worker_spec("t", "r");
        spec.request.context.repository = Some("repo".to_owned());
        spec.request.metadata.insert("flavour".to_owned(), "vanilla".to_owned());
        spec.request.run.env.insert("GREETING".to_owned(), "hello".to_owned());
        let env = environment(&spec);
        for (name, value) in [
            ("OTTO_TASK_ID", "t"),
            ("OTTO_WORKER_INDEX", "0"),
            ("OTTO_WORKER_COUNT", "1"),
            ("OTTO_REPOSITORY", "repo"),
            ("OTTO_METADATA", r#"{"flavour":"vanilla"}"#),
            ("GREETING", "hello"),
        ] {
            assert_eq!(env[name], value, "{name}");
        }
        assert!(!env.contains_key("OTTO_REASON"));
    }
}
