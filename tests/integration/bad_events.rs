//! P10: a bad event becomes a dead letter that names the field and the reason, and delays nobody.

use std::time::Duration;

use ottoscaler_tests::scaler::{DEAD_LETTERS, EVENTS, ended, entries, submit};
use ottoscaler_tests::wait;

use crate::end_to_end::System;

/// Events that cannot work, with the field that has to be blamed.
fn bad_events() -> Vec<(Vec<(&'static str, String)>, &'static str)> {
    let up = |fields: &[(&'static str, &str)]| {
        let mut event = vec![("type", "scale_up".to_owned()), ("task_id", "bad".to_owned())];
        event.extend(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
        event
    };
    vec![
        (vec![("pod_count", "1".to_owned())], "type"),
        (vec![("type", "scale_sideways".to_owned()), ("pod_count", "1".to_owned())], "type"),
        (up(&[("command", "true")]), "worker_count"),
        (up(&[("worker_count", "0"), ("command", "true")]), "worker_count"),
        (up(&[("worker_count", "-3"), ("command", "true")]), "worker_count"),
        (up(&[("pod_count", "999999999999999999999"), ("command", "true")]), "pod_count"),
        (up(&[("target_replicas", "three"), ("command", "true")]), "target_replicas"),
        (up(&[("worker_count", "1"), ("pod_count", "2"), ("command", "true")]), "pod_count"),
        (up(&[("worker_count", "1"), ("command", "[\"sh\", ")]), "command"),
        (up(&[("worker_count", "1"), ("command", "[\"sh\"]"), ("args", "{}")]), "args"),
        (up(&[("worker_count", "1"), ("command", "true"), ("env", "[1]")]), "env"),
        (up(&[("worker_count", "1"), ("command", "true"), ("timeout_seconds", "soon")]), "timeout_seconds"),
        (up(&[("worker_count", "1"), ("command", "true"), ("note", &"x".repeat(1 << 20))]), "note"),
        (up(&[("worker_count", "1")]), "command"),
        (vec![("type", "scale_down".to_owned())], "task_id"),
    ]
}

#[tokio::test]
async fn p10_each_bad_event_is_a_dead_letter_with_field_and_reason_and_the_next_event_runs() {
    let system = System::start(&[]).await;
    let mut redis = system.redis.connect().await;
    let bad = bad_events();
    for (event, _) in &bad {
        let fields: Vec<_> = event.iter().map(|(name, value)| (*name, value.as_str())).collect();
        submit(&mut redis, &fields).await;
    }
    let good = [("type", "scale_up"), ("worker_count", "1"), ("task_id", "good"), ("command", "true")];
    submit(&mut redis, &good).await;
    assert_eq!(ended(&redis, "good", 1).await.values().next().unwrap()["state"], "succeeded");

    let letters = wait::until("all bad events are dead letters", Duration::from_secs(10), || async {
        let letters = entries(&mut redis.clone(), DEAD_LETTERS).await;
        if letters.len() == bad.len() { Ok(letters) } else { Err(format!("{} letters", letters.len())) }
    })
    .await;
    for ((event, field), letter) in bad.iter().zip(&letters) {
        let shown: Vec<_> = letter.iter().map(|(name, value)| format!("{name}={value:.80}")).collect();
        assert_eq!(letter["field"], *field, "{shown:?}");
        assert!(!letter["reason"].is_empty(), "{shown:?}");
        for (name, value) in event {
            assert!(
                letter.values().any(|kept| kept.contains(value.as_str())),
                "{name} is not kept: {shown:?}"
            );
        }
    }
    assert_eq!(entries(&mut redis, EVENTS).await.len(), 0);
}
