//! A release of the chart: installed, asked, disturbed, and taken away again.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, Pod, Service};
use kube::Api;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use ottoscaler_tests::chart_tools::{chart, shell, text, tool};
use ottoscaler_tests::cluster::Cluster;
use ottoscaler_tests::document::Document;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::kube_api::ADMIN;
use ottoscaler_tests::node::NODE;
use ottoscaler_tests::scaler::{self, Entry, STATUS};
use ottoscaler_tests::{binary, redis_server, wait};
use redis::aio::MultiplexedConnection;
use serde_json::json;
use tokio::process::Command;

use super::{images, leftovers};

/// What takes longer does not come any more; the machine may be busy with other things.
pub(super) const LIMIT: Duration = Duration::from_mins(3);

/// So much of the end of a Pod's log goes into messages.
const LOG_LINES: i64 = 20;

/// The cluster with the images, and two namespaces: of the release, and of its workers.
pub(super) struct Ground {
    pub(super) cluster: Cluster,
    namespace: String,
    workers: String,
    dir: tempfile::TempDir,
}

impl Ground {
    pub(super) async fn start() -> Self {
        // Building takes its time, and the cluster would stand idle meanwhile.
        binary::static_program("ottoscaler");
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::start_with_services().await;
        images::make(&cluster).await;
        let (namespace, workers) = (cluster.namespace(true).await, cluster.namespace(true).await);
        let ground = Self { cluster, namespace, workers, dir };
        // Nothing here would make them when they are asked for.
        ground.volume("logs", "20Gi").await;
        ground.volume("redis", "1Gi").await;
        ground
    }

    pub(super) async fn stop(self) {
        self.cluster.stop().await;
    }

    /// Makes a volume that is a directory of the node.
    async fn volume(&self, name: &str, size: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let on_node = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]});
        let volume = json!({
            "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": size},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": path},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [on_node]}]}},
            },
        });
        let volumes: Api<PersistentVolume> = Api::all(self.cluster.client(ADMIN));
        volumes.create(&PostParams::default(), &serde_json::from_value(volume).unwrap()).await.unwrap();
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client(ADMIN), &self.namespace)
    }

    /// The address of a Service.
    async fn address(&self, service: &str) -> IpAddr {
        let service: Service = self.api().get(service).await.unwrap();
        service.spec.unwrap().cluster_ip.unwrap().parse().unwrap()
    }

    /// Every Pod with its state and the end of its log, for messages.
    async fn state(&self) -> String {
        let mut states = Vec::new();
        for namespace in [&self.namespace, &self.workers] {
            let pods: Api<Pod> = Api::namespaced(self.cluster.client(ADMIN), namespace);
            for pod in pods.list(&ListParams::default()).await.unwrap() {
                let name = pod.metadata.name.unwrap();
                let end = LogParams { tail_lines: Some(LOG_LINES), ..LogParams::default() };
                let log = pods.logs(&name, &end).await.unwrap_or_else(|error| error.to_string());
                let told = serde_json::to_string(&pod.status).unwrap();
                states.push(format!("--- Pod {namespace}/{name}: {told}\n{log}"));
            }
        }
        states.join("\n")
    }

    /// Has a version of Helm do something. `CHART` stands for where the chart is.
    async fn helm(&self, helm: &str, args: &[&str]) -> String {
        let chart = chart();
        let args = args.iter().map(|arg| if *arg == "CHART" { chart.to_str().unwrap() } else { *arg });
        let args: Vec<_> = args.collect();
        let mut command = Command::from(tool(helm));
        command.args(&args).args(["--namespace", &self.namespace]);
        self.run(command).await
    }

    /// Runs a command that has to succeed, and gives what it says.
    async fn run(&self, mut command: Command) -> String {
        command.env("KUBECONFIG", self.cluster.kubeconfig(ADMIN, &self.namespace)).kill_on_drop(true);
        // What caches of discovery hold is about another API server.
        command.env("HOME", self.dir.path());
        let Output { status, stdout, stderr } = command.output().await.unwrap();
        let said = text(&stdout) + &text(&stderr);
        assert!(status.success(), "{:?}: {said}\n{}", command.as_std(), self.state().await);
        said
    }
}

/// Pods by their ids, with their names.
pub(super) type Pods = BTreeMap<String, String>;

/// An installed release.
pub(super) struct Release<'a> {
    ground: &'a Ground,
    helm: &'static str,
    ingest: Ingest,
    redis: MultiplexedConnection,
}

impl<'a> Release<'a> {
    /// Installs one that brings its own Redis.
    pub(super) async fn install(ground: &'a Ground, helm: &'static str, set: &[&str]) -> Self {
        Self::helm_install(ground, helm, set).await;
        let url = format!("redis://{}", ground.address("ottoscaler-redis").await);
        let redis = redis_server::connect(&url).await.unwrap();
        Self::new(ground, helm, redis).await
    }

    /// Installs one on a Redis that is there.
    pub(super) async fn install_with(
        ground: &'a Ground,
        helm: &'static str,
        redis: MultiplexedConnection,
        set: &[&str],
    ) -> Self {
        Self::helm_install(ground, helm, set).await;
        Self::new(ground, helm, redis).await
    }

    async fn helm_install(ground: &Ground, helm: &str, set: &[&str]) {
        let workers = format!("worker.namespace={}", ground.workers);
        let mut args = vec!["install", "ottoscaler", "CHART", "--wait", "--timeout=4m", "--set", &workers];
        args.extend(set.iter().flat_map(|set| ["--set", set]));
        ground.helm(helm, &args).await;
    }

    async fn new(ground: &'a Ground, helm: &'static str, redis: MultiplexedConnection) -> Self {
        let ip = ground.address("ottoscaler-log-ingest").await;
        let ingest = Ingest::elsewhere((ip, 50051).into(), (ip, 8080).into());
        Self { ground, helm, ingest, redis }
    }

    /// Has Helm do something to it.
    pub(super) async fn helm(&self, args: &[&str]) -> String {
        self.ground.helm(self.helm, args).await
    }

    /// Does what the page of upgrades says, by its own line; with files where an operator has them.
    pub(super) async fn as_the_page_says(&self, beginning: &str) -> String {
        let line = Document::read("docs/upgrade.md").command(beginning);
        let here = line.replace("--namespace ottoscaler", &format!("--namespace {}", self.ground.namespace));
        assert_ne!(line, here, "it names no namespace");
        let mut said = self.ground.run(shell(self.helm, &self.desk(), &here).into()).await;
        said.insert_str(0, &format!("{here}\n"));
        said
    }

    /// Where values.yaml is that the page's commands write and read.
    pub(super) fn desk(&self) -> PathBuf {
        let desk = self.ground.dir.path().join("desk");
        std::fs::create_dir_all(&desk).unwrap();
        desk
    }

    /// Waits until a Pod of a component cannot have its image.
    pub(super) async fn lacks_its_image(&self, component: &str) -> Pods {
        let of_component = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
        wait::until("an image does not come", LIMIT, || async {
            let pods =
                self.ground.api::<Pod>().list(&of_component).await.map_err(|error| error.to_string())?;
            let states = serde_json::to_string(&pods.items).unwrap();
            let waits = ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"];
            if waits.iter().any(|reason| states.contains(reason)) { Ok(()) } else { Err(states) }
        })
        .await;
        self.pods(component).await
    }

    /// log-ingest by its Service.
    pub(super) fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    /// Its Redis, as a producer of events has it.
    pub(super) fn redis(&self) -> MultiplexedConnection {
        self.redis.clone()
    }

    /// The last word on every worker that has an exit code.
    pub(super) async fn ended_workers(&self) -> BTreeMap<String, Entry> {
        let told = scaler::entries(&mut self.redis(), STATUS).await.into_iter();
        let ended = told.filter(|entry| entry.contains_key("exit_code"));
        ended.map(|entry| (entry["worker_id"].clone(), entry)).collect()
    }

    /// The Pods of a component.
    pub(super) async fn pods(&self, component: &str) -> Pods {
        let of_component = ListParams::default().labels(&format!("app.kubernetes.io/component={component}"));
        let pods = self.ground.api::<Pod>().list(&of_component).await.unwrap().items.into_iter();
        pods.map(|pod| (pod.metadata.uid.unwrap(), pod.metadata.name.unwrap())).collect()
    }

    /// The Pods of both services.
    pub(super) async fn services(&self) -> Pods {
        let mut pods = self.pods("scaler").await;
        pods.append(&mut self.pods("log-ingest").await);
        pods
    }

    pub(super) async fn delete(&self, pods: &Pods) {
        for name in pods.values() {
            self.ground.api::<Pod>().delete(name, &DeleteParams::default()).await.unwrap();
        }
    }

    /// Waits until none of these is there any more, and as many others are ready.
    pub(super) async fn are_replaced(&self, before: &Pods) {
        let is_ready = |pod: &Pod| {
            let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
            conditions.into_iter().flatten().any(|known| known.type_ == "Ready" && known.status == "True")
        };
        let ours = ListParams::default().labels("app.kubernetes.io/component in (scaler, log-ingest)");
        wait::until("Pods are replaced by others", LIMIT, || async {
            let now = self.ground.api::<Pod>().list(&ours).await.map_err(|error| error.to_string())?.items;
            let is_old = |pod: &Pod| before.contains_key(pod.metadata.uid.as_deref().unwrap_or_default());
            // Two scalers and a log-ingest.
            let all = now.len() == 3 && now.iter().all(is_ready) && !now.iter().any(is_old);
            if all { Ok(()) } else { Err(serde_json::to_string(&now).unwrap()) }
        })
        .await;
    }

    /// Takes it away, waits until all is gone that goes, and gives what Helm has said.
    pub(super) async fn uninstall(self) -> String {
        let said = self.helm(&["uninstall", "ottoscaler", "--wait", "--timeout=3m"]).await;
        let client = self.ground.cluster.client(ADMIN);
        wait::until("the log volume alone is left", LIMIT, || async {
            let left = leftovers::of(&client, &self.ground.namespace).await;
            let of_workers = leftovers::of(&client, &self.ground.workers).await;
            let claim = left.iter().eq(["PersistentVolumeClaim/ottoscaler-log-ingest"]);
            if claim && of_workers.is_empty() {
                Ok(())
            } else {
                Err(format!("{left:?}, of workers: {of_workers:?}"))
            }
        })
        .await;
        said
    }
}
