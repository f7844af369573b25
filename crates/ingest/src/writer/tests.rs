mod room;

use bytes::Bytes;
use futures::StreamExt;
use ottoscaler_kit::supervise::Tasks;
use ottoscaler_proto::v1::WorkerMetadata;

use super::*;
use crate::ids::TaskId;
use crate::line::{Extra, LinesBuilder, Mark};
use crate::server::Server;
use crate::session::Offer;
use crate::tail::{Follow, Piece};
use crate::testing::{self, Script, Sizes, Verdict};

/// A writer on a scripted store, and the way to its queue.
fn writer(sizes: Sizes) -> (Server, Script, Tasks) {
    let (opened, script) = testing::scripted();
    let tasks = Tasks::new();
    (testing::parts(opened, sizes, &tasks), script, tasks)
}

fn worker(name: &str) -> WorkerId {
    WorkerId::try_from(name).unwrap()
}

fn line(first: u64) -> Item {
    let mut builder = LinesBuilder::default();
    builder.push(0, Mark::default(), b"x", Extra::default());
    Item { first: Some(Sequence::new(first)), offer: Offer::Lines(builder.finish()) }
}

fn append(server: &Server, name: &str, first: u64) -> oneshot::Receiver<Vec<Answer>> {
    let (reply, answers) = oneshot::channel();
    let worker = worker(name);
    let claim = Claim::Name(TaskId::from(&worker));
    let append = Append { worker, claim, items: vec![line(first)] };
    server.queue.try_submit(1, Submission::Append(append, reply)).unwrap();
    answers
}

fn register(server: &Server, name: &str, incarnation: &'static [u8]) -> oneshot::Receiver<Registered> {
    let (reply, answer) = oneshot::channel();
    let introduction = Introduction {
        task: None,
        worker: worker(name),
        attempt: 1,
        incarnation: Bytes::from_static(incarnation),
        metadata: WorkerMetadata::default(),
    };
    server.queue.try_submit(1, Submission::Register(introduction, reply)).unwrap();
    answer
}

fn high(server: &Server, name: &str) -> Option<u64> {
    server.catalog.worker(&worker(name)).map(|state| state.high.get())
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_nothing_is_answered_or_shown_before_its_commit_has_ended() {
    let (server, script, _tasks) = writer(Sizes::default());
    let mut answers = append(&server, "w", 1);
    script.commit_began();
    assert!(answers.try_recv().is_err(), "answered before the commit");
    assert_eq!(high(&server, "w"), None, "shown before the commit");
    script.answer(Verdict::Store);
    assert_eq!(answers.await.unwrap()[0].acked, Sequence::new(1));
    assert_eq!(high(&server, "w"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_repeat_waits_for_the_commit_that_makes_the_first_durable() {
    let (server, script, _tasks) = writer(Sizes::default());
    let first = append(&server, "a", 1);
    script.commit_began();
    // Both come while the first group is committed, and are one group.
    let (second, mut repeat) = (append(&server, "b", 1), append(&server, "b", 1));
    script.answer(Verdict::Store);
    script.commit_began();
    assert!(repeat.try_recv().is_err(), "the repeat was answered before its line was durable");
    script.answer(Verdict::Store);
    for answers in [first, second, repeat] {
        assert_eq!(answers.await.unwrap()[0].acked, Sequence::new(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_commit_covers_all_workers_that_wait() {
    let (server, script, _tasks) = writer(Sizes::default());
    let first = append(&server, "first", 1);
    script.commit_began();
    let names: Vec<_> = (0..20).map(|number| format!("w{number}")).collect();
    let waiting: Vec<_> = names.iter().map(|name| append(&server, name, 1)).collect();
    script.answer(Verdict::Store);
    script.commit_began();
    script.answer(Verdict::Store);
    first.await.unwrap();
    for answers in waiting {
        assert_eq!(answers.await.unwrap()[0].refusal, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_full_disk_asks_for_the_whole_group_again_and_recovers_by_itself() {
    let (server, script, _tasks) = writer(Sizes::default());
    script.answer(Verdict::Store);
    append(&server, "w", 1).await.unwrap();
    script.answer(Verdict::Full);
    let refused = append(&server, "w", 2).await.unwrap().remove(0);
    assert_eq!(refused.refusal, Some(Refusal::Retry(Retry::DiskFull, Sequence::new(1))));
    assert_eq!(refused.acked, Sequence::ZERO);
    assert_eq!(high(&server, "w"), Some(1), "the state is as it was");
    script.answer(Verdict::Store);
    assert_eq!(append(&server, "w", 2).await.unwrap()[0].acked, Sequence::new(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_full_disk_never_lets_a_second_run_pass_for_the_first() {
    let (server, script, _tasks) = writer(Sizes::default());
    script.answer(Verdict::Store);
    assert!(matches!(register(&server, "w", b"one").await.unwrap(), Registered::New(_)));

    // Something else makes the group need the disk, and the disk is full.
    let blocker = append(&server, "other", 1);
    script.commit_began();
    script.commit_began();
    let (another, same) = (register(&server, "w", b"two"), register(&server, "w", b"one"));
    let needs_disk = append(&server, "third", 1);
    script.answer(Verdict::Store);
    script.answer(Verdict::Full);
    blocker.await.unwrap();
    assert!(matches!(another.await.unwrap(), Registered::NotStored(Retry::DiskFull)));
    assert!(matches!(same.await.unwrap(), Registered::Known(_)));
    assert!(matches!(needs_disk.await.unwrap()[0].refusal, Some(Refusal::Retry(Retry::DiskFull, _))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incarnation_that_could_not_be_stored_is_not_adopted() {
    let (server, script, _tasks) = writer(Sizes::default());
    script.answer(Verdict::Store);
    assert!(matches!(register(&server, "w", b"").await.unwrap(), Registered::New(_)));
    script.answer(Verdict::Full);
    assert!(matches!(register(&server, "w", b"one").await.unwrap(), Registered::NotStored(Retry::DiskFull)));
    script.answer(Verdict::Store);
    assert!(matches!(register(&server, "w", b"two").await.unwrap(), Registered::Known(_)));
}

fn complete(server: &Server, name: &str, last: u64, reason: &str) -> oneshot::Receiver<Completed> {
    let (reply, answer) = oneshot::channel();
    let closing = Closing { exit_code: Some(0), signal: 0, reason: reason.into() };
    let completion = Completion { worker: worker(name), last: Sequence::new(last), closing };
    server.queue.try_submit(1, Submission::Complete(completion, reply)).unwrap();
    answer
}

/// A worker gives up when its time for the flush is over, and the last ACK may have been on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_given_up_is_complete_where_nothing_of_it_is_missing() {
    let (server, script, _tasks) = writer(Sizes::default());
    drop(script);
    // What is named last, with which reason, and whether the log is complete then.
    let table =
        [(1, "flush_timeout", true), (1, "", true), (2, "flush_timeout", false), (0, "agent_gone", false)];
    for (at, (last, reason, complete_then)) in table.into_iter().enumerate() {
        let name = format!("w{at}");
        append(&server, &name, 1).await.unwrap();
        let completed = complete(&server, &name, last, reason).await.unwrap();
        assert_eq!(matches!(completed, Completed::Complete), complete_then, "{last} {reason}");
        let state = server.catalog.worker(&worker(&name)).unwrap();
        assert_eq!(state.is_complete(), complete_then, "{last} {reason}");
        assert_eq!(state.closing.as_ref().unwrap().reason.is_empty(), complete_then, "{last} {reason}");
    }
}

/// Whoever closes it has asked before how far it is, and an agent that is cut off from all but log-ingest writes on.
#[tokio::test(flavor = "multi_thread")]
async fn p9_a_log_that_another_closes_has_the_marker_behind_all_that_came_and_is_never_complete() {
    let (server, script, _tasks) = writer(Sizes::default());
    drop(script);
    for lines in [0, 1, 3] {
        let name = format!("w{lines}");
        register(&server, &name, b"").await.unwrap();
        for first in 1..=lines {
            append(&server, &name, first).await.unwrap();
        }
        assert!(matches!(complete(&server, &name, 0, "agent_gone").await.unwrap(), Completed::Closed));
        let state = server.catalog.worker(&worker(&name)).unwrap();
        assert_eq!((state.high, state.is_complete()), (Sequence::new(lines + 1), false));
        assert_eq!(&*state.closing.as_ref().unwrap().reason, "agent_gone");
        let late = append(&server, &name, lines + 2).await.unwrap().remove(0);
        assert!(matches!(late.refusal, Some(Refusal::Drop(_))), "{late:?}");
        assert!(
            matches!(complete(&server, &name, 0, "agent_gone").await.unwrap(), Completed::Closed),
            "again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_with_lost_lines_is_never_called_complete() {
    let (server, script, _tasks) = writer(Sizes::default());
    drop(script);
    let (reply, answers) = oneshot::channel();
    let offer = Offer::Gap { last: Sequence::new(3), reason: "buffer_full".into() };
    let items = vec![Item { first: Some(Sequence::new(1)), offer }];
    let append = Append { worker: worker("w"), claim: Claim::Name(TaskId::from(&worker("w"))), items };
    server.queue.try_submit(1, Submission::Append(append, reply)).unwrap();
    answers.await.unwrap();
    assert!(matches!(complete(&server, "w", 3, "").await.unwrap(), Completed::Closed));
    assert!(!server.catalog.worker(&worker("w")).unwrap().is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_disk_in_an_unknown_state_stops_the_service_without_an_answer() {
    let (server, script, tasks) = writer(Sizes::default());
    script.answer(Verdict::Broken);
    assert!(append(&server, "w", 1).await.is_err(), "an answer would be a guess");
    tasks.stop_token().cancelled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_nothing_is_acknowledged_out_of_a_store_that_is_gone_and_no_repeat_either() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let opened = crate::store::disk::open(&data, 64 << 10, crate::store::Damage::default()).unwrap();
    let tasks = Tasks::new();
    let server = testing::parts(opened, Sizes::default(), &tasks);
    assert_eq!(append(&server, "w", 1).await.unwrap()[0].acked, Sequence::new(1));
    std::fs::remove_dir_all(&data).unwrap();
    for first in [1, 2] {
        let answer = append(&server, "w", first).await.unwrap().remove(0);
        assert_eq!(answer.acked, Sequence::ZERO, "line {first}");
        assert_eq!(answer.refusal, Some(Refusal::Retry(Retry::StoreGone, Sequence::new(1))), "line {first}");
    }
    assert!(matches!(register(&server, "w", b"").await.unwrap(), Registered::NotStored(Retry::StoreGone)));
    let completed = complete(&server, "w", 1, "").await.unwrap();
    assert_eq!(completed, Completed::NotStored(Retry::StoreGone));
    assert_eq!(high(&server, "w"), Some(1), "the state is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_a_full_queue_refuses_at_once_and_has_room_again_later() {
    let (server, script, _tasks) = writer(Sizes { queue: 1, ..Sizes::default() });
    let first = append(&server, "w", 1);
    script.commit_began();
    let second = append(&server, "w", 2);
    let (reply, _answers) = oneshot::channel();
    let claim = Claim::Name(TaskId::from(&worker("w")));
    let third = Append { worker: worker("w"), claim, items: vec![line(3)] };
    let refused = server.queue.try_submit(1, Submission::Append(third, reply));
    assert_eq!(refused, Err(crate::queue::Refused::Full));
    script.answer(Verdict::Store);
    script.answer(Verdict::Store);
    first.await.unwrap();
    second.await.unwrap();
    script.answer(Verdict::Store);
    assert_eq!(append(&server, "w", 3).await.unwrap()[0].acked, Sequence::new(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_more_workers_than_the_limit_are_refused() {
    let (server, script, _tasks) = writer(Sizes { max_workers: 1, ..Sizes::default() });
    drop(script);
    assert!(matches!(register(&server, "a", b"").await.unwrap(), Registered::New(_)));
    assert!(matches!(register(&server, "b", b"").await.unwrap(), Registered::Full));
    let refused = append(&server, "c", 1).await.unwrap().remove(0).refusal;
    assert!(matches!(refused, Some(Refusal::Drop(why)) if why.reason() == "server_full"));
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_lines_of_a_session_that_is_forgotten_are_never_anothers_nor_lost() {
    let (server, script, _tasks) = writer(Sizes::default());
    drop(script);
    append(&server, "w", 1).await.unwrap();
    server.catalog.forget(&worker("w"));
    for another_came in [false, true] {
        if another_came {
            assert!(matches!(register(&server, "w", b"other").await.unwrap(), Registered::New(_)));
        }
        let (reply, answers) = oneshot::channel();
        let claim = Claim::Session("forgotten".into());
        let late = Append { worker: worker("w"), claim, items: vec![line(1), line(2)] };
        server.queue.try_submit(1, Submission::Append(late, reply)).unwrap();
        for answer in answers.await.unwrap() {
            assert_eq!(answer.refusal, Some(Refusal::Retry(Retry::Gap, Sequence::ZERO)));
            assert_eq!(answer.acked, Sequence::ZERO);
        }
        assert_eq!(high(&server, "w"), another_came.then_some(0));
    }
}

fn append_unnumbered(server: &Server, name: &str) -> oneshot::Receiver<Vec<Answer>> {
    let (reply, answers) = oneshot::channel();
    let claim = Claim::Name(TaskId::from(&worker(name)));
    let append = Append { worker: worker(name), claim, items: vec![Item { first: None, ..line(1) }] };
    server.queue.try_submit(1, Submission::Append(append, reply)).unwrap();
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_without_numbers_do_not_come_before_those_that_a_full_disk_refused() {
    let (server, script, _tasks) = writer(Sizes::default());
    let first = append_unnumbered(&server, "w");
    script.commit_began();
    // It waits in the queue, and is another group.
    let second = append_unnumbered(&server, "w");
    script.answer(Verdict::Full);
    drop(script);
    for answers in [first, second] {
        let refused = answers.await.unwrap().remove(0).refusal;
        assert_eq!(refused, Some(Refusal::Retry(Retry::DiskFull, Sequence::ZERO)));
    }
    assert_eq!(append_unnumbered(&server, "other").await.unwrap()[0].refusal, None);
    assert_eq!(append(&server, "numbered", 1).await.unwrap()[0].refusal, None);
}

#[test]
fn lines_without_numbers_are_held_for_as_long_as_those_before_them_are_to_wait() {
    let (mut held, now) = (Held::new(1), Instant::now());
    let delay = Retry::DiskFull.delay();
    let refused = |name| {
        let refusal = Some(Refusal::Retry(Retry::DiskFull, Sequence::ZERO));
        let answer = Answer { first: Sequence::ZERO, acked: Sequence::ZERO, stored: 0, refusal };
        let appended = Appended { worker: worker(name), numbering: Numbering::Server };
        Reply::Append(appended, vec![answer], oneshot::channel().0)
    };
    held.learn(&refused("w"), now);
    held.learn(&refused("w"), now + delay / 2);
    held.learn(&refused("one too many"), now);
    held.release(now + delay / 2);
    assert_eq!(held.why(&worker("w")), Some(Retry::DiskFull));
    assert_eq!(held.why(&worker("one too many")), None);
    held.release(now + delay);
    assert_eq!(held.why(&worker("w")), None);
}

/// A step of retention; whether there may be another.
async fn tend(server: &Server) -> bool {
    let (reply, more) = oneshot::channel();
    server.queue.submit(0, Submission::Tend(reply)).await.unwrap();
    more.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_task_that_has_too_much_keeps_its_mark_and_its_readers_are_told_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let opened = crate::store::disk::open(dir.path(), 64 << 10, crate::store::Damage::default()).unwrap();
    let retained = Limits { task_bytes: Some(200 << 10), ..Limits::default() };
    let tasks = Tasks::new();
    let server = testing::parts(opened, Sizes { retained, ..Sizes::default() }, &tasks);
    for first in (1..500).step_by(10) {
        let mut builder = LinesBuilder::default();
        (0..10).for_each(|_| builder.push(0, Mark::default(), &[b'x'; 1000], Extra::default()));
        let item = Item { first: Some(Sequence::new(first)), offer: Offer::Lines(builder.finish()) };
        let (reply, answers) = oneshot::channel();
        let claim = Claim::Name(TaskId::from(&worker("w")));
        let append = Append { worker: worker("w"), claim, items: vec![item] };
        server.queue.submit(1, Submission::Append(append, reply)).await.unwrap();
        assert_eq!(answers.await.unwrap()[0].refusal, None);
    }
    append(&server, "other", 1).await.unwrap();
    while tend(&server).await {}

    let state = server.catalog.worker(&worker("w")).unwrap();
    assert_eq!((state.high.get(), state.lines, state.lost), (500, 500, 0));
    assert!((300..=320).contains(&state.trimmed.get()), "{}", state.trimmed);
    let other = server.catalog.worker(&worker("other")).unwrap();
    assert_eq!(other.trimmed, Sequence::ZERO);
    let states = server.catalog.watch(&worker("w")).unwrap();
    let pieces = server.tails.tail(states, Sequence::ZERO, Follow::No).unwrap();
    let pieces: Vec<_> = pieces.map(Result::unwrap).collect().await;
    let mut next = Sequence::new(1);
    for piece in &pieces {
        let Piece::Part(part) = piece else { continue };
        let (block, is_gone) = (part.block(), next <= state.trimmed);
        assert_eq!(block.first, next);
        match &block.content {
            Content::Gap { reason, .. } => assert!(is_gone && **reason == *crate::retention::REASON),
            Content::Lines(_) => assert!(!is_gone),
        }
        next = block.last().next();
    }
    assert_eq!(next.get(), 501);
}
