//! The Redis that comes along, of the chart and of the compose file, run as they run it: what it has no room for it
//! refuses, and it throws nothing away.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::binary::workspace;
use ottoscaler_tests::{port, wait};
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::helm::{case, parse, render};

/// What takes longer does not come any more.
const LIMIT: Duration = Duration::from_secs(30);

/// One value of those that fill it.
const CHUNK: usize = 256 << 10;

/// Runs a command of a container on this machine, in a directory and on a port of the test's own.
async fn start(command: &[&str], dir: &Path) -> (Child, MultiplexedConnection) {
    let addr = port::free();
    let (program, args) = command.split_first().unwrap();
    let mut command = Command::new(program);
    let dir = dir.to_str().unwrap();
    command.args(args.iter().map(|arg| if *arg == "/data" { dir } else { *arg }));
    // What is said later counts.
    command.args(["--port", &addr.port().to_string(), "--bind", "127.0.0.1"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    let client = redis::Client::open(format!("redis://{addr}")).unwrap();
    let connection = wait::until("redis answers", LIMIT, || async {
        client.get_multiplexed_async_connection().await.map_err(|error| error.to_string())
    });
    (child, connection.await)
}

/// Fills it with more than so many bytes, and says how many it has taken.
async fn refuses_beyond(command: &[&str], bytes: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let (_child, mut redis) = start(command, dir.path()).await;
    let chunk = vec![b'x'; CHUNK];
    let mut taken = 0;
    let refused = loop {
        assert!(taken * CHUNK <= bytes, "{bytes} bytes and more are taken: {command:?}");
        let set: redis::RedisResult<()> =
            redis::cmd("SET").arg(format!("key-{taken}")).arg(&chunk).query_async(&mut redis).await;
        match set {
            Ok(()) => taken += 1,
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("OOM"), "{refused}");
    let kept: usize = redis::cmd("DBSIZE").query_async(&mut redis).await.unwrap();
    assert_eq!(kept, taken, "something was thrown away");
    taken * CHUNK
}

fn words(command: &Value) -> Vec<&str> {
    command.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_chart_has_redis_refuse_writes_before_it_is_killed() {
    let set = ["redis.bundled.resources.limits.memory=\"16Mi\""];
    let objects = parse(&render("helm3", &case("trial").values, &set).unwrap());
    let redis = objects.iter().find(|object| object.id() == "StatefulSet/ottoscaler-redis").unwrap();
    let command = &redis.pod().unwrap()["containers"][0]["command"];
    // Half of it.
    let taken = refuses_beyond(&words(command), 8 << 20).await;
    assert!(taken >= 4 << 20, "{taken}");
}

#[tokio::test]
async fn compose_has_redis_refuse_writes_before_the_machine_is_full() {
    let file = std::fs::read_to_string(workspace().join("docker/compose.yaml")).unwrap();
    let compose: Value = serde_saphyr::from_str(&file).unwrap();
    let command = words(&compose["services"]["redis"]["command"]);
    let command: Vec<_> = command.into_iter().map(by_itself).collect();
    let taken = refuses_beyond(&command, 128 << 20).await;
    assert!(taken >= 100 << 20, "{taken}");
}

/// What compose puts in the place of a variable that nobody has set.
fn by_itself(word: &str) -> &str {
    let inner = word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.map_or(word, |inner| inner.split_once(":-").unwrap().1)
}
