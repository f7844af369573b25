//! Lines that come too fast are asked for again, and all of them are stored in the end.

use std::time::Duration;

use super::*;

/// The delay that a RETRY names.
fn delay(response: &LogResponse) -> Duration {
    assert!(response.message.starts_with("reason=rate_limited;retry_after_ms="), "{response:?}");
    Duration::from_millis(response.message.rsplit('=').next().unwrap().parse().unwrap())
}

async fn limited(sizes: Sizes) -> Running {
    let running = Running::start(memory::open(), sizes).await;
    for worker in ["v", "w"] {
        let registration = WorkerRegistration { task_id: "t".into(), ..registration(worker, b"") };
        let answer = running.streaming().await.register_worker(registration).await.unwrap().into_inner();
        assert_eq!(answer.config.unwrap().rate_limit, 1000);
    }
    running
}

#[tokio::test]
async fn a_batch_beyond_the_limit_is_asked_for_again_and_with_it_what_is_behind_it() {
    let running = limited(Sizes { rate: 1000, ..Sizes::default() }).await;
    let mut stream = Exchange::batches(&running).await;
    stream.send([batch("w", 1, 2200), batch("w", 2201, 2210), batch("w", 2211, 2220)]).await;
    assert_eq!(stream.answer().await, "ack 2200");
    let retry = stream.responses.message().await.unwrap().unwrap();
    assert_eq!(retry.sequence, 2200);
    running.server.rates.advance(delay(&retry));
    stream.send([batch("w", 2201, 2210), batch("w", 2211, 2220)]).await;
    let second = stream.responses.message().await.unwrap().unwrap();
    assert_eq!(shown(&second), "ack 2210", "the batch behind the first one was passed over in silence");
}

#[tokio::test]
async fn the_workers_of_a_task_share_its_limit_be_it_batches_or_entries() {
    let running = limited(Sizes { task_rate: 1000, ..Sizes::default() }).await;
    let mut batches = Exchange::batches(&running).await;
    batches.send([batch("w", 1, 2500)]).await;
    assert_eq!(batches.answer().await, "ack 2500");
    let mut entries = Exchange::entries(&running).await;
    entries.send([entry("v", 1)]).await;
    let retry = entries.responses.message().await.unwrap().unwrap();
    running.server.rates.advance(delay(&retry));
    entries.send([entry("v", 1)]).await;
    assert_eq!(entries.answer().await, "ack 1");
}

#[tokio::test]
async fn an_upload_is_held_back_instead() {
    let running = limited(Sizes { rate: 1000, ..Sizes::default() }).await;
    let mut client = running.streaming().await;
    let upload = client.upload_logs(futures::stream::iter([batch("w", 1, 2300), batch("w", 2301, 2310)]));
    let high = || running.server.catalog.worker(&"w".try_into().unwrap()).unwrap().high.get();
    let rates = &running.server.rates;
    let is_held_back = async || {
        let before = rates.waits();
        while rates.waits() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(high(), 2300);
    };
    let time_passes = async {
        is_held_back().await;
        rates.advance(Duration::from_millis(299));
        // It asks again after what it was told, and a millisecond is missing.
        is_held_back().await;
        rates.advance(Duration::from_millis(1));
    };
    let (summary, ()) = tokio::join!(upload, time_passes);
    let summary = summary.unwrap().into_inner();
    assert_eq!((summary.last_sequence, summary.lines), (2310, 2310));
}

#[tokio::test]
async fn lines_that_are_there_already_or_come_too_early_count_for_nothing() {
    let running = limited(Sizes { rate: 1000, ..Sizes::default() }).await;
    let mut stream = Exchange::batches(&running).await;
    // Half of a burst, so that there is room for what is not decided on yet.
    stream.send([batch("w", 1, 1000)]).await;
    assert_eq!(stream.answer().await, "ack 1000");
    for _ in 0..5 {
        stream.send([batch("w", 1, 1000)]).await;
        assert_eq!(stream.answer().await, "ack 1000");
    }
    drop(stream);
    let mut entries = Exchange::entries(&running).await;
    for _ in 0..5 {
        entries.send((0..900).map(|_| entry("w", 1002))).await;
        assert!(entries.answers(900).await.iter().all(|answer| answer == "retry gap 1000"));
    }
}

/// A line of a stream that came too soon, and one behind it by the time that it may come.
#[tokio::test]
async fn an_entry_behind_one_that_came_too_soon_waits_for_it() {
    let running = limited(Sizes { rate: 1000, ..Sizes::default() }).await;
    let mut batches = Exchange::batches(&running).await;
    batches.send([batch("w", 1, 2500)]).await;
    assert_eq!(batches.answer().await, "ack 2500");
    let mut entries = Exchange::entries(&running).await;
    entries.send([entry("w", 2501)]).await;
    let retry = entries.responses.message().await.unwrap().unwrap();
    running.server.rates.advance(delay(&retry));
    entries.send([entry("w", 2502)]).await;
    assert_eq!(entries.answer().await, "retry rate_limited 2500");
    entries.send([entry("w", 2501), entry("w", 2502)]).await;
    assert_eq!(entries.answers(2).await, ["ack 2501", "ack 2502"]);
}
