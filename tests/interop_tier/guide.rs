//! The guide to gRPC tells the truth: its commands are run, and print what it says that they print.
//!
//! A command block is marked ```` ```sh test ````; the ```` ```text ```` block right behind it is its output, in
//! which `…` stands for anything. Addresses are replaced by those of the test's own servers, and
//! `cargo run` by the program that it would build.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ottoscaler_tests::ingest::Ingest;
use ottoscaler_tests::service::answers;
use ottoscaler_tests::{binary, port};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_mins(1);

/// A fenced block.
#[derive(Debug, PartialEq)]
struct Block {
    /// What stands behind the fence's beginning.
    kind: String,
    text: String,
}

fn blocks(file: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(binary::workspace().join("docs").join(file)).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let mut text = String::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            writeln!(text, "{line}").unwrap();
        }
        blocks.push(Block { kind: kind.to_owned(), text });
    }
    blocks
}

/// Stands in for cargo: `cargo run -p PACKAGE [--example NAME] [-- ARGUMENT…]`.
const CARGO: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -p) program=$2; shift ;;
    --example) program=examples/$2; shift ;;
  esac
  shift
done
exec "$PROGRAMS/$program" "$@"
"#;

/// A line where `…` stands for anything.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    assert!(matches("a … c …", "a b c d") && matches("same", "same") && matches("…", ""));
    assert!(!matches("same", "same!") && !matches("a … c", "a b d") && !matches("a", "b"));
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
        shell.env("PATH", format!("{}:{path}", shims.display())).env("PROGRAMS", &self.programs);
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
    let cargo = dir.path().join("cargo");
    std::fs::write(&cargo, CARGO).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ingest = Ingest::start(&dir.path().join("data"), &[]).await;
    let (hello, programs) = (port::free(), binary::path(""));
    let mut server = Command::new(programs.join("examples/hello_server"));
    let _server = server.arg(hello.to_string()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    answers(hello).await;

    let servers = Servers { ingest, hello, programs };
    let blocks = blocks("grpc-guide.md");
    let mut tested = 0;
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == "sh test") {
        tested += 1;
        let printed = servers.run(dir.path(), &block.text).await;
        let Some(expected) = blocks.get(at + 1).filter(|next| next.kind == "text") else { continue };
        let expected = servers.here(&expected.text);
        let same = expected.lines().count() == printed.lines().count()
            && expected.lines().zip(printed.lines()).all(|(pattern, line)| matches(pattern, line));
        assert!(same, "{}\nexpected:\n{expected}\nprinted:\n{printed}", block.text);
    }
    assert!(tested >= 8, "{tested} blocks are marked");
}

#[test]
fn the_guide_has_the_same_commands_in_both_languages() {
    assert_eq!(blocks("grpc-guide.md"), blocks("grpc-guide.ko.md"));
}
