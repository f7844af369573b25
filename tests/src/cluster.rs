//! A real Kubernetes of one node: API server, controller manager, scheduler, kubelet, containerd; a Service
//! network where a test asks for it. A Pod always reaches what listens on [`Cluster::node_ip`].

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node as NodeObject, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::image::{ImageConfig, Source};
use crate::kube_api::{self, ADMIN, KubeApi};
use crate::node::{Bridge, NODE, NODE_IP, Node};
use crate::service_network::ServiceNetwork;
use crate::{kube_tools, service_network, wait};

/// A machine has one cluster at a time: whoever comes later waits so long.
const LOCK_LIMIT: Duration = Duration::from_mins(15);

/// A node that is not ready within this never will be.
const READY_LIMIT: Duration = Duration::from_mins(2);

/// Pods that are not gone within this are killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A running cluster. Dropping it ends it, Pods and all; [`Cluster::stop`] lets them end first.
#[derive(Debug)]
pub struct Cluster {
    // Fields are dropped in this order.
    node: Node,
    services: Option<ServiceNetwork>,
    controllers: Vec<Daemon>,
    api: KubeApi,
    _bridge: Bridge,
    _lock: File,
}

impl Cluster {
    /// What keeps this machine from running one.
    pub fn possible() -> Result<(), String> {
        let mut missing = Node::missing();
        missing.extend(kube_tools::api().err());
        missing.extend(kube_tools::on_path("openssl").err());
        let components = ["kube-controller-manager", "kube-scheduler"];
        missing.extend(components.iter().filter_map(|component| kube_tools::built(component).err()));
        missing.extend(ServiceNetwork::missing());
        if !missing.is_empty() {
            missing.push("run scripts/cluster-tools node".to_owned());
        }
        if !nix::unistd::geteuid().is_root() {
            missing.push("only root can run containers".to_owned());
        }
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }

    /// Starts one, and waits until its node takes Pods.
    pub async fn start() -> Self {
        Self::start_node(&[]).await
    }

    /// The same with a Service network: Pods and this machine reach Services by their addresses, and Pods by
    /// their names as well.
    pub async fn start_with_services() -> Self {
        let mut cluster = Self::start_node(&[service_network::DNS]).await;
        cluster.services = Some(ServiceNetwork::start(&cluster.api).await);
        cluster
    }

    async fn start_node(dns: &[Ipv4Addr]) -> Self {
        Self::possible().unwrap_or_else(|missing| panic!("{missing}"));
        let lock = lock().await;
        let bridge = Bridge::create();
        let advertise = format!("--advertise-address={NODE_IP}");
        let flags = [&advertise, "--kubelet-preferred-address-types=InternalIP", "--allow-privileged=true"];
        let (api, node) = tokio::join!(KubeApi::start_on(NODE_IP.into(), &flags), Node::start());
        let mut cluster =
            Self { node, services: None, controllers: Vec::new(), api, _bridge: bridge, _lock: lock };
        cluster.start_controllers();
        cluster.node.start_kubelet(&cluster.api.kubeconfig(kube_api::NODE, "default"), dns);
        wait::until("the node is ready", READY_LIMIT, || async {
            cluster.node.assert_runs();
            cluster.controllers.iter().for_each(Daemon::assert_runs);
            cluster.node_is_ready().await.map_err(|state| format!("{state}\n{}", cluster.node.tail()))
        })
        .await;
        cluster
    }

    fn start_controllers(&mut self) {
        let admin = self.api.kubeconfig(ADMIN, "default");
        for name in ["kube-controller-manager", "kube-scheduler"] {
            let mut command = Command::new(kube_tools::built(name).expect("asked before"));
            command.arg("--kubeconfig").arg(&admin).args(["--leader-elect=false", "--secure-port=0"]);
            if name == "kube-controller-manager" {
                command.arg("--service-account-private-key-file").arg(self.api.file("sa.key"));
                command.arg("--root-ca-file").arg(self.api.ca_file());
                command.arg("--flex-volume-plugin-dir").arg(self.api.file("volume-plugins"));
            }
            self.controllers.push(Daemon::start(name, &self.api.file("."), command));
        }
    }

    async fn node_is_ready(&self) -> Result<(), String> {
        let nodes: Api<NodeObject> = Api::all(self.client(ADMIN));
        let node = nodes.get(NODE).await.map_err(|error| error.to_string())?;
        let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
        let is_ready = conditions.iter().any(|known| known.type_ == "Ready" && known.status == "True");
        let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
        let state = || format!("conditions: {conditions:?}, taints: {taints:?}");
        (is_ready && taints.is_empty()).then_some(()).ok_or_else(state)
    }

    /// A client that speaks as a user of [`kube_api`].
    pub fn client(&self, user: &str) -> Client {
        self.api.client(user)
    }

    /// A file for the variable `KUBECONFIG`.
    pub fn kubeconfig(&self, user: &str, namespace: &str) -> PathBuf {
        self.api.kubeconfig(user, namespace)
    }

    /// Where the API server listens, for Pods as well.
    pub fn api_addr(&self) -> SocketAddr {
        self.api.addr()
    }

    /// The API server.
    pub fn api(&self) -> &KubeApi {
        &self.api
    }

    /// The address of this machine that Pods reach: what has to talk with them listens here.
    pub fn node_ip(&self) -> IpAddr {
        NODE_IP.into()
    }

    /// A new namespace with a name of its own. An enforced one takes only Pods that keep to the
    /// `restricted` standard.
    pub async fn namespace(&self, enforce_restricted: bool) -> String {
        let labels = if enforce_restricted {
            json!({"pod-security.kubernetes.io/enforce": "restricted"})
        } else {
            json!({})
        };
        let name = self.api.create_namespace(&labels).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(ADMIN), &name);
        wait::until("the namespace has its account", READY_LIMIT, || async {
            accounts.get("default").await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        name
    }

    /// Makes an image of these files, under a name with a tag, and puts it on the node.
    pub async fn image(&self, name: &str, files: &[(&str, Source<'_>)], config: &ImageConfig<'_>) {
        self.node.image(name, files, config).await;
    }

    /// Takes the node away as its machine's owner may: all on it ends at one blow, and its object is
    /// deleted. No Pod runs here any more.
    pub async fn lose_node(&self) {
        self.node.crash();
        let nodes: Api<NodeObject> = Api::all(self.client(ADMIN));
        nodes.delete(NODE, &DeleteParams::default()).await.expect("the node is there");
    }

    /// Deletes every Pod, waits until the node has nothing of them left, and ends everything.
    pub async fn stop(self) {
        let client = self.client(ADMIN);
        let all: Api<Pod> = Api::all(client.clone());
        for pod in all.list(&ListParams::default()).await.expect("the API server answers").items {
            let (name, namespace) = (pod.metadata.name, pod.metadata.namespace);
            let name = name.expect("every Pod has a name");
            let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace.expect("every Pod is in one"));
            let _it_may_have_gone = pods.delete(&name, &DeleteParams::default().grace_period(1)).await;
        }
        let start = Instant::now();
        while !self.node.is_idle() && start.elapsed() < STOP_LIMIT {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(self.services);
        // The rest is what dropping does.
    }
}

/// Waits for the machine's one place for a cluster.
async fn lock() -> File {
    let path = std::env::temp_dir().join("ottoscaler-cluster.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    wait::until("no other cluster runs", LOCK_LIMIT, || async {
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => format!("{} is locked", path.display()),
            TryLockError::Error(error) => error.to_string(),
        })
    })
    .await;
    file
}
