//! The Redis that comes along, of the chart and of the compose file, run as they run it: what it has no room for it
//! refuses, and it throws nothing away.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::binary::workspace;
use ottoscaler_tests::{port, redis_server, wait};
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
    let url = format!("redis://{addr}");
    let connection = wait::until("redis answers", LIMIT, || async {
        redis_server::connect(&url).await.map_err(|error| error.to_string())
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

/// How many bytes a large event has, which a dead letter keeps.
const LETTER: usize = 64 << 10;

/// What a scaler says of a worker, and more.
const NOTIFICATION: usize = 400;

/// Adds to a stream as the scaler does, for longer than it is kept.
async fn overflow(redis: &mut MultiplexedConnection, stream: &str, limit: usize, bytes: usize) {
    for _ in 0..limit / 100 + 3 {
        let mut pipe = redis::pipe();
        for _ in 0..100 {
            let add = pipe.cmd("XADD").arg(stream).arg("MAXLEN").arg("~").arg(limit).arg("*");
            add.arg("field").arg(vec![b'x'; bytes]).ignore();
        }
        let added: redis::RedisResult<()> = pipe.query_async(redis).await;
        added.unwrap_or_else(|error| panic!("{stream}: {error}"));
    }
}

/// Whether it takes records while as much is told as is kept. The limits are variables of the scaler.
async fn takes_records(command: &[&str], limits: impl Fn(&str) -> usize) {
    let dir = tempfile::tempdir().unwrap();
    let (_child, mut redis) = start(command, dir.path()).await;
    overflow(&mut redis, "letters", limits("OTTO_DLQ_LIMIT"), LETTER).await;
    overflow(&mut redis, "status", limits("OTTO_STATUS_LIMIT"), NOTIFICATION).await;
    let set: redis::RedisResult<()> =
        redis::cmd("SET").arg("record").arg(vec![b'x'; CHUNK]).query_async(&mut redis).await;
    set.unwrap();
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
async fn p6_a_producer_that_is_wrong_for_ever_does_not_fill_the_charts_redis() {
    let objects = parse(&render("helm3", &case("trial").values, &[]).unwrap());
    let find = |id: &str| objects.iter().find(|object| object.id() == id).unwrap().pod().unwrap();
    let redis = &find("StatefulSet/ottoscaler-redis")["containers"][0]["command"];
    let variables = find("Deployment/ottoscaler")["containers"][0]["env"].as_array().unwrap();
    let limit = |name: &str| {
        let variable = variables.iter().find(|variable| variable["name"] == name).unwrap();
        variable["value"].as_str().unwrap().parse().unwrap()
    };
    takes_records(&words(redis), limit).await;
    // What was said counts, and a Redis of somebody's own has what the program has by itself.
    let given = render("helm3", &case("trial").values, &["ottoscaler.config.dlqLimit=7"]).unwrap();
    assert!(given.contains("name: OTTO_DLQ_LIMIT\n              value: \"7\"\n"), "{given}");
    let own = render("helm3", &case("existing-secret").values, &[]).unwrap();
    assert!(!own.contains("OTTO_DLQ_LIMIT") && !own.contains("OTTO_STATUS_LIMIT"), "{own}");
}

#[tokio::test]
async fn p6_a_producer_that_is_wrong_for_ever_does_not_fill_the_redis_of_compose() {
    let main = compose("compose.yaml");
    let command = words(&main["services"]["redis"]["command"]);
    let command: Vec<_> = command.into_iter().map(by_itself).collect();
    for file in ["compose.yaml", "compose.process.yaml"] {
        let scaler = &compose(file)["services"]["scaler"]["environment"];
        takes_records(&command, |name| by_itself(scaler[name].as_str().unwrap()).parse().unwrap()).await;
    }
}

fn compose(file: &str) -> Value {
    let text = std::fs::read_to_string(workspace().join("docker").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

#[tokio::test]
async fn compose_has_redis_refuse_writes_before_the_machine_is_full() {
    let main = compose("compose.yaml");
    let command = words(&main["services"]["redis"]["command"]);
    let command: Vec<_> = command.into_iter().map(by_itself).collect();
    let taken = refuses_beyond(&command, 128 << 20).await;
    assert!(taken >= 100 << 20, "{taken}");
}

/// What compose puts in the place of a variable that nobody has set.
fn by_itself(word: &str) -> &str {
    let inner = word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.map_or(word, |inner| inner.split_once(":-").unwrap().1)
}
