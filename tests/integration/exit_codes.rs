//! P8: the agent exits with the command's code, whatever became of shipping and of its own output.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, port, wait};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// How the command of a test ends, and the code that has to come out.
const ENDINGS: [(&str, &[&str], i32); 6] = [
    ("success", &["sh", "-c", "echo fine"], 0),
    ("code 7", &["sh", "-c", "echo broken >&2; exit 7"], 7),
    ("not found", &["/no/such/command"], 127),
    ("not executable", &["/etc"], 126),
    ("killed by 9", &["sh", "-c", "kill -9 $$"], 137),
    ("killed by 15", &["sh", "-c", "kill -15 $$"], 143),
];

fn run(url: &str, worker: &str, argv: &[&str]) -> Command {
    let mut command = agent::command(url, worker);
    command.args(["--flush-timeout", "300ms", "--"]).args(argv);
    command
}

/// What a shell that runs it has to pass on.
fn variables(run: &Command) -> impl Iterator<Item = (&OsStr, &OsStr)> {
    run.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)))
}

fn nowhere() -> String {
    format!("http://{}", port::free())
}

#[tokio::test]
async fn p8_each_ending_keeps_its_code_with_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    for (at, (name, argv, code)) in ENDINGS.into_iter().enumerate() {
        let worker = format!("ending-{at}");
        let mut command = agent::command(&ingest.url(), &worker);
        command.arg("--").args(argv);
        let output = agent::output(command).await;
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
        let shown = ingest.completed(&worker, &worker).await;
        assert_eq!(shown["exit_code"], code, "{name}: {shown}");
    }
}

#[tokio::test]
async fn p8_each_ending_keeps_its_code_without_a_server() {
    for (name, argv, code) in ENDINGS {
        let output = agent::output(run(&nowhere(), "alone", argv)).await;
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
    }
}

#[tokio::test]
async fn p8_each_ending_keeps_its_code_with_its_own_output_closed() {
    for (name, argv, code) in ENDINGS {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$0" "$@" >&- 2>&-"#]);
        let run = run(&nowhere(), "mute", argv);
        shell.arg(run.as_std().get_program()).args(run.as_std().get_args()).envs(variables(&run));
        let status = tokio::time::timeout(Duration::from_mins(1), shell.status()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(code), "{name}");
    }
}

/// P7 as well: a full pipe that nobody reads holds up neither the command nor its code.
#[tokio::test]
async fn p8_p7_each_ending_keeps_its_code_with_its_own_output_never_read() {
    for (name, argv, code) in ENDINGS {
        let script = format!("seq 100000; seq 100000 >&2; exec {}", shell_words(argv));
        let mut command = run(&nowhere(), "unread", &["sh", "-c", &script]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let status = tokio::time::timeout(Duration::from_mins(1), child.wait()).await;
        assert_eq!(status.expect(name).unwrap().code(), Some(code), "{name}");
    }
}

fn shell_words(argv: &[&str]) -> String {
    argv.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

async fn terminated(command: Command, after: &str) -> std::process::ExitStatus {
    let mut command = command;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while lines.next_line().await.unwrap().expect("the command says that it is ready") != after {}
    kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
    tokio::time::timeout(Duration::from_mins(1), child.wait()).await.expect("the agent ends").unwrap()
}

#[tokio::test]
async fn p8_sigterm_reaches_the_command_and_its_answer_is_the_code() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let polite = "trap 'echo leaving; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let curt = "echo ready; while :; do sleep 0.05; done";
    for (at, (script, code)) in [(polite, 5), (curt, 143)].into_iter().enumerate() {
        let worker = format!("stopped-{at}");
        let mut command = agent::command(&ingest.url(), &worker);
        let path = dir.path().join(&worker);
        command.arg("--summary").arg(&path).args(["--", "sh", "-c", script]);
        assert_eq!(terminated(command, "ready").await.code(), Some(code), "{script}");
        assert_eq!(
            agent::summary(&path)["stop_signal"],
            15,
            "whoever reads it knows that it was no end of its own"
        );
        let shown = ingest.completed(&worker, &worker).await;
        assert_eq!(shown["exit_code"], code);
        assert_eq!(
            terminated(run(&nowhere(), &worker, &["sh", "-c", script]), "ready").await.code(),
            Some(code)
        );
    }
}

/// As where a machine shuts down: the command ends by its own signal, maybe before the agent hears of any.
#[tokio::test]
async fn a_signal_to_the_command_and_to_the_agent_is_no_end_of_the_commands_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    for _ in 0..5 {
        let mut command = agent::command(&nowhere(), "all");
        command.args(["--flush-timeout", "300ms", "--mirror", "true", "--summary"]).arg(&path);
        command.args(["--", "sh", "-c", "echo $$; exec sleep 600"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pid: i32 = lines.next_line().await.unwrap().expect("it says who it is").parse().unwrap();
        for pid in [pid, i32::try_from(child.id().unwrap()).unwrap()] {
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        }
        let status =
            tokio::time::timeout(Duration::from_mins(1), child.wait()).await.expect("it ends").unwrap();
        assert_eq!((status.code(), &agent::summary(&path)["stop_signal"]), (Some(143), &15.into()));
    }
}

#[tokio::test]
async fn where_it_is_told_so_the_agent_takes_the_stop_signal_of_any_image_for_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    // SIGQUIT, SIGUSR1, SIGWINCH, and what container runtimes mean by SIGRTMIN+3.
    for signal in [3, 10, 28, 37] {
        let mut command = agent::command(&nowhere(), "image");
        command.env("OTTO_IMAGE_STOP_SIGNALS", "true").arg("--summary").arg(&path);
        let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
        command.args(["--flush-timeout", "300ms", "--", "sh", "-c", script]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
        let kill = format!("kill -{signal} {}", child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
        let status =
            tokio::time::timeout(Duration::from_mins(1), child.wait()).await.expect("it ends").unwrap();
        assert_eq!((status.code(), &agent::summary(&path)["stop_signal"]), (Some(5), &signal.into()));
    }
}

#[tokio::test]
async fn a_command_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let mut command = agent::command(&nowhere(), "stubborn");
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    command.args(["--flush-timeout", "300ms", "--grace-period", "200ms", "--", "sh", "-c", script]);
    assert_eq!(terminated(command, "ready").await.code(), Some(137));
}

#[tokio::test]
async fn a_command_that_runs_too_long_is_stopped_and_the_summary_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.json");
    let mut command = agent::command(&nowhere(), "slow");
    command.args(["--flush-timeout", "300ms", "--timeout", "300ms", "--summary"]).arg(&path);
    command.args(["--", "sh", "-c", "while :; do sleep 0.05; done"]);
    assert_eq!(agent::output(command).await.status.code(), Some(143));
    let summary = agent::summary(&path);
    assert_eq!((&summary["timed_out"], &summary["signal"]), (&true.into(), &15.into()), "{summary}");
    assert_eq!(summary["stop_signal"], 0, "nobody asked for it");
}

/// As PID 1 of its own process namespace the agent reaps what the command leaves behind.
#[tokio::test]
async fn as_pid_1_the_agent_reaps_orphans_and_keeps_the_code() {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI runs this as root");
        println!("skipped: needs root for a process namespace");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("zombies");
    let run = run(&nowhere(), "init", &[]);
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    unshare.arg(run.as_std().get_program()).args(run.as_std().get_args());
    // The middle shell ends at once: its child becomes an orphan and is the agent's to reap.
    let script = format!(
        "sh -c 'sh -c \"exit 0\" & exit 0'; sh -c '(sleep 0.1; exit 0) & exit 0'; \
         for try in $(seq 100); do sleep 0.05; grep -l '^State:.Z' /proc/[0-9]*/status > {0} 2>/dev/null || break; done; exit 9",
        pids.display()
    );
    unshare.args(["sh", "-c", &script]);
    let output = agent::output(unshare).await;
    assert_eq!(output.status.code(), Some(9), "{output:?}");
    let zombies = wait::until("the list is written", Duration::from_secs(5), || async {
        std::fs::read_to_string(&pids).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(zombies, "", "zombies were left");
}

/// SIGTERM to an agent whose own output is closed, and to one whose output nobody reads.
#[tokio::test]
async fn p8_p7_sigterm_keeps_the_code_whatever_became_of_the_agents_own_output() {
    let dir = tempfile::tempdir().unwrap();
    for (name, redirect) in [("closed", ">&- 2>&-"), ("unread", "")] {
        let ready = dir.path().join(name);
        let script = format!(
            "trap 'exit 5' TERM; seq 100000; touch {}; while :; do sleep 0.05; done",
            ready.display()
        );
        let run = run(&nowhere(), name, &["sh", "-c", &script]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!(r#"exec "$0" "$@" {redirect}"#)]);
        shell.arg(run.as_std().get_program()).args(run.as_std().get_args()).envs(variables(&run));
        let mut child =
            shell.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        wait::until("the command is ready", Duration::from_secs(30), || async {
            if ready.exists() { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await;
        kill(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()), Signal::SIGTERM).unwrap();
        let status = tokio::time::timeout(Duration::from_mins(1), child.wait()).await.expect(name).unwrap();
        assert_eq!(status.code(), Some(5), "{name}");
    }
}
