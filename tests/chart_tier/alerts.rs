//! Each alert fires when it should, and only then: Prometheus' own `promtool test rules` goes through the cases in
//! `alerts/`, with the rules that the chart renders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use ottoscaler_tests::binary::workspace;
use ottoscaler_tests::{kube_tools, tier};
use serde_json::{Value, json};

use crate::helm::{case, parse, render, text};

/// Where this machine has it.
fn promtool() -> Option<PathBuf> {
    let found = kube_tools::on_path("promtool").map_err(|missing| format!("{missing}: install prometheus"));
    tier::runs(found.as_ref().err().cloned()).then(|| found.unwrap())
}

/// The groups of rules, none of the chart's alerts left out.
fn groups() -> Value {
    let rendered = render("helm3", &case("monitoring").values, &["metrics.rules.disabled=[]"]).unwrap();
    let mut objects = parse(&rendered).into_iter();
    let mut rule = objects.find(|object| object.kind() == "PrometheusRule").unwrap();
    for alert in alerts(&mut rule.value["spec"]["groups"]) {
        // They are the same whenever it fires: golden.rs has them.
        for same in ["description", "runbook_url"] {
            alert["annotations"].as_object_mut().unwrap().remove(same).unwrap();
        }
    }
    rule.value["spec"]["groups"].take()
}

/// The alerts among the rules.
fn alerts(groups: &mut Value) -> impl Iterator<Item = &mut Value> {
    let groups = groups.as_array_mut().unwrap().iter_mut();
    let rules = groups.flat_map(|group| group["rules"].as_array_mut().unwrap());
    rules.filter(|rule| rule.get("alert").is_some())
}

fn name(alert: &Value) -> String {
    alert["alert"].as_str().unwrap().to_owned()
}

/// The files with cases.
fn files() -> Vec<PathBuf> {
    let dir = workspace().join("tests/chart_tier/alerts").read_dir().unwrap();
    let mut files: Vec<_> = dir.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Whether all is with these rules as the cases say, and what promtool says.
fn judge(promtool: &Path, groups: &Value) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    // What is JSON is YAML.
    std::fs::write(dir.path().join("rules.yaml"), json!({"groups": groups}).to_string()).unwrap();
    let mut command = Command::new(promtool);
    command.args(["test", "rules"]).current_dir(dir.path());
    for file in files() {
        let name = file.file_name().unwrap();
        std::fs::copy(&file, dir.path().join(name)).unwrap();
        command.arg(name);
    }
    let output = command.output().unwrap();
    (output.status.success(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let Some(promtool) = promtool() else { return };
    let (is_good, said) = judge(&promtool, &groups());
    assert!(is_good, "{said}");
}

/// Else a case of an alert would be good whatever the alert is.
#[test]
fn alerts_that_never_fire_or_do_not_wait_are_found() {
    let Some(promtool) = promtool() else { return };
    let find = |change: &dyn Fn(&mut Value) -> bool| {
        let mut groups = groups();
        let changed: Vec<_> =
            alerts(&mut groups).filter_map(|alert| change(alert).then(|| name(alert))).collect();
        let (_, said) = judge(&promtool, &groups);
        for name in &changed {
            assert!(said.contains(&format!("alertname: {name}, time: ")), "{name} is found good: {said}");
        }
        changed.len()
    };
    let never = find(&|alert| {
        alert["expr"] = "vector(0) > 1".into();
        true
    });
    let at_once = find(&|alert| alert.as_object_mut().unwrap().remove("for").is_some());
    assert!(never >= 26 && at_once >= 16, "{never} {at_once}");
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let mut groups = groups();
    let all: BTreeSet<_> = alerts(&mut groups).map(|alert| name(alert)).collect();
    let (mut fire, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for file in files() {
        let cases: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let cases = cases["tests"].as_array().unwrap().iter();
        for moment in cases.filter_map(|case| case["alert_rule_test"].as_array()).flatten() {
            let fires = moment["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
            let name = moment["alertname"].as_str().unwrap().to_owned();
            let moments = if fires { &mut fire } else { &mut silent };
            moments.insert(name);
        }
    }
    assert_eq!(fire, all);
    assert_eq!(silent, all);
}
