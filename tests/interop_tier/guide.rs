//! The guide to gRPC tells the truth: its commands are run, and print what it says that they print.
//!
//! `document` says how blocks are marked. Addresses are replaced by those of the test's own servers, and
//! `cargo run` by the program that it would build.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::document::{Block, Document, TESTED, all_match, put_cargo};
use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::service::answers;
use ottoscaler_tests::{binary, port};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_mins(1);

fn blocks(file: &str) -> Vec<Block> {
    Document::read(Path::new("docs").join(file)).blocks()
}

struct Servers {
    ingest: Ingest,
    hello: std::net::SocketAddr,
    programs: std::path::PathBuf,
}

impl Servers {
    fn here(&self, text: &str) -> String {
        let text = text.replace("localhost:50051", &self.ingest.grpc().to_string());
        text.replace("localhost:50050", &self.hello.to_string())
    }

    async fn run(&self, shims: &Path, script: &str) -> String {
        let path = std::env::var("PATH").unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-euc", &format!("exec 2>&1\n{}", self.here(script))]).current_dir(binary::workspace());
        let programs = self.programs.display();
        shell.env("PATH", format!("{}:{programs}:{path}", shims.display())).env("PROGRAMS", &self.programs);
        shell.env("OTTO_INGEST_URL", self.ingest.url()).env("OTTO_LOG_FORMAT", "json");
        let output = shell.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(LIMIT, output).await.expect("a command of the guide ends").unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{script}{printed}");
        printed
    }
}

#[tokio::test]
async fn the_commands_of_the_guide_print_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    put_cargo(dir.path());
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let (hello, programs) = (port::free(), binary::path(""));
    let mut server = Command::new(programs.join("examples/hello_server"));
    let _server = server.arg(hello.to_string()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    answers(hello).await;

    let servers = Servers { ingest, hello, programs };
    let blocks = blocks("grpc-guide.md");
    let mut tested = 0;
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == TESTED) {
        tested += 1;
        let printed = servers.run(dir.path(), &block.text).await;
        let Some(expected) = blocks.get(at + 1).filter(|next| next.kind == "text") else { continue };
        let expected = servers.here(&expected.text);
        assert!(all_match(&expected, &printed), "{}\nexpected:\n{expected}\nprinted:\n{printed}", block.text);
    }
    assert!(tested >= 8, "{tested} blocks are marked");
}

#[test]
fn the_guide_has_the_same_commands_in_both_languages() {
    assert_eq!(blocks("grpc-guide.md"), blocks("grpc-guide.ko.md"));
}
