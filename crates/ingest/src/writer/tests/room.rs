//! A store in memory that has all that it may hold.

use super::*;
use crate::store::memory;

/// Some hundred blocks of the test's, each of them a group of its own.
const LIMIT: u64 = 1 << 20;
const LINES: u64 = 10;

async fn block(server: &Server, name: &str, first: u64) -> Answer {
    let mut builder = LinesBuilder::default();
    (0..LINES).for_each(|_| builder.push(0, Mark::default(), &[b'x'; 1000], Extra::default()));
    let item = Item { first: Some(Sequence::new(first)), offer: Offer::Lines(builder.finish()) };
    let (reply, answers) = oneshot::channel();
    let claim = Claim::Name(TaskId::from(&worker(name)));
    let append = Append { worker: worker(name), claim, items: vec![item] };
    server.queue.submit(1, Submission::Append(append, reply)).await.unwrap();
    answers.await.unwrap().remove(0)
}

/// A whole log, which its agent closes.
async fn build(server: &Server, name: &str, blocks: u64) {
    for first in (1..blocks * LINES).step_by(10) {
        let answer = block(server, name, first).await;
        assert_eq!((answer.refusal, answer.acked), (None, Sequence::new(first + LINES - 1)), "{name}");
    }
    let (reply, completed) = oneshot::channel();
    let closing = Closing { exit_code: Some(0), signal: 0, reason: Arc::default() };
    let completion = Completion { worker: worker(name), last: Sequence::new(blocks * LINES), closing };
    server.queue.submit(1, Submission::Complete(completion, reply)).await.unwrap();
    assert!(matches!(completed.await.unwrap(), Completed::Complete), "{name}");
}

/// The numbers of the lines that are there, and of those that are said to be gone.
async fn read(server: &Server, name: &str) -> (u64, u64) {
    let states = server.catalog.watch(&worker(name)).unwrap();
    let pieces = server.tails.tail(states, Sequence::ZERO, Follow::No).unwrap();
    let pieces: Vec<_> = pieces.map(Result::unwrap).collect().await;
    let (mut there, mut gone) = (0, 0);
    for piece in &pieces {
        let Piece::Part(part) = piece else { continue };
        match &part.block().content {
            Content::Lines(lines) => there += lines.len() as u64,
            Content::Gap { last, reason } => {
                assert_eq!(&**reason, retention::REASON);
                gone += last.next().since(part.block().first);
            }
        }
    }
    (there, gone)
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_p6_a_store_in_memory_takes_new_builds_whole_and_lets_old_ones_go_with_their_marks_kept() {
    let retained = Limits { bytes: Some(LIMIT), ..Limits::default() };
    let tasks = Tasks::new();
    let server = testing::parts(memory::open(), Sizes { retained, ..Sizes::default() }, &tasks);
    block(&server, "open", 1).await;
    for number in 0..20 {
        build(&server, &format!("build-{number}"), 20).await;
    }
    build(&server, "new", 60).await;

    assert_eq!(read(&server, "new").await, (600, 0), "taken whole");
    assert_eq!(read(&server, "open").await, (10, 0), "closed logs make room for those that are open");
    assert_eq!(read(&server, "build-0").await, (0, 200));
    let old = server.catalog.worker(&worker("build-0")).unwrap();
    assert_eq!((old.high.get(), old.lines, old.lost, old.is_complete()), (200, 200, 0, true));
    let repeat = block(&server, "build-0", 191).await;
    assert_eq!((repeat.acked.get(), repeat.stored), (200, 0), "its mark is kept");
    assert!(u64::try_from(server.metrics.store_bytes.get()).unwrap() <= LIMIT);
}
