//! What holds of everything that the chart renders, and what single values come to.

use std::collections::{BTreeMap, BTreeSet};

use ottoscaler_tests::rights;
use serde_json::{Value, json};

use crate::helm::{NAMESPACE, Object, RELEASE, case, cases, objects, parse, render};

fn find<'a>(objects: &'a [Object], id: &str) -> &'a Value {
    let ids = || objects.iter().map(Object::id).collect::<Vec<_>>();
    &objects.iter().find(|object| object.id() == id).unwrap_or_else(|| panic!("no {id} in {:?}", ids())).value
}

/// The containers of the chart's own in a Pod, not those that an operator adds.
fn own_containers(pod: &Value) -> Vec<&Value> {
    let lists = [&pod["initContainers"], &pod["containers"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.filter(|container| !["proxy", "wait"].contains(&container["name"].as_str().unwrap())).collect()
}

#[test]
fn nothing_is_cluster_wide_and_everything_says_where_it_is_and_whose() {
    for case in cases() {
        for object in
            objects(&case).iter().filter(|object| !["ci-text", "ottoscaler-more"].contains(&object.name()))
        {
            let (id, metadata) = (object.id(), &object.value["metadata"]);
            assert!(!object.kind().starts_with("Cluster"), "{}: {id}", case.name);
            let namespace = metadata["namespace"].as_str().unwrap_or_else(|| panic!("{}: {id}", case.name));
            assert!([NAMESPACE, "ci-workers"].contains(&namespace), "{}: {id}", case.name);
            assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], RELEASE, "{}: {id}", case.name);
            // By this one workers are told from everything else.
            assert_eq!(metadata["labels"]["managed-by"], Value::Null, "{}: {id}", case.name);
        }
    }
}

#[test]
fn every_pod_keeps_to_the_restricted_standard_and_needs_a_token_or_has_none() {
    for case in cases() {
        for object in objects(&case) {
            let Some(pod) = object.pod() else { continue };
            let at = format!("{}: {}", case.name, object.id());
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{at}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{at}");
            let needs_token = ["Deployment", "Job"].contains(&object.kind());
            assert_eq!(pod["automountServiceAccountToken"], needs_token, "{at}");
            for container in own_containers(pod) {
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false, "{at}");
                assert_eq!(security["readOnlyRootFilesystem"], true, "{at}");
                assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{at}");
                assert!(container["image"].as_str().unwrap().contains('/'), "{at}");
            }
        }
    }
}

#[test]
fn selectors_find_the_pods_that_are_meant() {
    for case in cases() {
        let objects = objects(&case);
        let labels = |object: &Object| object.value["spec"]["template"]["metadata"]["labels"].clone();
        let pods: Vec<_> = objects.iter().filter(|object| object.pod().is_some()).map(labels).collect();
        let finds = |selector: &Value| {
            let wanted = selector.as_object().unwrap();
            let count = pods
                .iter()
                .filter(|labels| wanted.iter().all(|(name, value)| &labels[name] == value))
                .count();
            (!wanted.is_empty()).then_some(count)
        };
        for object in &objects {
            let (spec, at) = (&object.value["spec"], format!("{}: {}", case.name, object.id()));
            match object.kind() {
                "Service" => assert_eq!(finds(&spec["selector"]), Some(1), "{at}"),
                "Deployment" | "StatefulSet" | "PodDisruptionBudget" | "ServiceMonitor" | "PodMonitor" => {
                    assert_eq!(finds(&spec["selector"]["matchLabels"]), Some(1), "{at}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn what_pods_refer_to_is_there() {
    for case in cases() {
        let objects = objects(&case);
        let has = |id: String| objects.iter().any(|object| object.id() == id);
        let without_account = ["least", "worker-classes"].contains(&&*case.name);
        for object in &objects {
            let Some(pod) = object.pod() else { continue };
            let at = format!("{}: {}", case.name, object.id());
            for volume in pod["volumes"].as_array().into_iter().flatten() {
                if let Some(name) = volume["configMap"]["name"].as_str() {
                    assert!(has(format!("ConfigMap/{name}")), "{at}: {name}");
                }
                if let Some(name) = volume["persistentVolumeClaim"]["claimName"].as_str() {
                    assert!(
                        has(format!("PersistentVolumeClaim/{name}")) || name == "old-logs",
                        "{at}: {name}"
                    );
                }
            }
            if let Some(name) = pod["serviceAccountName"].as_str() {
                assert!(has(format!("ServiceAccount/{name}")) || without_account, "{at}: {name}");
            }
            for container in own_containers(pod) {
                let mounts = container["volumeMounts"].as_array().into_iter().flatten();
                let claims = object.value["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
                let claims = claims.map(|claim| &claim["metadata"]["name"]);
                let volumes: BTreeSet<_> = pod["volumes"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|volume| &volume["name"])
                    .chain(claims)
                    .map(Value::to_string)
                    .collect();
                for mount in mounts {
                    assert!(volumes.contains(&mount["name"].to_string()), "{at}: {mount}");
                }
            }
        }
    }
}

#[test]
fn the_role_is_the_one_that_was_proven_with_this_installations_lease() {
    for (name, instance, namespace) in [
        ("trial", "ottoscaler", NAMESPACE),
        ("every-flag", "ci-main", NAMESPACE),
        ("worker-namespace", "ottoscaler", "ci-workers"),
    ] {
        let objects = objects(&case(name));
        let role = find(&objects, "Role/ottoscaler");
        let mut proven = rights::rules();
        for rule in proven
            .iter_mut()
            .filter(|rule| rule.resource_names.as_ref().is_some_and(|names| !names.is_empty()))
        {
            rule.resource_names = Some(vec![instance.to_owned()]);
        }
        assert_eq!(role["rules"], serde_json::to_value(proven).unwrap(), "{name}");
        assert_eq!(role["metadata"]["namespace"], namespace, "{name}");
        let binding = find(&objects, "RoleBinding/ottoscaler");
        assert_eq!(binding["metadata"]["namespace"], namespace, "{name}");
        assert_eq!(
            binding["subjects"],
            json!([{"kind": "ServiceAccount", "name": "ottoscaler", "namespace": NAMESPACE}])
        );
    }
}

/// The variables of the scaler's or log-ingest's container.
fn env(objects: &[Object], id: &str) -> BTreeMap<String, Value> {
    let container = &find(objects, id)["spec"]["template"]["spec"]["containers"][0];
    let variables = container["env"].as_array().unwrap().iter();
    let mut seen = BTreeMap::new();
    for variable in variables {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = variable.get("value").unwrap_or(&variable["valueFrom"]).clone();
        assert!(seen.insert(name.clone(), value).is_none(), "{id}: {name} is set twice");
    }
    seen
}

#[test]
fn flags_become_variables_and_large_numbers_stay_whole() {
    let objects = objects(&case("every-flag"));
    let scaler = env(&objects, "Deployment/ottoscaler");
    for (name, value) in [
        ("OTTO_MAX_WORKERS", "5000000"),
        ("OTTO_DLQ_LIMIT", "1000000"),
        ("OTTO_KEEP_ENDED_COUNT", "0"),
        ("OTTO_MAX_WORKERS_PER_EVENT", "2000000"),
        ("OTTO_INSTANCE", "ci-main"),
        ("OTTO_WORKER_COMMAND", "[\"true\"]"),
        ("OTTO_LOG_FORMAT", "text"),
    ] {
        assert_eq!(scaler[name], value, "{name}");
    }
    let ingest = env(&objects, "StatefulSet/ottoscaler-log-ingest");
    assert_eq!(
        (&ingest["OTTO_MAX_WORKERS"], &ingest["OTTO_TASK_RATE_LIMIT"]),
        (&"1000000".into(), &"0".into())
    );
    let plain = env(&self::objects(&case("existing-secret")), "Deployment/ottoscaler");
    assert!(!plain.contains_key("OTTO_KEEP_ENDED"), "what is null is the program's own default");
}

#[test]
fn redis_comes_from_where_it_was_said() {
    let url = |name: &str| env(&objects(&case(name)), "Deployment/ottoscaler")["REDIS_URL"].clone();
    assert_eq!(url("existing-secret"), json!({"secretKeyRef": {"name": "my-redis", "key": "address"}}));
    assert_eq!(url("redis-url"), json!({"secretKeyRef": {"name": "ottoscaler-redis", "key": "url"}}));
    assert_eq!(url("trial"), "redis://ottoscaler-redis.otto.svc:6379");
    let rendered = render("helm3", &case("redis-url").values, &[]).unwrap();
    assert_eq!(rendered.matches("sesame").count(), 1, "a password stands in the Secret and nowhere else");
}

#[test]
fn a_digest_wins_and_a_mirror_takes_the_place_of_every_registry() {
    let objects = objects(&case("digests"));
    let image = |id: &str| find(&objects, id)["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(
        image("Deployment/ottoscaler"),
        format!("mirror.example:5000/ottoscaler/ottoscaler@sha256:{}", "a".repeat(64))
    );
    assert_eq!(image("StatefulSet/ottoscaler-log-ingest"), "mirror.example:5000/ottoscaler/log-ingest:9.9.9");
    let agent = &env(&objects, "Deployment/ottoscaler")["OTTO_AGENT_IMAGE"];
    assert_eq!(*agent, format!("mirror.example:5000/ottoscaler/otto-agent@sha256:{}", "b".repeat(64)));
}

#[test]
fn a_change_of_the_workers_or_of_redis_restarts_scalers_and_another_does_not() {
    let base = case("redis-url");
    let template = |set: &[&str]| {
        let objects = parse(&render("helm3", &base.values, set).unwrap());
        find(&objects, "Deployment/ottoscaler")["spec"]["template"].clone()
    };
    let before = template(&[]);
    assert_ne!(before, template(&["worker.resourceClasses.more={}"]));
    assert_ne!(before, template(&["redis.url=\"redis://another:6379\""]));
    assert_ne!(before, template(&["ottoscaler.config.maxWorkers=7"]));
    assert_eq!(
        before,
        template(&["logIngest.config.retainFor=\"9d\"", "ottoscaler.service.annotations.a=\"b\""])
    );
}

#[test]
fn a_budget_is_there_where_it_holds_up_no_drain() {
    let has_budget = |name: &str, set: &[&str]| {
        let rendered = render("helm3", &case(name).values, set).unwrap();
        rendered.contains("kind: PodDisruptionBudget")
    };
    assert!(has_budget("existing-secret", &[]));
    assert!(!has_budget("existing-secret", &["ottoscaler.replicas=1"]));
    assert!(!has_budget("existing-secret", &["ottoscaler.podDisruptionBudget.enabled=false"]));
}

#[test]
fn nothing_reaches_workers_and_they_reach_log_ingest_and_dns() {
    let objects = objects(&case("worker-namespace"));
    let policy = find(&objects, "NetworkPolicy/ottoscaler-worker");
    assert_eq!(policy["metadata"]["namespace"], "ci-workers");
    let spec = &policy["spec"];
    assert_eq!((&spec["ingress"], &spec["policyTypes"]), (&json!([]), &json!(["Ingress", "Egress"])));
    let egress = spec["egress"].as_array().unwrap();
    assert_eq!(egress.len(), 2, "{egress:?}");
    assert_eq!(egress[1]["ports"], json!([{"protocol": "TCP", "port": 50051}]));
    let worker = &spec["podSelector"]["matchLabels"];
    assert_eq!(
        *worker,
        json!({"managed-by": "ottoscaler", "app.kubernetes.io/component": "worker", "app.kubernetes.io/instance": "ottoscaler"})
    );
    let ingest = &find(&objects, "NetworkPolicy/ottoscaler-log-ingest")["spec"];
    assert_eq!(ingest["ingress"][0]["from"][0]["podSelector"]["matchLabels"], *worker);
    assert_eq!(ingest["egress"], json!([]), "it asks nobody anything");
}

/// To Kubernetes a rule without peers leads everywhere, and one without ports to all of them.
#[test]
fn where_no_dns_is_named_workers_reach_none() {
    for set in ["networkPolicy.dns=[]", "networkPolicy.dns=null", "networkPolicy.dnsPorts=null"] {
        let objects = parse(&render("helm3", &case("existing-secret").values, &[set]).unwrap());
        let egress = &find(&objects, "NetworkPolicy/ottoscaler-worker")["spec"]["egress"];
        assert_eq!(egress.as_array().unwrap().len(), 1, "{set}: {egress}");
        assert_eq!(egress[0]["ports"], json!([{"protocol": "TCP", "port": 50051}]), "{set}");
    }
}

#[test]
fn the_log_volume_outlives_the_release_unless_told_otherwise() {
    let kept = objects(&case("trial"));
    let claim = find(&kept, "PersistentVolumeClaim/ottoscaler-log-ingest");
    assert_eq!(claim["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    let gone = objects(&case("storage"));
    let claim = find(&gone, "PersistentVolumeClaim/ottoscaler-log-ingest");
    let own = json!({"backup": "daily", "ottoscaler.dev/storage-class": "fast"});
    assert_eq!(claim["metadata"]["annotations"], own, "and nothing keeps it");
    assert_eq!(
        (&claim["spec"]["storageClassName"], &claim["spec"]["resources"]["requests"]["storage"]),
        (&"fast".into(), &"500Gi".into())
    );
    let redis = &find(&gone, "StatefulSet/ottoscaler-redis")["spec"];
    assert_eq!(redis["volumeClaimTemplates"][0]["spec"]["storageClassName"], "");
    assert_eq!(redis["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Delete");
}

#[test]
fn the_cleanup_comes_last_and_may_only_take_away() {
    let objects = objects(&case("every-flag"));
    for id in ["Job", "Role", "RoleBinding", "ServiceAccount"] {
        let object = find(&objects, &format!("{id}/ottoscaler-cleanup"));
        assert_eq!(object["metadata"]["annotations"]["helm.sh/hook"], "post-delete", "{id}");
    }
    let rules = find(&objects, "Role/ottoscaler-cleanup")["rules"].clone();
    let verbs: BTreeSet<_> = rules
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["verbs"].as_array().unwrap().clone())
        .map(|verb| verb.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(verbs.into_iter().collect::<Vec<_>>(), ["delete", "list"]);
    assert_eq!(rules[1]["resourceNames"], json!(["ci-main"]));
}
