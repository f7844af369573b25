//! Connections: compression on both ways, and servers that let them grow only so old.

use std::time::Duration;

use futures::future::join_all;
use ottoscaler_proto::v1::log_query_service_client::LogQueryServiceClient;
use ottoscaler_proto::v1::{LogEntry, TailRequest, tail_request::Of};
use ottoscaler_tests::chatter::Script;
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, oracle};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

/// What a client reads that takes only this encoding, and whether the server used it.
async fn read(ingest: &Ingest, worker: &str, encoding: Option<CompressionEncoding>) -> (Vec<LogEntry>, bool) {
    let mut client = LogQueryServiceClient::<Channel>::connect(ingest.url()).await.unwrap();
    if let Some(encoding) = encoding {
        client = client.accept_compressed(encoding);
    }
    let request = TailRequest { of: Some(Of::WorkerId(worker.to_owned())), ..TailRequest::default() };
    let answer = client.tail_logs(request).await.unwrap();
    let is_compressed = answer.metadata().get("grpc-encoding").is_some_and(|name| name != "identity");
    let (mut stream, mut entries) = (answer.into_inner(), Vec::new());
    while let Some(piece) = stream.message().await.unwrap() {
        entries.extend(piece.entries);
    }
    (entries, is_compressed)
}

#[tokio::test]
async fn lines_are_the_same_whatever_they_were_compressed_with_on_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let script = Script { seed: 31, lines: 5_000 };
    let mut read_plain = Vec::new();
    for compression in ["none", "gzip", "zstd"] {
        let mut command = agent::chatter(&ingest.url(), compression, compression, script);
        command.env("OTTO_COMPRESSION", compression);
        assert!(agent::output(command).await.status.success());
        oracle::check(compression, &ingest.lines(compression).await.unwrap(), script);
        read_plain.push(read(&ingest, compression, None).await.0);
    }
    for (encoding, worker) in [(CompressionEncoding::Gzip, "gzip"), (CompressionEncoding::Zstd, "zstd")] {
        let (entries, is_compressed) = read(&ingest, worker, Some(encoding)).await;
        assert!(is_compressed, "{encoding:?} was offered");
        assert!(read_plain.contains(&entries), "{encoding:?}: {} entries", entries.len());
    }
}

/// Each connection is told to end after a second, and ended ten seconds later, in the midst of everything.
#[tokio::test]
async fn agents_of_a_server_that_ends_connections_every_second_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &["--max-connection-age", "1s"]).await;
    let script = |seed| Script { seed, lines: 20_000 };
    let agents = (0..4).map(|seed| {
        let (ingest, summary) = (&ingest, dir.path().join(format!("{seed}.json")));
        async move {
            let name = format!("aged-{seed}");
            let mut command = agent::command(&ingest.url(), &name);
            command.args(["--task-id", &name, "--mirror", "false", "--summary"]).arg(&summary);
            command.arg("--").arg(ottoscaler_tests::binary::path("otto-chatter"));
            command.args(["--lines", "20000", "--seed", &seed.to_string(), "--spread-ms", "14000"]);
            assert!(agent::output(command).await.status.success());
            oracle::check(&name, &ingest.lines(&name).await.unwrap(), script(seed));
            let said = agent::summary(&summary);
            assert_eq!((&said["complete"], &said["dropped"]), (&true.into(), &0.into()), "{said}");
            said["disconnects"].as_u64().unwrap()
        }
    });
    let disconnects = tokio::time::timeout(Duration::from_mins(2), join_all(agents)).await.unwrap();
    assert!(disconnects.iter().all(|count| *count >= 1), "{disconnects:?}");
}
