//! The chart and the programs that it starts: every flag has a value, every variable a flag, and the workers'
//! file is one that the scaler reads.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use ottoscaler_tests::binary;
use serde_json::Value;

use crate::helm::{Object, case, cases, chart, objects, text};

/// The variables of a program's flags, by its own help.
fn variables(program: &str) -> BTreeSet<String> {
    let output = Command::new(binary::path(program)).arg("--help").output().unwrap();
    let help = text(&output.stdout);
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    named.map(|name| name.trim().to_owned()).collect()
}

/// What the chart sets by itself, or has values of their own for.
const OF_THE_CHART: [(&str, &[&str]); 2] = [
    (
        "ottoscaler",
        &[
            "REDIS_URL",
            "OTTO_RUNTIME",
            "OTTO_NAMESPACE",
            "OTTO_INSTANCE",
            "OTTO_INGEST_URL",
            "OTTO_AGENT_IMAGE",
            "OTTO_WORKER_CONFIG",
            "OTTO_GRPC_ADDR",
            "OTTO_ADMIN_ADDR",
        ],
    ),
    ("log-ingest", &["OTTO_GRPC_ADDR", "OTTO_HTTP_ADDR", "OTTO_ADMIN_ADDR", "OTTO_DATA_DIR"]),
];

/// What means nothing in a cluster.
const OF_OTHER_RUNTIMES: [&str; 2] = ["OTTO_STATE_DIR", "OTTO_AGENT_BINARY"];

/// `maxWorkers` → `OTTO_MAX_WORKERS`, as the chart has it.
fn variable(key: &str) -> String {
    let upper = key
        .chars()
        .map(|c| if c.is_ascii_uppercase() { format!("_{c}") } else { c.to_ascii_uppercase().to_string() });
    format!("OTTO_{}", upper.collect::<String>())
}

#[test]
fn every_flag_of_the_programs_has_a_value_and_every_value_a_flag() {
    let schema = std::fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    for ((program, own), values) in OF_THE_CHART.into_iter().zip(["ottoscaler", "logIngest"]) {
        let config = &schema["properties"][values]["properties"]["config"]["properties"];
        let mut given: BTreeSet<_> = config.as_object().unwrap().keys().map(|key| variable(key)).collect();
        given.extend(own.iter().map(ToString::to_string));
        let mut known = variables(program);
        for other in OF_OTHER_RUNTIMES {
            known.remove(other);
        }
        // Those of a runtime that the chart does not use come and go with it.
        known.retain(|name| !name.starts_with("OTTO_DOCKER") && name != "DOCKER_HOST");
        let (missing, unknown): (Vec<_>, Vec<_>) =
            (known.difference(&given).collect(), given.difference(&known).collect());
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "{program}: no value for {missing:?}; no flag for {unknown:?}"
        );
    }
}

/// The file that scalers are given.
fn workers(objects: &[Object]) -> Option<&str> {
    let map = objects.iter().find(|object| object.value["data"]["workers.yaml"].is_string())?;
    map.value["data"]["workers.yaml"].as_str()
}

#[tokio::test]
async fn the_scaler_reads_the_workers_file_of_every_case() {
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    for case in cases() {
        let objects = objects(&case);
        let Some(workers) = workers(&objects) else { continue };
        let file = dir.path().join(format!("{}.yaml", case.name));
        std::fs::write(&file, workers).unwrap();
        let said = first_complaint(&["--worker-config".as_ref(), file.as_os_str()]).await;
        // It has read the file, and goes on to look for a cluster.
        assert!(said.contains("no Kubernetes here"), "{}: {said}\n{workers}", case.name);
        count += 1;
    }
    assert!(count >= 15, "{count}");
    std::fs::write(dir.path().join("bad.yaml"), "podTemplat: {}").unwrap();
    let said = first_complaint(&["--worker-config".as_ref(), dir.path().join("bad.yaml").as_os_str()]).await;
    assert!(said.contains("podTemplat"), "{said}");
}

#[tokio::test]
async fn the_scaler_reads_the_workers_file_of_compose() {
    let file = binary::workspace().join("docker/workers.yaml");
    let docker = ["--runtime=docker", "--docker-host=unix:///nonexistent", "--worker-config"];
    let docker = docker.map(AsRef::<std::ffi::OsStr>::as_ref);
    let said = first_complaint(&[&docker[..], &[file.as_os_str()]].concat()).await;
    assert!(said.contains("unix:///nonexistent"), "it has read it, and goes on to look for Docker: {said}");
    // And would have said what is wrong in it.
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&bad, text.replace("memory: 2GiB", "memory: much")).unwrap();
    let said = first_complaint(&[&docker[..], &[bad.as_os_str()]].concat()).await;
    assert!(said.contains("memory") && said.contains("bad.yaml"), "{said}");
}

/// What the scaler ends with where there is no cluster.
async fn first_complaint(args: &[&std::ffi::OsStr]) -> String {
    let mut command = tokio::process::Command::new(binary::path("ottoscaler"));
    command.args(args).env("KUBECONFIG", "/nonexistent").kill_on_drop(true);
    let output =
        tokio::time::timeout(Duration::from_secs(30), command.output()).await.expect("it ends").unwrap();
    assert!(!output.status.success());
    text(&output.stderr)
}

/// Whether a program understands these arguments; what it then does about them is not waited for.
fn understands(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(binary::path(program)).args(args).arg("--help").output().unwrap();
    if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) }
}

#[test]
fn what_the_tests_pod_and_the_cleanup_run_is_what_the_program_knows() {
    let objects = objects(&case("trial"));
    let mut seen = 0;
    for object in objects.iter().filter(|object| ["Pod", "Job"].contains(&object.kind())) {
        let pod = object.pod().unwrap();
        let containers =
            [&pod["initContainers"], &pod["containers"]].into_iter().filter_map(Value::as_array).flatten();
        for container in containers {
            let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
            let args: Vec<_> = args.take_while(|arg| *arg != "--").collect();
            understands("ottoscaler", &args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
    assert!(understands("ottoscaler", &["submit", "--no-such-flag"]).is_err());
}
