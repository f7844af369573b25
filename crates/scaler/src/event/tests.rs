use proptest::prelude::*;

use super::*;

const ENTRY: &str = "1700000000000-7";

fn policy() -> EventPolicy {
    EventPolicy {
        run: RunDefaults::default(),
        timeout: Duration::from_hours(1),
        max_workers: NonZeroU32::new(1000).unwrap(),
    }
}

fn entry(fields: &[(&str, &str)]) -> RawEntry {
    let fields = fields.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
    RawEntry { id: ENTRY.parse().unwrap(), fields }
}

fn parse(fields: &[(&str, &str)]) -> Result<Event, Rejection> {
    Event::parse(&entry(fields), &policy())
}

fn up(more: &[(&str, &str)]) -> Result<ScaleUp, Rejection> {
    let mut fields = vec![("type", "scale_up"), ("command", "make")];
    fields.extend(more);
    match parse(&fields)? {
        Event::ScaleUp(event) => Ok(*event),
        Event::ScaleDown(event) => panic!("{event:?}"),
    }
}

fn down(more: &[(&str, &str)]) -> Result<ScaleDown, Rejection> {
    let mut fields = vec![("type", "scale_down")];
    fields.extend(more);
    match parse(&fields)? {
        Event::ScaleDown(event) => Ok(event),
        Event::ScaleUp(event) => panic!("{event:?}"),
    }
}

#[test]
fn the_three_dialects_mean_the_same() {
    for (count, task, group) in [
        ("worker_count", "task_id", "group"),
        ("pod_count", "task_id", "group"),
        ("target_replicas", "job_id", "target_deployment"),
    ] {
        let event = up(&[(count, "3"), (task, "t/1"), (group, "g")]).unwrap();
        assert_eq!(event.count.get(), 3);
        assert_eq!(event.task_id.as_str(), "t/1");
        assert_eq!(event.group.as_ref().map(Group::as_str), Some("g"));
    }
}

#[test]
fn what_an_event_leaves_open_is_decided_when_it_is_read() {
    let event = up(&[("pod_count", "1")]).unwrap();
    assert_eq!(event.task_id.as_str(), format!("event-{ENTRY}"));
    assert_eq!(event.request_id.as_str(), ENTRY);
    assert_eq!(event.clocks, Clocks { queue: None, pending: None, run: Duration::from_hours(1) });
    assert_eq!((event.max_attempts.get(), event.priority), (1, 0));
    assert_eq!(event.run.command.words(), ["sh", "-c", "make", "sh"]);
}

#[test]
fn the_documented_minimal_form_runs_the_configured_command_or_says_what_is_missing() {
    let minimal = entry(&[("type", "scale_up"), ("pod_count", "3"), ("task_id", "task-123")]);
    let rejection = Event::parse(&minimal, &policy()).unwrap_err();
    assert_eq!(rejection.field(), "command");
    assert!(rejection.reason().contains("--worker-command"), "{rejection}");

    let mut configured = policy();
    configured.run.command = Some(r#"["make", "-j"]"#.parse().unwrap());
    let Ok(Event::ScaleUp(event)) = Event::parse(&minimal, &configured) else { panic!("it is fine") };
    assert_eq!(event.run.command.words(), ["make", "-j"]);
    // An empty value is none; a blank one is a mistake.
    let given = |command| {
        Event::parse(&entry(&[("type", "scale_up"), ("pod_count", "2"), ("command", command)]), &configured)
    };
    let Ok(Event::ScaleUp(event)) = given("") else { panic!("it is none") };
    assert_eq!(event.run.command.words(), ["make", "-j"]);
    assert_eq!(given(" \n").unwrap_err().field(), "command");
}

#[test]
fn a_name_with_control_characters_is_blamed_without_them() {
    let rejection = up(&[("pod_count", "1"), ("a\u{1b}[2J", "x\0")]).unwrap_err();
    assert_eq!(rejection.field(), "a[2J");
}

#[test]
fn every_field_is_kept() {
    let event = up(&[
        ("worker_count", "1"),
        ("args", r#"["a b"]"#),
        ("env", r#"{"A":"x","N":7,"B":true}"#),
        ("secret_env", r#"{"TOKEN":"ci/token"}"#),
        ("image", "rust:1"),
        ("resource_class", "large"),
        ("queue_timeout_seconds", "1"),
        ("pending_timeout_seconds", "2"),
        ("timeout_seconds", "3"),
        ("max_attempts", "4"),
        ("priority", "-5"),
        ("tenant", "acme"),
        ("repository", "r"),
        ("commit_sha", "c"),
        ("triggered_by", "b"),
        ("reason", "why"),
        ("timestamp", "1757203200"),
        ("traceparent", "00-ab-cd-01"),
        ("flavour", "vanilla"),
    ])
    .unwrap();
    assert_eq!(event.run.command.words(), ["sh", "-c", "make", "sh", "a b"]);
    assert_eq!(event.run.env["N"], "7");
    assert_eq!(event.run.secret_env["TOKEN"], "ci/token");
    assert_eq!(event.clocks.run, Duration::from_secs(3));
    assert_eq!((event.max_attempts.get(), event.priority), (4, -5));
    assert_eq!(event.context.reason.as_deref(), Some("why"));
    assert_eq!(event.metadata, BTreeMap::from([("flavour".to_owned(), "vanilla".to_owned())]));
    let json = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<ScaleUp>(&json).unwrap(), event);
}

#[test]
fn p10_a_bad_field_is_named_with_the_reason() {
    for (fields, blamed) in [
        (vec![], "worker_count"),
        (vec![("worker_count", "0")], "worker_count"),
        (vec![("worker_count", "-1")], "worker_count"),
        (vec![("pod_count", "1001")], "pod_count"),
        (vec![("pod_count", "99999999999999999999")], "pod_count"),
        (vec![("target_replicas", "three")], "target_replicas"),
        (vec![("worker_count", "1"), ("pod_count", "2")], "pod_count"),
        (vec![("pod_count", "1"), ("task_id", "a\nb")], "task_id"),
        (vec![("pod_count", "1"), ("command", "[\"sh\", ")], "command"),
        (vec![("pod_count", "1"), ("command", " \n")], "command"),
        (vec![("pod_count", "1"), ("args", "{}")], "args"),
        (vec![("pod_count", "1"), ("env", "[1]")], "env"),
        (vec![("pod_count", "1"), ("env", r#"{"A=B":"x"}"#)], "env"),
        (vec![("pod_count", "1"), ("env", r#"{"OTTO_INGEST_URL":"x"}"#)], "env"),
        (vec![("pod_count", "1"), ("env", r#"{"A":{}}"#)], "env"),
        (vec![("pod_count", "1"), ("secret_env", r#"{"A":"nokey"}"#)], "secret_env"),
        (vec![("pod_count", "1"), ("env", r#"{"A":"x"}"#), ("secret_env", r#"{"A":"s/k"}"#)], "secret_env"),
        (vec![("pod_count", "1"), ("timeout_seconds", "soon")], "timeout_seconds"),
        (vec![("pod_count", "1"), ("timeout_seconds", "0")], "timeout_seconds"),
        (vec![("pod_count", "1"), ("max_attempts", "0")], "max_attempts"),
        (vec![("pod_count", "1"), ("priority", "high")], "priority"),
        (vec![("pod_count", "1"), ("timestamp", "yesterday")], "timestamp"),
        (vec![("pod_count", "1"), ("note", "a\0b")], "note"),
    ] {
        // A command given again replaces the usual one.
        let mut event = vec![("type", "scale_up")];
        if fields.iter().all(|(name, _)| *name != "command") {
            event.push(("command", "make"));
        }
        event.extend(&fields);
        let rejection = parse(&event).unwrap_err();
        assert_eq!(rejection.field(), blamed, "{fields:?}: {rejection}");
        assert!(!rejection.reason().is_empty());
    }
    assert_eq!(parse(&[("pod_count", "1")]).unwrap_err().field(), "type");
    assert_eq!(parse(&[("type", "scale_sideways")]).unwrap_err().field(), "type");
}

#[test]
fn an_event_may_name_variables_to_mask_and_only_as_plain_text() {
    let with = |field, value| {
        parse(&[("type", "scale_up"), ("pod_count", "1"), ("command", "make"), (field, value)])
    };
    let event = with("env", r#"{"PASSWORD":"sesame","OTTO_MASK_ENV":"PASSWORD"}"#).unwrap();
    let Event::ScaleUp(event) = event else { panic!("{event:?}") };
    assert_eq!(event.run.env["OTTO_MASK_ENV"], "PASSWORD");
    assert_eq!(with("secret_env", r#"{"OTTO_MASK_ENV":"s/k"}"#).unwrap_err().field(), "secret_env");
    assert_eq!(with("env", r#"{"OTTO_MASK_FILE":"/x"}"#).unwrap_err().field(), "env");
    let Event::ScaleUp(event) = with("env", r#"{"OTTO_IMAGE_STOP_SIGNALS":false}"#).unwrap() else {
        panic!()
    };
    assert_eq!(
        event.run.env["OTTO_IMAGE_STOP_SIGNALS"], "false",
        "its commands may want them for themselves"
    );
}

#[test]
fn a_reason_does_not_quote_a_value_that_may_be_a_secret() {
    for (name, value) in [
        ("env", r#""TOKEN=sesame""#),
        ("secret_env", r#""sesame""#),
        ("args", r#"{"a":"sesame"}"#),
        ("args", r#""sesame""#),
        ("command", r#"[["sesame"]]"#),
        ("env", r#"{"TOKEN":["sesame"]}"#),
    ] {
        let mut fields = BTreeMap::from([("type", "scale_up"), ("pod_count", "1"), ("command", "make")]);
        fields.insert(name, value);
        let rejection = parse(&fields.into_iter().collect::<Vec<_>>()).unwrap_err();
        assert_eq!(rejection.field(), name);
        assert!(!rejection.reason().contains("sesame"), "{rejection}");
    }
}

#[test]
fn a_scale_down_means_a_task_or_else_a_group() {
    let of_task = down(&[("task_id", "t"), ("group", "g"), ("worker_count", "2")]).unwrap();
    assert_eq!((of_task.selector, of_task.keep), (Selector::Task("t".parse().unwrap()), 2));
    let of_group = down(&[("target_deployment", "g")]).unwrap();
    assert_eq!((of_group.selector, of_group.keep), (Selector::Group("g".parse().unwrap()), 0));
    assert_eq!(down(&[]).unwrap_err().field(), "task_id");
    assert_eq!(down(&[("task_id", "t"), ("worker_count", "-1")]).unwrap_err().field(), "worker_count");
}

/// Names that mean something, so that random entries get past the first check now and then.
fn some_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec!["type", "worker_count", "pod_count", "task_id", "command", "args", "env"])
            .prop_map(|name| name.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ]
}

fn some_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec!["scale_up", "scale_down", "1", "0", "x", "[]", "{}", "[\"a\"]", "["])
            .prop_map(|value| value.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..16),
    ]
}

proptest! {
    #[test]
    fn p10_any_entry_is_an_event_or_a_rejection_with_a_reason(
        fields in prop::collection::vec((some_name(), some_value()), 0..8),
    ) {
        let entry = RawEntry { id: ENTRY.parse().unwrap(), fields };
        if let Err(rejection) = Event::parse(&entry, &policy()) {
            prop_assert!(!rejection.reason().is_empty());
            prop_assert!(rejection.field().chars().all(|c| !c.is_control()));
        }
    }
}
