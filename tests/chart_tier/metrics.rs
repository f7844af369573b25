//! Alerts and dashboard name no metric that does not exist, by names that Prometheus has for it.

use std::collections::BTreeSet;

use ottoscaler_tests::binary::workspace;
use serde_json::Value;

use crate::helm::{case, chart, objects, render};

/// The names under which a service's metrics are stored, from the file that holds them all.
fn known(file: &str, prefix: &str) -> BTreeSet<String> {
    let source = std::fs::read_to_string(workspace().join(file)).unwrap();
    let mut names = BTreeSet::new();
    for call in source.split("register(").skip(1) {
        let call = call.split_once(");").map_or(call, |(call, _)| call);
        let Some(name) = call.split('"').nth(1) else { continue };
        let Some(field) = call.rsplit_once("self.").map(|(_, field)| word(field)) else { continue };
        let name = format!("{prefix}{name}");
        // `field: Type` of the struct, wherever `pub` stands.
        let declared = source
            .lines()
            .find_map(|line| line.trim().trim_start_matches("pub ").strip_prefix(&format!("{field}: ")));
        let declared = declared.unwrap_or_else(|| panic!("{file}: no field {field}"));
        if declared.contains("Histogram") {
            names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        } else if declared.contains("Counter") {
            names.insert(format!("{name}_total"));
        } else {
            assert!(declared.contains("Gauge"), "{file}: {field}: {declared}");
            names.insert(name);
        }
    }
    assert!(names.len() > 20, "{file}: {names:?}");
    names
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The metrics of both services.
pub(crate) fn all_known() -> BTreeSet<String> {
    let mut names = known("crates/scaler/src/metrics.rs", "");
    names.extend(known("crates/ingest/src/metrics.rs", "otto_ingest_"));
    names
}

/// The metrics in a text.
pub(crate) fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("otto_scaler_") || word.starts_with("otto_ingest_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_of_the_alerts_exists() {
    let file = std::fs::read_to_string(chart().join("files/alerts.yaml")).unwrap();
    let alerts: Value = serde_saphyr::from_str(&file).unwrap();
    let known = all_known();
    let mut count = 0;
    for alert in alerts.as_object().unwrap().values().flat_map(|alerts| alerts.as_array().unwrap()) {
        let (name, expr) = (&alert["alert"], alert["expr"].as_str().unwrap());
        let named = named(expr);
        assert!(!named.is_empty(), "{name} is about nothing of ours: {expr}");
        assert!(named.is_subset(&known), "{name}: {:?} do not exist", named.difference(&known));
        assert_eq!(
            expr.matches("$scope").count(),
            named_times(expr),
            "{name}: others' metrics count, too: {expr}"
        );
        for field in ["severity", "summary", "means", "do"] {
            assert!(alert[field].as_str().is_some_and(|said| !said.is_empty()), "{name}: no {field}");
        }
        count += 1;
    }
    assert!(count >= 15, "{count}");
}

/// How many times metrics are named, repeats included.
fn named_times(expr: &str) -> usize {
    expr.matches("otto_scaler_").count() + expr.matches("otto_ingest_").count()
}

#[test]
fn every_metric_of_the_dashboard_exists_and_every_query_is_of_one_namespace() {
    let text = std::fs::read_to_string(chart().join("files/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let (known, named) = (all_known(), named(&text));
    assert!(named.len() > 20, "{named:?}");
    assert!(named.is_subset(&known), "{:?} do not exist", named.difference(&known));
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expr = target["expr"].as_str().unwrap();
            let scoped = expr.matches("namespace=\"$namespace\"").count();
            assert_eq!(scoped, named_times(expr), "{}: {expr}", panel["title"]);
        }
    }
}

#[test]
fn values_of_labels_in_alerts_are_ones_that_the_services_use() {
    let file = std::fs::read_to_string(chart().join("files/alerts.yaml")).unwrap();
    let sources = ["crates/scaler/src/status.rs", "crates/ingest/src/reason.rs"];
    let sources = sources.map(|file| std::fs::read_to_string(workspace().join(file)).unwrap()).concat();
    let labels = file
        .split(['{', ','])
        .filter_map(|part| part.strip_prefix("kind=\"").or(part.strip_prefix("reason=\"")));
    let values: BTreeSet<_> = labels.filter_map(|rest| rest.split('"').next()).collect();
    assert!(values.len() >= 4, "{values:?}");
    for value in values {
        assert!(sources.contains(&format!("\"{value}\"")), "no label has the value {value}");
    }
}

#[test]
fn rules_are_rendered_whole_and_without_those_that_were_left_out() {
    let objects = objects(&case("monitoring"));
    let rule = objects.iter().find(|object| object.kind() == "PrometheusRule").unwrap();
    let groups = rule.value["spec"]["groups"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|group| group["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["log-ingest", "ottoscaler", "ours"]);
    for left in ["LogIngestReadersRefused", "$scope", "$maxStore"] {
        assert!(!rule.text.contains(left), "{left}");
    }
    let alert = &groups[1]["rules"][0];
    assert_eq!((&alert["labels"]["team"], &alert["alert"]), (&"ci".into(), &"OttoscalerDown".into()));
    let runbook = alert["annotations"]["runbook_url"].as_str().unwrap();
    assert!(runbook.ends_with("README.md#ottoscalerdown"), "{runbook}");
    // The heading that it leads to.
    let readme = std::fs::read_to_string(chart().join("README.md")).unwrap();
    assert!(readme.contains("\n### OttoscalerDown\n"));
}

/// What retention takes in time fills no volume.
#[test]
fn the_rules_know_how_large_the_store_may_grow() {
    let rendered = |set: &str| render("helm3", &case("monitoring").values, &[set]).unwrap();
    for (set, most) in [
        ("logIngest.persistence.size=\"1Gi\"", "697303040"),
        ("logIngest.config.retainBytes=\"10GiB\"", "10737418240"),
        ("logIngest.persistence.existingClaim=\"mine\"", "Inf"),
    ] {
        assert!(rendered(set).contains(&format!("[6h], 86400) - {most}, 0) < 0")), "{set}");
    }
}
