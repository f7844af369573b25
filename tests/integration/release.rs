//! A release is refused where something in it would not be what it says.

use std::path::Path;
use std::process::{Command, Output};

use ottoscaler_tests::binary::workspace;

/// What the checks read.
const FILES: [&str; 8] = [
    "Cargo.toml",
    "docker/compose.process.yaml",
    "docker/compose.yaml",
    "Cargo.lock",
    "CHANGELOG.md",
    "helm/ottoscaler/Chart.yaml",
    "scripts/lib.sh",
    "scripts/release",
];

/// A repository of those alone.
struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { dir: tempfile::tempdir().unwrap() };
        for file in FILES {
            let to = repository.path().join(file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(workspace().join(file), to).unwrap();
        }
        repository.git(&["init", "--quiet"]);
        repository.commit();
        repository
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn git(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]);
        let done = git.args(args).current_dir(self.path()).output().unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "a state"]);
    }

    fn change(&self, file: &str, change: impl Fn(&str) -> String) {
        let path = self.path().join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "{file}");
        std::fs::write(path, after).unwrap();
    }

    fn check(&self, args: &[&str]) -> Output {
        let mut check = Command::new(self.path().join("scripts/release"));
        check.arg("--check").args(args).output().unwrap()
    }

    fn refuses(&self, args: &[&str], why: &str) {
        let output = self.check(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "expected {why:?}, and it said {said:?}");
    }
}

/// The version that the workspace has.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The changelog of a version that is about to be released.
fn released(changelog: &str) -> String {
    if changelog.contains(&format!("\n## {VERSION} ")) {
        return format!("{changelog}\n");
    }
    changelog.replacen("\n## Unreleased\n", &format!("\n## Unreleased\n\n## {VERSION} - 2026-01-02\n"), 1)
}

#[test]
fn a_clean_tree_whose_versions_agree_can_be_released() {
    let repository = Repository::new();
    repository.change("CHANGELOG.md", released);
    repository.commit();
    let output = repository.check(&[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.starts_with(&format!("{VERSION} can be made of ")), "{output:?}");
}

#[test]
fn what_does_not_fit_is_refused_by_its_name() {
    type Change = fn(&str) -> String;
    let cases: [(&str, Change, &str); 8] = [
        ("Cargo.toml", |text| text.replacen(VERSION, "77.0.0", 1), "Chart.yaml: version is"),
        (
            "helm/ottoscaler/Chart.yaml",
            |text| text.replace("\nversion: ", "\nversion: 9"),
            "Chart.yaml: version is",
        ),
        ("helm/ottoscaler/Chart.yaml", |text| text.replace("appVersion: ", "appVersion: 9"), "appVersion is"),
        (
            "helm/ottoscaler/Chart.yaml",
            |text| text.replace("/log-ingest:", "/log-ingest:9"),
            "the image of log-ingest is",
        ),
        (
            "Cargo.lock",
            |text| {
                text.replace("name = \"otto-agent\"\nversion = \"", "name = \"otto-agent\"\nversion = \"9")
            },
            "Cargo.lock: otto-agent is",
        ),
        (
            "docker/compose.yaml",
            |text| text.replacen(&format!("/otto-agent:{VERSION}"), "/otto-agent:9.9.9", 1),
            "docker/compose.yaml: otto-agent is '9.9.9'",
        ),
        (
            "docker/compose.process.yaml",
            |text| text.replacen(&format!("/ottoscaler-dev:{VERSION}"), "/ottoscaler-dev:9.9.9", 1),
            "docker/compose.process.yaml: ottoscaler-dev is '9.9.9'",
        ),
        ("CHANGELOG.md", |text| text.replace(&format!("## {VERSION} "), "## 7.7.7 "), "says nothing under"),
    ];
    for (file, change, why) in cases {
        let repository = Repository::new();
        repository.change("CHANGELOG.md", released);
        repository.change(file, change);
        repository.commit();
        repository.refuses(&[], why);
    }
}

#[test]
fn changes_that_nobody_committed_and_changes_without_a_version_are_refused() {
    let repository = Repository::new();
    repository.change("CHANGELOG.md", released);
    repository.refuses(&[], "the tree is not clean");
    repository
        .change("CHANGELOG.md", |text| text.replacen("## Unreleased\n", "## Unreleased\n\n- Another.\n", 1));
    repository.commit();
    repository.refuses(&[], "has changes under '## Unreleased'");
}

#[test]
fn a_rehearsal_takes_what_is_not_released_yet_and_nothing_else_that_is_wrong() {
    let repository = Repository::new();
    assert!(repository.check(&["--rehearse"]).status.success());
    repository.change("Cargo.lock", |text| format!("{text}\n"));
    repository.refuses(&["--rehearse"], "the tree is not clean");
}

#[test]
fn a_tag_of_another_commit_is_not_made_again() {
    let repository = Repository::new();
    repository.change("CHANGELOG.md", released);
    repository.commit();
    repository.git(&["tag", &format!("v{VERSION}")]);
    assert!(repository.check(&[]).status.success());
    repository.commit();
    repository.refuses(&[], "is of another commit");
}
