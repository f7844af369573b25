//! What is rendered so that a change of it, or a platform of another kind, takes it: strategies, probes, ids, sizes,
//! and how long hooks may take.

use serde_json::{Value, json};

use crate::helm::{Object, case, cases, objects, parse, render};

fn with(name: &str, set: &[&str]) -> Vec<Object> {
    parse(&render("helm3", &case(name).values, set).unwrap_or_else(|error| panic!("{set:?}: {error}")))
}

fn find<'a>(objects: &'a [Object], id: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object.id() == id).map(|object| &object.value)
}

/// A variable of log-ingest.
fn variable(objects: &[Object], name: &str) -> Option<String> {
    let ingest = find(objects, "StatefulSet/ottoscaler-log-ingest").unwrap();
    let variables = ingest["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let found = variables.iter().find(|variable| variable["name"] == name)?;
    Some(found["value"].as_str().unwrap().to_owned())
}

/// By the other policy a rollback would wait for the Pod that it is to replace.
#[test]
fn a_stateful_set_whose_pod_never_gets_ready_can_be_rolled_back() {
    let mut count = 0;
    for case in cases() {
        for object in objects(&case).iter().filter(|object| object.kind() == "StatefulSet") {
            let at = format!("{}: {}", case.name, object.id());
            assert_eq!(object.value["spec"]["podManagementPolicy"], "Parallel", "{at}");
            count += 1;
        }
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn scalers_that_need_a_node_each_go_before_others_come() {
    let strategy =
        &find(&objects(&case("values-ha")), "Deployment/ottoscaler").unwrap()["spec"]["strategy"].clone();
    let expected = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
    assert_eq!(*strategy, expected);
}

#[test]
fn a_spread_over_pods_that_an_operator_names_is_over_those() {
    let spread = |selector: &str| {
        let constraint = "{\"topologyKey\":\"zone\",\"maxSkew\":1,\"whenUnsatisfiable\":\"DoNotSchedule\"";
        let set = format!("ottoscaler.topologySpreadConstraints=[{constraint}{selector}}}]");
        let objects = with("existing-secret", &[&set]);
        let pod = &find(&objects, "Deployment/ottoscaler").unwrap()["spec"]["template"]["spec"];
        pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].clone()
    };
    assert_eq!(spread("")["app.kubernetes.io/component"], "scaler");
    let named = spread(",\"labelSelector\":{\"matchLabels\":{\"team\":\"ci\"}}");
    assert_eq!(named, json!({"team": "ci"}));
}

#[test]
fn an_update_that_recreates_has_no_numbers_of_a_rolling_one() {
    let recreated = with("existing-secret", &["ottoscaler.strategy.type=\"Recreate\""]);
    let strategy = &find(&recreated, "Deployment/ottoscaler").unwrap()["spec"]["strategy"];
    assert_eq!(*strategy, json!({"type": "Recreate"}));
}

#[test]
fn a_probe_that_asks_otherwise_does_not_ask_twice() {
    let set = [
        "logIngest.livenessProbe={\"tcpSocket\":{\"port\":\"grpc\"}}",
        "logIngest.readinessProbe.periodSeconds=9",
    ];
    let changed = with("existing-secret", &set);
    let ingest = &find(&changed, "StatefulSet/ottoscaler-log-ingest").unwrap()["spec"]["template"]["spec"];
    let probe = |name: &str| ingest["containers"][0][name].clone();
    assert_eq!(
        probe("livenessProbe"),
        json!({"tcpSocket": {"port": "grpc"}, "periodSeconds": 10, "timeoutSeconds": 3})
    );
    let ready =
        json!({"httpGet": {"path": "/readyz", "port": "metrics"}, "periodSeconds": 9, "timeoutSeconds": 3});
    assert_eq!(probe("readinessProbe"), ready);
}

/// Pods, hooks and all. What the scaler makes is not of the chart.
#[test]
fn where_the_platform_gives_ids_no_pod_names_one() {
    let names_one = |objects: &[Object]| {
        let pods = objects.iter().filter_map(|object| object.pod());
        pods.filter(|pod| {
            ["runAsUser", "runAsGroup", "fsGroup"]
                .iter()
                .any(|id| pod.to_string().contains(&format!("{id}\":")))
        })
        .count()
    };
    let own = objects(&case("own-ids"));
    assert!(own.iter().filter(|object| object.pod().is_some()).count() >= 5);
    assert_eq!(names_one(&own), 0);
    assert!(names_one(&objects(&case("trial"))) >= 5, "and by itself they do");
}

#[test]
fn the_oldest_lines_go_before_the_volume_is_full() {
    let kept = |set: &[&str]| variable(&with("existing-secret", set), "OTTO_RETAIN_BYTES");
    let mib = |size: u64| Some(format!("{size}MiB"));
    assert_eq!(kept(&[]), mib(20 * 1024 * 9 / 10 - 256));
    let larger = ["logIngest.persistence.size=\"1.5Ti\"", "logIngest.config.diskReserve=\"2GiB\""];
    assert_eq!(kept(&larger), mib(1536 * 1024 * 9 / 10 - 2048));
    assert_eq!(kept(&["logIngest.persistence.size=\"100G\""]), mib((90_000_000_000 - (256 << 20)) >> 20));
    assert_eq!(
        kept(&["logIngest.config.retainBytes=\"1GiB\""]),
        Some("1GiB".to_owned()),
        "what was said counts"
    );
    assert_eq!(kept(&["logIngest.persistence.existingClaim=\"mine\""]), None, "its size is not known");
    assert_eq!(kept(&["logIngest.config.store=\"memory\""]), None, "the program's own");
}

/// Beyond that the kubelet evicts it, and no other Pod.
#[test]
fn logs_without_a_volume_take_so_much_of_their_nodes_disk_and_no_more() {
    let on_node = |set: &[&str]| {
        let objects = with("own-ids", set);
        let ingest = find(&objects, "StatefulSet/ottoscaler-log-ingest").unwrap();
        let volume = ingest["spec"]["template"]["spec"]["volumes"][0].clone();
        (volume, variable(&objects, "OTTO_RETAIN_BYTES").unwrap())
    };
    let limited = |size: &str| json!({"name": "data", "emptyDir": {"sizeLimit": size}});
    let mib = |size: u64| format!("{}MiB", size * 1024 * 9 / 10 - 256);
    assert_eq!(on_node(&[]), (limited("20Gi"), mib(20)));
    let pod = ["logIngest.resources.limits.ephemeral-storage=\"5Gi\""];
    assert_eq!(on_node(&pod), (limited("5Gi"), mib(5)), "its Pod's own limit is less");
    // What is kept free on the node is none of it, and a claim that nobody mounts neither.
    let other = [
        "logIngest.persistence.size=\"10Gi\"",
        "logIngest.config.diskReserve=\"9GiB\"",
        "logIngest.persistence.existingClaim=\"mine\"",
    ];
    assert_eq!(on_node(&other), (limited("10Gi"), mib(10)));
    let said = on_node(&["logIngest.config.retainBytes=\"1GiB\""]);
    assert_eq!(said, (limited("20Gi"), "1GiB".to_owned()));
}

#[test]
fn a_store_in_memory_has_no_volume() {
    let forgetful = with("existing-secret", &["logIngest.config.store=\"memory\""]);
    assert!(find(&forgetful, "PersistentVolumeClaim/ottoscaler-log-ingest").is_none());
    let ingest = find(&forgetful, "StatefulSet/ottoscaler-log-ingest").unwrap();
    assert_eq!(ingest["spec"]["template"]["spec"]["volumes"][0], json!({"name": "data", "emptyDir": {}}));
}

/// What asks nobody for a password.
#[test]
fn the_admin_port_of_the_scaler_is_within_the_cluster_alone() {
    for case in cases() {
        for object in objects(&case).iter().filter(|object| object.kind() == "Service") {
            let ports = object.value["spec"]["ports"].as_array().unwrap();
            let has_metrics = ports.iter().any(|port| port["name"] == "metrics");
            let at = format!("{}: {}", case.name, object.id());
            assert!(!has_metrics || object.value["spec"]["type"] == "ClusterIP", "{at}");
        }
    }
}

/// Helm waits for five minutes.
#[test]
fn hooks_end_before_helm_gives_up() {
    let objects = objects(&case("trial"));
    let job = find(&objects, "Job/ottoscaler-cleanup").unwrap();
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 210);
    let test = find(&objects, "Pod/ottoscaler-test").unwrap();
    let containers = ["initContainers", "containers"].map(|list| &test["spec"][list][0]["args"]);
    for args in containers {
        assert!(args.as_array().unwrap().contains(&json!("--wait=2min")), "{args}");
    }
    let patient = self::objects(&case("patient"));
    assert_eq!(find(&patient, "Job/ottoscaler-cleanup").unwrap()["spec"]["activeDeadlineSeconds"], 780);
}
