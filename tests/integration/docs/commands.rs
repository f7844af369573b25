//! The commands of the pages, run in order, each page in one shell and a directory of its own.
//!
//! A page finds the programs on its PATH, and `cargo run` gives it those as well. It says the addresses that the services
//! have by themselves, and here they are others, so that pages run side by side.

use std::fmt::Write;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use ottoscaler_tests::document::{Block, Document, TESTED, all_match, put_cargo, put_program};
use ottoscaler_tests::{binary, port};
use tokio::process::{Child, Command};

const LIMIT: Duration = Duration::from_mins(2);

/// What stands between what two blocks print.
const MARK: &str = "-- this is the end of a block --";

/// Where something listens by itself, and where it does here.
struct Place {
    port: u16,
    here: SocketAddr,
}

/// A page that is run.
struct Run {
    dir: tempfile::TempDir,
    places: Vec<Place>,
}

impl Run {
    fn new() -> Self {
        let places = [6379, 50051, 8080, 9090, 9091, 9092].map(|port| Place { port, here: port::free() });
        let run = Self { dir: tempfile::tempdir().unwrap(), places: places.into() };
        std::fs::create_dir(run.work()).unwrap();
        std::fs::create_dir(run.shims()).unwrap();
        put_cargo(&run.shims());
        run.put_services();
        run
    }

    fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    fn shims(&self) -> PathBuf {
        self.dir.path().join("shims")
    }

    fn place(&self, port: u16) -> SocketAddr {
        self.places.iter().find(|place| place.port == port).expect("a port of ours").here
    }

    /// Programs that listen here where they would listen by themselves.
    fn put_services(&self) {
        let programs = binary::path("");
        for (name, ports) in [
            ("ottoscaler", [("GRPC", 9090), ("ADMIN", 9091), ("ADMIN", 9091)]),
            ("log-ingest", [("GRPC", 50051), ("ADMIN", 9092), ("HTTP", 8080)]),
        ] {
            let places = ports.map(|(name, port)| format!("OTTO_{name}_ADDR={}", self.place(port)));
            let program = programs.join(name);
            let text = format!("#!/bin/sh\nexport {}\nexec {} \"$@\"\n", places.join(" "), program.display());
            put_program(&self.shims(), name, &text);
        }
        let port = self.place(6379).port();
        for (name, flag, also) in
            [("redis-server", "--port", "--bind 127.0.0.1 --save ''"), ("redis-cli", "-p", "")]
        {
            let program = installed(name);
            let text = format!("#!/bin/sh\nexec {} {flag} {port} {also} \"$@\"\n", program.display());
            put_program(&self.shims(), name, &text);
        }
    }

    /// A text with the addresses of here.
    fn here(&self, text: &str) -> String {
        self.places.iter().fold(text.to_owned(), |text, Place { port, here }| {
            let text = text.replace(&format!("127.0.0.1:{port}"), &here.to_string());
            text.replace(&format!("localhost:{port}"), &here.to_string())
        })
    }

    /// Runs the blocks and gives what each has printed.
    async fn run(&self, page: &Document, blocks: &[&Block]) -> Vec<String> {
        let mut script = String::new();
        for block in blocks {
            writeln!(script, "{}echo '{MARK}'", block.text).unwrap();
        }
        let (out, err) = (self.dir.path().join("out"), self.dir.path().join("err"));
        let mut shell = Command::new("sh");
        shell.args(["-euc", &self.here(&script)]).current_dir(self.work()).process_group(0);
        shell.env("PATH", self.path()).env("PROGRAMS", binary::path(""));
        shell.env("REDIS_URL", format!("redis://{}", self.place(6379)));
        shell.env("OTTO_INGEST_URL", format!("http://{}", self.place(50051)));
        // Into files: what runs in the background would keep a pipe open.
        shell.stdin(Stdio::null()).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut group = Group::of(shell.spawn().unwrap());
        let ended = tokio::time::timeout(LIMIT, group.shell.wait()).await;
        let (out, err) = (read(&out), read(&err));
        let told = format!("{}: {ended:?}\n{out}\n{err}", page.path.display());
        assert!(ended.is_ok_and(|ended| ended.unwrap().success()), "{told}");
        out.split(&format!("{MARK}\n")).map(str::to_owned).collect()
    }

    fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap();
        format!("{}:{}:{path}", self.shims().display(), binary::path("").display())
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

fn installed(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed"))
}

/// A shell and what it has left in the background, all of which ends with this.
struct Group {
    shell: Child,
    id: Pid,
}

impl Group {
    fn of(shell: Child) -> Self {
        let id = shell.id().expect("it was not waited for");
        Self { shell, id: Pid::from_raw(i32::try_from(id).expect("a pid fits")) }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _all_are_gone_already = killpg(self.id, Signal::SIGKILL);
    }
}

/// Runs a page and compares what it prints with what it says that it prints.
async fn run(name: &str, at_least: usize) {
    let page = Document::read(Path::new("docs").join(name));
    let all = page.blocks();
    let tested: Vec<_> = all.iter().enumerate().filter(|(_, block)| block.kind == TESTED).collect();
    assert!(tested.len() >= at_least, "{name}: {} blocks are marked", tested.len());
    let run = Run::new();
    let blocks: Vec<_> = tested.iter().map(|(_, block)| *block).collect();
    let printed = run.run(&page, &blocks).await;
    for ((at, block), printed) in tested.iter().zip(&printed) {
        let Some(expected) = all.get(at + 1).filter(|next| next.kind == "text") else { continue };
        let expected = run.here(&expected.text);
        assert!(
            all_match(&expected, printed),
            "{name}: {}\nexpected:\n{expected}\nprinted:\n{printed}",
            block.text
        );
    }
}

#[tokio::test]
async fn single_programs_are_installed_as_the_page_says() {
    run("install.md", 3).await;
}

#[tokio::test]
async fn each_service_is_run_by_cargo_as_the_page_says() {
    run("develop.md", 4).await;
}

#[tokio::test]
async fn a_copy_of_a_running_store_is_restored_as_the_page_says() {
    run("backup.md", 4).await;
}

#[tokio::test]
async fn what_is_watched_can_be_asked_for_as_the_page_says() {
    run("watch.md", 2).await;
}

#[tokio::test]
async fn trouble_is_looked_at_as_the_page_says() {
    run("troubleshooting.md", 2).await;
}

#[tokio::test]
async fn users_of_redis_with_few_rights_are_enough_as_the_page_says() {
    run("security.md", 2).await;
}

#[test]
fn every_page_with_tested_commands_has_a_test() {
    let tests =
        std::fs::read_to_string(binary::workspace().join("tests/integration/docs/commands.rs")).unwrap();
    // The guides to gRPC have theirs among the tests of other languages.
    let pages = Document::guides();
    let pages = pages.iter().filter(|page| !page.path.to_string_lossy().contains("grpc-guide"));
    let marked = pages.filter(|page| page.blocks().iter().any(|block| block.kind == TESTED));
    let names: Vec<_> =
        marked.map(|page| page.path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(tests.contains(&format!("run(\"{name}\", ")), "{name} is never run");
    }
}
