//! Clients that do not number their lines: whatever goes wrong, they are never told that a line is
//! durable which is not.

use super::*;
use crate::testing::Script;

/// Waits for the next commit without standing in the way of the server.
async fn commit_began(script: Script) -> Script {
    let waiting = tokio::task::spawn_blocking(move || {
        script.commit_began();
        script
    });
    waiting.await.unwrap()
}

/// A server whose queue is full for as long as the script lives.
async fn with_a_full_queue() -> (Running, Exchange<LogEntry>, Script) {
    let (opened, script) = testing::scripted();
    let running = Running::start(opened, Sizes { queue: 1, ..Sizes::default() }).await;
    let busy = Exchange::entries(&running).await;
    busy.send([entry("busy", 1)]).await;
    let script = commit_began(script).await;
    busy.send([entry("busy", 2)]).await;
    while running.server.metrics.queue_bytes.get() == 0 {
        tokio::task::yield_now().await;
    }
    (running, busy, script)
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_unnumbered_lines_that_a_full_queue_refuses_are_asked_for_again() {
    let (running, _busy, script) = with_a_full_queue().await;
    let mut stream = Exchange::entries(&running).await;
    stream.send([entry("w", 0)]).await;
    assert_eq!(stream.answer().await, "retry queue_full 0");
    drop(script);
    while running.server.metrics.queue_bytes.get() > 0 {
        tokio::task::yield_now().await;
    }
    // As it was asked to: what is sent meanwhile has to come after it.
    running.server.rates.advance(crate::reason::Retry::QueueFull.delay());
    stream.send([entry("w", 0)]).await;
    assert_eq!(stream.answer().await, "ack 1");
}

#[tokio::test]
async fn p4_unnumbered_lines_of_a_worker_too_many_are_dropped_in_so_many_words() {
    let running = Running::start(memory::open(), Sizes { max_workers: 1, ..Sizes::default() }).await;
    register(&running, "first", b"").await;
    let mut stream = Exchange::entries(&running).await;
    stream.send([entry("w", 0), entry("w", 0)]).await;
    assert_eq!(stream.answers(2).await, ["drop server_full 0", "drop server_full 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_unnumbered_lines_that_a_broken_store_lost_are_asked_for_again() {
    let (opened, script) = testing::scripted();
    let running = Running::start(opened, Sizes::default()).await;
    let mut stream = Exchange::entries(&running).await;
    script.answer(Verdict::Broken);
    stream.send([entry("w", 0)]).await;
    assert_eq!(stream.answer().await, "retry draining 0");
}
