//! `ottoscaler dlq` by the program itself, on a real redis-server.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::collections::BTreeMap;
use std::process::Stdio;

use ottoscaler::event::{RawEntry, Rejection};
use ottoscaler::record::{DeadLetter, Written};
use redis::aio::MultiplexedConnection;
use tokio::process::Command;

use crate::common::{LIMIT, Running, Server, add, count, entries, until};

/// Entries of a stream, byte by byte.
type Entries = Vec<(String, Vec<(Vec<u8>, Vec<u8>)>)>;

/// What a run of the program came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs `ottoscaler dlq` with the names of [`Server::store`].
async fn dlq(server: &Server, args: &[&str]) -> Ran {
    let redis = format!("redis://127.0.0.1:{}", server.port);
    let names = ["--redis-url", &redis, "--events-stream", "events", "--dlq-stream", "dead"];
    ottoscaler(&[&["dlq"], args, &names].concat(), &[]).await
}

async fn ottoscaler(args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottoscaler"));
    command.args(args).envs(env.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.expect("in time").unwrap();
    Ran {
        code: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Adds an event and makes a dead letter of it as the scaler does. Gives the ids of both.
async fn letter(
    server: &Server,
    redis: &mut MultiplexedConnection,
    fields: &[(&[u8], &[u8])],
) -> (String, String) {
    let id: String = redis::cmd("XADD").arg("events").arg("*").arg(fields).query_async(redis).await.unwrap();
    let fields = fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    let entry = RawEntry { id: id.parse().unwrap(), fields };
    let letter = DeadLetter::Rejected(Rejection::new("pod_count", "expected a number"));
    assert_eq!(server.store().dead_letter(&entry, &letter).await.unwrap(), Written::Done);
    let newest: Entries =
        redis::cmd("XREVRANGE").arg(&["dead", "+", "-", "COUNT", "1"]).query_async(redis).await.unwrap();
    (newest[0].0.clone(), id)
}

/// Letters need a group that their entries are acknowledged in.
async fn start() -> (Server, MultiplexedConnection) {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let group = ["CREATE", "events", "group", "0", "MKSTREAM"];
    redis::cmd("XGROUP").arg(&group).query_async::<()>(&mut redis).await.unwrap();
    (server, redis)
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[tokio::test]
async fn the_list_shows_where_a_letter_comes_from_and_what_is_wrong_but_no_other_value() {
    let (server, mut redis) = start().await;
    let none = dlq(&server, &["list"]).await;
    assert_eq!((none.code, &*none.out, &*none.err), (0, "", "no dead letters in dead\n"));

    let fields: [(&[u8], &[u8]); 3] =
        [(b"type", b"scale_up"), (b"job_id", b"build\x1b[2J"), (b"env", br#"{"TOKEN":"sesame"}"#)];
    let (id, entry) = letter(&server, &mut redis, &fields).await;
    let listed = dlq(&server, &["list"]).await;
    assert_eq!((listed.code, &*listed.err), (0, ""));
    let [header, row] = lines(&listed.out)[..] else { panic!("{}", listed.out) };
    assert!(header.starts_with("ID ") && header.ends_with("WHAT IS WRONG"), "{header}");
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!((words[0], words[2], words[3]), (&*id, &*entry, "scale_up"));
    assert!(words[1].parse::<jiff::Timestamp>().is_ok(), "{row}");
    assert!(row.ends_with("pod_count: expected a number") && row.contains("build\u{fffd}[2J"), "{row}");
    assert!(!listed.out.contains("sesame") && !listed.out.contains('\x1b'));
}

#[tokio::test]
async fn p10_the_json_form_keeps_every_byte_and_every_field() {
    let (server, mut redis) = start().await;
    let fields: [(&[u8], &[u8]); 4] =
        [(b"type", b"scale_up"), (b"env", &[b'a', 0xff]), (&[0xfe], b"x"), (b"type", b"again")];
    let (id, entry) = letter(&server, &mut redis, &fields).await;
    redis::cmd("XADD").arg(&["dead", "*", "a", "b"]).query_async::<String>(&mut redis).await.unwrap();
    let listed = dlq(&server, &["list", "--json"]).await;
    let [one, foreign] = lines(&listed.out)[..] else { panic!("{}", listed.out) };
    let one: serde_json::Value = serde_json::from_str(one).unwrap();
    assert_eq!((one["id"].as_str(), one["entry_id"].as_str()), (Some(&*id), Some(&*entry)));
    assert_eq!((one["cause"].as_str(), one["field"].as_str()), (Some("rejected"), Some("pod_count")));
    assert!(one["deliveries"].is_null() && one["when"].is_string());
    let expected = serde_json::json!([
        {"name": "type", "value": "scale_up"}, {"name": "env", "value_base64": "Yf8="},
        {"name_base64": "/g==", "value": "x"}, {"name": "type", "value": "again"},
    ]);
    assert_eq!(one["fields"], expected);
    let foreign: serde_json::Value = serde_json::from_str(foreign).unwrap();
    assert!(foreign["fields"].is_null(), "somebody else wrote it: {foreign}");
}

#[tokio::test]
async fn the_newest_letters_are_listed_newest_last_with_the_number_of_the_others() {
    let (server, mut redis) = start().await;
    let mut ids = Vec::new();
    for _ in 0..260 {
        ids.push(letter(&server, &mut redis, &[(b"type", b"scale_up")]).await.0);
    }
    for (args, shown) in [
        (&["list"][..], 100),
        (&["list", "--limit", "1"], 1),
        (&["list", "--limit", "250"], 250),
        (&["list", "--limit", "260"], 260),
        (&["list", "--limit", "1000"], 260),
    ] {
        let listed = dlq(&server, args).await;
        let rows: Vec<_> = listed.out.lines().skip(1).map(|row| row.split(' ').next().unwrap()).collect();
        assert_eq!(rows, ids[260 - shown..], "{args:?}");
        let more = format!("{} more are older; --limit 260 shows them all\n", 260 - shown);
        assert_eq!(listed.err, if shown == 260 { "" } else { &more }, "{args:?}");
    }
}

#[tokio::test]
async fn p2_a_replayed_event_is_back_byte_by_byte_as_the_same_request_and_only_once() {
    let (server, mut redis) = start().await;
    let fields: [(&[u8], &[u8]); 3] = [(b"type", b"scale_up"), (b"pod_count", b"2"), (b"command", &[0xff])];
    let (id, entry) = letter(&server, &mut redis, &fields).await;
    let (stays, _) = letter(&server, &mut redis, &fields).await;

    let ran = dlq(&server, &["replay", &id, "7-7", &id]).await;
    assert_eq!(ran.code, 1, "not all were there: {}", ran.err);
    let back: Entries =
        redis::cmd("XRANGE").arg(&["events", "-", "+"]).query_async(&mut redis).await.unwrap();
    let [(new, back)] = &back[..] else { panic!("{back:?}") };
    assert_eq!(ran.out, format!("{id} replayed as {new} (first {entry})\n"));
    let mut expected = fields.map(|(n, v)| (n.to_vec(), v.to_vec())).to_vec();
    expected.push((b"request_id".to_vec(), entry.clone().into_bytes()));
    expected.push((b"task_id".to_vec(), format!("event-{entry}").into_bytes()));
    assert_eq!(*back, expected);
    let [unknown, twice, closing] = lines(&ran.err)[..] else { panic!("{}", ran.err) };
    assert_eq!(unknown, "error: 7-7: there is no such dead letter (any more)");
    assert!(twice.starts_with(&format!("error: {id}: ")), "{twice}");
    assert_eq!(closing, "1 replayed, 2 not");
    assert_eq!(count(&mut redis, "XLEN", "dead").await, 1);

    let ran = dlq(&server, &["replay", &stays]).await;
    assert_eq!((ran.code, &*ran.err), (0, "1 replayed\n"));
    assert_eq!(count(&mut redis, "XLEN", "dead").await, 0);
}

#[tokio::test]
async fn all_letters_are_replayed_in_pages_in_their_order() {
    let (server, mut redis) = start().await;
    let nothing = dlq(&server, &["replay", "--all"]).await;
    assert_eq!((nothing.code, &*nothing.out, &*nothing.err), (0, "", "0 replayed\n"));
    for number in 0..230 {
        let request = format!("r{number}");
        letter(&server, &mut redis, &[(b"type", b"scale_down"), (b"request_id", request.as_bytes())]).await;
    }
    let ran = dlq(&server, &["replay", "--all"]).await;
    assert_eq!((ran.code, ran.out.lines().count(), &*ran.err), (0, 230, "230 replayed\n"));
    let back = entries(&mut redis, "events").await;
    let requests: Vec<_> = back.iter().map(|event| event["request_id"].clone()).collect();
    assert_eq!(requests, (0..230).map(|number| format!("r{number}")).collect::<Vec<_>>());
    assert!(back.iter().all(|event| event.len() == 2), "nothing is added to what names its request");
    assert_eq!(count(&mut redis, "XLEN", "dead").await, 0);
}

/// With an intake that runs: what cannot work comes back, and is not replayed for ever.
#[tokio::test]
async fn p2_what_fails_again_is_a_letter_again_and_what_works_makes_its_workers_once() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let mut intake = Running::start(&server, 5);
    let bad = add(&mut redis, &[("type", "scale_up"), ("pod_count", "0"), ("command", "true")]).await;
    let letters = async |redis: &MultiplexedConnection, other_than: String| {
        let found: Vec<(String, BTreeMap<String, String>)> =
            redis::cmd("XRANGE").arg(&["dead", "-", "+"]).query_async(&mut redis.clone()).await.ok()?;
        found.into_iter().find(|(id, _)| *id != other_than)
    };
    let (first, _) = until("it is a letter", async || letters(&redis, String::new()).await).await;
    let ran = dlq(&server, &["replay", "--all"]).await;
    assert_eq!((ran.code, ran.out.lines().count()), (0, 1), "{}", ran.err);
    let (second, letter) = until("it is a letter again", async || letters(&redis, first.clone()).await).await;
    assert_ne!(first, second);
    assert_eq!((&*letter["cause"], &*letter["field"]), ("rejected", "pod_count"));
    assert_ne!(letter["entry_id"], bad, "it is about the entry that came back");
    assert_eq!(letter["original.request_id"], bad, "of the same request");
    assert_eq!(letter["original.task_id"], format!("event-{bad}"));
    assert_eq!(count(&mut redis, "XLEN", "dead").await, 1);

    // Put right by hand and added twice, as somebody might who is not sure: one request all the same.
    for _ in 0..2 {
        let fields = [("type", "scale_up"), ("pod_count", "1"), ("command", "true"), ("request_id", &*bad)];
        add(&mut redis, &[&fields[..], &[("task_id", &*letter["original.task_id"])]].concat()).await;
    }
    assert_eq!(intake.recorded().await, format!("event-{bad}"));
    until("the stream is empty", async || {
        (count(&mut redis.clone(), "XLEN", "events").await == 0).then_some(())
    })
    .await;
    assert_eq!(count(&mut redis, "XLEN", "status").await, 1, "one worker is queued");
}

/// Redis rolls no script back: where the event cannot be added, its letter has to be there.
#[tokio::test]
async fn p1_a_replay_that_fails_midway_changes_nothing() {
    let (server, mut redis) = start().await;
    let (id, _) = letter(&server, &mut redis, &[(b"type", b"scale_up")]).await;
    redis::cmd("DEL").arg("events").query_async::<()>(&mut redis).await.unwrap();
    redis::cmd("SET").arg(&["events", "in the way"]).query_async::<()>(&mut redis).await.unwrap();
    let ran = dlq(&server, &["replay", "--all"]).await;
    let [closing, error] = lines(&ran.err)[..] else { panic!("{}", ran.err) };
    assert_eq!((ran.code, &*ran.out, closing), (1, "", "0 replayed"));
    assert!(error.starts_with(&format!("error: {id} is left as it was: ")), "{error}");
    assert!(error.contains("WRONGTYPE"), "{error}");
    assert_eq!(count(&mut redis, "XLEN", "dead").await, 1);
    redis::cmd("DEL").arg("events").query_async::<()>(&mut redis).await.unwrap();
    assert_eq!(dlq(&server, &["replay", &id]).await.code, 0);
    assert_eq!((count(&mut redis, "XLEN", "dead").await, count(&mut redis, "XLEN", "events").await), (0, 1));
}

#[tokio::test]
async fn p10_what_cannot_be_put_back_whole_stays_a_letter_and_the_others_go_on() {
    let (server, mut redis) = start().await;
    let many = |fields: usize| -> Vec<_> {
        (0..fields).map(|n| (format!("f{n}").into_bytes(), vec![0xff, b'v'])).collect()
    };
    // With request_id the first is as large as can be.
    for fields in [many(3_899), many(3_900)] {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        letter(&server, &mut redis, &fields).await;
    }
    redis::cmd("XADD").arg(&["dead", "*", "a", "b"]).query_async::<String>(&mut redis).await.unwrap();
    letter(&server, &mut redis, &[(b"type", b"scale_up")]).await;
    let ran = dlq(&server, &["replay", "--all"]).await;
    let [large, foreign, closing] = lines(&ran.err)[..] else { panic!("{}", ran.err) };
    assert!(large.ends_with("has 3901 fields, and at most 3900 can be replayed"), "{large}");
    assert!(foreign.contains("holds no event"), "{foreign}");
    assert_eq!((ran.code, closing), (1, "2 replayed, 2 not"));
    let back: Entries =
        redis::cmd("XRANGE").arg(&["events", "-", "+", "COUNT", "1"]).query_async(&mut redis).await.unwrap();
    assert_eq!(back[0].1[..3_899], many(3_899), "those above the thousandth, too");
}

#[tokio::test]
async fn p10_mistakes_are_one_line_and_have_their_exit_codes() {
    for args in [
        &["dlq", "replay"][..],
        &["dlq", "replay", "--all", "5-0"],
        &["dlq", "replay", "nonsense"],
        &["dlq", "list", "--limit", "0"],
        &["dlq", "list", "--redis-url", "nonsense"],
        &["dlq"],
    ] {
        let ran = ottoscaler(args, &[]).await;
        assert_eq!((ran.code, lines(&ran.err).len(), &*ran.out), (64, 1, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.starts_with("error: "), "{args:?}: {}", ran.err);
    }
    // Nothing listens on port 1.
    for command in [&["dlq", "list"][..], &["dlq", "replay", "--all"]] {
        let ran = ottoscaler(command, &[("REDIS_URL", "redis://:sesame@127.0.0.1:1")]).await;
        assert_eq!((ran.code, lines(&ran.err).len(), &*ran.out), (1, 1, ""), "{}", ran.err);
        assert!(ran.err.starts_with("error: cannot reach Redis at 127.0.0.1:1"), "{}", ran.err);
        assert!(!ran.err.contains("sesame"));
    }
    let help = ottoscaler(&["dlq", "list", "--help"], &[]).await;
    let words = help.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.code == 0 && words.contains("secrets in them are shown"), "{words}");
}

#[tokio::test]
async fn the_scalers_own_flags_before_the_command_and_its_variables_count() {
    let server = Server::start().await;
    let redis = format!("redis://127.0.0.1:{}", server.port);
    let before = ["--redis-url", &redis, "--dlq-stream", "d", "dlq", "list"];
    assert_eq!(ottoscaler(&before, &[]).await.err, "no dead letters in d\n");
    let variables = [("REDIS_URL", &*redis), ("OTTO_DLQ_STREAM", "v")];
    assert_eq!(ottoscaler(&["dlq", "list"], &variables).await.err, "no dead letters in v\n");
}

/// The brake of whoever only wants a look: `dlq list | head`.
#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_mistake() {
    let (server, mut redis) = start().await;
    letter(&server, &mut redis, &[(b"type", b"scale_up")]).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let redis = format!("redis://127.0.0.1:{}", server.port);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottoscaler"));
    command.args(["dlq", "list", "--dlq-stream", "dead", "--redis-url", &redis]).stdout(writer);
    let status = tokio::time::timeout(LIMIT, command.kill_on_drop(true).status()).await.expect("in time");
    assert!(status.unwrap().success());
}
