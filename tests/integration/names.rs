//! Host names: the agent finds its server in every image.

use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::{agent, binary};

/// As a program refers to it that has the C library resolve names.
const BY_THE_C_LIBRARY: &[u8] = b"\0getaddrinfo\0";

/// Linked statically the C library would load its resolver modules from whatever image the agent runs in.
#[test]
fn the_agent_does_not_have_the_c_library_resolve_names() {
    let of = |path| {
        let program = std::fs::read(path).unwrap();
        program.windows(BY_THE_C_LIBRARY.len()).any(|window| window == BY_THE_C_LIBRARY)
    };
    assert!(of(std::env::current_exe().unwrap()), "this test has it, so it would be seen");
    assert!(!of(binary::path("otto-agent")));
}

#[tokio::test]
async fn the_server_may_be_given_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(dir.path(), &[]).await;
    let url = format!("http://localhost:{}", ingest.grpc().port());
    let mut command = agent::command(&url, "by-name");
    command.args(["--", "echo", "hello"]);
    assert!(agent::output(command).await.status.success());
    assert_eq!(ingest.get("/api/v1/workers/by-name/log.txt").await.unwrap(), b"hello\n");
}
