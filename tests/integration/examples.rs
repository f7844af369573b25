//! The examples that the README names.

use std::process::Stdio;

use ottoscaler_tests::service::answers;
use ottoscaler_tests::{binary, port};
use tokio::process::Command;

#[tokio::test]
async fn hello_server_and_client_show_the_four_kinds_of_rpc() {
    let addr = port::free();
    let examples = binary::path("examples");
    let mut server = Command::new(examples.join("hello_server"));
    let _server = server.arg(addr.to_string()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    answers(addr).await;

    let client = Command::new(examples.join("hello_client")).arg(addr.to_string()).output().await.unwrap();
    assert!(client.status.success(), "{client:?}");
    let printed = String::from_utf8(client.stdout).unwrap();
    for line in [
        "unary:            Hello, Otto!",
        "server streaming: 0",
        "client streaming: Hello, Ada, Grace, Edsger!",
        "bidirectional:    Hello, pong!",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "no {line:?} in {printed}");
    }
}
