//! All scenarios, one after another, as the days of one installation.

use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottoscaler_tests::docker_engine::DockerEngine;
use ottoscaler_tests::worker_images::{BARE, PROGRAM, printed};
use ottoscaler_tests::{oracle, wait};
use serde_json::json;

use crate::hardening::{
    no_service_has_a_privilege_that_it_does_not_need,
    nothing_is_left_after_down_and_the_two_commands_beside_it,
    workers_are_in_log_ingests_network_and_in_no_other, workers_redis_and_logs_have_limits,
};
use crate::images;
use crate::stack::{LIMIT, PROCESS, Stack, output, succeed};

const LINES: u32 = 500;

/// Whether this machine can run a Docker. On CI it has to.
fn possible() -> bool {
    ottoscaler_tests::tier::runs(DockerEngine::possible().err().into_iter().chain(images::missing()))
}

/// Runs scenarios in order, and says how long each took.
macro_rules! in_order {
    ($stack:ident: $($name:ident),+ $(,)?) => {$(
        let start = Instant::now();
        $name(&mut $stack).await;
        println!("ok {} ({:.1} s)", stringify!($name), start.elapsed().as_secs_f32());
    )+};
}

#[tokio::test]
async fn the_compose_files_work_as_the_readme_says() {
    if !possible() {
        return;
    }
    let mut stack = Stack::prepare().await;
    in_order!(stack:
        a_workers_file_that_is_not_there_is_refused_by_its_name,
        everything_comes_up_healthy,
        no_service_has_a_privilege_that_it_does_not_need,
        the_page_answers,
        a_task_in_an_image_of_its_own_is_followed_with_every_line_and_its_exit_code,
        workers_are_in_log_ingests_network_and_in_no_other,
        workers_redis_and_logs_have_limits,
        p1_p2_p5_a_scaler_that_is_killed_during_a_task_adopts_it_and_nothing_is_lost_or_doubled,
        p5_p9_everything_recovers_when_docker_is_restarted_during_a_task_and_no_line_is_lost,
        logs_outlive_down_and_up,
        a_scaler_that_must_not_be_root_needs_only_the_sockets_group,
        nothing_is_left_after_down_and_the_two_commands_beside_it,
    );
    stack.file = PROCESS;
    in_order!(stack:
        without_dockers_socket_one_command_runs_a_task,
        no_service_has_a_privilege_that_it_does_not_need,
        the_page_answers,
    );
    stack.succeed(&["down", "--volumes"]).await;
}

async fn everything_comes_up_healthy(stack: &mut Stack) {
    stack.up().await;
    stack.recovers().await;
}

async fn the_page_answers(stack: &mut Stack) {
    let page = String::from_utf8(stack.ingest.get("/").await.unwrap()).unwrap();
    assert!(page.contains("<title>"), "{page}");
}

async fn a_task_in_an_image_of_its_own_is_followed_with_every_line_and_its_exit_code(stack: &mut Stack) {
    let lines = LINES.to_string();
    let args = ["--task-id", "own", "--image", BARE, "--", PROGRAM, &lines, "3"];
    let output = output(stack.submit(&args)).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let (out, err) = printed(LINES);
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), out);
    // Remarks, of compose's too, stand between the lines.
    let followed = String::from_utf8(output.stderr).unwrap();
    let followed = followed.lines().filter(|line| line.starts_with("err ")).map(|line| format!("{line}\n"));
    assert_eq!(followed.collect::<String>(), err);
    let worker = stack.workers("own").await.remove(0);
    let shown = stack.ingest.completed("own", &worker).await;
    assert_eq!((&shown["exit_code"], &shown["lost"]), (&json!(3), &json!(0)), "{shown}");
    let kept = stack.ingest.lines(&worker).await.unwrap();
    oracle::check_sequences(&worker, &kept);
    assert_eq!(String::from_utf8(oracle::bytes(&kept, "stdout")).unwrap(), out);
    assert_eq!(String::from_utf8(oracle::bytes(&kept, "stderr")).unwrap(), err);
}

/// Not by Docker, which would take it for a stop that was wanted.
async fn kill_scaler(stack: &Stack) {
    let container = stack.container("scaler").await;
    let pid = stack.inspect(&container, "{{.State.Pid}}").await;
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    wait::until("Docker starts the scaler again", LIMIT, || async {
        let now =
            stack.inspect(&container, "{{.RestartCount}} {{.State.Health.Status}} {{.State.Pid}}").await;
        if now.starts_with("1 healthy") && !now.ends_with(&pid) { Ok(()) } else { Err(now) }
    })
    .await;
}

async fn p1_p2_p5_a_scaler_that_is_killed_during_a_task_adopts_it_and_nothing_is_lost_or_doubled(
    stack: &mut Stack,
) {
    let command =
        "i=0; while [ ! -e /through ]; do echo line $i; i=$((i + 1)); sleep 0.01; done; echo end; exit 5";
    let mut submit = stack.submit(&["--task-id", "adopted", "--", "sh", "-c", command]);
    let following = submit.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let worker = stack.has_said("adopted", "line 20").await;
    kill_scaler(stack).await;
    stack.engine.docker(&["exec", &worker, "/bin/busybox", "touch", "/through"]).await.unwrap();
    let followed = tokio::time::timeout(LIMIT, following.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(followed.status.code(), Some(5), "{followed:?}");

    assert_eq!(stack.workers("adopted").await, [&*worker], "the same worker, and no other");
    let shown = stack.ingest.completed("adopted", &worker).await;
    assert_eq!((&shown["exit_code"], &shown["lost"]), (&json!(5), &json!(0)), "{shown}");
    let kept = stack.ingest.lines(&worker).await.unwrap();
    oracle::check_sequences(&worker, &kept);
    let said = String::from_utf8(oracle::bytes(&kept, "stdout")).unwrap();
    let count = said.lines().count() - 1;
    assert!(count > 20, "{count}");
    let expected = (0..count).fold(String::new(), |text, line| text + &format!("line {line}\n")) + "end\n";
    assert_eq!(said, expected);
    assert_eq!(String::from_utf8(followed.stdout).unwrap(), expected, "who followed saw each line once");
}

/// A name that is misspelt is told, and nobody makes a directory of it.
async fn a_workers_file_that_is_not_there_is_refused_by_its_name(stack: &mut Stack) {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("workers.yaml");
    let mut create = stack.compose(&["create"]);
    create.env("OTTO_WORKERS_FILE", &missing);
    let said = output(create).await;
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success() && error.contains(missing.to_str().unwrap()), "{said:?}");
    assert!(!missing.exists(), "Docker has made it");
}

/// Says so much as it can, and its last word when it is to end.
const UNTIL_STOPPED: &str = "echo attempt $OTTO_ATTEMPT; [ $OTTO_ATTEMPT = 1 ] || exit 0; trap 'echo end; exit 5' TERM; \
     i=0; while :; do echo line $i; i=$((i + 1)); sleep 0.01; done";

/// Docker ends its containers with itself, and that is tried again: once, or twice where the next attempt began
/// before Docker was gone. log-ingest may go before a worker has said its last word, which then is handed in.
async fn p5_p9_everything_recovers_when_docker_is_restarted_during_a_task_and_no_line_is_lost(
    stack: &mut Stack,
) {
    let event =
        ["type", "scale_up", "worker_count", "1", "task_id", "restart", "max_attempts", "3", "command"];
    let redis = ["exec", "--no-TTY", "redis", "redis-cli", "XADD", "otto:scale:events", "*"];
    stack.succeed(&[&redis[..], &event, &[UNTIL_STOPPED]].concat()).await;
    let first = stack.has_said("restart", "line 20").await;
    stack.engine.terminate().await;
    stack.engine.resume(&[]).await;
    stack.recovers().await;
    let last = stack.has_said_any("restart", &["attempt 2", "attempt 3"]).await;
    let workers = stack.workers("restart").await;
    assert_eq!((workers.first(), workers.last()), (Some(&first), Some(&last)));
    let shown = stack.ingest.completed("restart", &last).await;
    assert_eq!((&shown["exit_code"], &shown["lost"]), (&json!(0), &json!(0)), "{shown}");
    let closed = stack.ingest.closed("restart", &first).await;
    let mut kept = stack.ingest.lines(&first).await.unwrap();
    // What the scaler says where an agent could not close its log itself.
    let is_marker =
        |line: &serde_json::Value| line["gap"]["reason"].to_string().starts_with("\"the agent is gone");
    kept.pop_if(|last| is_marker(last));
    oracle::check_sequences(&first, &kept);
    let said = String::from_utf8(oracle::bytes(&kept, "stdout")).unwrap();
    let count = said.lines().count().saturating_sub(2);
    assert!(count > 20, "{count}, {closed}");
    let expected = (0..count).fold(String::new(), |text, line| text + &format!("line {line}\n"));
    assert_eq!(said, format!("attempt 1\n{expected}end\n"), "{closed}");
    let said = succeed(stack.submit(&["--", "sh", "-c", "echo still here"])).await;
    assert_eq!(said, "still here\n");
}

async fn logs_outlive_down_and_up(stack: &mut Stack) {
    let worker = stack.workers("own").await.remove(0);
    let log = format!("/api/v1/workers/{worker}/log.txt");
    let before = stack.ingest.get(&log).await.unwrap();
    assert!(before.len() > 1000, "{before:?}");
    stack.succeed(&["down"]).await;
    assert!(stack.ingest.get(&log).await.is_err(), "nobody is there");
    stack.up().await;
    assert_eq!(stack.ingest.get(&log).await.unwrap(), before);
    let said = succeed(stack.submit(&["--", "sh", "-c", "echo back again"])).await;
    assert_eq!(said, "back again\n");
}

async fn a_scaler_that_must_not_be_root_needs_only_the_sockets_group(stack: &mut Stack) {
    let socket = std::fs::metadata(stack.engine.socket()).unwrap();
    let user = format!("65532:{}", std::os::unix::fs::MetadataExt::gid(&socket));
    for args in
        [&["up", "--detach", "--wait"][..], &["run", "--rm", "--no-TTY", "submit", "--", "sh", "-c", "true"]]
    {
        let mut command = stack.compose(args);
        command.env("OTTO_SCALER_USER", &user);
        succeed(command).await;
    }
    let scaler = stack.container("scaler").await;
    assert_eq!(stack.inspect(&scaler, "{{.Config.User}}").await, user);
}

/// Nothing is up before it.
async fn without_dockers_socket_one_command_runs_a_task(stack: &mut Stack) {
    let command = "echo hello; echo $0 >&2; touch /tmp/scratch && exit 7";
    let output = output(stack.submit(&["--task-id", "plain", "--", "sh", "-c", command, "there"])).await;
    assert_eq!(output.status.code(), Some(7), "{output:?}\n{}", stack.logs().await);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello\n");
    let worker = stack.workers("plain").await.remove(0);
    let kept = stack.ingest.lines(&worker).await.unwrap();
    oracle::check_sequences(&worker, &kept);
    assert_eq!(oracle::bytes(&kept, "stderr"), b"there\n");
}
