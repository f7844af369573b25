//! What every test here needs: an API server, Redis, log-ingest, and the rights of the scaler.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::kube_api::{ADMIN, KubeApi};
use ottoscaler_tests::kube_scaler::{KubeScaler, Replica};
use ottoscaler_tests::kubelet_actor::KubeletActor;
use ottoscaler_tests::redis_server::{Persistence, RedisServer};
pub(crate) use ottoscaler_tests::rights::rules;
use ottoscaler_tests::{binary, rights, scaler, wait};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

/// What takes longer does not come any more.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// A scaler's surroundings.
pub(crate) struct World {
    pub(crate) api: Arc<KubeApi>,
    pub(crate) redis: RedisServer,
    pub(crate) ingest: Ingest,
    pub(crate) namespace: String,
    _dir: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Persistence::None).await
    }

    pub(crate) async fn with(persistence: Persistence) -> Self {
        // Building them takes its time, and nothing else here would get on meanwhile.
        binary::path("ottoscaler");
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (api, redis, ingest) =
            tokio::join!(KubeApi::start(), RedisServer::start(persistence), Ingest::start(&data, &[]));
        let namespace = api.namespace().await;
        let world = Self { api: Arc::new(api), redis, ingest, namespace, _dir: dir };
        world.allow(rules()).await;
        world
    }

    /// Another one on the same API server, in which the scaler may do nothing yet.
    pub(crate) async fn another(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (redis, ingest) = tokio::join!(RedisServer::start(Persistence::None), Ingest::start(&data, &[]));
        let namespace = self.api.namespace().await;
        Self { api: Arc::clone(&self.api), redis, ingest, namespace, _dir: dir }
    }

    /// The API server, to be killed and started again.
    pub(crate) fn api(&mut self) -> &mut KubeApi {
        Arc::get_mut(&mut self.api).expect("no other world is on it")
    }

    /// Gives the scaler these rights in its namespace, in place of those that it had.
    pub(crate) async fn allow(&self, rules: Vec<PolicyRule>) {
        rights::allow(&self.api, &self.namespace, rules).await;
    }

    /// Has the API server refuse every Pod that is not restricted.
    pub(crate) async fn restrict(&self) {
        let labels =
            json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
        let namespaces: Api<Namespace> = Api::all(self.api.client(ADMIN));
        namespaces.patch(&self.namespace, &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();
    }

    /// Lets so many Pods be there at once. Nobody counts them here as a controller manager would, so
    /// the quota is given anew each time, with what is used.
    pub(crate) async fn quota(&self, pods: u32) {
        let used = self.pod_names().await.len().to_string();
        self.quota_of("pods", &pods.to_string(), &used).await;
    }

    /// A quota of some resource; without a controller manager, what is used has to be told as well.
    pub(crate) async fn quota_of(&self, resource: &str, hard: &str, used: &str) {
        let quotas: Api<ResourceQuota> = Api::namespaced(self.api.client(ADMIN), &self.namespace);
        let hard = json!({ resource: hard });
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": { "name": "pods" }, "spec": { "hard": hard },
        });
        let params = PatchParams::apply("test").force();
        quotas.patch("pods", &params, &Patch::Apply(&quota)).await.unwrap();
        let status = json!({ "status": { "hard": hard, "used": { resource: used } } });
        quotas.patch_status("pods", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// A worker's log as its readers get it.
    pub(crate) async fn log(&self, worker: &str) -> String {
        let log = self.ingest.get(&format!("/api/v1/workers/{worker}/log.txt")).await.unwrap();
        String::from_utf8(log).unwrap()
    }

    pub(crate) fn scaler(&self) -> KubeScaler {
        KubeScaler::new(&self.api, &self.namespace, &self.redis.url(), &self.ingest.url())
    }

    pub(crate) fn kubelet(&self) -> KubeletActor {
        KubeletActor::new(&self.api, &self.namespace)
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.api.client(ADMIN), &self.namespace)
    }

    pub(crate) async fn redis(&self) -> MultiplexedConnection {
        self.redis.connect().await
    }

    /// The names of all Pods.
    pub(crate) async fn pod_names(&self) -> BTreeSet<String> {
        let pods = self.pods().list(&ListParams::default()).await.unwrap();
        pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect()
    }

    /// Waits until there are so many Pods, and gives their names.
    pub(crate) async fn pods_are(&self, count: usize) -> BTreeSet<String> {
        wait::until(&format!("there are {count} pods"), LIMIT, || async {
            let names = self.pod_names().await;
            if names.len() == count { Ok(names) } else { Err(format!("{names:?}")) }
        })
        .await
    }

    /// Has each of these Pods start and end at once. They are on no node, so that nobody but the scaler
    /// has to delete them.
    pub(crate) async fn run_through(&self, pods: &BTreeSet<String>, exit_code: i32) {
        let kubelet = self.kubelet();
        for pod in pods {
            kubelet.start(pod).await;
            kubelet.finish(pod, exit_code, "").await;
        }
    }

    /// Puts an event on the stream.
    pub(crate) async fn submit(&self, fields: &[(&str, &str)]) -> String {
        scaler::submit(&mut self.redis().await, fields).await
    }

    /// The last notification of each worker of a task, once `count` have ended.
    pub(crate) async fn ended(&self, task: &str, count: usize) -> BTreeMap<String, scaler::Entry> {
        scaler::ended(&self.redis().await, task, count).await
    }

    /// Waits until the first worker of a task is explained like this, and gives the explanation.
    pub(crate) async fn explained(
        &self,
        replica: &Replica,
        task: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        wait::until("the explanation", LIMIT, || async {
            let answer = replica.explain(task).await?;
            let worker = answer["workers"][0].clone();
            if is(&worker) { Ok(worker) } else { Err(worker.to_string()) }
        })
        .await
    }
}

/// An event that asks for one worker of a task.
pub(crate) fn event<'a>(task: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![("type", "scale_up"), ("worker_count", "1"), ("task_id", task)];
    fields.extend(more);
    fields
}
