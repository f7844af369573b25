//! README, schema and notes say what values.yaml and the templates do.

use std::path::Path;
use std::process::Command;

use ottoscaler_tests::binary::workspace;
use serde_json::Value;

use crate::helm::{NAMESPACE, case, chart, text, tool};

#[test]
fn readme_and_schema_are_what_the_values_comments_say() {
    let check = Command::new(workspace().join("scripts/chart-docs")).arg("--check").output().unwrap();
    assert!(check.status.success(), "{}", text(&check.stderr));
}

/// Everything in a schema that is a map of named values.
fn maps<'a>(schema: &'a Value, at: &str, found: &mut Vec<(String, &'a Value)>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    found.push((at.to_owned(), schema));
    for (name, inner) in properties {
        maps(inner, &format!("{at}.{name}"), found);
    }
}

#[test]
fn the_schema_closes_every_map_of_ours_and_describes_every_value() {
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut found = Vec::new();
    maps(&schema, "", &mut found);
    assert!(found.len() > 20, "{}", found.len());
    for (at, map) in found {
        // What a chart above this one puts into `global` is not known here.
        let is_open = map["additionalProperties"] != Value::Bool(false);
        assert!(!is_open || at == ".global", "{at} takes anything");
        for (name, value) in map["properties"].as_object().unwrap() {
            assert!(
                value["description"].as_str().is_some_and(|said| said.len() > 3),
                "{at}.{name} is not described"
            );
        }
    }
}

/// What Helm 4 says after an installation; Helm 3 asks a cluster first.
fn notes(values: &Path) -> String {
    let mut install = tool("helm4");
    install.args(["install", "ci", "--dry-run=client", "--namespace", NAMESPACE]).arg(chart());
    let output = install.arg("--values").arg(values).output().unwrap();
    let out = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    out.split_once("NOTES:").expect("there are notes").1.to_owned()
}

#[test]
fn the_notes_end_with_a_first_task_and_name_what_there_is() {
    let notes = notes(&case("trial").values);
    let last = notes.trim_end().lines().next_back().unwrap();
    assert!(
        last.contains("kubectl --namespace otto exec deployment/ci-ottoscaler -- /ottoscaler submit"),
        "{notes}"
    );
    for said in [
        "persistentvolumeclaim/ci-ottoscaler-log-ingest",
        "helm test ci",
        "redis.bundled is for trials",
        "port-forward service/ci-ottoscaler-log-ingest 8080",
    ] {
        assert!(notes.contains(said), "no {said:?} in {notes}");
    }
}

#[test]
fn the_notes_warn_of_what_works_and_is_a_bad_idea() {
    for (name, warning) in [
        ("nothing-kept", "Logs are not kept"),
        ("routes", "asks nobody for a password"),
        ("least", "No network policy holds workers"),
        ("least", "ottoscaler.rbac.create is false"),
        ("least", "lease/ci-ottoscaler: `cleanup` is off"),
        ("existing-secret", "Workers reach log-ingest and DNS, nothing else"),
        ("redis-url", "redis.url is kept in the release's own record"),
        ("worker-classes", "resource class root may run as root"),
        ("log-ingest-alone", "Logs are kept for ever"),
    ] {
        let notes = notes(&case(name).values);
        assert!(notes.contains(warning), "{name}: no {warning:?} in {notes}");
    }
    let quiet = notes(&case("values-ha").values);
    assert!(!quiet.contains("Look at these"), "{quiet}");
}
