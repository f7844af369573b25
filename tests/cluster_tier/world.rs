//! What the scenarios share: one cluster with the images, one log-ingest that Pods reach, and scalers,
//! each with a Redis and a namespace of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::ListParams;
use ottoscaler_tests::cluster::Cluster;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::kube_api::{ADMIN, SCALER};
use ottoscaler_tests::kube_scaler::{KubeScaler, Replica};
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
use ottoscaler_tests::scaler::{self, Entry};
use ottoscaler_tests::{binary, rights, wait};
use serde_json::Value;

use crate::images;

/// What takes longer does not come any more; the machine may be busy with other things.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// Classes that scenarios name in their events.
const CLASSES: &str = r#"
resourceClasses:
  tight:
    podTemplate: { spec: { containers: [{ name: worker, resources: { limits: { memory: 48Mi } } }] } }
  huge:
    podTemplate: { spec: { containers: [{ name: worker, resources: { requests: { memory: 900Ti } } }] } }
  setup:
    podTemplate:
      spec:
        initContainers:
          - name: setup
            image: busybox:test
            command: [sh, -c, "echo no such volume > /dev/termination-log; exit 3"]
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
"#;

/// Ended Pods go soon, though not before they were looked at; what does not start is given up soon.
const FLAGS: [&str; 4] = ["--keep-ended=15s", "--grace-period=3s", "--drain-timeout=20s", "--image-grace=4s"];

/// The cluster and log-ingest.
pub(crate) struct Grounds {
    pub(crate) cluster: Cluster,
    pub(crate) ingest: Ingest,
    dir: tempfile::TempDir,
}

impl Grounds {
    pub(crate) async fn start() -> Arc<Self> {
        // Building takes its time, and the cluster would stand idle meanwhile.
        binary::path("ottoscaler");
        binary::static_agent();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("workers.yaml"), CLASSES).unwrap();
        let cluster = Cluster::start().await;
        images::make(async |name, files, config| cluster.image(name, files, config).await, dir.path()).await;
        let ingest = Ingest::start_on(cluster.node_ip(), &dir.path().join("data"), &[]).await;
        Arc::new(Self { cluster, ingest, dir })
    }

    fn classes(&self) -> PathBuf {
        self.dir.path().join("workers.yaml")
    }

    /// Every line of a worker.
    pub(crate) async fn lines(&self, worker: &str) -> Vec<Value> {
        self.ingest.lines(worker).await.unwrap()
    }
}

/// A scaler with what is its own.
pub(crate) struct Site {
    pub(crate) grounds: Arc<Grounds>,
    namespace: String,
    redis: RedisServer,
    scaler: KubeScaler,
    replica: Option<Replica>,
}

impl Site {
    /// Starts one in a namespace that takes restricted Pods alone, with more flags.
    pub(crate) async fn start(grounds: &Arc<Grounds>, flags: &[&str]) -> Self {
        let cluster = &grounds.cluster;
        let (namespace, redis) = tokio::join!(cluster.namespace(true), RedisServer::start(Persistence::None));
        rights::allow(cluster.api(), &namespace, rights::rules()).await;
        let kubeconfig = cluster.kubeconfig(SCALER, &namespace);
        let scaler = KubeScaler::by_kubeconfig(kubeconfig, &redis.url(), &grounds.ingest.url());
        let config = format!("--worker-config={}", grounds.classes().display());
        let scaler = scaler.with(&FLAGS).with(&[&config]).with(flags);
        let replica = Some(scaler.lead().await);
        Self { grounds: Arc::clone(grounds), namespace, redis, scaler, replica }
    }

    /// Ends the scaler by SIGKILL.
    pub(crate) async fn kill_scaler(&mut self) {
        self.replica.take().expect("it runs").kill().await;
    }

    /// Starts it again, and waits until it leads.
    pub(crate) async fn resume_scaler(&mut self) {
        assert!(self.replica.is_none(), "it runs already");
        self.replica = Some(self.scaler.lead().await);
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.grounds.cluster.client(ADMIN), &self.namespace)
    }

    pub(crate) async fn pod_names(&self) -> Vec<String> {
        let pods = self.pods().list(&ListParams::default()).await.unwrap();
        pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect()
    }

    /// Waits until no Pod is left, kept ones included.
    pub(crate) async fn no_pod_is_left(&self) {
        wait::until("no Pod is left", LIMIT, || async {
            let names = self.pod_names().await;
            if names.is_empty() { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
    }

    /// Asks for workers of a task.
    pub(crate) async fn submit(&self, task: &str, count: usize, more: &[(&str, &str)]) {
        let count = count.to_string();
        let mut fields = vec![("type", "scale_up"), ("task_id", task), ("worker_count", &count)];
        fields.extend(more);
        scaler::submit(&mut self.redis.connect().await, &fields).await;
    }

    /// Asks for so many fewer workers of a task that `keep` are left.
    pub(crate) async fn scale_down(&self, task: &str, keep: usize) {
        let keep = keep.to_string();
        let fields = [("type", "scale_down"), ("task_id", task), ("worker_count", &*keep)];
        scaler::submit(&mut self.redis.connect().await, &fields).await;
    }

    /// Waits until so many workers of a task are in a state, and gives their names.
    pub(crate) async fn are(&self, task: &str, count: usize, state: &str) -> Vec<String> {
        let redis = self.redis.connect().await;
        wait::until(&format!("{count} workers of {task} are {state}"), LIMIT, || async {
            let states = scaler::states(&mut redis.clone(), task).await;
            let found = states.iter().filter(|(_, entry)| entry["state"] == state);
            let names: Vec<_> = found.map(|(worker, _)| worker.clone()).collect();
            if names.len() == count { Ok(names) } else { Err(format!("{states:#?}")) }
        })
        .await
    }

    /// How often kubelets say that they have started the container of a worker. Each Pod that there ever
    /// was counts.
    pub(crate) async fn starts(&self) -> usize {
        let events: Api<Event> = Api::namespaced(self.grounds.cluster.client(ADMIN), &self.namespace);
        let started = ListParams::default().fields("reason=Started");
        let events = events.list(&started).await.unwrap().items.into_iter();
        let of_workers = events
            .filter(|event| event.involved_object.field_path.as_deref() == Some("spec.containers{worker}"));
        of_workers.map(|event| usize::try_from(event.count.unwrap_or(1)).unwrap()).sum()
    }

    /// Waits until the only worker of a task has ended, and gives its name and last notification.
    pub(crate) async fn ended(&self, task: &str) -> (String, Entry) {
        let ended = scaler::ended(&self.redis.connect().await, task, 1).await;
        ended.into_iter().next().expect("one has ended")
    }

    /// Waits until a worker's lines have come, though not yet all: the first of them is there.
    pub(crate) async fn has_said(&self, worker: &str, message: &str) {
        wait::until(&format!("{worker} says {message:?}"), LIMIT, || async {
            let lines = self.grounds.ingest.lines(worker).await.map_err(|error| format!("{error:#}"))?;
            let said = lines.iter().any(|line| line["message"] == message);
            if said { Ok(()) } else { Err(format!("{lines:?}")) }
        })
        .await;
    }

    /// Waits until the only worker of a task is explained like this, and gives the explanation.
    pub(crate) async fn explained(&self, task: &str, is: impl Fn(&Value) -> bool) -> Value {
        let replica = self.replica.as_ref().expect("it runs");
        wait::until(&format!("{task} is explained"), LIMIT, || async {
            let worker = replica.explain(task).await?["workers"][0].clone();
            if is(&worker) { Ok(worker) } else { Err(worker.to_string()) }
        })
        .await
    }

    /// Waits until a worker's Pod is gone.
    pub(crate) async fn is_gone(&self, worker: &str) {
        let pods = self.pods();
        wait::until(&format!("the Pod {worker} is gone"), LIMIT, || async {
            let found = pods.get_opt(worker).await.map_err(|error| error.to_string())?;
            found.map_or(Ok(()), |pod| Err(format!("{:?}", pod.status)))
        })
        .await;
    }
}
