//! The semantics of worker directories, with a shell script that keeps the agent's side of them.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::reconcile::testing;

/// As the agent does: lock, `started`, command, summary; SIGTERM goes to the command.
const AGENT: &str = r#"#!/bin/sh
for word; do
  case $word in --run-dir=*) dir=${word#--run-dir=} ;; esac
  shift
  [ "$word" = -- ] && break
done
exec 9>>"$dir/lock"
flock -n 9 || exit 75
set -C
echo "{\"pid\":$$,\"started_at\":\"2026-01-02T03:04:05Z\"}" >"$dir/started" || exit 75
set +C
"$@" 9>&- &
child=$!
trap 'kill $child' TERM
wait $child; code=$?
while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
echo "{\"exit_code\":$code,\"ended_at\":\"2026-01-02T03:04:06Z\"}" >"$dir/summary.json"
exit $code
"#;

struct Machine {
    root: tempfile::TempDir,
    agent: PathBuf,
}

/// A scaler's runtime, watched until it is dropped.
struct Scaler {
    runtime: ProcessRuntime,
    stop: CancellationToken,
    watch: tokio::task::JoinSet<Result<()>>,
}

impl Machine {
    fn new(agent: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("agent");
        fs::write(&path, agent).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { root, agent: path }
    }

    fn open(&self) -> Result<(ProcessRuntime, Watch)> {
        let config = AgentConfig {
            binary: self.agent.clone(),
            ingest_url: "http://127.0.0.1:9".to_owned(),
            grace_period: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(1),
        };
        ProcessRuntime::open(&self.root.path().join("state"), config)
    }

    fn scaler(&self) -> Scaler {
        let (runtime, watch) = self.open().unwrap();
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(watch.run(stop.clone()));
        Scaler { runtime, stop, watch: tasks }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A worker that leaves a mark and then does `then`.
    fn worker(&self, then: &str) -> WorkerSpec {
        let mut spec = testing::worker_spec("t", "r");
        let command = format!("echo run >> {}; {then}", self.path("marks").display());
        spec.request.run.command = command.parse().unwrap();
        spec
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.path("marks")).map_or(0, |text| text.lines().count())
    }
}

impl Scaler {
    async fn until(&self, worker: &WorkerId, what: &str, is_so: impl Fn(&Phase) -> bool) -> Phase {
        let wait = async {
            loop {
                let observation = self.runtime.observe().unwrap();
                let phase = observation[worker].phase.clone();
                if is_so(&phase) {
                    return phase;
                }
                self.runtime.changed().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("not {what}: {:?}", self.runtime.observe()))
    }

    async fn running(&self, worker: &WorkerId) {
        self.until(worker, "running", |phase| matches!(phase, Phase::Running { .. })).await;
    }

    async fn ended(&self, worker: &WorkerId) -> i32 {
        let phase = self.until(worker, "ended", |phase| matches!(phase, Phase::Ended(_))).await;
        let Phase::Ended(exit) = phase else { unreachable!("it was waited for") };
        exit.code.unwrap()
    }

    async fn vanished(&self, worker: &WorkerId) -> String {
        let phase = self.until(worker, "vanished", |phase| matches!(phase, Phase::Vanished { .. })).await;
        let Phase::Vanished { reason, .. } = phase else { unreachable!("it was waited for") };
        reason
    }

    /// As the end of the scaler's process would; its workers carry on.
    async fn end(mut self) {
        self.stop.cancel();
        while self.watch.join_next().await.is_some() {}
    }
}

#[tokio::test]
async fn p2_a_worker_that_is_made_again_and_again_runs_its_command_once() {
    let machine = Machine::new(AGENT);
    let scaler = machine.scaler();
    let spec = machine.worker("exit 7");
    assert_eq!(scaler.runtime.create(&spec).await.unwrap(), Created::New);
    assert_eq!(scaler.runtime.create(&spec).await.unwrap(), Created::AlreadyThere);
    assert!(scaler.runtime.observe().unwrap().contains_key(&spec.worker_id));
    assert_eq!(scaler.ended(&spec.worker_id).await, 7);
    assert_eq!(scaler.runtime.create(&spec).await.unwrap(), Created::AlreadyThere);
    assert_eq!(machine.runs(), 1);
}

#[tokio::test]
async fn p1_workers_outlive_their_scaler_and_the_next_one_adopts_them() {
    let machine = Machine::new(AGENT);
    let spec = machine
        .worker("for try in $(seq 1500); do [ -e ../../../../gate ] && break; sleep 0.02; done; exit 3");
    let first = machine.scaler();
    first.runtime.create(&spec).await.unwrap();
    first.running(&spec.worker_id).await;
    first.end().await;

    let second = machine.scaler();
    let adopted = second.runtime.observe().unwrap()[&spec.worker_id].clone();
    assert!(matches!(adopted.phase, Phase::Running { .. }), "{adopted:?}");
    assert_eq!(adopted.identity, spec.identity);
    assert_eq!(second.runtime.create(&spec).await.unwrap(), Created::AlreadyThere);
    fs::write(machine.path("gate"), "").unwrap();
    assert_eq!(second.ended(&spec.worker_id).await, 3);
    assert_eq!(machine.runs(), 1);
}

#[tokio::test]
async fn p2_a_crash_before_the_agent_started_is_made_up_for() {
    let machine = Machine::new(AGENT);
    let spec = machine.worker("true");
    let dir = machine.path("state/workers").join(spec.worker_id.as_str());
    fs::create_dir_all(&dir).unwrap();
    let scaler = machine.scaler();
    assert!(scaler.runtime.observe().unwrap().is_empty(), "a directory without a spec is nobody");
    assert_eq!(scaler.runtime.create(&spec).await.unwrap(), Created::New);
    assert_eq!(scaler.ended(&spec.worker_id).await, 0);
    assert_eq!(machine.runs(), 1);
}

#[tokio::test]
async fn a_running_worker_is_stopped_once_and_by_its_agent() {
    let machine = Machine::new(AGENT);
    let scaler = machine.scaler();
    let spec = machine.worker("trap 'exit 5' TERM; while :; do sleep 0.02; done");
    scaler.runtime.create(&spec).await.unwrap();
    scaler.running(&spec.worker_id).await;
    while machine.runs() == 0 {
        tokio::task::yield_now().await;
    }
    scaler.runtime.stop(&spec.worker_id).await.unwrap();
    scaler.runtime.stop(&spec.worker_id).await.unwrap();
    assert!(scaler.runtime.observe().unwrap()[&spec.worker_id].stopping);
    assert!([5, 143].contains(&scaler.ended(&spec.worker_id).await));
}

#[tokio::test]
async fn p2_a_worker_stopped_before_its_command_started_never_runs_it() {
    // It comes late to its lock, as on a machine under load.
    let machine = Machine::new(&AGENT.replace("exec 9>>", "sleep 0.3\nexec 9>>"));
    let scaler = machine.scaler();
    let spec = machine.worker("true");
    scaler.runtime.create(&spec).await.unwrap();
    scaler.runtime.stop(&spec.worker_id).await.unwrap();
    assert!(scaler.vanished(&spec.worker_id).await.contains("stopped before"));
    assert_eq!(machine.runs(), 0);
}

#[tokio::test]
async fn an_agent_that_was_killed_has_vanished_and_is_not_made_again() {
    let machine = Machine::new(AGENT);
    let scaler = machine.scaler();
    let spec =
        machine.worker("for try in $(seq 1500); do [ -e ../../../../gate ] && break; sleep 0.02; done");
    scaler.runtime.create(&spec).await.unwrap();
    scaler.running(&spec.worker_id).await;
    let started = scaler.runtime.dir(&spec.worker_id).started().unwrap().unwrap();
    kill(Pid::from_raw(started.pid), Signal::SIGKILL).unwrap();
    scaler.vanished(&spec.worker_id).await;
    assert_eq!(scaler.runtime.create(&spec).await.unwrap(), Created::AlreadyThere);
    fs::write(machine.path("gate"), "").unwrap();
    assert!(machine.runs() <= 1);
}

#[tokio::test]
async fn p2_what_a_killed_agent_leaves_behind_is_ended_before_its_worker_is() {
    let machine = Machine::new(AGENT);
    let scaler = machine.scaler();
    let spec = machine.worker("for try in $(seq 1500); do sleep 0.02; done; echo late >> ../../../../late");
    scaler.runtime.create(&spec).await.unwrap();
    scaler.running(&spec.worker_id).await;
    while machine.runs() == 0 {
        tokio::task::yield_now().await;
    }
    let started = scaler.runtime.dir(&spec.worker_id).started().unwrap().unwrap();
    kill(Pid::from_raw(started.pid), Signal::SIGKILL).unwrap();
    scaler.vanished(&spec.worker_id).await;
    assert!(
        !leftovers::kill_leftovers(scaler.runtime.dir(&spec.worker_id).path()).unwrap(),
        "nothing of it is there any more"
    );
    assert!(!machine.path("late").exists());
}

#[tokio::test]
async fn an_agent_that_never_gets_to_its_command_is_given_up_after_a_few_tries() {
    let machine = Machine::new("#!/bin/sh\nexit 64\n");
    let scaler = machine.scaler();
    let spec = machine.worker("true");
    for _ in 0..SPAWNS {
        assert_eq!(scaler.runtime.create(&spec).await.unwrap(), Created::New);
        scaler
            .until(&spec.worker_id, "known to have ended", |phase| !matches!(phase, Phase::Pending { .. }))
            .await;
    }
    assert!(scaler.vanished(&spec.worker_id).await.contains("agent.log"));
    assert_eq!(machine.runs(), 0);
}

#[tokio::test]
async fn only_what_has_ended_is_removed_and_that_as_a_whole() {
    let machine = Machine::new(AGENT);
    let scaler = machine.scaler();
    let spec =
        machine.worker("for try in $(seq 1500); do [ -e ../../../../gate ] && break; sleep 0.02; done");
    scaler.runtime.create(&spec).await.unwrap();
    scaler.running(&spec.worker_id).await;
    assert!(scaler.runtime.remove(&spec.worker_id).await.unwrap_err().is_transient());
    fs::write(machine.path("gate"), "").unwrap();
    scaler.ended(&spec.worker_id).await;
    scaler.runtime.remove(&spec.worker_id).await.unwrap();
    scaler.runtime.remove(&spec.worker_id).await.unwrap();
    assert!(scaler.runtime.observe().unwrap().is_empty());
    assert_eq!(fs::read_dir(machine.path("state/workers")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(machine.path("state/trash")).unwrap().count(), 0);
}

/// With it goes the mark that the command has run, which must not run again for that.
#[tokio::test]
async fn p2_a_worker_whose_directory_is_taken_away_while_it_runs_has_vanished() {
    let machine = Machine::new(AGENT);
    let scaler = machine.scaler();
    let gate = machine.path("gate");
    let wait = format!("for try in $(seq 1500); do [ -e {} ] && break; sleep 0.02; done", gate.display());
    let spec = machine.worker(&wait);
    scaler.runtime.create(&spec).await.unwrap();
    scaler.running(&spec.worker_id).await;
    fs::rename(machine.path(&format!("state/workers/{}", spec.worker_id)), machine.path("away")).unwrap();
    fs::write(gate, "").unwrap();
    assert!(scaler.vanished(&spec.worker_id).await.contains("taken away"));
}

/// A command may leave what nobody but its owner can delete.
#[test]
fn what_lies_in_the_trash_never_keeps_a_scaler_from_starting() {
    let machine = Machine::new(AGENT);
    drop(machine.open().unwrap());
    let trash = machine.path("state/trash");
    fs::write(trash.join("a plain file"), "").unwrap();
    let read_only = trash.join("left/module/cache");
    fs::create_dir_all(&read_only).unwrap();
    fs::write(read_only.join("file"), "").unwrap();
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o555)).unwrap();
    // With the right to delete anything this is deleted, without it the modes are changed first.
    drop(machine.open().unwrap());
    assert_eq!(fs::read_dir(&trash).unwrap().count(), 0);
    fs::remove_dir(&trash).unwrap();
    std::os::unix::fs::symlink("/proc/self/fdinfo", &trash).unwrap();
    machine.open().expect("what cannot be deleted is left there");
}

#[tokio::test]
async fn a_name_that_another_worker_has_is_refused_for_good() {
    let machine = Machine::new(AGENT);
    let scaler = machine.scaler();
    let spec = machine.worker("true");
    scaler.runtime.create(&spec).await.unwrap();
    scaler.ended(&spec.worker_id).await;
    let other = testing::worker_spec("t", "another request");
    let same_name = WorkerSpec { worker_id: spec.worker_id.clone(), ..other };
    let error = scaler.runtime.create(&same_name).await.unwrap_err();
    assert!(!error.is_transient());
    assert!(error.to_string().contains("name is taken"), "{error}");
}

#[test]
fn a_second_scaler_on_the_same_directory_is_refused() {
    let machine = Machine::new(AGENT);
    let _first = machine.open().unwrap();
    let error = format!("{:#}", machine.open().unwrap_err());
    assert!(error.contains("another ottoscaler uses it") && error.contains("--state-dir"), "{error}");
}
