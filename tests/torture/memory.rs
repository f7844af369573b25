//! Memory stays inside its limits (P6), whatever the command, the network, the server or the readers do.
//!
//! What counts is anonymous memory: the page cache is the kernel's to give back.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::memory::Watch;
use ottoscaler_tests::mischief::{Mischief, Proxy};
use ottoscaler_tests::{agent, audit, binary, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Form;

/// The agent's `--buffer-limit`, 8 MiB, twice 2 MiB of its mirror, and as much again and more for what it works with:
/// batches on their way, pipes, the program itself.
const AGENT_MIB: u64 = 32;

/// log-ingest's `--queue-limit`, which is the most that a few agents can make it hold.
const INGEST_MIB: u64 = 64;

/// What a reader makes it hold: one read of the store, 256 KiB, and what its connection has not yet sent.
const READER_KIB: u64 = 512;

/// The chatter's lines with their newlines, on average.
const LINE_BYTES: u64 = 127;

const LIMIT: Duration = Duration::from_mins(15);

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap())
}

/// An agent that waits for long at its end, and runs a chatter script.
fn chatter(url: &str, worker: &str, spool: &Path, script: Script) -> Command {
    let mut command = agent::command(url, worker);
    command.stdout(Stdio::null()).args(["--flush-timeout", "10min", "--spool-dir"]).arg(spool);
    command.args(["--spool-limit", Form::of_environment().pick("8MiB", "256MiB"), "--"]);
    command.arg(binary::path("otto-chatter"));
    command.args(["--seed", &script.seed.to_string(), "--lines", &script.lines.to_string()]);
    command
}

async fn ended(mut child: Child) {
    let status = tokio::time::timeout(LIMIT, child.wait()).await.expect("the agent ends").unwrap();
    assert!(status.success(), "{status}");
}

async fn printed(progress: &Path, lines: u64) {
    wait::until("the command has printed all", LIMIT, || async {
        let text = std::fs::read_to_string(progress).unwrap_or_default();
        if text.parse() == Ok(lines) { Ok(()) } else { Err(text) }
    })
    .await;
}

/// What the network has no room for goes to the spool, then the command waits for a while, and then its oldest lines
/// go. Nobody reads what the agent mirrors either.
#[tokio::test(flavor = "multi_thread")]
async fn p6_p7_memory_is_bounded_under_a_command_faster_than_the_network_and_it_ends_long_before_its_log() {
    let (rate, seconds) = Form::of_environment().pick((4_000_000, 32), (2_000_000, 600));
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let proxy = Proxy::start(ingest.grpc(), 1, move |_| Mischief::Throttle { bytes_per_second: rate }).await;
    let (script, progress) =
        (Script { seed: 61, lines: rate * seconds / LINE_BYTES }, dir.path().join("progress"));
    let start = Instant::now();
    let mut command = chatter(&proxy.url(), "fast", &dir.path().join("spool"), script);
    command.arg("--progress").arg(&progress).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (agent, server) = (Watch::start(pid(&child)), Watch::start(ingest.service().pid()));
    printed(&progress, script.lines).await;
    let printed = start.elapsed().as_secs_f64();
    let stored = ingest.task("fast").await.unwrap()["lines"].as_u64().unwrap();
    ingest.closed_within(LIMIT, "fast", "fast").await;
    // Whoever reads it is gone, or the agent would wait for that.
    drop(child.stdout.take());
    ended(child).await;
    let took = start.elapsed().as_secs_f64();
    let found = audit::read(&ingest, "fast", script).await;
    found.assert_accounted("fast");
    assert_eq!(found.reasons, ["buffer_full"]);
    assert!(
        stored < script.lines / 4 * 3,
        "{stored} lines went to the server before the command had printed all"
    );
    println!(
        "faster than the network: {} lines, printed in {printed:.0} s and done in {took:.0} s at {rate} B/s, {} lost in gaps; agent {} KiB, log-ingest {} KiB",
        found.lines,
        found.lost,
        agent.peak_kib(),
        server.peak_kib()
    );
    agent.assert_below_mib("the agent", AGENT_MIB);
    server.assert_below_mib("log-ingest", INGEST_MIB);
}

/// Memory and spool fill, the oldest lines go, and when the server is back it is told exactly which.
#[tokio::test(flavor = "multi_thread")]
async fn p6_p7_memory_is_bounded_while_log_ingest_is_down_and_the_gap_says_what_is_missing() {
    let (seconds, lines) = Form::of_environment().pick((8, 400_000), (600, 6_000_000));
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let (script, progress) = (Script { seed: 62, lines }, dir.path().join("progress"));
    let mut command = chatter(&ingest.url(), "alone", &dir.path().join("spool"), script);
    command.arg("--progress").arg(&progress).args(["--spread-ms", &(seconds * 1000).to_string()]);
    let child = command.spawn().unwrap();
    let agent = Watch::start(pid(&child));
    wait::until("the first lines are there", LIMIT, || async {
        let task = ingest.task("alone").await.map_err(|error| error.to_string())?;
        if task["lines"].as_u64() > Some(0) { Ok(()) } else { Err(task.to_string()) }
    })
    .await;
    ingest.kill().await;
    let down = Instant::now();
    printed(&progress, lines).await;
    let down = down.elapsed().as_secs();
    ingest.resume().await;
    let server = Watch::start(ingest.service().pid());
    ended(child).await;
    let shown = ingest.closed("alone", "alone").await;
    let found = audit::read(&ingest, "alone", script).await;
    found.assert_accounted("alone");
    assert!(found.lost > 0, "the spool was large enough");
    assert_eq!(found.reasons, ["buffer_full"]);
    assert_eq!(shown["lost"].as_u64(), Some(found.lost), "{shown}");
    println!(
        "log-ingest down for {down} s: {} lines, {} lost in gaps; agent {} KiB, log-ingest {} KiB",
        found.lines,
        found.lost,
        agent.peak_kib(),
        server.peak_kib()
    );
    agent.assert_below_mib("the agent", AGENT_MIB);
    server.assert_below_mib("log-ingest", INGEST_MIB);
}

/// So many bytes that no power of two is a multiple: a piece that is missing, or in another's place, shows.
const PATTERN: &[u8] = b"0123456789abcdefg";

#[tokio::test(flavor = "multi_thread")]
async fn p6_memory_is_bounded_under_output_without_a_newline() {
    let bytes: usize = Form::of_environment().pick(256 << 20, 1 << 30);
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let mut command = agent::command(&ingest.url(), "endless");
    let text = std::str::from_utf8(PATTERN).unwrap();
    let script = format!("yes {text} | tr -d '\\n' | head -c {bytes}");
    command.args(["--mirror", "false", "--when-full", "block", "--flush-timeout", "10min", "--spool-dir"]);
    command.arg(dir.path().join("spool")).args(["--", "sh", "-c", &script]);
    let start = Instant::now();
    let child = command.spawn().unwrap();
    let (agent, server) = (Watch::start(pid(&child)), Watch::start(ingest.service().pid()));
    ended(child).await;
    let took = start.elapsed().as_secs_f64();
    ingest.completed("endless", "endless").await;
    let mut response = reqwest::get(ingest.http_url("/api/v1/workers/endless/log.txt")).await.unwrap();
    let mut length = 0;
    let mut pattern = PATTERN.iter().cycle();
    while let Some(chunk) = response.chunk().await.unwrap() {
        assert!(
            chunk.iter().eq(pattern.by_ref().take(chunk.len())),
            "wrong within {} bytes from {length}",
            chunk.len()
        );
        length += chunk.len();
    }
    assert_eq!(length, bytes);
    println!(
        "{bytes} bytes without a newline in {took:.0} s; agent {} KiB, log-ingest {} KiB",
        agent.peak_kib(),
        server.peak_kib()
    );
    agent.assert_below_mib("the agent", AGENT_MIB);
    server.assert_below_mib("log-ingest", INGEST_MIB);
}

/// What the kernel keeps of that for a reader.
const UNSENT_KIB: u64 = 256;

/// What the kernel takes in for a reader: the least that it allows.
const RECEIVE_BUFFER: u32 = 2_304;

/// A page on a bad network, or in a tab that sleeps: some bytes a second.
async fn read_slowly(mut stream: TcpStream) -> usize {
    let (mut read, mut bytes) = (0, [0; 64]);
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        read += count;
        sleep(Duration::from_secs(1)).await;
    }
    read
}

async fn connect_slowly(ingest: &Ingest, worker: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
    let mut stream = socket.connect(ingest.http()).await.unwrap();
    let request = format!("GET /api/v1/workers/{worker}/tail HTTP/1.1\r\nHost: otto\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK", "{}", String::from_utf8_lossy(&head));
    stream
}

/// What the kernel keeps for a server's connections that nobody has taken, in all and at the most.
fn unsent(server: SocketAddr) -> (u64, u64) {
    let port = format!(":{:04X}", server.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let queues = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let is_servers = columns.next()?.ends_with(&port);
        let (sent, _) = columns.nth(2)?.split_once(':')?;
        u64::from_str_radix(sent, 16).ok().filter(|_| is_servers)
    });
    queues.fold((0, 0), |(sum, most), bytes| (sum + bytes, most.max(bytes)))
}

/// Follows a log to its end. Gives its lines, and how old the oldest of them was when it came.
async fn follow(url: String) -> (u64, Duration) {
    let mut response = reqwest::get(url).await.unwrap().error_for_status().unwrap();
    let (mut text, mut last, mut oldest) = (Vec::new(), 0, Duration::ZERO);
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let events = String::from_utf8_lossy(&text[..whole]).into_owned();
        text.drain(..whole);
        for line in events.lines() {
            if let Some(id) = line.strip_prefix("id: ") {
                assert_eq!(id.parse(), Ok(last + 1), "lost, doubled or reordered");
                last += 1;
            }
            if line == "event: end" {
                return (last, oldest);
            }
        }
        if let Some(data) = events.lines().find_map(|line| line.strip_prefix("data: ")) {
            let line: serde_json::Value = serde_json::from_str(data).unwrap();
            let written: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
            let age = jiff::Timestamp::now().duration_since(written);
            oldest = oldest.max(Duration::try_from(age).unwrap_or_default());
        }
    }
    panic!("the tail ended before the log");
}

/// Readers who fall behind more and more, and two who do not notice them.
#[tokio::test(flavor = "multi_thread")]
async fn p6_memory_is_bounded_under_many_slow_readers_and_fast_ones_are_not_held_up() {
    let (readers, seconds, lines) = Form::of_environment().pick((250, 15, 150_000), (1_000, 600, 6_000_000));
    let dir = tempfile::tempdir().unwrap();
    let mut ingest = Ingest::start(&dir.path().join("data"), &["--max-readers", "1100"]).await;
    let server = Watch::start(ingest.service().pid());
    let script = Script { seed: 64, lines };
    let mut command = chatter(&ingest.url(), "watched", &dir.path().join("spool"), script);
    let child = command.args(["--spread-ms", &(seconds * 1000).to_string()]).spawn().unwrap();
    wait::until("the log is there", LIMIT, || async {
        ingest.task("watched").await.map_err(|error| error.to_string())
    })
    .await;
    let (mut fast, mut slow) = (JoinSet::new(), JoinSet::new());
    for _ in 0..2 {
        fast.spawn(follow(ingest.http_url("/api/v1/workers/watched/tail")));
    }
    for _ in 0..readers {
        slow.spawn(read_slowly(connect_slowly(&ingest, "watched").await));
    }
    ended(child).await;
    let fast = fast.join_all().await;
    let (unsent, most) = unsent(ingest.http());
    let ended = std::iter::from_fn(|| slow.try_join_next()).count();
    assert_eq!(ended, 0, "slow readers were cut off, or served whole");
    assert!(fast.iter().all(|(seen, _)| *seen == lines), "fast readers see all: {fast:?}");
    audit::read(&ingest, "watched", script).await.assert_whole("watched");
    let oldest = fast.iter().map(|(_, oldest)| *oldest).max().unwrap_or_default();
    println!(
        "{readers} slow readers for {seconds} s: {lines} lines, at most {:.2} s old at fast readers; log-ingest {} KiB, its kernel {} KiB",
        oldest.as_secs_f64(),
        server.peak_kib(),
        unsent >> 10
    );
    assert!(unsent > 0 && most <= UNSENT_KIB << 10, "the kernel keeps {most} bytes for one reader");
    assert!(oldest < Duration::from_secs(5), "fast readers saw lines {oldest:?} late");
    server.assert_below_mib("log-ingest", INGEST_MIB + readers * READER_KIB / 1024);
}
