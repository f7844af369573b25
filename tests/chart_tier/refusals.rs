//! What cannot work is refused before anything is installed, by the name of the value.

use serde_json::Value;

use crate::helm::{HELMS, case, chart, render};

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
    (&["ottoscaler.config.defaultTimeout=\"30parsecs\""], &["/ottoscaler/config/defaultTimeout'", "pattern"]),
    (&["ottoscaler.config.defaultTimeout=\"30min 1h\""], &["/ottoscaler/config/defaultTimeout'", "pattern"]),
    (&["cleanup.gracePeriod=null"], &["/cleanup'", "gracePeriod"]),
    (&["ottoscaler.podDisruptionBudget=null"], &["/ottoscaler'", "podDisruptionBudget"]),
    (&["global.imageRegistry=\"https://mirror/\""], &["/global/imageRegistry'", "pattern"]),
    (&["ottoscaler.image.registry=\"mirror/\""], &["/ottoscaler/image/registry'", "pattern"]),
    (
        &["networkPolicy.workers.notInternet=[\"10.0.0.0\"]"],
        &["/networkPolicy/workers/notInternet/0'", "pattern"],
    ),
    (
        &["networkPolicy.workers.egress=[{\"to\":[{\"ipBlock\":{\"cidr\":\"10.0.0.1\"}}]}]"],
        &["ipBlock/cidr'", "pattern"],
    ),
    (
        &["logIngest.terminationGracePeriodSeconds=0"],
        &["/logIngest/terminationGracePeriodSeconds'", "minimum"],
    ),
    // A headless Service's name is the Pod's address, and the Pod's port is 9092.
    (&["logIngest.service.ports.metrics=80"], &["/logIngest/service/ports'", "metrics", "not allowed"]),
    (&["ottoscaler.service.type=\"LoadBalancer\""], &["/ottoscaler/service'", "type", "not allowed"]),
    (&["logIngest.config.retainBytes=\"10 GB or so\""], &["/logIngest/config/retainBytes'", "pattern"]),
    (&["logIngest.image.digest=\"latest\""], &["/logIngest/image/digest'", "sha256"]),
    (&["ottoscaler.image.pullPolicy=\"Sometimes\""], &["/ottoscaler/image/pullPolicy'", "IfNotPresent"]),
    (&["ottoscaler.instance=\"Main\""], &["/ottoscaler/instance'", "pattern"]),
    (&["ottoscaler.ingestUrl=\"logs:50051\""], &["/ottoscaler/ingestUrl'", "http://"]),
    // No image and no command is null; these would be one without a name, and one that does nothing.
    (&["ottoscaler.config.workerImage=\"\""], &["/ottoscaler/config/workerImage'", "minLength"]),
    (&["ottoscaler.config.workerCommand=\"\""], &["/ottoscaler/config/workerCommand'", "minLength"]),
    (&["ottoscaler.config.workerCommand=\" \""], &["/ottoscaler/config/workerCommand'", "pattern"]),
    // What the scaler would end with: no JSON, more than one array, not of strings, and no program.
    (
        &["ottoscaler.config.workerCommand=\"[ -f x ] && y\""],
        &["workerCommand: starts with [", "start with a space"],
    ),
    (&["ottoscaler.config.workerCommand=\"[\\\"a\\\"],[\\\"b\\\"]\""], &["workerCommand", "no JSON array"]),
    (&["ottoscaler.config.workerCommand=\"[\\\"a\\\",1]\""], &["workerCommand", "no JSON array of strings"]),
    (&["ottoscaler.config.workerCommand=\"[]\""], &["workerCommand", "names a program"]),
    (&["ottoscaler.config.workerCommand=\"[\\\"\\\"]\""], &["workerCommand", "names a program"]),
    (&["fullnameOverride=\"a.b\""], &["/fullnameOverride'", "pattern"]),
    (&["commonLabels={\"a\":1}"], &["/commonLabels/a'", "string"]),
    (&["logIngest.service.ports.http=80800"], &["/logIngest/service/ports/http'", "maximum"]),
    // What cannot work together.
    (&["logIngest.replicas=2"], &["logIngest.replicas", "no shared store", "Set it to 1"]),
    (&["ottoscaler.enabled=false", "logIngest.enabled=false"], &["nothing is left to install"]),
    (
        &["ottoscaler.podAntiAffinity=\"hard\""],
        &["ottoscaler.strategy.rollingUpdate", "podAntiAffinity", "maxSurge: 0"],
    ),
    (
        &["ottoscaler.podAntiAffinity=\"hard\"", "ottoscaler.strategy.rollingUpdate.maxUnavailable=\"40%\""],
        &["ottoscaler.strategy.rollingUpdate", "podAntiAffinity"],
    ),
    (&["ottoscaler.strategy.rollingUpdate.maxSurge=0"], &["maxSurge and maxUnavailable are both 0"]),
    (&["logIngest.config.retainBytes=\"500GiB\""], &["logIngest.config.retainBytes", "500GiB", "20Gi"]),
    (
        &["logIngest.config.retainBytes=21474836480"],
        &["logIngest.config.retainBytes", "diskReserve (256MiB)"],
    ),
    (&["logIngest.config.diskReserve=\"50GiB\""], &["logIngest.config.diskReserve", "50GiB", "no room"]),
    (&["logIngest.persistence.size=\"256Mi\""], &["logIngest.config.diskReserve", "no room"]),
    (&["logIngest.config.retainBytes=\"1MiB\""], &["logIngest.config.retainBytes: 1MiB", "16MiB or more"]),
    (&["logIngest.config.retainTaskBytes=1000000"], &["retainTaskBytes: 1000000", "16MiB or more"]),
    (&["logIngest.config.maxLine=\"2GiB\""], &["logIngest.config.maxLine: 2GiB", "from 1 B to 1MiB"]),
    (&["logIngest.config.maxLine=0"], &["logIngest.config.maxLine: 0", "from 1 B to 1MiB"]),
    (&["logIngest.config.queueLimit=\"2GiB\""], &["logIngest.config.queueLimit: 2GiB", "from 1 B to 1GiB"]),
    // More than the memory that there may be.
    (
        &["logIngest.config.queueLimit=\"1GiB\""],
        &["logIngest.config.queueLimit: 1GiB", "limits.memory (1Gi)"],
    ),
    (
        &["logIngest.config.store=\"memory\"", "logIngest.config.retainBytes=\"960MiB\""],
        &["logIngest.config.retainBytes: 960MiB", "queueLimit (64MiB)", "limits.memory (1Gi)"],
    ),
    (
        &["logIngest.config.store=\"memory\"", "logIngest.resources.limits.memory=\"320Mi\""],
        &["logIngest.config.retainBytes: 256MiB", "limits.memory (320Mi)"],
    ),
    // On its node's disk.
    (
        &["logIngest.persistence.enabled=false", "logIngest.config.retainBytes=\"20GiB\""],
        &["logIngest.config.retainBytes: 20GiB", "is less (20Gi)", "evicted"],
    ),
    (
        &["logIngest.persistence.enabled=false", "logIngest.persistence.size=\"256Mi\""],
        &["logIngest.persistence.size", "256Mi,", "no room"],
    ),
    (&["logIngest.service.ports.grpc=8080"], &["logIngest.service.ports", "grpc and http are both 8080"]),
    (
        &["ottoscaler.service.ports.grpc=9091"],
        &["ottoscaler.service.ports", "grpc and metrics are both 9091"],
    ),
    (
        &["ottoscaler.config.eventsStream=\"otto:scale:status\""],
        &["ottoscaler.config", "eventsStream and statusStream are both otto:scale:status"],
    ),
    (
        &["ottoscaler.config.dlqStream=\"otto:scale:events\""],
        &["dlqStream and eventsStream are both otto:scale:events"],
    ),
    (&["ottoscaler.config.leaseDuration=\"1500ms\""], &["leaseDuration", "whole seconds"]),
    (&["ottoscaler.config.leaseDuration=\"1s\""], &["leaseDuration", "from 2s"]),
    (&["ottoscaler.config.keepEnded=\"48h\""], &["keepEnded", "dedupePeriod (24h)"]),
    (
        &["ottoscaler.config.shutdownTimeout=\"60s\""],
        &["ottoscaler.terminationGracePeriodSeconds", "shutdownTimeout (60s)"],
    ),
    (&["logIngest.terminationGracePeriodSeconds=10"], &["logIngest.terminationGracePeriodSeconds", "(10s)"]),
    (
        &["metrics.rules.disabled=[\"NoSuchAlert\"]"],
        &["metrics.rules.disabled", "NoSuchAlert", "LogIngestDown"],
    ),
    (
        &["ottoscaler.extraEnv=[{\"name\":\"OTTO_INSTANCE\",\"value\":\"x\"}]"],
        &["ottoscaler.extraEnv", "OTTO_INSTANCE is set already"],
    ),
    (
        &["logIngest.extraEnv=[{\"name\":\"OTTO_HTTP_ADDR\",\"value\":\"[::]:8080\"}]"],
        &["logIngest.extraEnv", "OTTO_HTTP_ADDR is set already", "logIngest.extraArgs"],
    ),
    (
        &["logIngest.extraEnv=[{\"name\":\"RUST_LOG\",\"value\":\"x\"}]"],
        &["logIngest.extraEnv", "RUST_LOG", "logFilter"],
    ),
    (
        &["logIngest.extraEnv=[{\"name\":\"A\",\"value\":\"x\"},{\"name\":\"A\",\"value\":\"y\"}]"],
        &["logIngest.extraEnv", "A is set already"],
    ),
    (&["ottoscaler.serviceAccount.create=false"], &["ottoscaler.serviceAccount.name", "create Pods"]),
    (
        &["worker.serviceAccount.name=\"ottoscaler\""],
        &["ottoscaler.serviceAccount.name", "worker.serviceAccount.name"],
    ),
    (
        &["ottoscaler.serviceAccount.name=\"ottoscaler-log-ingest\""],
        &["ottoscaler.serviceAccount.name", "logIngest.serviceAccount.name"],
    ),
    (
        &["worker.serviceAccount.name=\"ottoscaler-log-ingest\""],
        &["worker.serviceAccount.name", "logIngest.serviceAccount.name"],
    ),
    (
        &["redis.existingSecret.name=\"\"", "redis.bundled.enabled=true", "ottoscaler.enabled=false"],
        &["redis.bundled.enabled", "ottoscaler.enabled"],
    ),
    (
        &[
            "redis.existingSecret.name=\"\"",
            "redis.bundled.enabled=true",
            "redis.bundled.maxMemory=\"256Mi\"",
        ],
        &["redis.bundled.maxMemory", "limits.memory (256Mi)"],
    ),
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
    (
        &["redis.existingSecret.name=\"ottoscaler-redis\""],
        &["redis.existingSecret.name", "ottoscaler-redis", "redis.url", "another name"],
    ),
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
    (
        &["ingress.enabled=true", "ingress.hosts=[\"a.example\"]", "ingress.path=\"/logs\""],
        &["ingress.path", "not below /logs", "pathType to Prefix", "a host of its own"],
    ),
    // Nothing but an asterisk, where it is taken as it is.
    (
        &["ingress.enabled=true", "ingress.hosts=[\"a.example\"]", "ingress.path=\"/*\""],
        &["ingress.path", "not below /*", "pathType to Prefix"],
    ),
    (
        &["ingress.enabled=true", "ingress.hosts=[\"a.example\"]", "ingress.path=\"/apis\""],
        &["ingress.path", "its API at /api", "not below /apis"],
    ),
    (
        &["ingress.enabled=true", "ingress.hosts=[\"a.example\"]", "ingress.pathType=\"Exact\""],
        &["ingress.pathType", "Exact", "Prefix"],
    ),
    (
        &["httpRoute.enabled=true", "httpRoute.parentRefs=[{\"name\":\"web\"}]", "httpRoute.path=\"/logs\""],
        &["httpRoute.path", "not below /logs"],
    ),
    (
        &["httpRoute.enabled=true", "httpRoute.parentRefs=[{\"name\":\"web\"}]", "httpRoute.path=\"/*\""],
        &["httpRoute.path", "not below /*"],
    ),
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

/// What looks like one of those and is none: it is taken.
const TAKEN: &[&[&str]] = &[
    // What the page of upgrades says to set, and one that has any node to itself.
    &[
        "ottoscaler.podAntiAffinity=\"hard\"",
        "ottoscaler.strategy.rollingUpdate.maxUnavailable=\"50%\"",
        "ottoscaler.replicas=0",
    ],
    &["ottoscaler.podAntiAffinity=\"hard\"", "ottoscaler.replicas=1"],
    &["ottoscaler.podAntiAffinity=\"hard\"", "ottoscaler.strategy.rollingUpdate.maxUnavailable=\"50%\""],
    &["ottoscaler.podAntiAffinity=\"hard\"", "ottoscaler.strategy={\"type\":\"Recreate\"}"],
    &["ottoscaler.config.defaultTimeout=\"2 weeks 1 day\"", "ottoscaler.config.imageGrace=\"1.5min\""],
    &["ottoscaler.config.leaseDuration=\"1min 30s\"", "ottoscaler.config.keepEnded=\"24h\""],
    &["logIngest.config.retainBytes=\"19GiB\"", "logIngest.config.diskReserve=\"1 GiB\""],
    &["logIngest.config.retainBytes=\"500GiB\"", "logIngest.persistence.existingClaim=\"mine\""],
    &["logIngest.config.retainTaskBytes=\"16MiB\"", "logIngest.config.maxLine=\"1 MiB\""],
    &["logIngest.service.ports.grpc=8080", "logIngest.service.ports.http=80"],
    // An array of strings, of which all but the first may be empty; and a shell's own bracket.
    &["ottoscaler.config.workerCommand=\"[\\\"sh\\\", \\\"\\\"] \""],
    &["ottoscaler.config.workerCommand=\" [ -f x ] && y\""],
    // What fits into the memory that there may be, or where there is no limit.
    &["logIngest.config.queueLimit=\"1023MiB\""],
    &["logIngest.config.queueLimit=\"1GiB\"", "logIngest.resources.limits=null"],
    &["logIngest.config.store=\"memory\"", "logIngest.config.retainBytes=\"959MiB\""],
    &[
        "logIngest.config.store=\"memory\"",
        "logIngest.config.retainBytes=\"8GiB\"",
        "logIngest.resources.limits.memory=\"9Gi\"",
    ],
    // Of a node's disk its reserve is no part of what logs may take.
    &["logIngest.persistence.enabled=false", "logIngest.config.diskReserve=\"50GiB\""],
    // As one cloud's controller wants it, and the API alone.
    &[
        "ingress.enabled=true",
        "ingress.hosts=[\"a.example\"]",
        "ingress.path=\"/*\"",
        "ingress.pathType=\"ImplementationSpecific\"",
    ],
    &[
        "ingress.enabled=true",
        "ingress.hosts=[\"a.example\"]",
        "ingress.path=\"/api/*\"",
        "ingress.pathType=\"ImplementationSpecific\"",
    ],
    &["ingress.enabled=true", "ingress.hosts=[\"a.example\"]", "ingress.path=\"/api/v1\""],
    &["httpRoute.enabled=true", "httpRoute.parentRefs=[{\"name\":\"web\"}]", "httpRoute.path=\"/api\""],
    &["global.imageRegistry=\"mirror.example:5000/a/b\""],
    &["ottoscaler.serviceAccount.create=false", "ottoscaler.serviceAccount.name=\"mine\""],
    // Another namespace's account is another.
    &["worker.serviceAccount.name=\"ottoscaler\"", "worker.namespace=\"ci\""],
    &[
        "metrics.rules.disabled=[\"LogIngestDown\"]",
        "logIngest.extraEnv=[{\"name\":\"TZ\",\"value\":\"UTC\"}]",
    ],
];

#[test]
fn what_works_beside_that_is_taken() {
    let base = case("existing-secret");
    for set in TAKEN {
        render("helm3", &base.values, set).unwrap_or_else(|error| panic!("{set:?}: {error}"));
    }
}

/// Every value and every map of them, by its path.
fn paths(values: &Value, at: &str, found: &mut Vec<String>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{}", name.replace('.', "\\.")) };
        paths(value, &path, found);
        found.push(path);
    }
}

/// By null Helm takes a value away, which no schema sees: where nothing can stand in its place it is refused in words,
/// and not in those of a template that has stumbled over it.
#[test]
fn p10_every_value_can_be_taken_away_or_its_loss_is_refused() {
    let values = std::fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut found = Vec::new();
    paths(&serde_saphyr::from_str(&values).unwrap(), "", &mut found);
    assert!(found.len() > 300, "{}", found.len());
    let base = case("everything-extra");
    let try_each = |paths: &[String]| {
        for path in paths {
            let Err(error) = render("helm3", &base.values, &[&format!("{path}=null")]) else { continue };
            let is_told = ["execution error at", "the specifications of the schema"];
            assert!(is_told.iter().any(|words| error.contains(words)), "{path}: {error}");
        }
    };
    std::thread::scope(|scope| {
        for paths in found.chunks(found.len().div_ceil(4)) {
            scope.spawn(move || try_each(paths));
        }
    });
}

#[test]
fn an_old_kubernetes_is_refused() {
    let mut command = crate::helm::tool("helm3");
    command.args(["template", "x"]).arg(crate::helm::chart()).args(["--kube-version", "1.26.0"]);
    let output = command.arg("--values").arg(&case("existing-secret").values).output().unwrap();
    let error = crate::helm::text(&output.stderr);
    assert!(!output.status.success() && error.contains("1.27"), "{error}");
}
