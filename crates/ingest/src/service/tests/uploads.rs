//! Uploads, from their first batch to their end.

use ottoscaler_proto::v1::UploadSummary;

use super::*;

#[tokio::test]
async fn an_upload_is_summed_up_with_what_was_there_already() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let upload = futures::stream::iter([batch("w", 1, 10), batch("w", 6, 20)]);
    let summary = running.streaming().await.upload_logs(upload).await.unwrap().into_inner();
    let expected = UploadSummary { last_sequence: 20, lines: 20, duplicates: 5, dropped: 0, crc32c: None };
    assert_eq!(summary, expected.sealed());
}

#[tokio::test]
async fn an_upload_whose_client_sends_no_more_ends_with_the_server() {
    let running = Running::in_memory().await;
    register(&running, "w", b"").await;
    let (sender, receiver) = mpsc::channel(1);
    sender.send(batch("w", 1, 1)).await.unwrap();
    let mut client = running.streaming().await;
    let upload = client.upload_logs(ReceiverStream::new(receiver));
    let stop = async {
        while running.server.catalog.worker(&"w".try_into().unwrap()).unwrap().high.get() == 0 {
            tokio::task::yield_now().await;
        }
        running.server.draining.cancel();
    };
    let (ended, ()) = tokio::join!(upload, stop);
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    drop(sender);
}
