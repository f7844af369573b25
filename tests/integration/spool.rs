//! Lines that wait on the agent's disk, and what becomes of them when their agent does not live to send them.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottoscaler_proto::v1::WorkerCompletion;
use ottoscaler_proto::v1::log_streaming_service_client::LogStreamingServiceClient;
use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::{Ingest, last_sequence};
use ottoscaler_tests::{agent, binary, oracle, wait};
use tempfile::TempDir;
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_mins(2);

/// A server that is down, but was there: its address is its own.
async fn down(dir: &TempDir) -> Ingest {
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    ingest.kill().await;
    ingest
}

fn spools(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).into_iter().flatten();
    files.map(|file| file.unwrap().path()).collect()
}

fn chatter(ingest: &Ingest, worker: &str, script: Script, spools: &Path) -> Command {
    let mut command = agent::command(&ingest.url(), worker);
    command.args(["--mirror", "false", "--task-id", worker, "--spool-dir"]).arg(spools);
    command.args(["--buffer-limit", "256KiB", "--flush-timeout", "2min", "--"]);
    command.arg(binary::path("otto-chatter"));
    command.args(["--seed", &script.seed.to_string(), "--lines", &script.lines.to_string()]);
    command
}

async fn upload(ingest: &Ingest, flags: &[&str], file: &Path) -> Output {
    let mut command = Command::new(binary::path("otto-agent"));
    command.args(["upload", "--ingest-url", &ingest.url(), "--timeout", "1min"]).args(flags).arg(file);
    agent::output(command).await
}

/// Waits until the spool has everything: nothing was added between two looks, and the command has ended.
pub(crate) async fn all_spooled(spools_dir: &Path, command: &Path) -> PathBuf {
    wait::until("the command has ended", LIMIT, || async {
        if command.exists() { Ok(()) } else { Err("it runs".to_owned()) }
    })
    .await;
    let mut before = 0;
    wait::until("all lines are in the spool", LIMIT, || {
        let path = spools(spools_dir).pop();
        let length = path.as_ref().map_or(0, |path| path.metadata().unwrap().len());
        let is_stable = length > 0 && length == std::mem::replace(&mut before, length);
        async move {
            // Lines go there within a second and a quarter.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            path.filter(|_| is_stable).ok_or_else(|| format!("{length} bytes so far"))
        }
    })
    .await
}

async fn kill_agent(child: &mut Child) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    child.wait().await.unwrap();
}

#[tokio::test]
async fn p5_p7_what_memory_has_no_room_for_comes_out_of_the_spool_in_order_and_the_spool_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = down(&dir).await;
    let (spool, script) = (dir.path().join("spool"), Script { seed: 31, lines: 100_000 });
    let mut child = chatter(&ingest, "patient", script, &spool).spawn().unwrap();
    wait::until("the spool is in use", LIMIT, || async {
        let length = spools(&spool).pop().map_or(0, |path| path.metadata().unwrap().len());
        if length > 4 << 20 { Ok(()) } else { Err(format!("{length} bytes")) }
    })
    .await;
    ingest.resume().await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    ingest.completed("patient", "patient").await;
    oracle::check("patient", &ingest.lines("patient").await.unwrap(), script);
    assert!(spools(&spool).is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn p5_a_killed_agents_spool_is_handed_in_once_however_often() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let (spool, script) = (dir.path().join("spool"), Script { seed: 32, lines: 50_000 });
    let (down, done) = (dir.path().join("down"), dir.path().join("done"));
    let mut command = agent::command(&ingest.url(), "killed");
    command.args(["--mirror", "false", "--spool-dir"]).arg(&spool).args(["--", "sh", "-c"]);
    // Half of it is acknowledged, the rest waits; the agent dies while its command still lives.
    let script_text = format!(
        "{0} --seed 32 --lines 50000 --half-until {1}; touch {2}; exec sleep 600",
        binary::path("otto-chatter").display(),
        down.display(),
        done.display()
    );
    let mut child = command.arg(script_text).stdout(Stdio::null()).spawn().unwrap();
    wait::until("some lines are durable", LIMIT, || async {
        let lines = ingest.lines("killed").await.map_err(|error| error.to_string())?.len();
        if lines > 1000 { Ok(()) } else { Err(format!("{lines} lines")) }
    })
    .await;
    ingest.kill().await;
    std::fs::write(&down, "").unwrap();
    let left = all_spooled(&spool, &done).await;
    let refused = upload(&ingest, &[], &left).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("still lives"), "{refused:?}");
    kill_agent(&mut child).await;
    ingest.resume().await;

    let handed_in = upload(&ingest, &[], &left).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    oracle::check("killed", &ingest.lines("killed").await.unwrap(), script);
    assert_eq!(ingest.task("killed").await.unwrap()["workers"][0]["complete"], false, "nobody ended it");

    let again = upload(&ingest, &["--exit-code", "137"], &left).await;
    assert!(again.status.success(), "{again:?}");
    let shown = ingest.completed("killed", "killed").await;
    assert_eq!(shown["exit_code"], 137, "{shown}");
    oracle::check("killed", &ingest.lines("killed").await.unwrap(), script);
}

#[tokio::test]
async fn p5_a_flush_that_runs_out_leaves_the_rest_and_how_the_command_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = down(&dir).await;
    let spool = dir.path().join("spool");
    let mut command = agent::command(&ingest.url(), "late");
    command.args(["--flush-timeout", "200ms", "--spool-dir"]).arg(&spool);
    command.args(["--", "sh", "-c", "seq 1000; printf end; exit 3"]);
    let output = agent::output(command).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    ingest.resume().await;
    let handed_in = upload(&ingest, &[], &spools(&spool)[0]).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    let shown = ingest.completed("late", "late").await;
    assert_eq!((&shown["exit_code"], &shown["lost"]), (&3.into(), &0.into()), "{shown}");
    assert!(ingest.get("/api/v1/workers/late/log.txt").await.unwrap().ends_with(b"999\n1000\nend"));
}

/// The scaler closes the log of an agent that is gone. What its spool has comes too late, and that is said.
#[tokio::test]
async fn p9_a_spool_whose_log_was_closed_meanwhile_is_refused_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let (spool, down) = (dir.path().join("spool"), dir.path().join("down"));
    let mut command = agent::command(&ingest.url(), "closed");
    command.args(["--flush-timeout", "100ms", "--spool-dir"]).arg(&spool).args(["--", "sh", "-c"]);
    let script = format!("echo first; while [ ! -e {} ]; do sleep 0.02; done; seq 1000", down.display());
    let mut child = command.arg(script).stdout(Stdio::null()).spawn().unwrap();
    wait::until("a line is durable", LIMIT, || async {
        let lines = ingest.lines("closed").await.map_err(|error| error.to_string())?.len();
        if lines == 1 { Ok(()) } else { Err(format!("{lines} lines")) }
    })
    .await;
    ingest.kill().await;
    std::fs::write(&down, "").unwrap();
    child.wait().await.unwrap();
    ingest.resume().await;
    let mut client = LogStreamingServiceClient::connect(ingest.url()).await.unwrap();
    let (worker_id, reason) = ("closed".to_owned(), "agent_gone".to_owned());
    let closing = WorkerCompletion { worker_id, last_sequence: 1, reason, ..WorkerCompletion::default() };
    client.complete_worker(closing).await.unwrap();
    let refused = upload(&ingest, &[], &spools(&spool)[0]).await;
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("closed meanwhile, and takes no more lines"), "{said}");
}

/// All that the server has is there once, and it is told again how the command ended.
#[tokio::test]
async fn p5_a_spool_of_which_the_server_has_everything_is_handed_in_without_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = down(&dir).await;
    let spool = dir.path().join("spool");
    let mut command = agent::command(&ingest.url(), "twice");
    command.args(["--flush-timeout", "100ms", "--spool-dir"]).arg(&spool).args(["--", "seq", "1000"]);
    agent::output(command).await;
    ingest.resume().await;
    let file = &spools(&spool)[0];
    assert!(upload(&ingest, &[], file).await.status.success());
    let before = ingest.get("/api/v1/workers/twice/logs?limit=2000").await.unwrap();
    let again = upload(&ingest, &[], file).await;
    assert!(again.status.success(), "{again:?}");
    assert_eq!(ingest.get("/api/v1/workers/twice/logs?limit=2000").await.unwrap(), before);
    assert_eq!(ingest.completed("twice", "twice").await["lines"], 1000);
}

/// More lines than the spool takes: those that were printed last are there, and a gap for the others.
#[tokio::test]
async fn p5_a_spool_that_was_too_small_leaves_the_end_of_the_log_and_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = down(&dir).await;
    let spool = dir.path().join("spool");
    let mut command = agent::command(&ingest.url(), "small");
    command.args(["--flush-timeout", "100ms", "--buffer-limit", "256KiB", "--spool-limit", "1MiB"]);
    command.arg("--spool-dir").arg(&spool).args(["--mirror", "false", "--", "seq", "1000000"]);
    agent::output(command).await;
    ingest.resume().await;
    let handed_in = upload(&ingest, &[], &spools(&spool)[0]).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    let shown = ingest.closed("small", "small").await;
    let lost = shown["lost"].as_i64().unwrap();
    assert!((1..1_000_000).contains(&lost), "{shown}");
    let lines = ingest.lines("small").await.unwrap();
    assert_eq!(lines[0]["gap"]["reason"], "not_in_spool", "{}", lines[0]);
    assert_eq!((&lines[0]["sequence"], last_sequence(&lines[0])), (&1.into(), lost));
    let said: Vec<_> = lines[1..].iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect();
    assert!(said.into_iter().eq((lost + 1..=1_000_000).map(|number| number.to_string())));

    let late = upload(&ingest, &["--exit-code", "9"], &spools(&spool)[0]).await;
    let told = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(!late.status.success() && told.contains("--exit-code changes nothing"), "{told}");
    assert!(told.contains("with exit code 0"), "{told}");
}

#[tokio::test]
async fn any_file_is_handed_in_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let mut text: Vec<u8> = (0..200_000_u32).flat_map(|at| format!("{at} \r\n").into_bytes()).collect();
    text.extend([0xff, 0, b'\n', b'\n']);
    text.extend(vec![b'x'; 3 << 20]);
    let file = dir.path().join("build.log");
    std::fs::write(&file, &text).unwrap();
    let handed_in = upload(&ingest, &["--worker-id", "file", "--task-id", "file"], &file).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    let shown = ingest.completed("file", "file").await;
    assert_eq!(shown["exit_code"], 0, "{shown}");
    assert!(ingest.get("/api/v1/workers/file/log.txt").await.unwrap() == text);
    let before = ingest.lines("file").await.unwrap();
    let again = upload(&ingest, &["--worker-id", "file"], &file).await;
    assert!(again.status.success(), "{again:?}");
    assert!(ingest.lines("file").await.unwrap() == before, "handed in again, nothing is stored twice");
    std::fs::write(&file, "another content").unwrap();
    let other = upload(&ingest, &["--worker-id", "file"], &file).await;
    assert!(!other.status.success(), "another run's log is not written to: {other:?}");
    let empty = dir.path().join("empty.log");
    std::fs::write(&empty, "").unwrap();
    let handed_in = upload(&ingest, &["--worker-id", "empty", "--task-id", "empty"], &empty).await;
    assert!(handed_in.status.success(), "{handed_in:?}");
    assert_eq!(ingest.completed("empty", "empty").await["lines"], 0);
}
