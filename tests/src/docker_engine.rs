//! A real Docker of a test's own: containerd and dockerd, with all that they write below one directory. They touch
//! no firewall: containers reach what listens on [`DockerEngine::ip`], and nothing further.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::Command;

use crate::daemon::Daemon;
use crate::image::{self, ImageConfig, Source};
use crate::node::{Bridge, run_sync};
use crate::{kube_tools, wait};

/// What containers reach.
const IP: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);
const BRIDGE: &str = "otto-docker";

/// What networks are cut from.
const NETWORKS: &str = "base=10.86.0.0/16,size=24";

/// A machine has one at a time: whoever comes later waits so long.
const LOCK_LIMIT: Duration = Duration::from_mins(15);

/// A server that does not answer within this has failed.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Processes that were killed, and their mounts, are gone within this.
const CLEAN_LIMIT: Duration = Duration::from_secs(10);

/// A running Docker. Dropping it ends it, containers and all.
#[derive(Debug)]
pub struct DockerEngine {
    dockerd: Option<Daemon>,
    containerd: Option<Daemon>,
    dir: TempDir,
    _bridge: Bridge,
    _lock: File,
}

impl DockerEngine {
    /// What keeps this machine from running one.
    pub fn possible() -> Result<(), String> {
        let programs = ["dockerd", "docker", "containerd", "runc", "busybox", "ip", "tar"];
        let mut missing: Vec<String> =
            programs.iter().filter_map(|program| kube_tools::on_path(program).err()).collect();
        if !nix::unistd::geteuid().is_root() {
            missing.push("only root can run containers".to_owned());
        }
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }

    /// Starts one, and waits until it answers.
    pub async fn start() -> Self {
        Self::possible().unwrap_or_else(|missing| panic!("{missing}"));
        let lock = lock().await;
        let dir = tempfile::Builder::new().prefix("otto-docker-").tempdir().expect("a temporary directory");
        let bridge = Bridge::named(BRIDGE, IP);
        let mut engine = Self { dockerd: None, containerd: None, dir, _bridge: bridge, _lock: lock };
        engine.start_containerd().await;
        engine.resume(&[]).await;
        engine
    }

    async fn start_containerd(&mut self) {
        let dir = self.dir.path().display();
        let config = format!(
            "version = 2\nroot = \"{dir}/containerd-root\"\nstate = \"{dir}/containerd-state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{dir}/containerd.sock\"\n\
             [plugins.\"io.containerd.internal.v1.opt\"]\npath = \"{dir}/containerd-opt\"\n"
        );
        std::fs::write(self.file("containerd.toml"), config).expect("the directory is writable");
        let mut command = Command::new(kube_tools::on_path("containerd").expect("asked before"));
        // It looks for runc.
        command.env("PATH", kube_tools::path()).arg("--config").arg(self.file("containerd.toml"));
        let containerd = Daemon::start("containerd", self.dir.path(), command);
        wait::until("containerd listens", START_LIMIT, || async {
            containerd.assert_runs();
            let socket = self.file("containerd.sock");
            if socket.exists() { Ok(()) } else { Err(containerd.tail()) }
        })
        .await;
        self.containerd = Some(containerd);
    }

    /// Starts dockerd again, with more flags, after [`DockerEngine::terminate`] or [`DockerEngine::kill`].
    pub async fn resume(&mut self, flags: &[&str]) {
        assert!(self.dockerd.is_none(), "it runs already");
        std::fs::write(self.file("daemon.json"), "{}").expect("the directory is writable");
        let mut command = Command::new(kube_tools::on_path("dockerd").expect("asked before"));
        command.env("PATH", kube_tools::path());
        for (flag, file) in [
            ("--config-file", "daemon.json"),
            ("--data-root", "root"),
            ("--exec-root", "exec"),
            ("--pidfile", "docker.pid"),
            ("--containerd", "containerd.sock"),
        ] {
            command.arg(flag).arg(self.file(file));
        }
        command.args(["--host", &self.host(), "--bridge=none", "--default-address-pool", NETWORKS]);
        command.args(["--iptables=false", "--ip-forward=false", "--ip-masq=false"]).args(flags);
        self.dockerd = Some(Daemon::start("dockerd", self.dir.path(), command));
        wait::until("dockerd answers", START_LIMIT, || async {
            self.assert_runs();
            self.docker(&["version"]).await.map_err(|error| format!("{error}\n{}", self.tail()))
        })
        .await;
    }

    /// Stops dockerd as its operator would.
    pub async fn terminate(&mut self) {
        self.dockerd.take().expect("it runs").terminate().await;
    }

    /// Ends dockerd as a crash would.
    pub async fn kill(&mut self) {
        self.dockerd.take().expect("it runs").kill().await;
    }

    /// Panics with the end of a log if something has ended by itself.
    pub fn assert_runs(&self) {
        self.containerd.iter().chain(&self.dockerd).for_each(Daemon::assert_runs);
    }

    /// The ends of the logs.
    pub fn tail(&self) -> String {
        self.containerd.iter().chain(&self.dockerd).map(Daemon::tail).collect::<Vec<_>>().join("\n")
    }

    /// The value of `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The address of this machine that containers reach: what has to talk with them listens here.
    pub fn ip(&self) -> IpAddr {
        IP.into()
    }

    /// Docker's socket.
    pub fn socket(&self) -> PathBuf {
        self.file("docker.sock")
    }

    /// A program that finds this Docker, and nothing of the user's: no context, no credentials.
    pub fn client(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("DOCKER_HOST", self.host()).env("DOCKER_CONFIG", self.file("client"));
        command
    }

    /// Gives Docker's command line another command: the file of a plugin.
    pub fn plugin(&self, file: &Path) {
        let plugins = self.file("client/cli-plugins");
        std::fs::create_dir_all(&plugins).expect("the directory is writable");
        let name = file.file_name().expect("it is a file");
        std::os::unix::fs::symlink(file, plugins.join(name)).expect("the directory is writable");
    }

    /// What the command line of Docker prints.
    pub async fn docker(&self, args: &[&str]) -> Result<String, String> {
        let mut command = self.client(kube_tools::on_path("docker").expect("asked before"));
        let output = command.args(args).output().await.map_err(|error| error.to_string())?;
        let error = || format!("docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            .ok_or_else(error)
    }

    /// Makes an image of these files, under a name with a tag.
    pub async fn image(&self, name: &str, files: &[(&str, Source<'_>)], config: &ImageConfig<'_>) {
        let archive = image::archive(self.dir.path(), name, files, config).await;
        let path = archive.to_str().expect("its name is text");
        let loaded = self.docker(&["load", "--input", path]).await;
        loaded.unwrap_or_else(|error| panic!("loading {name}: {error}\n{}", self.tail()));
        std::fs::remove_file(&archive).expect("it is there");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The first processes of the containers, and the shims that watch them.
    fn container_processes(&self) -> Vec<Pid> {
        let tasks = self.file("containerd-state/io.containerd.runtime.v2.task/moby");
        let tasks = tasks.read_dir().into_iter().flatten().flatten();
        let first = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("init.pid")).ok());
        let socket = self.file("containerd.sock");
        let of_shims = socket.to_str().expect("its name is text").as_bytes();
        let processes = Path::new("/proc").read_dir().expect("proc is mounted").flatten();
        let shims = processes.filter_map(|process| {
            let command = std::fs::read(process.path().join("cmdline")).ok()?;
            let is_shim =
                command.starts_with(b"/usr/bin/containerd-shim") || command.starts_with(b"containerd-shim");
            let is_ours = is_shim && command.split(|byte| *byte == 0).any(|argument| argument == of_shims);
            is_ours.then(|| process.file_name().to_string_lossy().into_owned())
        });
        let pids = first.chain(shims).filter_map(|pid| pid.trim().parse().ok().map(Pid::from_raw));
        pids.filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
    }

    /// What is mounted below the directory, the last first.
    fn mounts(&self) -> Vec<PathBuf> {
        let mounts = std::fs::read_to_string("/proc/mounts").expect("proc is mounted");
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
        let mut ours: Vec<PathBuf> = points.filter(|point| point.starts_with(self.dir.path())).collect();
        ours.reverse();
        ours
    }

    /// While dockerd can still take its networks away: a bridge outlives everything else.
    fn clean_through_docker(&self) {
        let host = self.host();
        let script = "docker rm --force $(docker ps --all --quiet); docker network prune --force";
        let _best_effort =
            run_sync("env", &[&format!("DOCKER_HOST={host}"), "timeout", "20", "sh", "-c", script]);
    }
}

impl Drop for DockerEngine {
    #[allow(clippy::disallowed_methods, reason = "nothing can be awaited while something is dropped")]
    fn drop(&mut self) {
        if self.dockerd.is_some() {
            self.clean_through_docker();
        }
        drop(self.dockerd.take());
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

/// Waits for the machine's one place for a Docker of tests.
async fn lock() -> File {
    let path = std::env::temp_dir().join("ottoscaler-docker.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    wait::until("no other Docker of tests runs", LOCK_LIMIT, || async {
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => format!("{} is locked", path.display()),
            TryLockError::Error(error) => error.to_string(),
        })
    })
    .await;
    file
}
