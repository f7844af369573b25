//! The Service network of a [`Cluster`](crate::cluster::Cluster): kube-proxy leads what is sent to the address of
//! a Service on to one of its Pods, and CoreDNS knows Services by their names. What they add to the machine's
//! firewall is taken away again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::kube_api::{ADMIN, KubeApi};
use crate::node::{NODE, NODE_IP, POD_NETWORK, run_sync};
use crate::{kube_tools, port, wait};

/// The address of the Service by which Pods ask for names.
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// What names of Services end with.
pub(crate) const DOMAIN: &str = "cluster.local";

/// What does not answer within this has failed.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What is sent from Pod to Pod. Somebody else's firewall (Docker's, say) may drop what it does not know.
const BETWEEN_PODS: [&str; 7] = ["FORWARD", "-s", POD_NETWORK, "-d", POD_NETWORK, "-j", "ACCEPT"];

/// kube-proxy and CoreDNS. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct ServiceNetwork {
    proxy: Option<Daemon>,
    dns: Daemon,
    dir: TempDir,
}

impl ServiceNetwork {
    /// What it would miss on this machine.
    pub(crate) fn missing() -> Vec<String> {
        let found =
            [kube_tools::built("kube-proxy"), kube_tools::tool("coredns"), kube_tools::on_path("iptables")];
        found.into_iter().filter_map(Result::err).collect()
    }

    /// Starts both, and waits until Services are led somewhere and names are known.
    pub(crate) async fn start(api: &KubeApi) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (dns_addr, ready) = (SocketAddr::new(NODE_IP.into(), port::free().port()), port::free());
        let health = port::free();
        let corefile = format!(
            ".:{} {{\n bind {NODE_IP}\n errors\n ready {ready}\n kubernetes {DOMAIN} {{\n  kubeconfig {} test\n }}\n}}\n",
            dns_addr.port(),
            api.kubeconfig(ADMIN, "default").display(),
        );
        std::fs::write(dir.path().join("Corefile"), corefile).expect("the directory is writable");
        let mut command = Command::new(kube_tools::tool("coredns").expect("asked before"));
        command.arg("-conf").arg(dir.path().join("Corefile"));
        let dns = Daemon::start("coredns", dir.path(), command);
        publish(api, dns_addr).await;

        let mut network = Self { proxy: None, dns, dir };
        let _a_crashed_run_may_have_left_it = iptables("-D");
        iptables("-I").unwrap_or_else(|error| panic!("{error}"));
        network.start_proxy(api, health);
        for url in [format!("http://{health}/healthz"), format!("http://{ready}/ready")] {
            network.answers(&url).await;
        }
        network
    }

    fn start_proxy(&mut self, api: &KubeApi, health: SocketAddr) {
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": POD_NETWORK,
            "clientConnection": {"kubeconfig": api.kubeconfig(ADMIN, "default")},
            "hostnameOverride": NODE,
            "healthzBindAddress": health,
            "metricsBindAddress": port::free(),
            // The machine's own limits stay as they are.
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        });
        let file = self.dir.path().join("kube-proxy.json");
        std::fs::write(&file, config.to_string()).expect("the directory is writable");
        let mut command = Command::new(proxy());
        command.env("PATH", kube_tools::path()).arg("--config").arg(file);
        self.proxy = Some(Daemon::start("kube-proxy", self.dir.path(), command));
    }

    async fn answers(&self, url: &str) {
        wait::until(&format!("{url} answers"), START_LIMIT, || async {
            let daemons = || self.proxy.iter().chain([&self.dns]);
            daemons().for_each(Daemon::assert_runs);
            let tails = || daemons().map(Daemon::tail).collect::<Vec<_>>().join("\n");
            let answer = reqwest::get(url).await.and_then(reqwest::Response::error_for_status);
            answer.map(drop).map_err(|error| format!("{error}\n{}", tails()))
        })
        .await;
    }
}

impl Drop for ServiceNetwork {
    fn drop(&mut self) {
        drop(self.proxy.take());
        let mut cleanup = std::process::Command::new(proxy());
        let _best_effort = cleanup.arg("--cleanup").env("PATH", kube_tools::path()).output();
        let _best_effort = iptables("-D");
    }
}

fn proxy() -> PathBuf {
    kube_tools::built("kube-proxy").expect("asked before")
}

fn iptables(what: &str) -> Result<(), String> {
    run_sync("iptables", &[&["--wait", what], &BETWEEN_PODS[..]].concat())
}

/// Makes the Service by which Pods ask for names; who answers is no Pod.
async fn publish(api: &KubeApi, dns: SocketAddr) {
    let port =
        |name, protocol| json!({"name": name, "protocol": protocol, "port": 53, "targetPort": dns.port()});
    let service = json!({
        "metadata": {"name": "kube-dns"},
        "spec": {"clusterIP": DNS, "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")]},
    });
    let services: Api<Service> = Api::namespaced(api.client(ADMIN), "kube-system");
    let service = serde_json::from_value(service).expect("it is one");
    wait::until("kube-system has a name server", START_LIMIT, || async {
        services.create(&PostParams::default(), &service).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let port = |name, protocol| json!({"name": name, "protocol": protocol, "port": dns.port()});
    let slice = json!({
        "metadata": {"name": "kube-dns-node", "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")],
        "endpoints": [{"addresses": [dns.ip()], "conditions": {"ready": true}}],
    });
    let slices: Api<EndpointSlice> = Api::namespaced(api.client(ADMIN), "kube-system");
    let slice = serde_json::from_value(slice).expect("it is one");
    slices.create(&PostParams::default(), &slice).await.expect("it is new");
}
