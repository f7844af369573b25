//! Intake and records on a real redis-server.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use ottoscaler::event::{Event, RawEntry};
use ottoscaler::ids::Attempt;
use ottoscaler::intake::Backlog;
use ottoscaler::metrics::{Metrics, NoLabel};
use ottoscaler::record::{
    DeadLetter, Log, Outcome, Progress, Record, Recorded, Slot, Stop, TaskRecord, Update, Verdict, Write,
    Written,
};
use ottoscaler::status::Notification;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::common::{Running, Server, add, add_task, count, entries, policy, until};

fn task(name: &str, entry: &str) -> (RawEntry, TaskRecord) {
    let fields = [("type", "scale_up"), ("pod_count", "2"), ("task_id", name), ("command", "true")];
    let fields = fields.iter().chain(&[("request_id", "r")]);
    let fields = fields.map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
    let raw = RawEntry { id: entry.parse().unwrap(), fields };
    let Ok(Event::ScaleUp(spec)) = Event::parse(&raw, &policy()) else { panic!("it is an event") };
    (raw, TaskRecord::new(*spec))
}

fn ended(record: &TaskRecord, index: u32, finishes: bool) -> Write {
    let index = index.to_string().parse().unwrap();
    let outcome = Outcome {
        verdict: Verdict::Succeeded,
        exit_code: Some(0),
        reason: String::new(),
        ran: true,
        started_at: None,
        ended_at: Timestamp::now(),
        log: Log::Complete,
    };
    let progress = Progress::Ended(outcome);
    let notification = Notification {
        task_id: record.spec().task_id.clone(),
        worker_id: record.worker_id(index, Attempt::FIRST),
        state: progress.state(),
        class: None,
        exit_code: Some(0),
        reason: String::new(),
        obstacle: None,
        at: Timestamp::now(),
    };
    let slot = Slot { progress, ..Slot::default() };
    let record = record.id().clone();
    let update = Update { record: record.clone(), index, slot, notifications: vec![notification] };
    Write { record, updates: vec![update], finishes }
}

#[tokio::test]
async fn p1_p2_an_event_is_recorded_once_and_its_entry_leaves_the_stream_in_the_same_step() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let mut intake = Running::start(&server, 5);
    add_task(&mut redis, "one").await;
    assert_eq!(intake.recorded().await, "one");
    until("it is ready", async || intake.readiness.missing().is_empty().then_some(())).await;
    assert_eq!(count(&mut redis, "XLEN", "events").await, 0);
    let pending: Vec<redis::Value> = redis::cmd("XPENDING")
        .arg(&["events", "group", "-", "+", "9"])
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(pending.is_empty());
    let told = entries(&mut redis, "status").await;
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|entry| entry["state"] == "queued" && entry["event_id"].ends_with(":queued")));

    let store = server.store();
    let (entry, record) = task("two", "5-0");
    let record = Record::Task(Box::new(record));
    let now = Timestamp::now();
    assert_eq!(store.record_and_ack(entry.id, &record, now).await.unwrap(), Recorded::New);
    let again = "9-0".parse().unwrap();
    assert_eq!(store.record_and_ack(again, &record, now).await.unwrap(), Recorded::Duplicate);
    let loaded = store.load().await.unwrap();
    assert!(loaded.records.contains(&record), "as it was recorded first");
    assert_eq!(loaded.records.len(), 2);
    assert_eq!(count(&mut redis, "XLEN", "status").await, 4, "a repeat tells nothing");
}

#[tokio::test]
async fn a_leader_tells_how_many_events_wait_and_nothing_where_redis_does_not_know() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let mut command = async |command: &str, args: &[&str]| {
        redis::cmd(command).arg(args).query_async::<redis::Value>(&mut redis).await.unwrap()
    };
    let metrics = Metrics::register(&mut Registry::default());
    let (events, group) = ("events".to_owned(), "group".to_owned());
    let backlog = Backlog::new(server.link().commands().unwrap(), events, group, metrics.clone());
    let mut running = JoinSet::new();
    running.spawn(backlog.run(CancellationToken::new()));
    let told = |family: &Family<NoLabel, Gauge>| family.get(&[]).map(|gauge| gauge.get());
    let tells = async |lag: Option<i64>, pending: Option<i64>| {
        until(&format!("{lag:?} wait, {pending:?} are pending"), async || {
            let is = (told(&metrics.stream_lag), told(&metrics.stream_pending));
            (is == (lag, pending)).then_some(())
        })
        .await;
    };
    command("XGROUP", &["CREATE", "events", "other", "0", "MKSTREAM"]).await;
    command("XGROUP", &["CREATE", "events", "group", "0"]).await;
    for id in ["1-0", "2-0", "3-0", "4-0"] {
        command("XADD", &["events", id, "type", "scale_up"]).await;
    }
    command("XREADGROUP", &["GROUP", "group", "c", "COUNT", "1", "STREAMS", "events", ">"]).await;
    tells(Some(3), Some(1)).await;
    command("XDEL", &["events", "3-0"]).await;
    tells(None, Some(1)).await;
    command("DEL", &["events"]).await;
    tells(None, None).await;
}

#[tokio::test]
async fn p1_what_another_consumer_read_and_did_not_acknowledge_is_taken_over_first() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    redis::cmd("XGROUP")
        .arg(&["CREATE", "events", "group", "0", "MKSTREAM"])
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    for number in 0..150 {
        add_task(&mut redis, &format!("left-{number}")).await;
    }
    let read = ["GROUP", "group", "dead", "COUNT", "1000", "STREAMS", "events", ">"];
    redis::cmd("XREADGROUP").arg(&read).query_async::<redis::Value>(&mut redis).await.unwrap();
    add_task(&mut redis, "new").await;
    let mut intake = Running::start(&server, 5);
    for number in 0..150 {
        assert_eq!(intake.recorded().await, format!("left-{number}"));
    }
    assert_eq!(intake.recorded().await, "new");
}

#[tokio::test]
async fn p1_what_a_leader_of_before_reads_later_is_taken_over_before_long() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let mut intake = Running::start(&server, 5);
    add_task(&mut redis, "first").await;
    assert_eq!(intake.recorded().await, "first");
    // In one step, so that nobody else reads it.
    let added = ["events", "*", "type", "scale_up", "task_id", "late", "pod_count", "1", "command", "true"];
    let read = ["GROUP", "group", "hung", "STREAMS", "events", ">"];
    let mut both = redis::pipe();
    both.atomic().cmd("XADD").arg(&added).cmd("XREADGROUP").arg(&read);
    both.query_async::<redis::Value>(&mut redis).await.unwrap();
    assert_eq!(intake.recorded().await, "late");
}

#[tokio::test]
async fn p1_a_group_that_is_gone_is_made_again_and_reads_from_the_beginning() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let mut intake = Running::start(&server, 5);
    add_task(&mut redis, "before").await;
    assert_eq!(intake.recorded().await, "before");
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
    add_task(&mut redis, "after").await;
    assert_eq!(intake.recorded().await, "after");
}

#[tokio::test]
async fn p1_redis_that_is_away_is_waited_for_and_readiness_says_so() {
    let mut server = Server::start().await;
    let mut intake = Running::start(&server, 5);
    until("it is ready", async || intake.readiness.missing().is_empty().then_some(())).await;
    server.end();
    let (name, _) = until("it is not ready", async || intake.readiness.missing().pop()).await;
    assert_eq!(name, "redis");
    server.resume();
    let mut redis = server.redis().await;
    add_task(&mut redis, "later").await;
    assert_eq!(intake.recorded().await, "later");
    until("it is ready again", async || intake.readiness.missing().is_empty().then_some(())).await;
}

#[tokio::test]
async fn p10_a_bad_entry_is_a_dead_letter_with_everything_that_was_in_it_and_delays_nobody() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let mut intake = Running::start(&server, 5);
    let bytes: [(&[u8], &[u8]); 3] = [(b"type", b"scale_up"), (&[0xff, b'n'], b"x"), (b"pod_count", b"1")];
    redis::cmd("XADD").arg("events").arg("*").arg(&bytes).query_async::<String>(&mut redis).await.unwrap();
    let many: Vec<_> = (0..3000).map(|n| (format!("f{n}"), "v".to_owned())).collect();
    redis::cmd("XADD").arg("events").arg("*").arg(&many).query_async::<String>(&mut redis).await.unwrap();
    let id = add(&mut redis, &[("type", "scale_up"), ("pod_count", "0"), ("command", "true")]).await;
    add_task(&mut redis, "good").await;
    assert_eq!(intake.recorded().await, "good");

    let letters = redis::cmd("XLEN").arg("dead").query_async::<u64>(&mut redis).await.unwrap();
    assert_eq!(letters, 3);
    let last: Vec<(String, BTreeMap<String, String>)> =
        redis::cmd("XREVRANGE").arg(&["dead", "+", "-", "COUNT", "1"]).query_async(&mut redis).await.unwrap();
    let letter = &last[0].1;
    assert_eq!((&*letter["cause"], &*letter["field"], &letter["entry_id"]), ("rejected", "pod_count", &id));
    assert_eq!(letter["original.pod_count"], "0");
    assert_eq!(count(&mut redis, "XLEN", "events").await, 0);
}

#[tokio::test]
async fn an_entry_delivered_too_often_is_a_dead_letter() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    // Its handling fails each time: where its status would be told there is no stream.
    redis::cmd("SET").arg("status").arg("in the way").query_async::<()>(&mut redis).await.unwrap();
    let _intake = Running::start(&server, 2);
    add_task(&mut redis, "poison").await;
    let letter = until("it is a dead letter", async || entries(&mut redis.clone(), "dead").await.pop()).await;
    assert_eq!((&*letter["cause"], &*letter["deliveries"]), ("undeliverable", "3"));
    assert_eq!(letter["original.task_id"], "poison");
}

#[tokio::test]
async fn a_letter_whose_answer_was_lost_is_not_written_twice() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let id = add(&mut redis, &[("type", "nonsense")]).await;
    redis::cmd("XGROUP")
        .arg(&["CREATE", "events", "group", "0"])
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    let entry = RawEntry { id: id.parse().unwrap(), fields: vec![(b"type".to_vec(), b"nonsense".to_vec())] };
    let letter = DeadLetter::Undeliverable { deliveries: 9 };
    assert_eq!(server.store().dead_letter(&entry, &letter).await.unwrap(), Written::Done);
    assert_eq!(server.store().dead_letter(&entry, &letter).await.unwrap(), Written::Nothing);
    assert_eq!(count(&mut redis, "XLEN", "dead").await, 1);
}

#[tokio::test]
async fn p2_a_finished_record_leaves_the_index_and_is_known_for_the_dedupe_period_only() {
    let server = Server::start().await;
    let store = server.store_that_keeps(Duration::from_millis(300));
    let (entry, task) = task("short", "5-0");
    let record = Record::Task(Box::new(task.clone()));
    store.record_and_ack(entry.id, &record, Timestamp::now()).await.unwrap();
    assert_eq!(store.update_workers(&ended(&task, 0, false)).await.unwrap(), Written::Done);
    let loaded = store.load().await.unwrap().records;
    let [Record::Task(half)] = loaded.as_slice() else { panic!("{loaded:?}") };
    assert!(half.slot("0".parse().unwrap()).is_ended() && !half.is_finished());
    store.update_workers(&ended(&task, 1, true)).await.unwrap();
    assert!(store.load().await.unwrap().records.is_empty());
    let again = store.record_and_ack("6-0".parse().unwrap(), &record, Timestamp::now()).await.unwrap();
    assert_eq!(again, Recorded::Duplicate);
    let mut redis = server.redis().await;
    until("the record is gone", async || {
        (redis::cmd("EXISTS")
            .arg(format!("task:{}", task.id()))
            .query_async::<u64>(&mut redis)
            .await
            .unwrap()
            == 0)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn p1_consumers_that_are_no_more_are_forgotten_but_not_with_what_they_have_read() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let group = server.store().config().group.clone();
    add(&mut redis, &[("type", "nonsense")]).await;
    redis::cmd("XGROUP")
        .arg("CREATE")
        .arg("events")
        .arg(&group)
        .arg("0")
        .query_async::<()>(&mut redis)
        .await
        .unwrap();
    let mut read = redis::cmd("XREADGROUP");
    read.arg("GROUP").arg(&group).arg("has-read").arg("STREAMS").arg("events").arg(">");
    read.query_async::<redis::Value>(&mut redis).await.unwrap();
    for consumer in ["idle", "stays"] {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATECONSUMER").arg("events").arg(&group).arg(consumer);
        create.query_async::<()>(&mut redis).await.unwrap();
    }
    let store = server.store();
    assert_eq!(store.forget_consumers("stays", Duration::from_hours(1)).await.unwrap(), 0, "not yet");
    assert_eq!(store.forget_consumers("stays", Duration::ZERO).await.unwrap(), 1);
    let mut info = redis::cmd("XINFO");
    let left: Vec<std::collections::HashMap<String, redis::Value>> =
        info.arg("CONSUMERS").arg("events").arg(&group).query_async(&mut redis).await.unwrap();
    let names: Vec<String> =
        left.iter().map(|consumer| redis::from_redis_value(consumer["name"].clone()).unwrap()).collect();
    assert_eq!(names, ["has-read", "stays"]);
}

#[tokio::test]
async fn a_record_that_redis_lost_is_not_written_by_halves() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let (_, task) = task("lost", "5-0");
    assert_eq!(server.store().update_workers(&ended(&task, 0, false)).await.unwrap(), Written::Nothing);
    assert_eq!(count(&mut redis, "EXISTS", &format!("task:{}", task.id())).await, 0);
    assert_eq!(count(&mut redis, "XLEN", "status").await, 1, "the end is told all the same");
}

#[tokio::test]
async fn a_scale_down_is_applied_once_with_the_workers_that_it_chose() {
    let server = Server::start().await;
    let store = server.store();
    let (entry, task) = task("down", "5-0");
    store.record_and_ack(entry.id, &Record::Task(Box::new(task.clone())), Timestamp::now()).await.unwrap();
    let fields = [("type", "scale_down"), ("task_id", "down")];
    let fields = fields.map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).to_vec();
    let raw = RawEntry { id: "6-0".parse().unwrap(), fields };
    let down: Record = Event::parse(&raw, &policy()).unwrap().into();
    store.record_and_ack(raw.id, &down, Timestamp::now()).await.unwrap();
    assert_eq!(store.load().await.unwrap().records.len(), 2);

    let index = "1".parse().unwrap();
    let cancelled = [(task.id().clone(), index, Slot { stop: Some(Stop::Cancelled), ..Slot::default() })];
    assert_eq!(store.apply_scale_down(down.id(), &cancelled).await.unwrap(), Written::Done);
    assert_eq!(store.apply_scale_down(down.id(), &[]).await.unwrap(), Written::Nothing);
    let loaded = store.load().await.unwrap().records;
    let [Record::Task(task)] = loaded.as_slice() else { panic!("{loaded:?}") };
    assert!(task.slot(index).stop.is_some() && task.slot("0".parse().unwrap()).stop.is_none());
}

/// Redis rolls no script back: whatever command of it fails, the event must still be there.
#[tokio::test]
async fn p1_a_script_that_fails_midway_loses_neither_an_event_nor_a_letter() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    for in_the_way in ["status", "dead"] {
        redis::cmd("SET").arg(in_the_way).arg("x").query_async::<()>(&mut redis).await.unwrap();
    }
    let mut intake = Running::start(&server, 1_000);
    add_task(&mut redis, "held up").await;
    add(&mut redis, &[("type", "nonsense")]).await;
    let tried = async |redis: &mut MultiplexedConnection| {
        let pending: Vec<(String, String, u64, u64)> =
            redis::cmd("XPENDING").arg(&["events", "group", "-", "+", "9"]).query_async(redis).await.ok()?;
        (pending.len() == 2 && pending.iter().all(|(_, _, _, times)| *times >= 2)).then_some(())
    };
    until("both were tried again", async || tried(&mut redis.clone()).await).await;
    redis::cmd("DEL").arg(&["status", "dead"]).query_async::<()>(&mut redis).await.unwrap();
    assert_eq!(intake.recorded().await, "held up");
    until("the letter is there", async || entries(&mut redis.clone(), "dead").await.pop()).await;
    assert_eq!(entries(&mut redis, "status").await.len(), 2);
    until("the stream is empty", async || {
        (count(&mut redis.clone(), "XLEN", "events").await == 0).then_some(())
    })
    .await;
}

/// A container that is made anew has another host name, and its volume another path.
#[tokio::test]
async fn records_with_work_left_are_taken_over_only_where_their_workers_are() {
    let server = Server::start().await;
    let mut redis = server.redis().await;
    let store = server.store();
    let _intake = Running::start(&server, 5);
    let home = "process: /var/lib/otto on 3f2a (0000c0ffee)";
    assert_eq!(store.claim(home).await.unwrap(), None);
    add_task(&mut redis, "one").await;
    until("it is recorded", async || (count(&mut redis, "XLEN", "events").await == 0).then_some(())).await;
    let elsewhere = "process: /var/lib/otto on 3f2a (0000beef)";
    assert_eq!(store.claim(elsewhere).await.unwrap().as_deref(), Some(home));
    assert_eq!(store.claim("kubernetes: namespace a, instance b").await.unwrap().as_deref(), Some(home));
    assert_eq!(store.claim("process: /data on 77aa (0000c0ffee)").await.unwrap(), None);
}
