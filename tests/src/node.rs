//! The one node of a [`Cluster`](crate::cluster::Cluster): a bridge with its address, containerd and
//! kubelet. What they write is below one directory, but for a few empty ones that have a fixed place.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::image::{self, ImageConfig, Source};
use crate::{kube_tools, port, service_network, wait};

/// The node's address: that of a bridge, since Kubernetes refuses a loopback address for a node.
pub const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The node's name.
pub const NODE: &str = "node1";

const BRIDGE: &str = "otto-node";
/// Where Pods have their addresses.
pub(crate) const POD_NETWORK: &str = "10.89.0.0/16";
const PAUSE: &str = "pause:local";

/// Where distributions and CNI's own releases put the plugins.
const CNI_DIRS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// A containerd that does not answer within this has failed.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Processes that were killed, and their mounts, are gone within this.
const CLEAN_LIMIT: Duration = Duration::from_secs(10);

/// A bridge with an address that containers reach. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Bridge(&'static str);

impl Bridge {
    /// Makes the node's.
    pub(crate) fn create() -> Self {
        Self::named(BRIDGE, NODE_IP)
    }

    /// Makes it, or takes over the one that a crashed run left.
    pub(crate) fn named(name: &'static str, address: Ipv4Addr) -> Self {
        let _it_may_be_there = ip(&["link", "add", name, "type", "bridge"]);
        let _it_may_have_it = ip(&["address", "add", &format!("{address}/32"), "dev", name]);
        ip(&["link", "set", name, "up"]).unwrap_or_else(|error| panic!("{error}"));
        Self(name)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _best_effort = ip(&["link", "delete", self.0]);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    run_sync("ip", args)
}

pub(crate) fn run_sync(program: &str, args: &[&str]) -> Result<(), String> {
    let path = kube_tools::on_path(program)?;
    let output = std::process::Command::new(path).args(args).output().map_err(|error| error.to_string())?;
    let error = || format!("{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then_some(()).ok_or_else(error)
}

/// containerd and kubelet. Dropping it ends them, and the containers, and unmounts what they mounted.
#[derive(Debug)]
pub(crate) struct Node {
    kubelet: Option<Daemon>,
    containerd: Option<Daemon>,
    dir: TempDir,
}

impl Node {
    /// What it would miss on this machine.
    pub(crate) fn missing() -> Vec<String> {
        let mut missing: Vec<String> = ["containerd", "ctr", "runc", "busybox", "ip", "tar"]
            .iter()
            .filter_map(|program| kube_tools::on_path(program).err())
            .collect();
        missing.extend(kube_tools::built("kubelet").err());
        if cni_dir().is_none() {
            missing.push(format!("no CNI plugins in any of {CNI_DIRS:?}"));
        }
        missing
    }

    /// Starts containerd with the image of Pods' sandboxes.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("otto-node-").tempdir().expect("a temporary directory");
        let mut node = Self { kubelet: None, containerd: None, dir };
        node.write("containerd.toml", &node.containerd_config());
        std::fs::create_dir(node.file("cni")).expect("the directory is new");
        // Pods and node reach each other by routes alone: nothing is added to the machine's firewall.
        let network = json!({"cniVersion": "0.4.0", "name": "otto", "plugins": [{"type": "ptp", "ipam": {
            "type": "host-local",
            "dataDir": node.file("cni-data"),
            "ranges": [[{"subnet": POD_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }}]});
        node.write("cni/10-otto.conflist", &network.to_string());

        let mut command = Command::new(kube_tools::on_path("containerd").expect("asked before"));
        // It looks for runc.
        command.env("PATH", kube_tools::path()).arg("--config").arg(node.file("containerd.toml"));
        let containerd = Daemon::start("containerd", node.dir.path(), command);
        wait::until("containerd answers", START_LIMIT, || async {
            containerd.assert_runs();
            node.ctr(&["version"]).await.map_err(|error| format!("{error}\n{}", containerd.tail()))
        })
        .await;
        node.containerd = Some(containerd);

        let busybox = kube_tools::on_path("busybox").expect("asked before");
        let entrypoint = &["/busybox", "sleep", "2147483647"];
        let config = ImageConfig { user: "65535:65535", entrypoint, ..ImageConfig::default() };
        node.image(PAUSE, &[("/busybox", Source::Path(&busybox))], &config).await;
        node
    }

    /// Starts kubelet, which makes itself known to the API. Its Pods ask these name servers, or none.
    pub(crate) fn start_kubelet(&mut self, kubeconfig: &Path, dns: &[Ipv4Addr]) {
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            // Only Pods and this machine can reach that address.
            "address": NODE_IP,
            "port": port::free().port(),
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "failCgroupV1": false,
            "cgroupDriver": "cgroupfs",
            "enforceNodeAllocatable": [],
            "failSwapOn": false,
            "makeIPTablesUtilChains": false,
            "oomScoreAdj": 0,
            "containerRuntimeEndpoint": format!("unix://{}", self.file("containerd.sock").display()),
            "podLogsDir": self.file("pod-logs"),
            "volumePluginDir": self.file("volume-plugins"),
            "clusterDNS": dns,
            "clusterDomain": service_network::DOMAIN,
            "imageMinimumGCAge": "24h",
            "evictionHard": {"memory.available": "100Mi"},
        });
        self.write("kubelet.json", &config.to_string());
        let mut command = Command::new(kube_tools::built("kubelet").expect("asked before"));
        command.arg("--config").arg(self.file("kubelet.json")).arg("--kubeconfig").arg(kubeconfig);
        command.arg("--root-dir").arg(self.file("kubelet")).arg("--cert-dir").arg(self.file("pki"));
        command.args(["--hostname-override", NODE, "--node-ip", &NODE_IP.to_string()]);
        self.kubelet = Some(Daemon::start("kubelet", self.dir.path(), command));
    }

    /// Ends all that runs on it at one blow, so that nothing gets another word out.
    pub(crate) fn crash(&self) {
        // Whoever could tell of the others' ends goes first.
        self.kubelet.iter().chain(&self.containerd).for_each(Daemon::crash);
        for pid in self.container_processes() {
            let _it_may_have_ended = kill(pid, Signal::SIGKILL);
        }
    }

    /// Panics with the end of a log if something has ended by itself.
    pub(crate) fn assert_runs(&self) {
        self.daemons().for_each(Daemon::assert_runs);
    }

    /// The ends of the logs.
    pub(crate) fn tail(&self) -> String {
        self.daemons().map(Daemon::tail).collect::<Vec<_>>().join("\n")
    }

    fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        self.containerd.iter().chain(&self.kubelet)
    }

    /// Makes an image and hands it to containerd.
    pub(crate) async fn image(&self, name: &str, files: &[(&str, Source<'_>)], config: &ImageConfig<'_>) {
        let archive = image::archive(self.dir.path(), name, files, config).await;
        let path = archive.to_str().expect("its name is text");
        let imported = self.ctr(&["--namespace", "k8s.io", "images", "import", path]).await;
        imported.unwrap_or_else(|error| panic!("importing {name}: {error}\n{}", self.tail()));
        std::fs::remove_file(&archive).expect("it is there");
    }

    async fn ctr(&self, args: &[&str]) -> Result<(), String> {
        let mut command = Command::new(kube_tools::on_path("ctr").expect("asked before"));
        let output = command.arg("--address").arg(self.file("containerd.sock")).args(args).output().await;
        let output = output.map_err(|error| error.to_string())?;
        let error = || String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or_else(error)
    }

    /// Whether Pods have left nothing mounted: each mounts volumes, root file systems and its network.
    pub(crate) fn is_idle(&self) -> bool {
        // kubelet may have mounted its own directory over itself.
        self.mounts().iter().all(|mount| *mount == self.file("kubelet"))
    }

    /// What is mounted below the directory, the last first.
    fn mounts(&self) -> Vec<PathBuf> {
        let mounts = std::fs::read_to_string("/proc/mounts").expect("proc is mounted");
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
        let mut ours: Vec<PathBuf> = points.filter(|point| point.starts_with(self.dir.path())).collect();
        ours.reverse();
        ours
    }

    /// The first processes of the containers, and the shims that watch them.
    fn container_processes(&self) -> Vec<Pid> {
        let socket = self.file("containerd.sock");
        let of_shims = socket.to_str().expect("its name is text").as_bytes();
        let tasks = self.file("containerd-state/io.containerd.runtime.v2.task/k8s.io");
        let containers: Vec<String> = tasks.read_dir().map_or_else(
            |_| Vec::new(),
            |tasks| tasks.flatten().filter_map(|task| task.file_name().into_string().ok()).collect(),
        );
        let processes = Path::new("/proc").read_dir().expect("proc is mounted").flatten();
        let ours = processes.filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let command = std::fs::read(process.path().join("cmdline")).ok()?;
            let cgroups = std::fs::read_to_string(process.path().join("cgroup")).ok()?;
            let is_shim = command.split(|byte| *byte == 0).any(|argument| argument == of_shims);
            let is_ours = is_shim || containers.iter().any(|container| cgroups.contains(container));
            is_ours.then(|| Pid::from_raw(pid))
        });
        ours.collect()
    }

    fn containerd_config(&self) -> String {
        let dir = self.dir.path().display();
        let cni_bin = cni_dir().expect("asked before");
        // The score: lowering it is a right that a machine may not give. The sandboxes' networks are kept
        // below the directory like everything else.
        format!(
            r#"version = 2
root = "{dir}/containerd-root"
state = "{dir}/containerd-state"
[grpc]
  address = "{dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{dir}/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/containerd-opt"
"#
        )
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.file(name), content).expect("the directory is writable");
    }
}

impl Drop for Node {
    #[allow(clippy::disallowed_methods, reason = "nothing can be awaited while something is dropped")]
    fn drop(&mut self) {
        drop(self.kubelet.take());
        let start = std::time::Instant::now();
        loop {
            let (processes, mounts) = (self.container_processes(), self.mounts());
            if processes.is_empty() && mounts.is_empty() && self.containerd.is_none() {
                return;
            }
            for pid in processes {
                let _it_may_have_ended = kill(pid, Signal::SIGKILL);
            }
            drop(self.containerd.take());
            for mount in mounts {
                let _the_next_round_sees = run_sync("umount", &[&mount.to_string_lossy()]);
            }
            if start.elapsed() > CLEAN_LIMIT {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn cni_dir() -> Option<&'static str> {
    CNI_DIRS.into_iter().find(|dir| Path::new(dir).join("ptp").is_file())
}
