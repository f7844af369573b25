//! What nobody may read is masked however it was named, and whoever names it in vain is told.

use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{agent, nowhere, output};
use crate::server::Server;

const BRIEF: &[&str] = &["--flush-timeout", "100ms", "--spool-limit", "0"];

#[tokio::test]
async fn names_may_be_separated_by_commas_and_blanks() {
    for names in ["FIRST,SECOND", "FIRST, SECOND", " FIRST SECOND ", "FIRST\nSECOND", "FIRST\t,SECOND,"] {
        let mut command = agent(&nowhere(), BRIEF, "echo $FIRST $SECOND");
        command.env("FIRST", "topsecret1").env("SECOND", "topsecret2").env("OTTO_MASK_ENV", names);
        let output = output(command).await;
        assert_eq!(output.stdout, b"*** ***\n", "{names:?}");
    }
}

#[tokio::test]
async fn what_is_named_in_vain_is_said_by_its_name_and_never_by_its_value() {
    let mut command = agent(&nowhere(), BRIEF, "true");
    command.env("SHORT", "xyz").env_remove("MISTYPED").env("OTTO_MASK_ENV", "SHORT, MISTYPED");
    let output = output(command).await;
    let said = String::from_utf8(output.stderr).unwrap();
    let of = |name: &str| said.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
    assert!(of("variable SHORT").contains("fewer than 4 bytes"), "{said}");
    assert!(of("variable MISTYPED").contains("no such variable"), "{said}");
    assert!(!said.contains("xyz"), "{said}");
}

async fn upload(server: &Server, flags: &[&str], content: &str) -> String {
    let dir = TempDir::new().unwrap();
    let (file, masks) = (dir.path().join("build.log"), dir.path().join("masks"));
    std::fs::write(&file, content).unwrap();
    std::fs::write(&masks, "\u{feff}in-a-file\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_otto-agent"));
    command.args(["upload", "--ingest-url", &server.url, "--timeout", "20s", "--mask-file"]).arg(&masks);
    command.args(flags).arg(&file).env("SECRET", "topsecret1").env("OTHER", "topsecret2");
    command.env("OTTO_MASK_ENV", "SECRET").kill_on_drop(true);
    let output = output(command).await;
    assert!(output.status.success(), "{output:?}");
    server.seen().text().join("\n")
}

#[tokio::test]
async fn a_file_that_is_handed_in_is_masked_as_the_output_of_a_command() {
    let server = Server::start([]).await;
    let content = "a topsecret1 b\nc in-a-file d\n  ::add-mask::named-there\ne named-there f\n";
    let shown = upload(&server, &["--worker-id", "w"], content).await;
    assert_eq!(shown, "a *** b\nc *** d\n  ::add-mask::***\ne *** f");
    let again = upload(&server, &["--worker-id", "w"], content).await;
    assert_eq!(again, shown, "it is the same log");
    let runs: Vec<_> = server.seen().registrations.iter().map(|run| run.incarnation.clone()).collect();
    assert!(runs.windows(2).all(|pair| pair[0] == pair[1]), "{runs:?}");
}

/// Its lines could be numbered in another way.
#[tokio::test]
async fn a_file_of_which_something_else_is_masked_is_another_run() {
    let server = Server::start([]).await;
    let content = "topsecret1 and topsecret2\n";
    for masked in ["SECRET", "SECRET,NOT_SET", "SECRET,OTHER"] {
        upload(&server, &["--worker-id", "w", "--mask-env", masked], content).await;
    }
    let runs: Vec<_> = server.seen().registrations.iter().map(|run| run.incarnation.clone()).collect();
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
