//! A real Kubernetes API of a test's own: kube-apiserver on etcd, with nothing behind it. Pods stay
//! pending until the [`kubelet_actor`](crate::kubelet_actor) plays a kubelet.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client, Config};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::kube_tools::{self, ApiTools};
use crate::{port, wait};

/// The user who may do everything.
pub const ADMIN: &str = "admin";
/// The user that ottoscaler runs as: may do nothing until a test binds a role to it.
pub const SCALER: &str = "scaler";
/// The user of the one node of a [`Cluster`](crate::cluster::Cluster).
pub const NODE: &str = "system:node:node1";

/// The users, and the group of each.
const USERS: [(&str, &str); 3] = [(ADMIN, "system:masters"), (SCALER, ""), (NODE, "system:nodes")];

/// An API server that is not ready within this has failed. Many may be starting on few cores.
const START_LIMIT: Duration = Duration::from_mins(2);

/// A probe that takes longer counts as failed.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// A request that is silent for longer fails; no watch lasts so long.
const READ_LIMIT: Duration = Duration::from_secs(295);

/// A running API server. Dropping it ends it and all that it stored.
#[derive(Debug)]
pub struct KubeApi {
    api: Option<Daemon>,
    etcd: Daemon,
    addr: SocketAddr,
    etcd_url: String,
    flags: Vec<String>,
    tools: ApiTools,
    tokens: Vec<String>,
    dir: TempDir,
}

impl KubeApi {
    /// Starts one on loopback and waits until it is ready.
    pub async fn start() -> Self {
        // There is no interface to find in a sandbox, and nobody who looks for the API's endpoints.
        // A list told by a watch needs an etcd that tells its progress, which distributions' does not;
        // clients that would like one (kwok) then ask for a plain list.
        let flags = [
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--feature-gates=WatchList=false",
        ];
        Self::start_on(Ipv4Addr::LOCALHOST.into(), &flags).await
    }

    /// Starts one on an address of this machine, with more flags.
    pub(crate) async fn start_on(ip: IpAddr, flags: &[&str]) -> Self {
        let tools = kube_tools::api().unwrap_or_else(|missing| panic!("{missing}"));
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut key = Command::new("openssl");
        key.args(["genrsa", "-out"]).arg(dir.path().join("sa.key")).arg("2048");
        let made = key.output().await.expect("openssl is installed");
        assert!(made.status.success(), "openssl genrsa: {}", String::from_utf8_lossy(&made.stderr));

        let tokens: Vec<String> = USERS.iter().map(|_| hex::encode(rand::random::<[u8; 16]>())).collect();
        let users = USERS.iter().zip(&tokens);
        let lines = users.map(|((user, group), token)| format!("{token},{user},{user},\"{group}\""));
        let lines = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(dir.path().join("tokens.csv"), lines).expect("the directory is writable");

        let (etcd_url, peer_url) = (format!("http://{}", port::free()), format!("http://{}", port::free()));
        let mut command = Command::new(&tools.etcd);
        command.arg("--data-dir").arg(dir.path().join("etcd")).arg("--unsafe-no-fsync");
        command.args(["--listen-client-urls", &etcd_url, "--advertise-client-urls", &etcd_url]);
        command.args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url]);
        command.args(["--initial-cluster", &format!("default={peer_url}")]);
        let etcd = Daemon::start("etcd", dir.path(), command);

        let addr = SocketAddr::new(ip, port::free().port());
        let flags = flags.iter().map(ToString::to_string).collect();
        let mut api = Self { api: None, etcd, addr, etcd_url, flags, tools, tokens, dir };
        api.resume_api().await;
        api
    }

    /// Ends the API server as a crash would; etcd stays.
    pub async fn kill_api(&mut self) {
        self.api.take().expect("it runs").kill().await;
    }

    /// Starts the API server again, on the same port and data. Its metrics start from nothing.
    pub async fn resume_api(&mut self) {
        assert!(self.api.is_none(), "it runs already");
        let mut command = Command::new(&self.tools.api_server);
        command.arg(format!("--etcd-servers={}", self.etcd_url));
        command.arg(format!("--bind-address={}", self.addr.ip()));
        command.arg(format!("--secure-port={}", self.addr.port()));
        for (flag, file) in [
            ("--cert-dir", "."),
            ("--token-auth-file", "tokens.csv"),
            ("--service-account-key-file", "sa.key"),
            ("--service-account-signing-key-file", "sa.key"),
        ] {
            command.arg(flag).arg(self.file(file));
        }
        command.arg("--service-account-issuer=https://kubernetes.default.svc");
        command.args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC"]);
        command.args(&self.flags);
        let api = Daemon::start("kube-apiserver", self.dir.path(), command);
        wait::until("the API server is ready", START_LIMIT, || async {
            api.assert_runs();
            self.etcd.assert_runs();
            self.ready().await.map_err(|error| format!("{error}\n{}\n{}", api.tail(), self.etcd.tail()))
        })
        .await;
        self.api = Some(api);
    }

    async fn ready(&self) -> Result<(), String> {
        let mut config = self.config(ADMIN)?;
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|error| error.to_string())?;
        let request = http::Request::get("/readyz").body(Vec::new()).expect("a good request");
        let answer = tokio::time::timeout(PROBE_LIMIT, client.request_text(request)).await;
        answer.map_err(|_| "no answer".to_owned())?.map(drop).map_err(|error| error.to_string())
    }

    /// Sends a signal to the API server: SIGSTOP makes it hang, SIGCONT lets it go on.
    pub fn signal_api(&self, signal: Signal) {
        self.api.as_ref().expect("it runs").signal(signal);
    }

    /// Where the API server listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A file among those of the API server.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the API server's certificate is checked with; it made it itself when it first started.
    pub fn ca_file(&self) -> PathBuf {
        self.file("apiserver.crt")
    }

    /// The bearer token of a user.
    pub fn token(&self, user: &str) -> &str {
        let at = USERS.iter().position(|(name, _)| *name == user);
        &self.tokens[at.unwrap_or_else(|| panic!("{user} is none of {USERS:?}"))]
    }

    fn config(&self, user: &str) -> Result<Config, String> {
        let url = format!("https://{}", self.addr).parse().expect("a good URL");
        let mut config = Config::new(url);
        config.root_cert = Some(certificates(&self.ca_file())?);
        config.read_timeout = Some(READ_LIMIT);
        // Else the time that a connection lay idle counts as well.
        config.reset_reader_on_write = true;
        config.auth_info =
            serde_json::from_value(json!({"token": self.token(user)})).expect("kube's own format");
        Ok(config)
    }

    /// A client that speaks as a user.
    pub fn client(&self, user: &str) -> Client {
        let config = self.config(user).expect("the API server has its certificate");
        Client::try_from(config).expect("the configuration is good")
    }

    /// A file for the variable `KUBECONFIG`.
    pub fn kubeconfig(&self, user: &str, namespace: &str) -> PathBuf {
        self.kubeconfig_by(&format!("https://{}", self.addr), user, namespace)
    }

    /// The same for what stands before the API server at `url`.
    pub(crate) fn kubeconfig_by(&self, url: &str, user: &str, namespace: &str) -> PathBuf {
        let cluster = json!({ "server": url, "certificate-authority": self.ca_file() });
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.token(user)}}],
            "contexts": [{
                "name": "test",
                "context": {"cluster": "test", "user": user, "namespace": namespace},
            }],
            "current-context": "test",
        });
        let unique = hex::encode(rand::random::<[u8; 4]>());
        let path = self.file(&format!("{}-{namespace}-{unique}.kubeconfig", user.replace(':', "-")));
        // JSON is YAML.
        std::fs::write(&path, config.to_string()).expect("the directory is writable");
        path
    }

    /// A new namespace with a name of its own, in which Pods can be created.
    pub async fn namespace(&self) -> String {
        let name = self.create_namespace(&json!({})).await;
        // No controller manager runs here that would make it.
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(ADMIN), &name);
        let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).expect("it is one");
        accounts.create(&kube::api::PostParams::default(), &account).await.expect("it is new");
        name
    }

    pub(crate) async fn create_namespace(&self, labels: &Value) -> String {
        let name = format!("test-{}", hex::encode(rand::random::<[u8; 5]>()));
        let namespaces: Api<Namespace> = Api::all(self.client(ADMIN));
        let metadata = json!({"metadata": {"name": name, "labels": labels}});
        let namespace = serde_json::from_value(metadata).expect("it is one");
        namespaces.create(&kube::api::PostParams::default(), &namespace).await.expect("its name is new");
        name
    }

    /// What the API server says of itself, in the text format of Prometheus.
    pub async fn metrics(&self) -> String {
        let request = http::Request::get("/metrics").body(Vec::new()).expect("a good request");
        self.client(ADMIN).request_text(request).await.expect("the API server answers")
    }

    /// How many requests with a verb (`GET`, `LIST`, `WATCH`, `POST`, `PATCH`, `DELETE`…) there were for
    /// Pods and their subresources since the API server started, by whomever, with whatever outcome.
    /// A watch counts when it ends.
    pub async fn pod_requests(&self, verb: &str) -> u64 {
        let metrics = self.metrics().await;
        let verb = format!("verb=\"{verb}\"");
        let of_pods = metrics.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                && line.contains("resource=\"pods\"")
                && line.contains(&verb)
        });
        let counts = of_pods.map(|line| {
            let value = line.rsplit(' ').next().expect("a line has a last word");
            let number: f64 = value.parse().expect("a counter is a number");
            // From a million on they are written with an exponent.
            format!("{number:.0}").parse::<u64>().expect("requests are counted in whole numbers")
        });
        counts.sum()
    }
}

/// The certificates in a PEM file.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let pem = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let decode = |block: &str| {
        let (body, _) = block.split_once("-----END CERTIFICATE-----").ok_or("a certificate is cut off")?;
        let body: String = body.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD.decode(body).map_err(|error| error.to_string())
    };
    blocks.map(decode).collect()
}
