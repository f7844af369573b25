//! What cannot work is refused before anything is installed, by the name of the value.

use crate::helm::{HELMS, case, render};

/// What is set beside values that work, and what Helm then has to say.
const REFUSED: &[(&[&str], &[&str])] = &[
    // Misspelt.
    (&["redisUrl=\"redis://x\""], &["redisUrl", "not allowed"]),
    (&["ottoscaler.replica=3"], &["/ottoscaler'", "replica", "not allowed"]),
    (&["ottoscaler.config.maxWorker=3"], &["/ottoscaler/config'", "maxWorker", "not allowed"]),
    (&["logIngest.resources.limit={}"], &["/logIngest/resources'", "limit", "not allowed"]),
    (&["logIngest.securityContext.readOnlyRootFileSystem=true"], &["readOnlyRootFileSystem", "not allowed"]),
    (
        &["worker.resourceClasses.big={\"securty\":\"baseline\"}"],
        &["/worker/resourceClasses/big'", "securty"],
    ),
    (&["networkPolicy.workers.egress=[{\"too\":[]}]"], &["/networkPolicy/workers/egress/0'", "too"]),
    (&["ottoscaler.tolerations=[{\"kee\":\"a\"}]"], &["/ottoscaler/tolerations/0'", "kee"]),
    // Of the wrong type, or out of bounds.
    (&["ottoscaler.replicas=\"three\""], &["/ottoscaler/replicas'", "integer"]),
    (&["ottoscaler.replicas=-1"], &["/ottoscaler/replicas'", "minimum"]),
    (&["ottoscaler.enabled=\"yes\""], &["/ottoscaler/enabled'", "boolean"]),
    (&["ottoscaler.config.maxWorkers=0"], &["/ottoscaler/config/maxWorkers'", "minimum"]),
    (&["ottoscaler.config.gracePeriod=30"], &["/ottoscaler/config/gracePeriod'", "string"]),
    (&["ottoscaler.config.gracePeriod=\"30\""], &["/ottoscaler/config/gracePeriod'", "pattern"]),
    (&["logIngest.config.retainBytes=\"10 GB or so\""], &["/logIngest/config/retainBytes'", "pattern"]),
    (&["logIngest.image.digest=\"latest\""], &["/logIngest/image/digest'", "sha256"]),
    (&["ottoscaler.image.pullPolicy=\"Sometimes\""], &["/ottoscaler/image/pullPolicy'", "IfNotPresent"]),
    (&["ottoscaler.instance=\"Main\""], &["/ottoscaler/instance'", "pattern"]),
    (&["ottoscaler.ingestUrl=\"logs:50051\""], &["/ottoscaler/ingestUrl'", "http://"]),
    (&["fullnameOverride=\"a.b\""], &["/fullnameOverride'", "pattern"]),
    (&["commonLabels={\"a\":1}"], &["/commonLabels/a'", "string"]),
    (&["logIngest.service.ports.http=80800"], &["/logIngest/service/ports/http'", "maximum"]),
    // What cannot work together.
    (&["logIngest.replicas=2"], &["logIngest.replicas", "no shared store", "Set it to 1"]),
    (&["ottoscaler.enabled=false", "logIngest.enabled=false"], &["nothing is left to install"]),
    (
        &["redis.existingSecret.name=\"\""],
        &["redis.url", "redis.existingSecret.name", "redis.bundled.enabled"],
    ),
    (&["redis.bundled.enabled=true"], &["redis.existingSecret.name and redis.bundled.enabled", "Leave one"]),
    (
        &["redis.existingSecret.name=\"\"", "redis.url=\"rediss://x\""],
        &["redis.url", "TLS", "extraContainers"],
    ),
    (&["redis.existingSecret.name=\"\"", "redis.url=\"redis.example:6379\""], &["redis.url", "redis://"]),
    (&["logIngest.enabled=false"], &["ottoscaler.ingestUrl", "logIngest.enabled"]),
    (
        &["logIngest.enabled=false", "ottoscaler.ingestUrl=\"http://logs:50051\""],
        &["networkPolicy.workers.egress"],
    ),
    (
        &[
            "logIngest.enabled=false",
            "ottoscaler.ingestUrl=\"http://logs:50051\"",
            "networkPolicy.enabled=false",
            "ingress.enabled=true",
        ],
        &["ingress.enabled", "logIngest.enabled"],
    ),
    (&["ingress.enabled=true"], &["ingress.hosts"]),
    (&["httpRoute.enabled=true"], &["httpRoute.parentRefs"]),
    (&["grpcRoute.enabled=true"], &["grpcRoute.parentRefs"]),
    (
        &["metrics.serviceMonitor.enabled=true", "metrics.podMonitor.enabled=true"],
        &["metrics.serviceMonitor", "metrics.podMonitor"],
    ),
    (
        &["ottoscaler.podDisruptionBudget.minAvailable=1"],
        &["podDisruptionBudget", "minAvailable", "maxUnavailable"],
    ),
    (&["ottoscaler.podDisruptionBudget.maxUnavailable=\"\""], &["podDisruptionBudget", "neither"]),
    (&["commonLabels={\"managed-by\":\"me\"}"], &["commonLabels", "managed-by"]),
    (
        &["ottoscaler.podLabels={\"app.kubernetes.io/name\":\"me\"}"],
        &["ottoscaler.podLabels", "app.kubernetes.io/name"],
    ),
    (
        &["worker.podTemplate={\"spec\":{\"restartPolicy\":\"Always\"}}"],
        &["worker.podTemplate.spec.restartPolicy"],
    ),
    (&["worker.podTemplate={\"metadata\":{\"name\":\"x\"}}"], &["worker.podTemplate.metadata.name"]),
    (
        &[
            "worker.resourceClasses.a={\"podTemplate\":{\"spec\":{\"containers\":[{\"name\":\"worker\",\"image\":\"x\"}]}}}",
        ],
        &["worker.resourceClasses.a.podTemplate", "image cannot be set"],
    ),
];

#[test]
fn p10_what_cannot_work_is_refused_by_its_name() {
    let base = case("existing-secret");
    for helm in HELMS {
        for (set, said) in REFUSED {
            let error = render(helm, &base.values, set).expect_err(&format!("{set:?} is taken"));
            for word in *said {
                assert!(error.contains(word), "{helm}, {set:?}: no {word:?} in:\n{error}");
            }
        }
    }
}

#[test]
fn an_old_kubernetes_is_refused() {
    let mut command = crate::helm::tool("helm3");
    command.args(["template", "x"]).arg(crate::helm::chart()).args(["--kube-version", "1.26.0"]);
    let output = command.arg("--values").arg(&case("existing-secret").values).output().unwrap();
    let error = crate::helm::text(&output.stderr);
    assert!(!output.status.success() && error.contains("1.27"), "{error}");
}
