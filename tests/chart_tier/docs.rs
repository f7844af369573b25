//! README, schema and notes say what values.yaml and the templates do, and so do the pages for operators.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use ottoscaler_tests::binary::workspace;
use ottoscaler_tests::document::Document;
use serde_json::Value;

use crate::helm::{NAMESPACE, case, chart, text, tool};
use crate::metrics::{all_known, named};

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
fn notes(values: &Path, set: &[&str]) -> String {
    let mut install = tool("helm4");
    install.args(["install", "ci", "--dry-run=client", "--namespace", NAMESPACE]).arg(chart());
    install.arg("--values").arg(values);
    for set in set {
        install.args(["--set-json", set]);
    }
    let output = install.output().unwrap();
    let out = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    out.split_once("NOTES:").expect("there are notes").1.to_owned()
}

#[test]
fn the_notes_end_with_a_first_task_and_name_what_there_is() {
    let notes = notes(&case("trial").values, &[]);
    let last = notes.trim_end().lines().next_back().unwrap();
    assert!(
        last.contains("kubectl --namespace otto exec deployment/ci-ottoscaler -- /ottoscaler submit"),
        "{notes}"
    );
    for said in [
        "persistentvolumeclaim/ci-ottoscaler-log-ingest",
        "helm test ci",
        "redis.bundled is for trials",
        "port-forward service/ci-ottoscaler-log-ingest 8080:8080 ",
        "port-forward service/ci-ottoscaler 9091:9091 ",
    ] {
        assert!(notes.contains(said), "no {said:?} in {notes}");
    }
}

#[test]
fn the_notes_say_what_is_so() {
    let routes = notes(&case("routes").values, &[]);
    // A certificate of one of two names.
    for address in ["  https://logs.example.com/\n", "  http://logs.example.org/\n"] {
        assert!(routes.contains(address), "no {address:?} in {routes}");
    }
    let failed = "where `helm test` has failed, its pod/ci-ottoscaler-test";
    assert!(routes.contains(failed), "{routes}");
    let none = notes(&case("existing-secret").values, &["ottoscaler.replicas=0"]);
    assert!(none.contains("until ottoscaler.replicas is above 0"), "{none}");
    for untrue in ["while its node is away", "exec deployment/", "helm test ci"] {
        assert!(!none.contains(untrue), "{untrue:?} in {none}");
    }
    // What an ordinary user cannot listen on.
    let ports = ["logIngest.service.ports.http=80", "ottoscaler.service.ports.metrics=443"];
    let forwards = notes(&case("existing-secret").values, &ports);
    for command in
        ["log-ingest 8080:80    # http://127.0.0.1:8080", "9091:443    # http://127.0.0.1:9091/tasks"]
    {
        assert!(forwards.contains(command), "no {command:?} in {forwards}");
    }
    let starred =
        ["ingress.path=\"/*\"", "ingress.pathType=\"ImplementationSpecific\"", "httpRoute.path=\"/api\""];
    let paths = notes(&case("routes").values, &starred);
    for address in
        ["  https://logs.example.com/\n", "  logs.example.net/api, by its Gateway, the API alone\n"]
    {
        assert!(paths.contains(address), "no {address:?} in {paths}");
    }
    let alone = notes(&case("log-ingest-alone").values, &[]);
    assert!(!alone.contains("helm test"), "{alone}");
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
        ("existing-claim", "How large old-logs is, the chart does not know"),
        ("trial", "Workers of resource class default may use all of their node's memory"),
        ("least", "Workers whose event names no resource class may use all"),
        ("patient", "helm uninstall --timeout 840s"),
        ("patient", "helm test --timeout 660s"),
    ] {
        let notes = notes(&case(name).values, &[]);
        assert!(notes.contains(warning), "{name}: no {warning:?} in {notes}");
    }
    let quiet = notes(&case("values-ha").values, &[]);
    assert!(!quiet.contains("Look at these"), "{quiet}");
}

#[test]
fn the_notes_warn_of_a_budget_that_holds_up_every_drain() {
    let warns = |set: &[&str]| notes(&case("existing-secret").values, set).contains("lets none of");
    let least = |amount: &str| {
        let least = format!("ottoscaler.podDisruptionBudget.minAvailable={amount}");
        warns(&[least.as_str(), "ottoscaler.podDisruptionBudget.maxUnavailable=\"\""])
    };
    // Of two.
    assert_eq!(["2", "\"100%\"", "\"51%\"", "1", "\"50%\""].map(least), [true, true, true, false, false]);
    assert!(warns(&["ottoscaler.podDisruptionBudget.maxUnavailable=0"]));
    assert!(!warns(&[]));
    assert!(!warns(&["ottoscaler.podDisruptionBudget.maxUnavailable=0", "ottoscaler.replicas=1"]), "none");
}

/// Renders the chart with the values of its smallest trial and these.
fn rendered_with(args: &[&str]) -> Result<(), String> {
    let mut template = tool("helm3");
    template.args(["template", "ci", "--namespace", NAMESPACE, "--set", "redis.bundled.enabled=true"]);
    let output = template.arg(chart()).args(args).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) }
}

#[test]
fn values_that_the_pages_show_are_ones_that_the_chart_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("values.yaml");
    let mut count = 0;
    for page in Document::guides() {
        for block in page.blocks().iter().filter(|block| block.kind == "yaml values") {
            std::fs::write(&file, &block.text).unwrap();
            let rendered = rendered_with(&["--values", file.to_str().unwrap()]);
            assert!(rendered.is_ok(), "{}: {rendered:?}\n{}", page.path.display(), block.text);
            count += 1;
        }
    }
    assert!(count >= 4, "{count}");
}

/// What a page says of the chart: its prose, and the commands of a cluster, which no test runs.
fn of_the_chart(page: &Document) -> String {
    let blocks = page.blocks();
    let commands = blocks.iter().filter(|block| block.kind == "sh").map(|block| block.text.as_str());
    page.prose() + &commands.collect::<String>()
}

/// Whether there is such a value: each name is one of its map.
fn has(schema: &Value, path: &str) -> bool {
    let found = path.split('.').try_fold(schema, |at, name| at["properties"].get(name));
    found.is_some()
}

#[test]
fn every_value_that_the_pages_name_exists() {
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let groups: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    let mut count = 0;
    for page in Document::guides() {
        let text = of_the_chart(&page);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
        for word in words.map(|word| word.trim_matches('.')) {
            let Some((group, inner)) = word.split_once('.') else { continue };
            // Names of files and of gRPC services have points, too.
            let is_other = [".yaml", ".md"].iter().any(|end| word.ends_with(end)) || inner.starts_with("v1");
            if !groups.contains(group) || is_other || !inner.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            assert!(has(&schema, word), "{}: there is no value {word}", page.path.display());
            count += 1;
        }
    }
    assert!(count >= 15, "{count}");
    assert!(has(&schema, "logIngest.config.retainFor") && !has(&schema, "logIngest.config.retain"));
}

#[test]
fn every_metric_and_alert_that_the_pages_name_exists() {
    let alerts = std::fs::read_to_string(chart().join("files/alerts.yaml")).unwrap();
    let mut known = all_known();
    // Whoever reads is told the name of a histogram, and not of its parts.
    known.extend(all_known().iter().filter_map(|name| name.strip_suffix("_bucket")).map(str::to_owned));
    let (mut metrics, mut seen) = (BTreeSet::new(), 0);
    for page in Document::guides() {
        let mut names = named(&page.text);
        names.retain(|name| !known.contains(name));
        assert!(names.is_empty(), "{}: {names:?} do not exist", page.path.display());
        metrics.extend(named(&page.text));
        let words = page.text.split(|c: char| !c.is_ascii_alphanumeric());
        let said = words.filter(|word| is_alert(word));
        for alert in said {
            assert!(alerts.contains(&format!("alert: {alert}\n")), "{}: {alert}", page.path.display());
            seen += 1;
        }
    }
    assert!(metrics.len() >= 15 && seen >= 5, "{metrics:?} {seen}");
}

/// Whoever is woken goes by this list, and sleeps on for all others.
#[test]
fn the_page_names_every_alert_that_wakes_somebody_and_no_other() {
    let alerts = std::fs::read_to_string(chart().join("files/alerts.yaml")).unwrap();
    let alerts: Value = serde_saphyr::from_str(&alerts).unwrap();
    let all = alerts.as_object().unwrap().values().flat_map(|alerts| alerts.as_array().unwrap());
    let critical: BTreeSet<_> = all
        .filter(|alert| alert["severity"] == "critical")
        .map(|alert| alert["alert"].as_str().unwrap().to_owned())
        .collect();
    let page = Document::read("docs/watch.md");
    let (_, section) = page.text.split_once("\n## The alerts that wake somebody\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let words = section.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| is_alert(word));
    assert_eq!(words.map(str::to_owned).collect::<BTreeSet<_>>(), critical);
}

/// `LogIngestDown`, and not `LogIngest` or another word.
fn is_alert(word: &str) -> bool {
    let rest = word.strip_prefix("LogIngest").or_else(|| word.strip_prefix("Ottoscaler"));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}
